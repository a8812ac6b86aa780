//! Latest forecasts: a snapshot, then an update whenever an answer changes. Forecasts are latest-value: what a slow
//! reader did not take in time is replaced by what is true when it reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::Stream;
use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    answer::{Answer, answer_off_thread},
    cache::Cache,
    error::{Error, Gap},
    feed::{BOOKMARK_INTERVAL, Start, retry_after},
    freshness::{Freshness, Limits},
    question::{Question, floor_to_step},
    selector::Selector,
    served::{Entry, Served, State},
};

pub use crate::served::not_served;

/// How many events are looked at to find which series changed, before all are looked at.
const BATCH: usize = 1_024;

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
    /// The latest answer of one series, or why there is none.
    Forecast {
        /// The series.
        series: SeriesName,
        /// Why it comes now.
        cause: Cause,
        /// The answer.
        result: Box<Result<Answer, Error>>,
    },
    /// A series is no longer served.
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
    /// The server is leaving; the stream ends.
    GoingAway {
        /// Connect again after this long.
        retry_after: Duration,
    },
}

/// Why a forecast comes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It is part of the snapshot.
    Snapshot,
    /// Another version is served.
    Version,
    /// Time has moved by a step.
    Step,
    /// It became stale, or fresh again.
    Freshness,
}

/// An update and where it leaves the client.
#[derive(Debug)]
pub struct Positioned {
    /// Everything up to here was sent.
    pub revision: u64,
    /// False inside a snapshot.
    pub complete: bool,
    /// The message.
    pub update: Update,
}

/// What decides whether an answer has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    revision: u64,
    bucket: i64,
    freshness: Freshness,
}

/// The updates of `question` asked of what `selector` means, until `stop`.
pub fn updates(
    cache: Arc<Cache>,
    selector: Selector,
    question: Question,
    start: Start,
    stop: CancellationToken,
) -> impl Stream<Item = Positioned> {
    async_stream::stream! {
        let mut changed = cache.subscribe();
        let mut sent: BTreeMap<SeriesName, Key> = BTreeMap::new();
        changed.borrow_and_update();
        let state = cache.state();
        let gap = match start {
            Start::Snapshot(gap) => gap,
            Start::After(_) => None,
        };
        let mut position = state.revision;
        yield Positioned { revision: position, complete: false, update: Update::SnapshotBegin { revision: position, gap } };
        for name in selector.names() {
            if state.entries.get(name).is_none_or(|entry| entry.served.is_none()) {
                let error = not_served(name, state.entries.get(name).map(|entry| &**entry));
                let update = Update::Forecast { series: name.clone(), cause: Cause::Snapshot, result: Box::new(Err(error)) };
                yield Positioned { revision: position, complete: false, update };
            }
        }
        let mut due = meant(&state, &selector);
        let mut in_snapshot = true;
        loop {
            let now = cache.clock().now();
            for name in std::mem::take(&mut due) {
                // Latest value: what is served when this is read, not when the change was noticed.
                let Some(served) = cache.get(&name) else {
                    if sent.remove(&name).is_some() {
                        let reason = gone_reason(cache.entry(&name).as_deref());
                        let update = Update::Gone { series: name, revision: position, reason };
                        yield Positioned { revision: position, complete: !in_snapshot, update };
                    }
                    continue;
                };
                let key = key(&served, &question, now);
                let cause = match sent.insert(name.clone(), key) {
                    None if in_snapshot => Cause::Snapshot,
                    None => Cause::Version,
                    Some(last) if last == key => continue,
                    Some(last) if last.revision != key.revision => Cause::Version,
                    Some(last) if last.bucket != key.bucket => Cause::Step,
                    Some(_) => Cause::Freshness,
                };
                let result = Box::new(answer_off_thread(served, question.clone(), now).await);
                let update = Update::Forecast { series: name, cause, result };
                yield Positioned { revision: position, complete: !in_snapshot, update };
            }
            if in_snapshot {
                in_snapshot = false;
                yield Positioned { revision: position, complete: true, update: Update::SnapshotEnd { revision: position } };
            }
            let bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
            let next_step = next_step(&cache, sent.keys(), &question);
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let update = Update::GoingAway { retry_after: retry_after() };
                    yield Positioned { revision: position, complete: true, update };
                    return;
                }
                _ = changed.changed() => {
                    changed.borrow_and_update();
                    (due, position) = changed_series(&cache, &selector, position, &sent);
                }
                () = wait_for(&cache, next_step) => due = sent.keys().cloned().collect(),
                () = tokio::time::sleep_until(bookmark_at) => {
                    yield Positioned { revision: position, complete: true, update: Update::Bookmark { revision: position } };
                }
            }
        }
    }
}

/// Every served series that is meant, in the order of names.
fn meant(state: &State, selector: &Selector) -> BTreeSet<SeriesName> {
    state
        .entries
        .iter()
        .filter(|(name, entry)| {
            entry.served.is_some() && selector.matches(name, &entry.series.labels)
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// The series that are meant and changed after `revision`, and the revision up to which that is known. All of them when
/// the log no longer says which.
fn changed_series(
    cache: &Cache,
    selector: &Selector,
    revision: u64,
    sent: &BTreeMap<SeriesName, Key>,
) -> (BTreeSet<SeriesName>, u64) {
    match cache.events_after(revision, BATCH) {
        Ok(events) if events.len() < BATCH => {
            let newest = events.last().map_or(revision, |event| event.revision);
            let changed = events
                .iter()
                .filter_map(|event| event.kind.series())
                .filter(|(series, labels)| selector.matches(series, labels))
                .map(|(series, _)| series.clone())
                .collect();
            (changed, newest)
        }
        _ => {
            let state = cache.state();
            let mut all = meant(&state, selector);
            all.extend(sent.keys().cloned());
            (all, state.revision)
        }
    }
}

fn step_of(served: &Served, question: &Question) -> u32 {
    question
        .step_seconds
        .unwrap_or_else(|| served.loaded.metadata().series.step_seconds)
}

fn key(served: &Served, question: &Question, now: Timestamp) -> Key {
    let bucket = floor_to_step(now.as_second(), step_of(served, question));
    let as_of = Timestamp::from_second(bucket).unwrap_or(now);
    let metadata = served.loaded.metadata();
    Key {
        revision: served.revision,
        bucket,
        freshness: Limits::default().judge(as_of, metadata.trained_at, metadata.cutoff),
    }
}

/// The instant at which the first of `series` enters its next step.
fn next_step<'a>(
    cache: &Cache,
    series: impl Iterator<Item = &'a SeriesName>,
    question: &Question,
) -> Option<Timestamp> {
    let now = cache.clock().now().as_second();
    let state = cache.state();
    series
        .filter_map(|name| state.entries.get(name)?.served.as_deref())
        .map(|served| step_of(served, question))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|step| floor_to_step(now, step) + i64::from(step))
        .min()
        .and_then(|second| Timestamp::from_second(second).ok())
}

async fn wait_for(cache: &Cache, instant: Option<Timestamp>) {
    match instant {
        Some(instant) => cache.clock().wait_until(instant).await,
        None => std::future::pending().await,
    }
}

fn gone_reason(entry: Option<&Entry>) -> String {
    entry
        .and_then(|entry| entry.removed.as_ref())
        .map_or_else(|| "REMOVED".to_owned(), |reason| reason.code.clone())
}
