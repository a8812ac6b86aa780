//! Where Gauss-Newton starts.

use super::{
    Reached,
    problem::{Parameters, Problem},
};
use crate::spec::Growth;

/// The best top of those that the starts lead to.
pub(super) fn best(problem: &Problem) -> Reached {
    let mut best: Option<Reached> = None;
    for (name, start) in starts(problem) {
        let reached = problem.climb(start);
        if std::env::var_os("OPT_TRACE").is_some() {
            eprintln!(
                "   {name}: {} in {} {}",
                -reached.value, reached.iterations, reached.converged
            );
        }
        if best.as_ref().is_none_or(|best| reached.value < best.value) {
            best = Some(reached);
        }
    }
    best.unwrap_or_else(|| problem.climb(ends(problem)))
}

fn starts(problem: &Problem) -> Vec<(&'static str, Parameters)> {
    let ends = ends(problem);
    let mut starts = vec![("ends", ends.clone())];
    let additive = problem.additive();
    let plain = if additive.is_linear() {
        additive.regressed(&problem.zero())
    } else {
        additive.climb(ends.clone())
    };
    starts.push(("additive", plain.parameters));
    let mut lvl = problem.zero();
    lvl.level = mean(problem);
    if problem.growth() != Growth::Logistic {
        starts.push(("level", lvl));
    }
    starts
}

fn mean(problem: &Problem) -> f64 {
    (0..problem.rows()).map(|i| problem.row(i).1).sum::<f64>() / problem.rows() as f64
}

/// The trend through the first and the last row, as Prophet starts it.
fn ends(problem: &Problem) -> Parameters {
    let predictor = |i: usize| {
        let (t, y, cap) = problem.row(i);
        let value = match problem.growth() {
            Growth::Logistic => {
                let share = (y / cap).clamp(0.01, 0.99);
                (share / (1.0 - share)).ln()
            }
            Growth::Linear | Growth::Flat => y,
        };
        (t, value)
    };
    let (t0, z0) = predictor(0);
    let (t1, z1) = predictor(problem.rows() - 1);
    let mut start = problem.zero();
    if problem.growth() == Growth::Flat {
        start.level = mean(problem);
        return start;
    }
    start.rate = (z1 - z0) / (t1 - t0);
    if start.rate == 0.0 {
        start.rate = 1e-3;
    }
    start.level = z0 - start.rate * t0;
    start
}
