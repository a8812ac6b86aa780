//! Model events in order: snapshot, then tail, with no gap and no duplicate between.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::Stream;
use loadcast_model::series::{Series, SeriesName};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    error::Gap,
    event::Event,
    feed::{BOOKMARK_INTERVAL, Known, Start, retry_after},
    selector::Selector,
    served::{Entry, State},
};

/// How many events are taken from the log at once.
const BATCH: usize = 256;

/// One message, before it becomes wire.
#[derive(Debug, Clone)]
pub enum Update {
    /// A snapshot follows.
    SnapshotBegin {
        /// At this revision.
        revision: u64,
        /// Why the asked-for continuation was not possible.
        gap: Option<Gap>,
    },
    /// One series of the snapshot.
    Entry(Arc<Entry>),
    /// The snapshot is complete.
    SnapshotEnd {
        /// The client's state now equals the server's at this revision.
        revision: u64,
    },
    /// The next event.
    Event(Arc<Event>),
    /// Everything up to here was sent.
    Bookmark {
        /// Up to here.
        revision: u64,
    },
    /// The reader fell out of the log; a snapshot follows.
    Lagged {
        /// Events that it will not see.
        skipped: u64,
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The server is leaving; the stream ends.
    GoingAway {
        /// Connect again after this long.
        retry_after: Duration,
    },
}

/// An update and where it leaves the client.
#[derive(Debug, Clone)]
pub struct Positioned {
    /// Everything up to here was sent.
    pub revision: u64,
    /// False inside a snapshot.
    pub complete: bool,
    /// The message.
    pub update: Update,
}

/// Who is to be told what.
#[derive(Debug)]
pub struct Subscription {
    /// The series that are meant. Events about the registry are for everybody.
    pub selector: Selector,
    /// Where to begin.
    pub start: Start,
    /// What the client holds already.
    pub known: BTreeMap<SeriesName, Known>,
}

/// The updates of `subscription`, until `stop`.
pub fn updates(
    cache: Arc<Cache>,
    subscription: Subscription,
    stop: CancellationToken,
) -> impl Stream<Item = Positioned> {
    async_stream::stream! {
        let Subscription { selector, start, known } = subscription;
        let mut changed = cache.subscribe();
        let (mut position, mut resync) = match start {
            Start::After(revision) => (revision, None),
            Start::Snapshot(gap) => (0, Some(gap)),
        };
        let mut known = Some(known);
        loop {
            if let Some(gap) = resync.take() {
                let state = cache.state();
                position = state.revision;
                for update in snapshot(&state, &selector, known.take().unwrap_or_default(), gap) {
                    let complete = matches!(update, Update::SnapshotEnd { .. });
                    yield Positioned { revision: position, complete, update };
                }
            }
            changed.borrow_and_update();
            match cache.events_after(position, BATCH) {
                Ok(events) if events.is_empty() => {}
                Ok(events) => {
                    for event in events {
                        position = event.revision;
                        if is_meant(&selector, &event) {
                            yield Positioned { revision: position, complete: true, update: Update::Event(event) };
                        }
                    }
                    continue;
                }
                Err(gap) => {
                    let to = cache.state().revision;
                    let update = Update::Lagged { skipped: to - position, from: position + 1, to };
                    yield Positioned { revision: position, complete: true, update };
                    resync = Some(Some(gap));
                    continue;
                }
            }
            let bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let update = Update::GoingAway { retry_after: retry_after() };
                    yield Positioned { revision: position, complete: true, update };
                    return;
                }
                // The cache outlives us, so the channel does not close.
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(bookmark_at) => {
                    yield Positioned { revision: position, complete: true, update: Update::Bookmark { revision: position } };
                }
            }
        }
    }
}

fn is_meant(selector: &Selector, event: &Event) -> bool {
    event
        .kind
        .series()
        .is_none_or(|(series, labels)| selector.matches(series, labels))
}

/// The messages of a snapshot of `state`, in the order of names.
fn snapshot(
    state: &State,
    selector: &Selector,
    mut known: BTreeMap<SeriesName, Known>,
    gap: Option<Gap>,
) -> Vec<Update> {
    let mut entries: Vec<Arc<Entry>> = state
        .entries
        .iter()
        .filter(|(name, entry)| selector.matches(name, &entry.series.labels))
        .filter(|(name, entry)| {
            let held = known.remove(*name);
            held.is_none() || held != entry.served.as_deref().map(known_of)
        })
        .map(|(_, entry)| Arc::clone(entry))
        .collect();
    // What the client holds and this server has never heard of: say that nothing is served.
    entries.extend(known.into_keys().map(|name| {
        Arc::new(Entry {
            series: Series::new(name),
            served: None,
            rejection: None,
            removed: None,
        })
    }));
    entries.sort_by(|a, b| a.series.name.cmp(&b.series.name));
    let revision = state.revision;
    std::iter::once(Update::SnapshotBegin { revision, gap })
        .chain(entries.into_iter().map(Update::Entry))
        .chain(std::iter::once(Update::SnapshotEnd { revision }))
        .collect()
}

fn known_of(served: &crate::served::Served) -> Known {
    Known {
        version: served.version,
        sha256: served.loaded.metadata().sha256.clone(),
    }
}
