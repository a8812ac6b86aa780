//! The maximum of a linear problem's posterior, on sufficient statistics.
//!
//! For a given sigma it is a quadratic with an L1 term in the changes of the rate: the smooth columns are eliminated by
//! Cholesky and the changes solved exactly as a [`lasso`]; sigma then has a closed form. The two alternate until the
//! posterior stands still.

use super::{
    cholesky::Cholesky,
    gram::{Gram, dot},
    lasso::lasso,
};

/// Standard deviation of the half-normal prior on `sigma_obs`.
pub(crate) const NOISE_PRIOR: f64 = 0.5;

/// `sigma_obs` is not taken below this (values are scaled to 1): on noise-free data the posterior grows without bound
/// as sigma goes to zero. Prophet gives a constant series the same.
pub(crate) const NOISE_FLOOR: f64 = 1e-9;

/// Rounds of the alternation, and the relative change of the posterior that ends it.
pub(crate) const MAX_ROUNDS: u32 = 200;
const TOLERANCE: f64 = 1e-13;

/// What is known of the weights before the data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prior {
    /// Inverse variances of the smooth weights around zero.
    pub(crate) ridge: Vec<f64>,
    /// Further `(a . (w_0, w_1) - b)^2 / 2` on the first two.
    pub(crate) pair: Option<([f64; 2], f64)>,
    /// The inverse scale of the Laplace prior on changes of the rate.
    pub(crate) rate: f64,
}

impl Prior {
    /// What it takes from the log posterior, constants dropped.
    pub(crate) fn penalty(&self, weights: &[f64]) -> f64 {
        let (smooth, delta) = weights.split_at(self.ridge.len());
        let squares = smooth.iter().zip(&self.ridge).map(|(w, r)| 0.5 * r * w * w);
        let pair = self.pair.map_or(0.0, |([a0, a1], b)| {
            0.5 * (a0 * smooth[0] + a1 * smooth[1] - b).powi(2)
        });
        squares.sum::<f64>() + pair + self.rate * delta.iter().map(|d| d.abs()).sum::<f64>()
    }
}

/// A maximum on sufficient statistics.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Regressed {
    /// Smooth weights, then changes of the rate.
    pub(crate) weights: Vec<f64>,
    pub(crate) rounds: u32,
    pub(crate) converged: bool,
}

/// Minus the log posterior of residuals alone at the best sigma, and that sigma.
pub(crate) fn profile(residual: f64, count: f64) -> (f64, f64) {
    let noise = best_noise(residual, count);
    (misfit(residual, count, noise), noise)
}

/// Minus the log posterior of `count` residuals and their noise alone, constants dropped.
pub(crate) fn misfit(residual: f64, count: f64, noise: f64) -> f64 {
    0.5 * residual / (noise * noise) + count * noise.ln() + 0.5 * (noise / NOISE_PRIOR).powi(2)
}

/// The minimum over sigma of `residual / (2 sigma^2) + count ln sigma + sigma^2 / (2 NOISE_PRIOR^2)`: its derivative
/// vanishes where `sigma^4 / NOISE_PRIOR^2 + count sigma^2 - residual = 0`.
fn best_noise(residual: f64, count: f64) -> f64 {
    let a = 1.0 / (NOISE_PRIOR * NOISE_PRIOR);
    let squared = 2.0 * residual / (count + (count * count + 4.0 * a * residual).sqrt());
    squared.sqrt().max(NOISE_FLOOR)
}

/// The maximum of the posterior of a regression with `count` rows, from `start` and the noise there. `residual_squares`
/// counts the residuals of weights where what cancels in the statistics must not.
pub(crate) fn regress(
    gram: &Gram,
    prior: &Prior,
    count: f64,
    (start, noise): (&[f64], f64),
    max_rounds: u32,
    residual_squares: impl Fn(&[f64]) -> f64,
) -> Regressed {
    let mut weights = start.to_vec();
    let mut noise = noise;
    let mut last = f64::INFINITY;
    for rounds in 1..=max_rounds {
        weights = minimise(gram, prior, noise * noise, &weights);
        let mut residual = gram.residual_squares(&weights);
        if residual <= 1e-9 * gram.squares {
            residual = residual_squares(&weights);
        }
        let (fit, best) = profile(residual, count);
        let value = fit + prior.penalty(&weights);
        noise = best;
        if (value - last).abs() <= TOLERANCE * (1.0 + value.abs()) {
            return Regressed {
                weights,
                rounds,
                converged: true,
            };
        }
        last = value;
    }
    Regressed {
        weights,
        rounds: max_rounds,
        converged: false,
    }
}

/// The weights that maximise the posterior at a given noise variance, starting from `start`.
pub(crate) fn minimise(gram: &Gram, prior: &Prior, variance: f64, start: &[f64]) -> Vec<f64> {
    let (p, h) = (gram.smooth, gram.hinges);
    let n = p + h;
    let mut smooth = vec![0.0; p * p];
    for i in 0..p {
        smooth[i * p..(i + 1) * p].copy_from_slice(&gram.products[i * n..i * n + p]);
        smooth[i * p + i] += variance * prior.ridge[i];
    }
    let mut cross = gram.cross[..p].to_vec();
    if let Some((a, b)) = prior.pair {
        for i in 0..2 {
            cross[i] += variance * a[i] * b;
            for j in 0..2 {
                smooth[i * p + j] += variance * a[i] * a[j];
            }
        }
    }
    let factor = Cholesky::new(&smooth, p);
    let level = factor.solve(&cross);
    if h == 0 {
        return level;
    }
    // With A = L L', the part of the hinges' products that the smooth columns explain is (L^-1 C)' (L^-1 C).
    let explained: Vec<Vec<f64>> = (0..h)
        .map(|j| factor.forward(&gram.products[(p + j) * n..(p + j) * n + p]))
        .collect();
    let forward = factor.forward(&cross);
    let mut schur = vec![0.0; h * h];
    let mut q = vec![0.0; h];
    for j in 0..h {
        let row = &gram.products[(p + j) * n..(p + j + 1) * n];
        q[j] = gram.cross[p + j] - dot(&explained[j], &forward);
        for l in 0..=j {
            schur[j * h + l] = row[p + l] - dot(&explained[j], &explained[l]);
            schur[l * h + j] = schur[j * h + l];
        }
    }
    let delta = lasso(&schur, &q, variance * prior.rate, &start[p..]);
    let mut rest = forward;
    for (delta, explained) in delta.iter().zip(&explained) {
        for (rest, explained) in rest.iter_mut().zip(explained) {
            *rest -= delta * explained;
        }
    }
    let mut weights = factor.backward(&rest);
    weights.extend_from_slice(&delta);
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_is_where_the_derivative_vanishes() {
        let (residual, count) = (3.7, 100.0);
        let sigma = best_noise(residual, count);
        let derivative = -residual / sigma.powi(3) + count / sigma + sigma / NOISE_PRIOR.powi(2);
        assert!(derivative.abs() < 1e-9, "{derivative}");
        assert_eq!(best_noise(0.0, 10.0), NOISE_FLOOR);
    }
}
