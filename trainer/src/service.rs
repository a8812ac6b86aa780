//! What a trainer that runs again and again tells of itself over HTTP, and when it runs next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use jiff::Timestamp;

use crate::report::RunReport;
use crate::stage::validate_model::Conclusion;

/// The longest that a run is put off, as a share of the interval: trainers that were started together do not stay so.
const JITTER: f64 = 0.1;

/// How the service stands. Cheap to clone; clones agree.
#[derive(Debug, Clone, Default)]
pub struct Service(Arc<Mutex<Standing>>);

#[derive(Debug, Default)]
struct Standing {
    running: bool,
    succeeded: u64,
    failed: u64,
    drifted: u64,
    last: Option<Last>,
    next: Option<Timestamp>,
}

/// The last run.
#[derive(Debug, Clone, Copy)]
struct Last {
    ended: Timestamp,
    took: Duration,
    promoted: usize,
    candidates: usize,
    rejected: usize,
    failed: usize,
    braked: bool,
}

/// When to run after a run that ended at `last`: `every` later, and later still by a share of a tenth of that, `jitter`
/// in `[0, 1)`; at once when there was none.
#[must_use]
pub fn next(last: Option<Timestamp>, every: Duration, jitter: f64, now: Timestamp) -> Timestamp {
    let delay = every.mul_f64(1.0 + JITTER * jitter.clamp(0.0, 1.0));
    last.and_then(|last| last.checked_add(delay).ok())
        .map_or(now, |next| next.max(now))
}

impl Service {
    /// `/livez`: the process answers. `/readyz`: a run has succeeded, or none has failed yet. `/metrics` for Prometheus.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }

    /// A run begins.
    pub fn begin(&self) {
        self.lock().running = true;
    }

    /// It ended: with a report, or as a whole without one.
    pub fn end(&self, report: Option<&RunReport>, took: Duration, now: Timestamp) {
        let mut standing = self.lock();
        standing.running = false;
        let Some(report) = report else {
            standing.failed += 1;
            return;
        };
        standing.succeeded += 1;
        let of = |conclusion| {
            let done = report.series.iter().filter_map(|series| series.done());
            done.filter(|done| done.conclusion == conclusion).count()
        };
        let rejected = report.series.iter().filter(|one| one.is_rejected()).count();
        let (promoted, candidates) = (of(Conclusion::Promote), of(Conclusion::CandidateOnly));
        standing.last = Some(Last {
            ended: now,
            took,
            promoted,
            candidates,
            rejected,
            failed: report.series.len() - promoted - candidates - rejected,
            braked: report.stopped.is_some(),
        });
    }

    /// So many series were trained anew between runs, because what was served had drifted.
    pub fn drifted(&self, series: usize) {
        self.lock().drifted += series as u64;
    }

    /// The next run is then.
    pub fn wait(&self, next: Timestamp) {
        self.lock().next = Some(next);
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ready(State(service): State<Service>) -> (StatusCode, &'static str) {
    let standing = service.lock();
    if standing.failed > 0 && standing.last.is_none() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "no run has succeeded yet; its log says why\n",
        );
    }
    (StatusCode::OK, "ready\n")
}

async fn metrics(State(service): State<Service>) -> impl IntoResponse {
    let text = service.lock().to_text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

impl Standing {
    fn to_text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(&str, f64)]| {
            text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (labels, value) in samples {
                text += &format!("{name}{labels} {value}\n");
            }
        };
        family(
            "loadcast_trainer_runs_total",
            "counter",
            "Runs that ended, by whether they ended with a report.",
            &[
                ("{outcome=\"ended\"}", self.succeeded as f64),
                ("{outcome=\"failed\"}", self.failed as f64),
            ],
        );
        family(
            "loadcast_trainer_drifted_total",
            "counter",
            "Series that were trained anew between runs, because what was served had drifted from its backtest.",
            &[("", self.drifted as f64)],
        );
        family(
            "loadcast_trainer_running",
            "gauge",
            "1 while a run is under way.",
            &[("", f64::from(u8::from(self.running)))],
        );
        if let Some(next) = self.next {
            family(
                "loadcast_trainer_next_run_timestamp_seconds",
                "gauge",
                "When the next run begins.",
                &[("", next.as_second() as f64)],
            );
        }
        if let Some(last) = self.last {
            family(
                "loadcast_trainer_last_run_timestamp_seconds",
                "gauge",
                "When the last run ended.",
                &[("", last.ended.as_second() as f64)],
            );
            family(
                "loadcast_trainer_last_run_duration_seconds",
                "gauge",
                "How long it took.",
                &[("", last.took.as_secs_f64())],
            );
            family(
                "loadcast_trainer_last_run_series",
                "gauge",
                "Its series by what became of them.",
                &[
                    ("{outcome=\"promoted\"}", last.promoted as f64),
                    ("{outcome=\"candidate\"}", last.candidates as f64),
                    ("{outcome=\"rejected\"}", last.rejected as f64),
                    ("{outcome=\"failed\"}", last.failed as f64),
                ],
            );
            family(
                "loadcast_trainer_last_run_braked",
                "gauge",
                "1 when the fleet brake stopped its promotions.",
                &[("", f64::from(u8::from(last.braked)))],
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_run_is_at_once_and_the_next_an_interval_and_up_to_a_tenth_later() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(next(None, hour, 0.5, at(1_000)), at(1_000));
        assert_eq!(next(Some(at(1_000)), hour, 0.0, at(1_100)), at(4_600));
        assert_eq!(next(Some(at(1_000)), hour, 1.0, at(1_100)), at(4_960));
        // One that is overdue, after a long outage, is not late for ever.
        assert_eq!(next(Some(at(1_000)), hour, 0.0, at(9_000)), at(9_000));
    }

    #[test]
    fn a_run_that_failed_as_a_whole_is_counted_and_what_the_last_good_one_said_stays() {
        let service = Service::default();
        service.begin();
        assert!(
            service
                .lock()
                .to_text()
                .contains("loadcast_trainer_running 1")
        );
        service.end(None, Duration::ZERO, at(5));
        let text = service.lock().to_text();
        assert!(
            text.contains("loadcast_trainer_runs_total{outcome=\"failed\"} 1"),
            "{text}"
        );
        assert!(!text.contains("last_run"), "{text}");
    }
}
