//! What a jump of the level does to the next hour: history whose values are multiplied from an instant on.

use serde::Serialize;

use super::{LeadPlan, Method, in_parallel};
use crate::{
    error::{Error, Result},
    grid::Grid,
    live::LiveModel,
    score::mean,
};

const DAY: u32 = 86_400;
const HOUR: u32 = 3_600;

/// Hours from one jump of a day to the next that is tried.
const APART: usize = 3;

/// Mean absolute errors within the hour after the level has jumped, in the series' unit. Forecasts are made at every step
/// after the first observation of the new level, for every step that is left of the hour.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShiftScores {
    /// What values were multiplied by.
    pub factor: f64,
    /// How many jumps were tried.
    pub jumps: usize,
    /// How many forecasts were compared.
    pub asked: usize,
    /// Of what would have been served.
    pub corrected: Option<f64>,
    /// Of the same without observations since the cutoff.
    pub uncorrected: Option<f64>,
    /// Of "it stays as it is".
    pub last_value: Option<f64>,
    /// The same three of forecasts made once three steps of the new level had been observed.
    pub corrected_settled: Option<f64>,
    /// See `corrected_settled`.
    pub last_value_settled: Option<f64>,
}

/// One question: whether three steps had been observed, and the errors.
struct Asked {
    settled: bool,
    corrected: f64,
    uncorrected: f64,
    last_value: f64,
}

/// Multiplies `grid` by each of `factors` from several instants of the last days on, one jump at a time, and scores the
/// hour after it. Models are trained daily, before the jump; none where there are no factors. The plan's leads are not used.
///
/// # Errors
/// As [`leads`](super::leads).
pub fn level_shift(
    method: &Method,
    grid: &Grid,
    plan: &LeadPlan,
    factors: &[f64],
) -> Result<Vec<ShiftScores>> {
    if factors.is_empty() {
        return Ok(Vec::new());
    }
    let step = grid.step_seconds.max(1);
    let day = (DAY / step).max(1) as usize;
    let hour = (HOUR / step).max(1) as usize;
    let n = grid.values.len();
    if n < (plan.days as usize + 2).saturating_mul(day) || plan.days == 0 {
        return Err(Error::NotEnoughData {
            reason: format!("{n} steps are too few for jumps on {} days", plan.days),
        });
    }
    let most = plan
        .max_train_seconds
        .map_or(usize::MAX, |most| (most / step) as usize);
    let starts: Vec<usize> = (1..=plan.days as usize)
        .rev()
        .map(|back| n - back * day)
        .collect();
    let of_day = |start: &usize| -> Result<Vec<(f64, Vec<Asked>)>> {
        let past = grid.part(start.saturating_sub(most)..*start);
        let model = LiveModel::train(method, &past)?;
        let mut found = Vec::new();
        for jump in (start + hour..start + day - 2 * hour).step_by(APART * hour) {
            for factor in factors {
                found.push((
                    *factor,
                    one_jump(model.clone(), grid, *start, jump, *factor)?,
                ));
            }
        }
        Ok(found)
    };
    let days = in_parallel(&starts, of_day);
    let days = days.into_iter().collect::<Result<Vec<_>>>()?;
    let all: Vec<(f64, Vec<Asked>)> = days.into_iter().flatten().collect();
    let scores = |factor: &f64| {
        let jumps: Vec<&Vec<Asked>> = all
            .iter()
            .filter(|(of, _)| of == factor)
            .map(|(_, asked)| asked)
            .collect();
        let asked = || jumps.iter().flat_map(|asked| asked.iter());
        let settled = || asked().filter(|asked| asked.settled);
        ShiftScores {
            factor: *factor,
            jumps: jumps.len(),
            asked: asked().count(),
            corrected: mean(asked().map(|asked| asked.corrected)),
            uncorrected: mean(asked().map(|asked| asked.uncorrected)),
            last_value: mean(asked().map(|asked| asked.last_value)),
            corrected_settled: mean(settled().map(|asked| asked.corrected)),
            last_value_settled: mean(settled().map(|asked| asked.last_value)),
        }
    };
    Ok(factors.iter().map(scores).collect())
}

/// The hour after step `jump`, from which on values are multiplied by `factor`; at least four steps.
fn one_jump(
    mut model: LiveModel,
    grid: &Grid,
    start: usize,
    jump: usize,
    factor: f64,
) -> Result<Vec<Asked>> {
    let hour = (HOUR / grid.step_seconds.max(1)).max(4) as usize;
    for i in start..jump {
        if let Some(value) = grid.values[i] {
            model.observe(grid.time(i), value)?;
        }
    }
    let shifted = |i: usize| {
        grid.values
            .get(i)
            .copied()
            .flatten()
            .map(|value| factor * value)
    };
    let mut found = Vec::new();
    for at in jump..jump + hour {
        let Some(last) = shifted(at) else { continue };
        model.observe(grid.time(at), last)?;
        let now = grid.time(at + 1);
        for target in at + 1..jump + hour {
            let Some(truth) = shifted(target) else {
                continue;
            };
            let ds = [grid.time(target)];
            let error = |said: &[f64]| (truth - said[0]).abs();
            found.push(Asked {
                settled: at >= jump + 2,
                corrected: error(&model.forecast(now, &ds, &[])?.yhat),
                uncorrected: error(&model.uncorrected(&ds, &[])?.yhat),
                last_value: (truth - last).abs(),
            });
        }
    }
    Ok(found)
}
