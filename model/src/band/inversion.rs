//! The exact distribution of the standard deviate by numerical inversion of its characteristic function.
//!
//! `Z = J_1 U_1 + ... + J_N U_N + r G`: N Poisson with mean n, J standard Laplace, U uniform on (0, 1), G standard normal.
//! Its characteristic function is `exp(n (atan(u)/u - 1) - r^2 u^2 / 2)`. For a symmetric Z (Gil-Pelaez 1951)
//! `F(x) - 1/2 = (1/pi) integral of sin(u x)/u phi(u)`; the midpoint rule with step `2 pi / P` is exact but for the
//! probability that |Z| exceeds `P - x` (Abate and Whitt 1992), so the step follows from a bound on the tail.

use std::f64::consts::PI;

/// What falls outside the sum: beyond it `ln phi` is below this.
const NEGLIGIBLE: f64 = -29.0;

/// The most terms; reached by no deviate that [`super`] asks about.
const MAX_TERMS: u32 = 100_000;

/// The distribution of one deviate.
#[derive(Debug)]
pub(super) struct Inversion {
    step: f64,
    /// `phi(u_k)` at `u_k = (k + 1/2) step`.
    phi: Vec<f64>,
    /// Where the quantile of the largest level lies at most.
    bound: f64,
}

impl Inversion {
    /// For mean `n` jumps and noise `r`, good for tail probabilities of at least `tail`.
    pub(super) fn new(n: f64, r: f64, tail: f64) -> Self {
        let bound = upper_bound(n, r, tail);
        let step = 2.0 * PI / (bound + upper_bound(n, r, 1e-13));
        let phi = (0..MAX_TERMS)
            .map(|k| (f64::from(k) + 0.5) * step)
            .map(|u| n * (u.atan() / u - 1.0) - 0.5 * (r * u).powi(2))
            .take_while(|exponent| *exponent > NEGLIGIBLE)
            .map(f64::exp)
            .collect();
        Self { step, phi, bound }
    }

    /// The probability between 0 and `x`, and the density at `x`.
    pub(super) fn central(&self, x: f64) -> (f64, f64) {
        // sin and cos of (k + 1/2) step x by rotation.
        let (mut sin, mut cos) = (0.5 * self.step * x).sin_cos();
        let (turn_sin, turn_cos) = (self.step * x).sin_cos();
        let (mut probability, mut density, mut k) = (0.0, 0.0, 0.5);
        for phi in &self.phi {
            probability += phi * sin / k;
            density += phi * cos;
            (sin, cos) = (
                sin * turn_cos + cos * turn_sin,
                cos * turn_cos - sin * turn_sin,
            );
            k += 1.0;
        }
        (probability / PI, density * self.step / PI)
    }

    /// The `x >= 0` with probability `central` between 0 and it: Newton's steps from `start`, kept inside a bracket.
    pub(super) fn quantile(&self, central: f64, start: f64) -> f64 {
        solve(central, start, self.bound, |x| self.central(x))
    }
}

/// The root in `[0, bound]` of `probability(x) = central`, for a `probability` that comes with its density.
pub(super) fn solve(
    central: f64,
    start: f64,
    bound: f64,
    probability: impl Fn(f64) -> (f64, f64),
) -> f64 {
    let (mut low, mut high) = (0.0, bound);
    let mut x = start.clamp(low, high);
    for _ in 0..60 {
        let (have, density) = probability(x);
        if have < central {
            low = x;
        } else {
            high = x;
        }
        let newton = x - (have - central) / density;
        let next = if newton > low && newton < high {
            newton
        } else {
            0.5 * (low + high)
        };
        let moved = (next - x).abs();
        x = next;
        if moved <= 1e-7 * x {
            break;
        }
    }
    x
}

/// An `x` that Z exceeds with at most probability `tail`: Chernoff's bound, with the generating function
/// `n (atanh(s)/s - 1) + r^2 s^2 / 2` at the best of some s in (0, 1).
pub(super) fn upper_bound(n: f64, r: f64, tail: f64) -> f64 {
    let bounds = (0..64).map(|i| {
        let s = 0.999 * 0.8_f64.powi(i);
        (n * (s.atanh() / s - 1.0) + 0.5 * (r * s).powi(2) - tail.ln()) / s
    });
    bounds.fold(f64::INFINITY, f64::min)
}
