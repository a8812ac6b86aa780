//! From a question and a pinned model to an answer. Pure arithmetic; nothing here waits for anything.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{
    artifact::Clamps,
    forecaster::{Forecast, Question as ModelQuestion},
};

use tokio::sync::Semaphore;

use crate::{
    error::{Error, Result},
    freshness::{Freshness, Limits},
    question::{Grid, Question},
    served::Served,
};

/// Above this many points the arithmetic takes longer than a serving thread should be held (about half a millisecond).
pub const POINTS_ON_A_SERVING_THREAD: u32 = 600;

/// Long answers that are computed at once; the others wait for their turn, their deadlines running. As many as keep the
/// cores of a large machine busy, and far fewer than there are threads that may block.
static LONG_ANSWERS: Semaphore = Semaphore::const_new(32);

/// One series' answer, computed from exactly one version.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What it was computed from.
    pub served: Arc<Served>,
    /// The instants.
    pub grid: Grid,
    /// The columns.
    pub forecast: Forecast,
    /// At `grid.as_of`.
    pub freshness: Freshness,
    /// What was applied, from the model's spec and the question together.
    pub clamps: Clamps,
    /// Whether trend and components were asked for.
    pub components: bool,
}

/// Answers `question` from `served` at `now`.
///
/// # Errors
/// [`Error::Invalid`] for a range that cannot be answered, [`Error::Unsupported`] for what the engine cannot do yet.
pub fn answer(served: Arc<Served>, question: &Question, now: Timestamp) -> Result<Answer> {
    let grid = question.grid(&served.loaded.metadata().series, now)?;
    compute(served, question, grid)
}

/// As [`answer`], off the serving threads when the grid is long.
///
/// # Errors
/// As [`answer`].
pub async fn answer_off_thread(
    served: Arc<Served>,
    question: Question,
    now: Timestamp,
) -> Result<Answer> {
    let grid = question.grid(&served.loaded.metadata().series, now)?;
    if grid.count <= POINTS_ON_A_SERVING_THREAD {
        return compute(served, &question, grid);
    }
    let _turn = LONG_ANSWERS
        .acquire()
        .await
        .map_err(|error| Error::Internal(error.to_string()))?;
    tokio::task::spawn_blocking(move || compute(served, &question, grid))
        .await
        .map_err(|error| Error::Internal(format!("a forecast died: {error}")))?
}

fn compute(served: Arc<Served>, question: &Question, grid: Grid) -> Result<Answer> {
    let metadata = served.loaded.metadata();
    let zone = &metadata.series.zone;
    let times: Vec<i64> = grid
        .instants()
        .map(|instant| zone.to_wall(instant))
        .collect();
    let asked = ModelQuestion::at(&times)
        .with_components(question.components)
        .with_levels(&question.levels);
    let mut forecast = served.loaded.forecaster().forecast(&asked)?;
    let clamps = tighter(metadata.clamps.unwrap_or_default(), question.clamps);
    apply(clamps, &mut forecast.yhat);
    let as_of = Timestamp::from_second(grid.as_of)
        .map_err(|_| Error::invalid("as_of", "out of range; give an instant near now"))?;
    let freshness = Limits::default().judge(as_of, metadata.trained_at, metadata.cutoff);
    Ok(Answer {
        grid,
        forecast,
        freshness,
        clamps,
        components: question.components,
        served,
    })
}

/// Both bounds hold: the higher minimum and the lower maximum.
fn tighter(a: Clamps, b: Clamps) -> Clamps {
    let pick = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| match (a, b) {
        (Some(a), Some(b)) => Some(choose(a, b)),
        (a, b) => a.or(b),
    };
    Clamps {
        min: pick(a.min, b.min, f64::max),
        max: pick(a.max, b.max, f64::min),
    }
}

fn apply(clamps: Clamps, values: &mut [f64]) {
    for value in values {
        if let Some(min) = clamps.min {
            *value = value.max(min);
        }
        if let Some(max) = clamps.max {
            *value = value.min(max);
        }
    }
}
