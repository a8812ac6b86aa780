//! Where Gauss-Newton starts. The posterior of a problem that is not linear has several tops; where a yearly season
//! meets a short history, far apart. Of a hundred and forty problems made from real and drawn series, with every mix of
//! growth, mode and prior, these starts led above Stan's value on every one whose noise has a floor.

use super::{
    Reached,
    problem::{Parameters, Problem},
};
use crate::spec::Growth;

/// Two tops are one where their values differ relatively by no more.
const SAME_TOP: f64 = 1e-8;

/// How near a share of the cap is to 0 or 1 at most, where its logit is taken.
const LEAST_SHARE: f64 = 0.01;

/// A rate that is as good as none, where none would leave the offset of a logistic trend undefined.
const LEAST_RATE: f64 = 1e-2;

/// The best top of those that the starts lead to.
pub(super) fn best(problem: &Problem) -> Reached {
    let ends = ends(problem);
    let climb = |start| problem.climb(start);
    let mut tops = vec![climb(ends.clone()), climb(level(problem))];
    if problem.has_multiplicative() {
        let additive = additive(problem, &ends);
        tops.push(climb(additive.clone()));
        if !are_one(&tops) {
            tops.push(climb(factors(problem, &additive)));
        }
    }
    let best = top(&tops);
    let place = tops.iter().position(|at| at.value <= best).unwrap_or(0);
    tops.swap_remove(place)
}

fn top(tops: &[Reached]) -> f64 {
    let values = tops.iter().map(|at| at.value);
    values.fold(f64::INFINITY, f64::min)
}

fn are_one(tops: &[Reached]) -> bool {
    let best = top(tops);
    let is_best = |at: &Reached| (at.value - best).abs() <= SAME_TOP * (1.0 + best.abs());
    tops.iter().all(is_best)
}

/// The trend through the first and the last row.
fn ends(problem: &Problem) -> Parameters {
    let predictor = |i| {
        let (t, y, cap) = problem.row(i);
        (t, predictor_of(problem, y, cap))
    };
    let (from, to) = (predictor(0), predictor(problem.rows() - 1));
    let mut start = level(problem);
    if problem.growth() != Growth::Flat && to.0 > from.0 {
        start.rate = (to.1 - from.1) / (to.0 - from.0);
        if start.rate == 0.0 {
            start.rate = LEAST_RATE;
        }
        start.level = from.1 - start.rate * from.0;
    }
    start
}

/// No trend, at the mean.
fn level(problem: &Problem) -> Parameters {
    let count = problem.rows() as f64;
    let rows = || (0..problem.rows()).map(|i| problem.row(i));
    let value = rows().map(|row| row.1).sum::<f64>() / count;
    let cap = rows().map(|row| row.2).sum::<f64>() / count;
    Parameters {
        rate: match problem.growth() {
            Growth::Logistic => LEAST_RATE,
            Growth::Linear | Growth::Flat => 0.0,
        },
        level: predictor_of(problem, value, cap),
        ..problem.zero()
    }
}

/// The fit with all features added to the trend.
fn additive(problem: &Problem, ends: &Parameters) -> Parameters {
    let additive = problem.additive();
    let reached = if additive.is_linear() {
        additive.regressed()
    } else {
        additive.climb(ends.clone())
    };
    reached.parameters
}

/// The same with what became factors as shares of the mean.
fn factors(problem: &Problem, additive: &Parameters) -> Parameters {
    let count = problem.rows() as f64;
    let mean = (0..problem.rows()).map(|i| problem.row(i).1).sum::<f64>() / count;
    let mut start = additive.clone();
    for (beta, column) in start.beta.iter_mut().zip(problem.columns()) {
        if column.multiplicative && mean != 0.0 {
            *beta /= mean;
        }
    }
    start
}

/// The predictor at which the trend is `value`.
fn predictor_of(problem: &Problem, value: f64, cap: f64) -> f64 {
    match problem.growth() {
        Growth::Logistic => {
            let share = (value / cap).clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
            (share / (1.0 - share)).ln()
        }
        Growth::Linear | Growth::Flat => value,
    }
}
