//! Rolling origins: what a spec would have forecast, beside what "the same as last season" would have.

use serde::Serialize;

use crate::{
    error::{Error, Result},
    fit::fit,
    forecaster::{Forecaster, Question},
    grid::Grid,
    naive::seasonal_naive,
    score::{Scores, mae, mean, naive_scale, rmse, smape},
    spec::Spec,
};

/// How many seasons back the naive forecast looks for an observed value.
const NAIVE_SEASONS: usize = 7;

/// How far and how often a backtest looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Seconds that each origin looks ahead.
    pub horizon_seconds: u32,
    /// The season of the naive forecast and of MASE, in seconds.
    pub season_seconds: u32,
    /// How many origins, one horizon apart, the last one horizon before the end.
    pub origins: u32,
}

/// The means over all origins.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backtest {
    /// How many origins were scored.
    pub origins: u32,
    /// Seconds that each looked ahead.
    pub horizon_seconds: u32,
    /// Of the spec.
    pub model: Scores,
    /// Of "the same as last season", on the same values.
    pub seasonal_naive: Scores,
    /// `1 - mase / naive mase`; `None` where the naive was perfect.
    pub skill: Option<f64>,
}

/// Backtests `spec` on `grid`. Origin `k` of `n` is `n - k + 1` horizons before the end; training is everything before
/// it. Values that were not observed, and those that the naive cannot forecast, are not scored.
///
/// # Errors
/// [`Error::NotEnoughData`] when the history does not reach back far enough; errors of [`fit`].
pub fn backtest(spec: &Spec, grid: &Grid, plan: Plan) -> Result<Backtest> {
    let step = grid.step_seconds.max(1);
    let horizon = (plan.horizon_seconds / step) as usize;
    let season = (plan.season_seconds / step) as usize;
    let n = grid.values.len();
    if horizon == 0 || season == 0 || plan.origins == 0 {
        return Err(Error::invalid(
            "horizon",
            "horizon, season and origins must span at least one step",
        ));
    }
    let needed = horizon * plan.origins as usize + 2 * season;
    if n < needed {
        return Err(Error::NotEnoughData {
            reason: format!("{n} steps; this backtest takes at least {needed}"),
        });
    }
    let mut origins = Vec::new();
    for back in (1..=plan.origins as usize).rev() {
        origins.push(origin(spec, grid, n - back * horizon, horizon, season)?);
    }
    let average = |pick: fn(&Origin) -> &Scores, score: fn(&Scores) -> Option<f64>| {
        mean(origins.iter().filter_map(|origin| score(pick(origin))))
    };
    let summary = |pick: fn(&Origin) -> &Scores| Scores {
        mae: average(pick, |scores| scores.mae),
        rmse: average(pick, |scores| scores.rmse),
        smape: average(pick, |scores| scores.smape),
        mase: average(pick, |scores| scores.mase),
        origins: plan.origins,
        horizon_seconds: Some(i64::from(plan.horizon_seconds)),
        ..Scores::default()
    };
    let seasonal_naive = summary(|origin| &origin.naive);
    let mut model = summary(|origin| &origin.model);
    let skill = match (model.mase, seasonal_naive.mase) {
        (Some(model), Some(naive)) if naive > 0.0 => Some(1.0 - model / naive),
        _ => None,
    };
    model.seasonal_naive_mase = seasonal_naive.mase;
    model.skill = skill;
    Ok(Backtest {
        origins: plan.origins,
        horizon_seconds: plan.horizon_seconds,
        model,
        seasonal_naive,
        skill,
    })
}

struct Origin {
    model: Scores,
    naive: Scores,
}

fn origin(spec: &Spec, grid: &Grid, at: usize, horizon: usize, season: usize) -> Result<Origin> {
    let forecaster = Forecaster::new(fit(spec, &grid.history(0..at)?)?.model)?;
    let ds: Vec<i64> = (at..at + horizon).map(|i| grid.time(i)).collect();
    let forecast = forecaster.forecast(&Question::at(&ds))?;
    let past = &grid.values[..at];
    let naive = seasonal_naive(past, season, horizon, NAIVE_SEASONS);
    let scored: Vec<(f64, f64, f64)> = grid.values[at..at + horizon]
        .iter()
        .zip(&forecast.yhat)
        .zip(&naive)
        .filter_map(|((truth, yhat), naive)| Some(((*truth)?, *yhat, (*naive)?)))
        .collect();
    let scale = naive_scale(past, season);
    let scores = |pairs: Vec<(f64, f64)>| Scores {
        mae: mae(&pairs),
        rmse: rmse(&pairs),
        smape: smape(&pairs),
        mase: mae(&pairs).zip(scale).map(|(mae, scale)| mae / scale),
        origins: 1,
        ..Scores::default()
    };
    Ok(Origin {
        model: scores(
            scored
                .iter()
                .map(|(truth, yhat, _)| (*truth, *yhat))
                .collect(),
        ),
        naive: scores(
            scored
                .iter()
                .map(|(truth, _, naive)| (*truth, *naive))
                .collect(),
        ),
    })
}
