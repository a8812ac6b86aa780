//! From a question and a pinned model to an answer. Pure arithmetic; nothing here waits for anything.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{
    artifact::Clamps,
    error::Error as ModelError,
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

/// So many quantiles take about as long as one point.
const LEVELS_LIKE_A_POINT: usize = 4;

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

impl Answer {
    /// Whether somebody may act on it: what is stale is told, and never becomes a number that a workload is sized by.
    ///
    /// # Errors
    /// [`Error::Gated`] with the reason code.
    pub fn actionable(&self) -> Result<()> {
        let metadata = self.served.loaded.metadata();
        let why = match self.freshness {
            Freshness::Fresh => return Ok(()),
            Freshness::StaleModel => format!(
                "version {} was trained at {}, longer ago than a model may be; train it anew and push",
                self.served.version, metadata.trained_at
            ),
            Freshness::StaleData => format!(
                "the last observation that version {} knows is of {}, longer ago than data may be; see whether its \
                 source still has rows, then train it anew and push",
                self.served.version, metadata.cutoff
            ),
        };
        Err(Error::Gated {
            series: metadata.series.name.clone(),
            reason: self.freshness.code().unwrap_or_default(),
            why,
        })
    }
}

/// Answers `question` from `served` at `now`.
///
/// # Errors
/// [`Error::Invalid`] for a range that cannot be answered, [`Error::NeedsInput`] when the model needs what the question
/// lacks, [`Error::Unsupported`] for what the engine cannot do yet.
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
    if is_quick(&served, &question, grid) {
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

/// Whether a serving thread may compute the answer itself.
fn is_quick(served: &Served, question: &Question, grid: Grid) -> bool {
    let levels = question.levels.len();
    let points = grid.count as usize * (LEVELS_LIKE_A_POINT + levels) / LEVELS_LIKE_A_POINT;
    points <= POINTS_ON_A_SERVING_THREAD as usize
        && (levels == 0 || served.loaded.forecaster().has_quick_bands())
}

fn compute(served: Arc<Served>, question: &Question, grid: Grid) -> Result<Answer> {
    let metadata = served.loaded.metadata();
    let zone = &metadata.series.zone;
    let times: Vec<i64> = grid
        .instants()
        .map(|instant| zone.to_wall(instant))
        .collect();
    // Constants that were fitted with stand in the spec, as model.pr has no place for them.
    let inputs = match &metadata.spec {
        Some(spec) => spec.complete(&question.inputs),
        None => question.inputs.clone(),
    };
    let asked = ModelQuestion::at(&times)
        .with_inputs(&inputs)
        .with_components(question.components)
        .with_levels(&question.levels);
    let mut forecast = served
        .loaded
        .forecaster()
        .forecast(&asked)
        .map_err(of_question)?;
    let cutoff = served.loaded.forecaster().model().ends.last.0;
    let clamps = metadata.finish(&mut forecast, &times, cutoff, question.clamps);
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

/// The model's error with the request's name of the field: inputs travel in `future`.
fn of_question(error: ModelError) -> Error {
    match error {
        ModelError::Invalid { field, reason } => match field.as_str() {
            "ds" | "components" | "levels" => Error::invalid(field, reason),
            _ => Error::invalid(format!("future.{field}"), reason),
        },
        error => error.into(),
    }
}
