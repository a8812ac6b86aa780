//! The maximum a posteriori fit of Prophet's model.
//!
//! The posterior is prophet.stan's: `k, m ~ N(0, 5)`, `delta ~ Laplace(0, tau)`, `beta ~ N(0, sigmas)`,
//! `sigma_obs ~ half-N(0, 0.5)`, `y ~ N(trend (1 + X_m beta) + X_a beta, sigma_obs)`. Without the Jacobian of
//! `sigma_obs > 0`, as Stan optimizes it and as Prophet uses it.
//!
//! A linear or flat trend with additive features is a regression on sufficient statistics: one pass over the rows,
//! and the exact maximum. Logistic trends and multiplicative features are taken by proximal Gauss-Newton: the same
//! regression on the problem linearised at hand, then the longest halved step that improves the posterior; from several
//! starts, for the posterior has several tops.

mod augurs;
mod cholesky;
mod gram;
mod lasso;
pub(crate) mod panels;
mod problem;
mod regression;
mod starts;

pub use augurs::MapOptimizer;

use problem::Parameters;
pub(crate) use problem::{Column, Problem};
use regression::{MAX_ROUNDS, Prior, misfit, profile, regress};

use crate::spec::Growth;

/// Standard deviation of the priors on `k` and `m`.
const TREND_PRIOR: f64 = 5.0;

/// Gauss-Newton steps from one start, and the relative gain of the posterior below which they end.
const MAX_STEPS: u32 = 200;
const TOLERANCE: f64 = 1e-11;

/// Rounds of the regression that finds a step: sigma, exact for a line that will not be followed to its end, leads away.
const STEP_ROUNDS: u32 = 8;

/// The share of a step below which it is given up.
const SHORTEST_STEP: f64 = 1e-9;

/// The maximum and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// The trend's rate at the start, scaled.
    pub k: f64,
    /// The trend's level at the start, scaled; with logistic growth its offset in scaled time.
    pub m: f64,
    /// Changes of the rate, in the order of the changepoints.
    pub delta: Vec<f64>,
    /// Feature coefficients.
    pub beta: Vec<f64>,
    /// Standard deviation of the noise, scaled.
    pub sigma_obs: f64,
    /// The value of Stan's `lp__` at these parameters.
    pub log_posterior: f64,
    /// Rounds of the regression, or steps of Gauss-Newton from the best start.
    pub iterations: u32,
    /// Whether the posterior stood still at the end.
    pub converged: bool,
}

/// Parameters, what they cost, and the way there.
#[derive(Debug, Clone, PartialEq)]
struct Reached {
    parameters: Parameters,
    /// Minus the log posterior at the best sigma.
    value: f64,
    noise: f64,
    iterations: u32,
    converged: bool,
}

/// Solves `problem`.
pub(crate) fn solve(problem: &Problem) -> Solution {
    let best = if problem.is_linear() {
        problem.regressed()
    } else {
        starts::best(problem)
    };
    let Reached {
        parameters:
            Parameters {
                rate,
                level,
                delta,
                beta,
            },
        value,
        noise,
        iterations,
        converged,
    } = best;
    let m = match problem.growth() {
        Growth::Logistic => -level / rate,
        Growth::Linear | Growth::Flat => level,
    };
    Solution {
        k: rate,
        m,
        delta,
        beta,
        sigma_obs: noise,
        log_posterior: -value,
        iterations,
        converged,
    }
}

impl Problem {
    fn zero(&self) -> Parameters {
        Parameters {
            rate: 0.0,
            level: 0.0,
            delta: vec![0.0; self.changepoints().len()],
            beta: vec![0.0; self.columns().len()],
        }
    }

    /// The value of Stan's `lp__` at the parameters of `solution`.
    pub(crate) fn log_posterior(&self, solution: &Solution) -> f64 {
        let parameters = Parameters {
            rate: solution.k,
            level: match self.growth() {
                Growth::Logistic => -solution.k * solution.m,
                Growth::Linear | Growth::Flat => solution.m,
            },
            delta: solution.delta.clone(),
            beta: solution.beta.clone(),
        };
        let residual = self.residual_squares(&parameters);
        -misfit(residual, self.rows() as f64, solution.sigma_obs) - self.penalty(&parameters)
    }

    /// Minus the log posterior at the best sigma, and that sigma.
    fn value(&self, parameters: &Parameters) -> (f64, f64) {
        let (misfit, noise) = profile(self.residual_squares(parameters), self.rows() as f64);
        (misfit + self.penalty(parameters), noise)
    }

    /// What the priors take from the log posterior, constants dropped.
    fn penalty(&self, parameters: &Parameters) -> f64 {
        self.prior(parameters).penalty(&self.weights(parameters))
    }

    /// The prior, to second order around `parameters`, exact at them.
    fn prior(&self, parameters: &Parameters) -> Prior {
        let trend = 1.0 / (TREND_PRIOR * TREND_PRIOR);
        let mut ridge = vec![trend; self.base()];
        let mut pair = None;
        if self.growth() == Growth::Logistic {
            // The prior is on m = -level / rate, which is linear in neither.
            ridge[1] = 0.0;
            let m = -parameters.level / parameters.rate;
            let by = TREND_PRIOR * parameters.rate;
            pair = Some(([-m / by, -1.0 / by], -m / TREND_PRIOR));
        }
        ridge.extend(
            self.columns()
                .iter()
                .map(|column| column.prior_scale.powi(-2)),
        );
        Prior {
            ridge,
            pair,
            rate: 1.0 / self.tau(),
        }
    }

    fn weights(&self, parameters: &Parameters) -> Vec<f64> {
        let mut weights = vec![parameters.rate, parameters.level];
        weights.drain(..2 - self.base());
        weights.extend_from_slice(&parameters.beta);
        if !self.bends().is_empty() {
            weights.extend_from_slice(&parameters.delta);
        }
        weights
    }

    fn parameters(&self, weights: &[f64]) -> Parameters {
        let (trend, rest) = weights.split_at(self.base());
        let (beta, delta) = rest.split_at(self.columns().len());
        let mut delta = delta.to_vec();
        delta.resize(self.changepoints().len(), 0.0);
        let (rate, level) = match trend {
            [rate, level] => (*rate, *level),
            [level] => (0.0, *level),
            _ => (0.0, 0.0),
        };
        Parameters {
            rate,
            level,
            delta,
            beta: beta.to_vec(),
        }
    }

    /// The maximum of a linear problem's posterior.
    fn regressed(&self) -> Reached {
        let zero = self.zero();
        let gram = self.linearised(&zero);
        let start = self.weights(&zero);
        let count = self.rows() as f64;
        let noise = profile(gram.squares, count).1;
        let prior = self.prior(&zero);
        let regressed = regress(
            &gram,
            &prior,
            count,
            (&start, noise),
            MAX_ROUNDS,
            |weights| self.residual_squares(&self.parameters(weights)),
        );
        Reached {
            iterations: regressed.rounds,
            converged: regressed.converged,
            ..self.at(self.parameters(&regressed.weights))
        }
    }

    fn at(&self, parameters: Parameters) -> Reached {
        let (value, noise) = self.value(&parameters);
        Reached {
            parameters,
            value,
            noise,
            iterations: 0,
            converged: false,
        }
    }

    /// Gauss-Newton from `start` until the posterior stands still.
    fn climb(&self, start: Parameters) -> Reached {
        let mut at = self.at(start);
        while at.iterations < MAX_STEPS && !at.converged {
            let iterations = at.iterations + 1;
            at = match self.step(&at) {
                None => Reached {
                    iterations,
                    converged: true,
                    ..at
                },
                Some(next) => Reached {
                    iterations,
                    converged: at.value - next.value <= TOLERANCE * (1.0 + next.value.abs()),
                    ..next
                },
            };
        }
        at
    }

    /// The step to the maximum of the problem linearised at hand, halved until it improves the posterior.
    fn step(&self, at: &Reached) -> Option<Reached> {
        let gram = self.linearised(&at.parameters);
        let prior = self.prior(&at.parameters);
        let start = self.weights(&at.parameters);
        let count = self.rows() as f64;
        let from = (start.as_slice(), at.noise);
        let regressed = regress(&gram, &prior, count, from, STEP_ROUNDS, |weights| {
            gram.residual_squares(weights).max(0.0)
        });
        let to = self.parameters(&regressed.weights);
        let shares = std::iter::successors(Some(1.0), |share| Some(share * 0.5));
        shares
            .take_while(|share| *share >= SHORTEST_STEP)
            .map(|share| self.at(at.parameters.towards(&to, share)))
            .find(|next| next.value < at.value)
    }
}

impl Parameters {
    fn towards(&self, to: &Self, share: f64) -> Self {
        let between = |from: f64, to: f64| from + share * (to - from);
        let all = |from: &[f64], to: &[f64]| {
            from.iter()
                .zip(to)
                .map(|(from, to)| between(*from, *to))
                .collect()
        };
        Self {
            rate: between(self.rate, to.rate),
            level: between(self.level, to.level),
            delta: all(&self.delta, &to.delta),
            beta: all(&self.beta, &to.beta),
        }
    }
}
