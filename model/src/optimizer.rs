//! The maximum a posteriori fit of Prophet's model: linear or flat trend, additive features.
//!
//! The posterior is prophet.stan's: `k, m ~ N(0, 5)`, `delta ~ Laplace(0, tau)`, `beta ~ N(0, sigmas)`,
//! `sigma_obs ~ half-N(0, 0.5)`, `y ~ N(trend + X beta, sigma_obs)`. Without the Jacobian of `sigma_obs > 0`, as Stan
//! optimizes it and as Prophet uses it. For a given sigma this is a quadratic with an L1 term in the deltas: `k, m, beta`
//! are eliminated by Cholesky and the deltas solved exactly as a lasso; sigma then has a closed form.
//! The two alternate until the posterior stands still.

use augurs_prophet::{
    PositiveFloat, TrendIndicator,
    optimizer::{Data, Error, InitialParams, OptimizeOpts, OptimizedParams, Optimizer},
};

use crate::{
    cholesky::Cholesky,
    gram::{Gram, Rows},
    lasso::lasso,
};

/// Standard deviation of the priors on `k` and `m`.
const TREND_PRIOR: f64 = 5.0;

/// Standard deviation of the half-normal prior on `sigma_obs`.
const NOISE_PRIOR: f64 = 0.5;

/// `sigma_obs` is not taken below this (values are scaled to 1): on noise-free data the posterior grows without bound
/// as sigma goes to zero.
const NOISE_FLOOR: f64 = 1e-6;

/// Rounds of the alternation, and the relative change of the posterior that ends it.
const MAX_ROUNDS: u32 = 1_000;
const TOLERANCE: f64 = 1e-13;

/// A problem, its rows sorted by time and its changepoints ascending.
#[derive(Debug, Clone)]
pub(crate) struct Problem<'a> {
    pub(crate) rows: Rows<'a>,
    /// Standard deviation of the prior on each feature's coefficient.
    pub(crate) sigmas: &'a [f64],
    /// Scale of the prior on changes of the rate.
    pub(crate) tau: f64,
}

/// The maximum and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The trend's rate at the start, scaled.
    pub k: f64,
    /// The trend's level at the start, scaled.
    pub m: f64,
    /// Changes of the rate.
    pub delta: Vec<f64>,
    /// Feature coefficients.
    pub beta: Vec<f64>,
    /// Standard deviation of the noise, scaled.
    pub sigma_obs: f64,
    /// The value of Stan's `lp__` at these parameters.
    pub log_posterior: f64,
    /// Rounds of the alternation.
    pub iterations: u32,
    /// Whether the posterior stood still at the end.
    pub converged: bool,
}

/// Solves `problem`.
pub(crate) fn solve(problem: &Problem<'_>) -> Solution {
    let Problem { rows, sigmas, tau } = problem;
    let gram = Gram::new(*rows);
    let base = gram.smooth - rows.width;
    let ridge: Vec<f64> = (0..gram.smooth)
        .map(|i| {
            let scale = i.checked_sub(base).map_or(TREND_PRIOR, |i| sigmas[i]);
            1.0 / (scale * scale)
        })
        .collect();
    let count = rows.t.len() as f64;
    let mut weights = vec![0.0; gram.smooth + gram.hinges];
    let mut noise = (gram.squares / count)
        .sqrt()
        .clamp(NOISE_FLOOR, NOISE_PRIOR);
    let mut last = f64::NEG_INFINITY;
    let mut iterations = 0;
    let mut converged = false;
    while iterations < MAX_ROUNDS && !converged {
        iterations += 1;
        weights = minimise(&gram, &ridge, 1.0 / tau, noise * noise, &weights);
        let residual = gram.residual_squares(&weights).max(0.0);
        noise = best_noise(residual, count);
        let value = -0.5 * residual / (noise * noise)
            - count * noise.ln()
            - penalty(&gram, &ridge, *tau, noise, &weights);
        converged = (value - last).abs() <= TOLERANCE * (1.0 + value.abs());
        last = value;
    }
    let (smooth, delta) = weights.split_at(gram.smooth);
    let (trend, beta) = smooth.split_at(base);
    let (k, m) = match trend {
        [k, m] => (*k, *m),
        [m] => (0.0, *m),
        _ => (0.0, 0.0),
    };
    let mut delta = delta.to_vec();
    delta.resize(rows.changepoints.len(), 0.0);
    // What cancels in the sufficient statistics does not cancel row by row.
    let residual = rows.residual_squares(k, m, beta, &delta);
    noise = best_noise(residual, count);
    let log_posterior = -0.5 * residual / (noise * noise)
        - count * noise.ln()
        - penalty(&gram, &ridge, *tau, noise, &weights);
    Solution {
        k,
        m,
        delta,
        beta: beta.to_vec(),
        sigma_obs: noise,
        log_posterior,
        iterations,
        converged,
    }
}

/// The minimum over sigma of `residual / (2 sigma^2) + count ln sigma + sigma^2 / (2 NOISE_PRIOR^2)`: its derivative
/// vanishes where `sigma^4 / NOISE_PRIOR^2 + count sigma^2 - residual = 0`.
fn best_noise(residual: f64, count: f64) -> f64 {
    let a = 1.0 / (NOISE_PRIOR * NOISE_PRIOR);
    let squared = 2.0 * residual / (count + (count * count + 4.0 * a * residual).sqrt());
    squared.sqrt().max(NOISE_FLOOR)
}

/// What the priors take from the log posterior.
fn penalty(gram: &Gram, ridge: &[f64], tau: f64, noise: f64, weights: &[f64]) -> f64 {
    let (smooth, delta) = weights.split_at(gram.smooth);
    let quadratic: f64 = smooth.iter().zip(ridge).map(|(w, r)| 0.5 * r * w * w).sum();
    let bends: f64 = delta.iter().map(|delta| delta.abs()).sum();
    quadratic + bends / tau + 0.5 * (noise / NOISE_PRIOR).powi(2)
}

/// The weights that maximise the posterior at a given noise variance, starting from `start`.
fn minimise(gram: &Gram, ridge: &[f64], rate: f64, variance: f64, start: &[f64]) -> Vec<f64> {
    let (p, h) = (gram.smooth, gram.hinges);
    let n = p + h;
    let mut smooth = vec![0.0; p * p];
    for i in 0..p {
        smooth[i * p..(i + 1) * p].copy_from_slice(&gram.products[i * n..i * n + p]);
        smooth[i * p + i] += variance * ridge[i];
    }
    let factor = Cholesky::new(&smooth, p);
    let level = factor.solve(&gram.cross[..p]);
    // For each hinge, what the smooth columns do when it moves by one.
    let follow: Vec<Vec<f64>> = (0..h)
        .map(|j| factor.solve(&gram.products[(p + j) * n..(p + j) * n + p]))
        .collect();
    let mut schur = vec![0.0; h * h];
    let mut q = vec![0.0; h];
    for j in 0..h {
        let row = &gram.products[(p + j) * n..(p + j + 1) * n];
        q[j] = gram.cross[p + j] - dot(&row[..p], &level);
        for l in 0..h {
            schur[j * h + l] = row[p + l] - dot(&row[..p], &follow[l]);
        }
    }
    let delta = lasso(&schur, &q, variance * rate, &start[p..]);
    let mut weights = level;
    for (delta, follow) in delta.iter().zip(&follow) {
        for (weight, follow) in weights.iter_mut().zip(follow) {
            *weight -= delta * follow;
        }
    }
    weights.extend_from_slice(&delta);
    weights
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Gram {
    /// The sum of squared residuals at `weights`.
    fn residual_squares(&self, weights: &[f64]) -> f64 {
        let n = weights.len();
        let quadratic: f64 = weights
            .iter()
            .enumerate()
            .map(|(i, w)| w * dot(&self.products[i * n..(i + 1) * n], weights))
            .sum();
        self.squares - 2.0 * dot(&self.cross, weights) + quadratic
    }
}

/// [`Optimizer`] for augurs-prophet: exact, deterministic, and without Stan.
///
/// Initial parameters and options are not needed and not used: the maximum does not depend on them. Columns are put in
/// an order of their own content before any arithmetic, so that the same data gives the same bits in every process,
/// however augurs' hash maps fall out.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapOptimizer;

impl MapOptimizer {
    /// Solves the problem that `data` describes.
    ///
    /// # Errors
    /// A message naming what is not supported (logistic trend, multiplicative features) or malformed.
    pub fn solve(&self, data: &Data) -> Result<Solution, String> {
        if data.trend_indicator == TrendIndicator::Logistic {
            return Err("logistic trends are not fitted by this optimizer yet".to_owned());
        }
        if data.s_m.iter().any(|&multiplicative| multiplicative != 0) {
            return Err("multiplicative features are not fitted by this optimizer yet".to_owned());
        }
        let width = data.sigmas.len();
        let rows = data.t.len();
        if rows == 0 || data.y.len() != rows || data.X.len() != rows * width {
            return Err("rows, values and features do not match".to_owned());
        }
        if !data.t.is_sorted() {
            return Err("rows must be in the order of their times".to_owned());
        }
        let columns = content_order(&data.X, width, &data.sigmas);
        let features = gather(&data.X, width, &columns);
        let sigmas: Vec<f64> = columns.iter().map(|&c| *data.sigmas[c]).collect();
        let mut by_time: Vec<usize> = (0..data.t_change.len()).collect();
        by_time.sort_by(|&a, &b| data.t_change[a].total_cmp(&data.t_change[b]));
        let changepoints: Vec<f64> = by_time.iter().map(|&j| data.t_change[j]).collect();
        let mut solution = solve(&Problem {
            rows: Rows {
                t: &data.t,
                y: &data.y,
                features: &features,
                width,
                changepoints: &changepoints,
                flat: data.trend_indicator == TrendIndicator::Flat,
            },
            sigmas: &sigmas,
            tau: *data.tau,
        });
        solution.beta = scatter(&solution.beta, &columns);
        solution.delta = scatter(&solution.delta, &by_time);
        Ok(solution)
    }
}

/// `to[order[i]] = from[i]`.
pub(crate) fn scatter(from: &[f64], order: &[usize]) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    for (value, &place) in from.iter().zip(order) {
        to[place] = *value;
    }
    to
}

/// The columns of row-major `x` in the order `columns`.
pub(crate) fn gather(x: &[f64], width: usize, columns: &[usize]) -> Vec<f64> {
    x.chunks_exact(width.max(1))
        .flat_map(|row| columns.iter().map(move |&c| row[c]))
        .collect()
}

/// The columns of row-major `x`, ordered by their values and then by their prior.
fn content_order(x: &[f64], width: usize, sigmas: &[PositiveFloat]) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..width).collect();
    columns.sort_by(|&a, &b| {
        x.chunks_exact(width.max(1))
            .map(|row| row[a].total_cmp(&row[b]))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| sigmas[a].total_cmp(&sigmas[b]))
    });
    columns
}

impl Optimizer for MapOptimizer {
    fn optimize(
        &self,
        _init: &InitialParams,
        data: &Data,
        _opts: &OptimizeOpts,
    ) -> Result<OptimizedParams, Error> {
        let solution = self.solve(data).map_err(Error::string)?;
        to_augurs(&solution)
    }
}

/// The solution as augurs wants it.
pub(crate) fn to_augurs(solution: &Solution) -> Result<OptimizedParams, Error> {
    Ok(OptimizedParams {
        k: solution.k,
        m: solution.m,
        sigma_obs: PositiveFloat::try_new(solution.sigma_obs).map_err(Error::custom)?,
        delta: solution.delta.clone(),
        beta: solution.beta.clone(),
        trend: Vec::new(),
    })
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
