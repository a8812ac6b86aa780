//! From a question and a pinned model to an answer. Pure arithmetic; nothing here waits for anything.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{
    artifact::Clamps,
    correction::State,
    error::Error as ModelError,
    forecaster::{Forecast, Question as ModelQuestion},
};
use tokio::{sync::Semaphore, task::JoinError};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    error::{Error, Result},
    event::Reason,
    freshness::Freshness,
    live::Seen,
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

/// Long answers that wait for their turn before the next one who asks is sent away: some seconds' work.
static LONG_ANSWERS_WAITING: Semaphore = Semaphore::const_new(256);

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
    /// What was observed has changed it.
    pub correction: Option<Correction>,
    /// Levels, and the calibrated quantiles of the range's maximum; empty where the artifact has none for such a range.
    pub peaks: Vec<(f64, f64)>,
    /// Why it is gated; `None`: it is not.
    pub gate: Option<Reason>,
}

impl Answer {
    /// Whether somebody may act on it: what is stale or gated is told, and never becomes a number that a workload is sized
    /// by.
    ///
    /// # Errors
    /// [`Error::Gated`] with the reason code.
    pub fn actionable(&self) -> Result<()> {
        let metadata = self.served.loaded.metadata();
        let gated = |reason, why| Error::Gated {
            series: metadata.series.name.clone(),
            reason,
            why,
        };
        if let Some(gate) = &self.gate {
            let why = format!("{}: {}", gate.code, gate.message);
            return Err(gated("LIVE_GATE", why));
        }
        let why = match self.freshness {
            Freshness::Fresh => return Ok(()),
            Freshness::StaleModel => format!(
                "version {} was trained at {}, longer ago than a model may be; train it anew and push",
                self.served.version, metadata.trained_at
            ),
            Freshness::StaleData => format!(
                "nothing is known of it after the cutoff of version {}, {}, or observations have ended; see whether its \
                 source still has rows, then train it anew, or let observations flow",
                self.served.version, metadata.cutoff
            ),
        };
        Err(gated(self.freshness.code().unwrap_or_default(), why))
    }
}

/// What recent observations added to a model's own answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correction {
    /// To the first point after the last observation, in the series' unit, before clamps.
    pub shift: f64,
    /// The share of it that is added to the point after that, 0 to 1; 1 where there is none.
    pub left_after_a_step: f64,
    /// The beginning of the last observed step.
    pub observed_at: Timestamp,
    /// The band is widened because the level has jumped.
    pub level_shift: bool,
}

/// What had been observed when an answer is computed: residuals on the wall clock, and how long ago the last one was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed<'a> {
    state: &'a State,
    last: i64,
    elapsed: i64,
}

impl<'a> Observed<'a> {
    /// `None` of a state that has seen nothing. `elapsed`: seconds since the beginning of the last observed step. They are
    /// those of a stopwatch, for the wall clock jumps twice a year.
    pub(crate) fn after(state: &'a State, elapsed: i64) -> Option<Self> {
        let last = state.last_observed()?;
        Some(Self {
            state,
            last,
            elapsed,
        })
    }

    fn now(&self) -> i64 {
        self.last.saturating_add(self.elapsed)
    }
}

/// Columns at some instants, as they are served.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) forecast: Forecast,
    pub(crate) clamps: Clamps,
    /// Whether what was observed has changed them.
    pub(crate) corrected: bool,
    /// What it added to the first two points after the last observation.
    added: [Option<f64>; 2],
}

/// Answers `question` from `served` at `now`, corrected by what observations say of it, where they do. An answer as of an
/// instant before the last observation is not: what was known then is not known any more.
///
/// # Errors
/// [`Error::Invalid`] for a range that cannot be answered, [`Error::NeedsInput`] when the model needs what the question
/// lacks, [`Error::Unsupported`] for what the engine cannot do yet.
pub fn answer(
    served: Arc<Served>,
    question: &Question,
    now: Timestamp,
    seen: &Seen,
) -> Result<Answer> {
    let grid = question.grid(&served.loaded.metadata().series, now)?;
    compute(served, question, grid, seen)
}

/// As [`answer`], off the serving threads when the grid is long.
///
/// # Errors
/// As [`answer`].
pub async fn answer_off_thread(
    served: Arc<Served>,
    question: Question,
    now: Timestamp,
    seen: Seen,
) -> Result<Answer> {
    let grid = question.grid(&served.loaded.metadata().series, now)?;
    if is_quick(&served, &question, grid) {
        return compute(served, &question, grid, &seen);
    }
    off_thread(move || compute(served, &question, grid, &seen)).await
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

/// As [`answer_off_thread`], for who can come back: when too many long answers wait, this one does not join them.
///
/// # Errors
/// As [`answer`], and [`Error::Exhausted`].
pub async fn answer_unless_busy(
    served: Arc<Served>,
    question: Question,
    now: Timestamp,
    seen: Seen,
) -> Result<Answer> {
    let grid = question.grid(&served.loaded.metadata().series, now)?;
    if is_quick(&served, &question, grid) {
        return compute(served, &question, grid, &seen);
    }
    let _place = LONG_ANSWERS_WAITING
        .try_acquire()
        .map_err(|_| Error::Exhausted {
            subject: "long_answers",
            description: "too many long answers wait for a core; ask for fewer points, or later"
                .to_owned(),
        })?;
    off_thread(move || compute(served, &question, grid, &seen)).await
}

/// How fresh the answer of `served` to `question` on `grid` is.
///
/// # Errors
/// [`Error::Invalid`] when `as_of` is no instant.
pub(crate) fn freshness(
    served: &Served,
    question: &Question,
    grid: Grid,
    seen: &Seen,
) -> Result<Freshness> {
    let seen = seen.as_of(question.as_of);
    Ok(seen.freshness(served.loaded.metadata(), instant(grid.as_of)?))
}

fn instant(as_of: i64) -> Result<Timestamp> {
    Timestamp::from_second(as_of)
        .map_err(|_| Error::invalid("as_of", "out of range; give an instant near now"))
}

/// Whether a serving thread may compute the answer itself.
fn is_quick(served: &Served, question: &Question, grid: Grid) -> bool {
    let levels = question.levels.len();
    let points = grid.count as usize * (LEVELS_LIKE_A_POINT + levels) / LEVELS_LIKE_A_POINT;
    points <= POINTS_ON_A_SERVING_THREAD as usize
        && (levels == 0 || served.loaded.forecaster().has_quick_bands())
}

fn compute(served: Arc<Served>, question: &Question, grid: Grid, seen: &Seen) -> Result<Answer> {
    let as_of = instant(grid.as_of)?;
    let seen = seen.as_of(question.as_of);
    let last = seen.last().map(|last| last.at);
    let observed = last.zip(seen.residuals_of(&served));
    let observed = observed.and_then(|(last, state)| {
        Observed::after(state, grid.as_of.saturating_sub(last.as_second()))
    });
    let times: Vec<i64> = grid.instants().collect();
    let columns = columns(&served, question, &times, observed)?;
    let metadata = served.loaded.metadata();
    let peaks = if question.peak_levels.is_empty() {
        Vec::new()
    } else {
        peaks(&served, question, grid, &columns)?
    };
    let correction = last.filter(|_| columns.corrected).map(|observed_at| {
        let [shift, next] = columns.added;
        let shift = shift.unwrap_or(0.0);
        let left = next.map_or(1.0, |next| (next / shift).abs());
        Correction {
            shift,
            left_after_a_step: if left.is_finite() { left.min(1.0) } else { 0.0 },
            observed_at,
            level_shift: observed.is_some_and(|observed| observed.state.jump().is_some()),
        }
    });
    Ok(Answer {
        grid,
        forecast: columns.forecast,
        freshness: seen.freshness(metadata, as_of),
        clamps: columns.clamps,
        components: question.components,
        correction,
        peaks,
        gate: seen.gate_of(&served).cloned(),
        served,
    })
}

/// The model's own forecast at `instants`, in epoch seconds.
pub(crate) fn uncorrected(
    served: &Served,
    question: &Question,
    instants: &[i64],
) -> Result<Forecast> {
    raw(served, question, &wall(served, instants))
}

/// `instants` on the wall clock of the series.
fn wall(served: &Served, instants: &[i64]) -> Vec<i64> {
    let zone = &served.loaded.metadata().series.zone;
    instants.iter().map(|at| zone.to_wall(*at)).collect()
}

/// As [`uncorrected`], at `times` of the wall clock.
fn raw(served: &Served, question: &Question, times: &[i64]) -> Result<Forecast> {
    let metadata = served.loaded.metadata();
    // Constants that were fitted with stand in the spec, as model.pr has no place for them.
    let inputs = match &metadata.spec {
        Some(spec) => spec.complete(&question.inputs),
        None => question.inputs.clone(),
    };
    let asked = ModelQuestion::at(times)
        .with_inputs(&inputs)
        .with_components(question.components)
        .with_levels(&question.levels);
    let forecaster = served.loaded.forecaster();
    forecaster.forecast(&asked).map_err(of_question)
}

/// What is served at `instants`: the model's own forecast, then what the artifact declares, with what was `observed`.
pub(crate) fn columns(
    served: &Served,
    question: &Question,
    instants: &[i64],
    observed: Option<Observed<'_>>,
) -> Result<Columns> {
    let times = wall(served, instants);
    let mut forecast = raw(served, question, &times)?;
    let metadata = served.loaded.metadata();
    let cutoff = served.loaded.forecaster().model().ends.last.0;
    let mut added = [None; 2];
    let (clamps, corrected) = match observed {
        None => {
            let clamps = metadata.finish(&mut forecast, &times, cutoff, question.clamps);
            (clamps, false)
        }
        Some(observed) => {
            let (state, now) = (observed.state, observed.now());
            if let Some(correction) = &metadata.correction {
                let points = times.iter().zip(&forecast.yhat);
                let mut next = points
                    .skip_while(|(ds, _)| **ds <= observed.last)
                    .map(|(ds, point)| correction.added(state, now, *ds, *point));
                added = [next.next().flatten(), next.next().flatten()];
            }
            let further = question.clamps;
            metadata.finish_observed(&mut forecast, &times, cutoff, (state, now), further)
        }
    };
    Ok(Columns {
        forecast,
        clamps,
        corrected,
        added,
    })
}

/// The calibrated quantiles of the maximum of the range.
fn peaks(
    served: &Served,
    question: &Question,
    grid: Grid,
    columns: &Columns,
) -> Result<Vec<(f64, f64)>> {
    let metadata = served.loaded.metadata();
    let step = metadata.series.step_seconds;
    if grid.step != step {
        return Err(Error::invalid(
            "step",
            format!(
                "peaks are of the series' own steps of {step} s; leave step or peak_levels out"
            ),
        ));
    }
    let of_corrected = metadata.correction.as_ref().filter(|_| columns.corrected);
    let calibration = match of_corrected {
        Some(correction) => correction.peak(),
        None => metadata.peak.as_ref(),
    };
    let seconds = i64::from(grid.count) * i64::from(step);
    let of_level = |level: &f64| {
        let peak = calibration?.peak(*level, &columns.forecast.yhat, seconds)?;
        Some((*level, columns.clamps.of(peak)))
    };
    Ok(question.peak_levels.iter().filter_map(of_level).collect())
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
