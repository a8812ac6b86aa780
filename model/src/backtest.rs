//! Rolling origins: what a spec or the search would have forecast, beside what "the same as last season" would have.
//!
//! Origin `k` of `n` is `n - k + 1` horizons before the end. Training is everything before it, at most the latest
//! [`Plan::max_train_seconds`]; nothing at or after an origin is looked at. [`backtest`], [`origins`] and [`origin`] fill
//! holes linearly for a spec; [`origins_after`] and [`origin_after`] fit what they are given, holes and all. Values that
//! were not observed are not scored. Origins run in parallel; the result does not depend on how many do.

mod leads;
mod level_shift;

pub use leads::{LeadPlan, LeadScores, LeadTable, leads};
pub use level_shift::{ShiftScores, level_shift};

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde::{Deserialize, Serialize};

use crate::{
    artifact::{Clamps, finish},
    error::{Error, Result},
    fit::fit,
    forecaster::{Forecast, Forecaster, Quantile, Question},
    grid::Grid,
    naive::seasonal_naive,
    order::quantile,
    recipe::{self, SearchOptions, Searched},
    score::{Measures, Scored, Scores, naive_scale},
    spec::Spec,
};

/// What makes the forecasts.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// A fit of this spec.
    Spec(Box<Spec>),
    /// The search, at every origin anew.
    Search,
}

/// How far and how often a backtest looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seconds that each origin looks ahead.
    pub horizon_seconds: u32,
    /// The season of the naive forecast and of MASE, in seconds.
    pub season_seconds: u32,
    /// How many origins, one horizon apart, the last one horizon before the end.
    pub origins: u32,
    /// The longest history that is trained on, in seconds; `None` is all of it.
    pub max_train_seconds: Option<u32>,
    /// Levels of the quantiles, ascending, each in (0, 1); empty for point forecasts alone.
    pub levels: Vec<f64>,
}

/// The means over all origins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// How many origins were scored.
    pub origins: u32,
    /// Seconds that each looked ahead.
    pub horizon_seconds: u32,
    /// Steps that each origin was trained on.
    pub rows_per_origin: Vec<usize>,
    /// Of what would have been served.
    pub model: Measures,
    /// Of the search's forecast before it was distilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undistilled: Option<Measures>,
    /// Of "the same as last season", on the same values; its band is that of its differences in the history.
    pub seasonal_naive: Measures,
    /// `1 - mase / naive mase`; `None` where the naive was perfect.
    pub skill: Option<f64>,
    /// The spec of the model at the last origin.
    pub spec: Spec,
    /// How the search went at the last origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<recipe::Report>,
    /// How often Prophet was fitted, all origins together.
    pub fits: u32,
}

impl Backtest {
    /// What the artifact keeps of it.
    pub fn scores(&self) -> Scores {
        Scores {
            mae: self.model.mae,
            rmse: self.model.rmse,
            smape: self.model.smape,
            mase: self.model.mase,
            coverage: self.model.coverage,
            winkler: self.model.winkler,
            seasonal_naive_mase: self.seasonal_naive.mase,
            skill: self.skill,
            origins: self.origins,
            horizon_seconds: Some(i64::from(self.horizon_seconds)),
        }
    }
}

/// One origin: what was forecast from it and what came.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The first step of the grid that was forecast.
    pub at: usize,
    /// The times that were forecast, in seconds of the wall clock.
    pub ds: Vec<i64>,
    /// Steps that were trained on.
    pub rows: usize,
    /// What would have been served.
    pub model: Line,
    /// The search's forecast before it was distilled.
    pub undistilled: Option<Line>,
    /// The same as last season.
    pub seasonal_naive: Line,
    /// The spec of the model.
    pub spec: Spec,
    /// How the search went.
    pub recipe: Option<recipe::Report>,
    /// How often Prophet was fitted.
    pub fits: u32,
    /// Of MASE.
    pub scale: Option<f64>,
}

/// A forecast: a value of each column per step.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The point forecast.
    pub point: Vec<f64>,
    /// Quantiles by level.
    pub quantiles: Vec<(f64, Vec<f64>)>,
}

impl Origin {
    /// The same with what would have been served inside `clamps`.
    #[must_use]
    pub fn clamped(mut self, clamps: Clamps) -> Self {
        for line in [Some(&mut self.model), self.undistilled.as_mut()] {
            let Some(line) = line else { continue };
            let quantiles = line.quantiles.iter_mut().map(|(_, values)| values);
            for value in quantiles.chain([&mut line.point]).flatten() {
                *value = clamps.of(*value);
            }
        }
        self
    }
}

/// The plan in steps of a grid.
#[derive(Debug, Clone, Copy)]
struct Steps {
    horizon: usize,
    season: usize,
    most: usize,
}

impl Plan {
    fn steps(&self, grid: &Grid) -> Result<Steps> {
        let steps = |seconds: u32| (seconds / grid.step_seconds.max(1)) as usize;
        let (horizon, season) = (steps(self.horizon_seconds), steps(self.season_seconds));
        if horizon == 0 || season == 0 || self.origins == 0 {
            return Err(Error::invalid(
                "horizon",
                "horizon, season and origins must span at least one step",
            ));
        }
        let right = self.levels.iter().all(|level| 0.0 < *level && *level < 1.0);
        if !right || !self.levels.is_sorted_by(|a, b| a < b) {
            return Err(Error::invalid(
                "levels",
                "give ascending numbers above 0 and below 1, such as 0.1,0.9",
            ));
        }
        Ok(Steps {
            horizon,
            season,
            most: self.max_train_seconds.map_or(usize::MAX, steps),
        })
    }
}

/// Backtests `method` on `grid`.
///
/// # Errors
/// [`Error::NotEnoughData`] when the history does not reach back far enough; [`Error::Invalid`] for a plan that is none;
/// errors of [`fit`] and [`search`](recipe::search).
pub fn backtest(method: &Method, grid: &Grid, plan: &Plan) -> Result<Backtest> {
    Ok(Backtest::of(&origins(method, grid, plan)?, grid, plan))
}

/// Every origin of `plan`, the oldest first.
///
/// # Errors
/// As [`backtest`].
pub fn origins(method: &Method, grid: &Grid, plan: &Plan) -> Result<Vec<Origin>> {
    origins_after(method, grid, plan, |at| filled_before(method, grid, at))
}

/// The same, each origin trained on what `past` makes of the steps before it: as many steps as there are, holes where
/// nothing is to be learned.
///
/// # Errors
/// As [`backtest`].
pub fn origins_after(
    method: &Method,
    grid: &Grid,
    plan: &Plan,
    past: impl Fn(usize) -> Grid + Sync,
) -> Result<Vec<Origin>> {
    let Steps {
        horizon, season, ..
    } = plan.steps(grid)?;
    let n = grid.values.len();
    let count = plan.origins as usize;
    let needed = horizon.saturating_mul(count) + 2 * season;
    if n < needed {
        return Err(Error::NotEnoughData {
            reason: format!("{n} steps; this backtest takes at least {needed}"),
        });
    }
    let starts: Vec<usize> = (1..=count).rev().map(|back| n - back * horizon).collect();
    let origins = in_parallel(&starts, |at| origin_after(method, &past(*at), plan));
    origins.into_iter().collect()
}

impl Backtest {
    /// The means over `origins` of `grid`, made by `plan`.
    pub fn of(origins: &[Origin], grid: &Grid, plan: &Plan) -> Self {
        let measured = |pick: fn(&Origin) -> Option<&Line>| -> Vec<Measures> {
            let scored = origins.iter().filter_map(|origin| {
                let line = pick(origin)?;
                let truth = grid.values.get(origin.at..origin.at + origin.ds.len())?;
                Some(Measures::of(&Scored {
                    truth,
                    point: &line.point,
                    quantiles: &line.quantiles,
                    scale: origin.scale,
                }))
            });
            scored.collect()
        };
        let model = Measures::mean_of(&measured(|origin| Some(&origin.model)));
        let undistilled = measured(|origin| origin.undistilled.as_ref());
        let seasonal_naive = Measures::mean_of(&measured(|origin| Some(&origin.seasonal_naive)));
        let skill = match (model.mase, seasonal_naive.mase) {
            (Some(model), Some(naive)) if naive > 0.0 => Some(1.0 - model / naive),
            _ => None,
        };
        let last = origins.last();
        Self {
            origins: plan.origins,
            horizon_seconds: plan.horizon_seconds,
            rows_per_origin: origins.iter().map(|origin| origin.rows).collect(),
            model,
            undistilled: (!undistilled.is_empty()).then(|| Measures::mean_of(&undistilled)),
            seasonal_naive,
            skill,
            spec: last.map(|origin| origin.spec.clone()).unwrap_or_default(),
            recipe: last.and_then(|origin| origin.recipe.clone()),
            fits: origins.iter().map(|origin| origin.fits).sum(),
        }
    }
}

/// What `method` would have forecast from step `at` of `grid` on, knowing only the steps before it.
///
/// # Errors
/// As [`backtest`].
pub fn origin(method: &Method, grid: &Grid, at: usize, plan: &Plan) -> Result<Origin> {
    origin_after(method, &filled_before(method, grid, at), plan)
}

/// The steps before `at`, for a spec with their holes filled from their neighbours among them: the search looks at holes
/// itself.
fn filled_before(method: &Method, grid: &Grid, at: usize) -> Grid {
    let mut past = grid.part(0..at);
    if let (Method::Spec(_), Some(filled)) = (method, past.filled()) {
        past.values = filled.into_iter().map(Some).collect();
    }
    past
}

/// What `method` would have forecast from the end of `past` on, trained on `past` as a trainer does: a spec is fitted to
/// its values, and its holes stay holes.
///
/// # Errors
/// As [`backtest`].
pub fn origin_after(method: &Method, past: &Grid, plan: &Plan) -> Result<Origin> {
    let Steps {
        horizon,
        season,
        most,
    } = plan.steps(past)?;
    let at = past.values.len();
    let ds: Vec<i64> = (at..at + horizon).map(|i| past.time(i)).collect();
    let past = past.part(at.saturating_sub(most)..at);
    let values = past.filled().ok_or_else(|| Error::NotEnoughData {
        reason: format!(
            "nothing was observed in the {} steps before an origin",
            past.values.len()
        ),
    })?;
    let made = match method {
        Method::Spec(spec) => by_spec(spec, &past, &ds, plan)?,
        Method::Search => by_search(&past, &ds, plan)?,
    };
    Ok(Origin {
        at,
        rows: values.len(),
        seasonal_naive: naive(&values, season, horizon, &plan.levels),
        scale: naive_scale(&values, season),
        model: made.model,
        undistilled: made.undistilled,
        spec: made.spec,
        fits: made.recipe.as_ref().map_or(1, |recipe| recipe.fits),
        recipe: made.recipe,
        ds,
    })
}

struct Made {
    model: Line,
    undistilled: Option<Line>,
    spec: Spec,
    recipe: Option<recipe::Report>,
}

fn by_spec(spec: &Spec, past: &Grid, ds: &[i64], plan: &Plan) -> Result<Made> {
    let forecaster = Forecaster::new(fit(spec, &past.to_history()?)?.model)?;
    let asked = Question::at(ds).with_levels(&plan.levels);
    Ok(Made {
        model: line(forecaster.forecast(&asked)?),
        undistilled: None,
        spec: spec.clone(),
        recipe: None,
    })
}

fn line(forecast: Forecast) -> Line {
    let quantiles = forecast.quantiles.into_iter();
    Line {
        point: forecast.yhat,
        quantiles: quantiles.map(|one| (one.level, one.values)).collect(),
    }
}

fn by_search(past: &Grid, ds: &[i64], plan: &Plan) -> Result<Made> {
    let options = SearchOptions {
        horizon_seconds: plan.horizon_seconds,
        ..SearchOptions::default()
    };
    let searched = recipe::search(past, &options)?;
    let forecaster = Forecaster::new(searched.model.clone())?;
    let own = forecaster.forecast(&Question::at(ds).with_levels(&plan.levels))?;
    let around = |point: &[f64]| served(&searched, point, &own.quantiles, ds);
    Ok(Made {
        model: around(&own.yhat),
        undistilled: Some(around(&searched.undistilled)),
        spec: searched.model.spec.clone(),
        recipe: Some(searched.report.clone()),
    })
}

/// A point forecast as it is served: calibrated and clamped.
fn served(searched: &Searched, point: &[f64], own: &[Quantile], ds: &[i64]) -> Line {
    let mut forecast = Forecast {
        trend: Vec::new(),
        yhat: point.to_vec(),
        components: Vec::new(),
        quantiles: own.to_vec(),
    };
    let (cutoff, calibration) = (searched.model.ends.last.0, searched.calibration.as_ref());
    finish(
        &mut forecast,
        ds,
        cutoff,
        calibration,
        None,
        searched.clamps,
    );
    line(forecast)
}

fn naive(values: &[f64], season: usize, horizon: usize, levels: &[f64]) -> Line {
    let point = seasonal_naive(values, season, horizon);
    let later = values.get(season..).unwrap_or_default();
    let mut differences: Vec<f64> = values.iter().zip(later).map(|(a, b)| b - a).collect();
    differences.sort_unstable_by(f64::total_cmp);
    let quantiles = levels.iter().map(|level| {
        let by = quantile(&differences, *level);
        (*level, point.iter().map(|value| value + by).collect())
    });
    Line {
        quantiles: quantiles.collect(),
        point,
    }
}

/// `work` on every item, on as many threads as there are cores; the results are in the order of the items.
fn in_parallel<T: Sync, R: Send + Sync>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while let Some(i) = Some(next.fetch_add(1, Ordering::Relaxed))
                    && let (Some(item), Some(result)) = (items.get(i), results.get(i))
                {
                    // Each index is taken once.
                    let _ = result.set(work(item));
                }
            });
        }
    });
    results
        .into_iter()
        .filter_map(OnceLock::into_inner)
        .collect()
}
