//! From a question and a pinned model to an answer. Pure arithmetic; nothing here waits for anything.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{
    artifact::Clamps,
    error::Error as ModelError,
    forecaster::{Forecast, Question as ModelQuestion},
};
use tokio::{sync::Semaphore, task::JoinError};
use tokio_util::task::AbortOnDropHandle;

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
    off_thread(move || compute(served, &question, grid)).await
}

/// Does `work` off the serving threads, when it is its turn; not at all when nobody waits for it any more.
///
/// A stream whose peer does not read is not polled. So that it keeps no turn from anybody, the turn is waited for in a
/// task of its own, and ends with the work and not when its outcome is taken.
///
/// # Errors
/// Those of `work`; [`Error::Internal`] when it panics.
pub async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let died = |error: JoinError| Error::Internal(format!("a forecast died: {error}"));
    let working = tokio::spawn(async move {
        let turn = LONG_ANSWERS
            .acquire()
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        working.await.map_err(died)?
    });
    AbortOnDropHandle::new(working).await.map_err(died)?
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

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, StreamExt as _, stream};

    use super::*;

    #[tokio::test]
    async fn streams_that_nobody_reads_keep_no_turn_from_anybody() {
        let long = || off_thread(|| Ok(()));
        // Begun, and never polled again: as many as would take every turn, some of them waiting for one.
        let stuck: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = stream::iter(0..2).map(|_| long()).buffered(2).boxed();
                assert!(stream.next().now_or_never().is_none());
                stream
            })
            .collect();
        let others = async {
            for _ in 0..100 {
                long().await.unwrap();
            }
        };
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, others).await.unwrap();
        drop(stuck);
    }
}
