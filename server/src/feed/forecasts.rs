//! Latest forecasts: a snapshot, then an update whenever an answer changes. Forecasts are latest-value: what a slow
//! reader did not take in time is replaced by what is true when it reads, and it is told how much that was.

use std::{fmt, sync::Arc, time::Duration};

use async_stream::stream;
use futures::Stream;
use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    error::{Error, Gap, Result},
    feed::{
        BOOKMARK_INTERVAL, KnownVersions, Position, Start, reader::Reader, retry_after, settled,
    },
    live::Seen,
    selector::Selector,
    served::{Entry, Served},
};

/// One message, before it becomes wire.
#[derive(Debug)]
pub enum Update {
    /// A snapshot follows.
    SnapshotBegin {
        /// At this revision.
        revision: u64,
        /// Why the asked-for continuation was not possible.
        gap: Option<Gap>,
    },
    /// The snapshot is complete.
    SnapshotEnd {
        /// At this revision.
        revision: u64,
    },
    /// What is to be answered by now: the latest of one series.
    Forecast {
        /// Why it comes now.
        cause: Cause,
        /// What answers, pinned.
        served: Arc<Served>,
        /// The instant that counts as now.
        now: Timestamp,
        /// `now` floored to the step.
        bucket: i64,
        /// What was seen of observations.
        seen: Seen,
    },
    /// One series has no answer now.
    Failed {
        /// The series.
        series: SeriesName,
        /// Why it comes now.
        cause: Cause,
        /// Why there is none.
        error: Error,
    },
    /// A series is no longer served, or no longer meant.
    Gone {
        /// The series.
        series: SeriesName,
        /// At this revision.
        revision: u64,
        /// An upper-case code.
        reason: String,
    },
    /// Everything up to here was sent.
    Bookmark {
        /// Up to here.
        revision: u64,
    },
    /// Newer answers took the place of some that were never sent.
    Lagged {
        /// How many.
        skipped: u64,
        /// After this revision.
        from: u64,
        /// Up to this one.
        to: u64,
    },
    /// The server is leaving; the stream ends.
    GoingAway {
        /// Connect again after this long.
        retry_after: Duration,
    },
}

/// Why a forecast comes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It is part of the snapshot.
    Snapshot,
    /// Another version is served.
    Version,
    /// Time has moved by a step.
    Step,
    /// It became stale, or fresh again.
    Freshness,
    /// Observations have changed it, or its gate.
    Observed,
}

/// An update and where it leaves the client.
#[derive(Debug)]
pub struct Positioned {
    /// A client that resumes here misses nothing.
    pub position: Position,
    /// The message.
    pub update: Update,
}

/// Who is to be told what.
#[derive(Debug)]
pub struct Watch {
    /// The series that are meant.
    pub selector: Selector,
    /// Seconds between points; `None`: each series' own step.
    pub step_seconds: Option<u32>,
    /// Where to begin.
    pub start: Start,
    /// What the client holds already.
    pub known: KnownVersions,
    /// When a version or a step is worth a message; `None`: always.
    pub condition: Option<Condition>,
}

/// "When the value has moved by more than so many percent since it was told last."
pub struct Condition {
    /// In percent of the value told last.
    pub moved_percent: f64,
    /// The value of a version at an instant.
    pub value: Value,
}

/// How a condition finds the value that it compares.
pub type Value = Box<dyn Fn(&Arc<Served>, Timestamp, &Seen) -> Result<f64> + Send + Sync>;

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("moved_percent", &self.moved_percent)
            .finish_non_exhaustive()
    }
}

impl Condition {
    /// Whether `value` is news to who was told `told` last.
    pub(super) fn holds(&self, told: Option<f64>, value: f64) -> bool {
        told.is_none_or(|told| (value - told).abs() > self.moved_percent / 100.0 * told.abs())
    }
}

/// The updates of `watch`, until `stop`.
pub fn updates(
    cache: Arc<Cache>,
    watch: Watch,
    stop: CancellationToken,
) -> impl Stream<Item = Positioned> {
    stream! {
        let start = watch.start.clone();
        let mut reader = Reader::new(&cache, watch);
        match start {
            Start::Snapshot(gap) => {
                let opening = reader.begin(&cache, &*settled(&cache).await, cache.clock().now());
                let revision = reader.revision;
                yield reader.positioned(Update::SnapshotBegin { revision, gap });
                for update in opening {
                    yield reader.positioned(update);
                }
            }
            Start::After(position) => {
                reader.resume(&cache, &*settled(&cache).await, position);
                reader.catch_up(&cache, true).await;
            }
        }
        let mut bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
        loop {
            if stop.is_cancelled() {
                if let Some(lagged) = reader.lagged() {
                    yield reader.positioned(lagged);
                }
                yield reader.positioned(Update::GoingAway { retry_after: retry_after() });
                return;
            }
            // Latest value: what is served when this is read, not when the change was noticed.
            let state = reader.catch_up(&cache, false).await;
            let now = cache.clock().now();
            reader.add_observed(&cache);
            reader.add_elapsed(now);
            if let Some((name, events)) = reader.due.pop() {
                let update = reader.look(&cache, &state, name, events, now);
                drop(state);
                if let Some(update) = update {
                    if let Some(lagged) = reader.lagged() {
                        yield reader.positioned(lagged);
                    }
                    yield reader.positioned(update);
                    bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
                }
                continue;
            }
            drop(state);
            if !reader.position.complete {
                reader.arrive();
                yield reader.positioned(Update::SnapshotEnd { revision: reader.revision });
                bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
            }
            let next_step = Timestamp::from_second(reader.earliest).ok();
            reader.arrive();
            tokio::select! {
                () = stop.cancelled() => {}
                () = reader.listening.beyond(reader.revision, reader.observed) => {}
                () = wait_for(&cache, next_step) => {}
                () = tokio::time::sleep_until(bookmark_at) => {
                    reader.revision = reader.listening.caught_up(reader.revision);
                    reader.arrive();
                    if let Some(lagged) = reader.lagged() {
                        yield reader.positioned(lagged);
                    }
                    yield reader.positioned(Update::Bookmark { revision: reader.revision });
                    bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
                }
            }
        }
    }
}

async fn wait_for(cache: &Cache, instant: Option<Timestamp>) {
    match instant {
        Some(instant) => cache.clock().wait_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The code of why `entry` is served no more.
pub(super) fn gone_reason(entry: Option<&Entry>) -> String {
    entry
        .and_then(|entry| entry.removed.as_ref())
        .map_or_else(|| "REMOVED".to_owned(), |reason| reason.code.clone())
}
