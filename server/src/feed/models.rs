//! Model events in order: snapshot, then tail, with no gap and no duplicate between.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::Stream;
use loadcast_model::series::SeriesName;
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
    entries.extend(
        known
            .into_keys()
            .map(|name| Arc::new(Entry::unknown(&name))),
    );
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

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tempfile::TempDir;

    use super::*;
    use crate::{clock::Clock, event::Reason, served::Change};

    fn cache() -> (TempDir, Arc<Cache>) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), Clock::system()).unwrap();
        (folder, Arc::new(cache))
    }

    async fn reject(cache: &Arc<Cache>, code: &str) -> u64 {
        let change = Change::Reject {
            series: "a".parse().unwrap(),
            version: 0,
            sha256: String::new(),
            reasons: vec![Reason::new(code, "")],
            scores: None,
        };
        cache.commit(change, String::new()).await.unwrap().revision
    }

    fn from(start: Start) -> Subscription {
        Subscription {
            selector: Selector::default(),
            start,
            known: BTreeMap::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_is_told_every_ten_seconds_that_it_lives() {
        let (_folder, cache) = cache();
        reject(&cache, "A").await;
        let stop = CancellationToken::new();
        let mut updates = Box::pin(updates(Arc::clone(&cache), from(Start::After(1)), stop));
        let begun = Instant::now();
        for beat in 1..=3_u32 {
            let next = updates.next().await.unwrap();
            assert!(
                matches!(next.update, Update::Bookmark { revision: 1 }),
                "{next:?}"
            );
            assert_eq!(begun.elapsed(), beat * BOOKMARK_INTERVAL);
        }
    }

    #[tokio::test]
    async fn a_reader_that_comes_late_misses_nothing() {
        let (_folder, cache) = cache();
        let stop = CancellationToken::new();
        let mut updates = Box::pin(updates(
            Arc::clone(&cache),
            from(Start::After(0)),
            stop.clone(),
        ));
        let count = 3 * BATCH as u64;
        for i in 0..count {
            assert_eq!(reject(&cache, &format!("R{i}")).await, i + 1);
        }
        for revision in 1..=count {
            let next = updates.next().await.unwrap();
            assert_eq!(next.revision, revision);
            assert!(matches!(next.update, Update::Event(event) if event.revision == revision));
        }
        stop.cancel();
        let last = updates.next().await.unwrap();
        assert!(matches!(last.update, Update::GoingAway { .. }));
        assert_eq!(last.revision, count);
        assert!(updates.next().await.is_none());
    }

    #[tokio::test]
    async fn snapshot_and_tail_leave_no_gap_while_a_writer_runs() {
        let (_folder, cache) = cache();
        let writer = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move {
                for i in 0..300 {
                    reject(&cache, &format!("R{i}")).await;
                }
            }
        });
        for _ in 0..20 {
            let stop = CancellationToken::new();
            let mut updates = Box::pin(updates(
                Arc::clone(&cache),
                from(Start::Snapshot(None)),
                stop,
            ));
            let mut at = loop {
                let next = updates.next().await.unwrap();
                if let Update::SnapshotEnd { revision } = next.update {
                    break revision;
                }
            };
            while at < 300 && at % 13 != 0 {
                let next = updates.next().await.unwrap();
                assert_eq!(next.revision, at + 1, "{next:?}");
                at = next.revision;
            }
        }
        writer.await.unwrap();
    }
}
