//! Model events in order: snapshot, then tail, with no gap and no duplicate between.

use std::{sync::Arc, time::Duration};

use async_stream::stream;
use futures::Stream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    error::Gap,
    event::Event,
    event_log::Interest,
    feed::{BOOKMARK_INTERVAL, Known, KnownVersions, Position, Start, retry_after},
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
        /// They came after this revision.
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
    /// A client that resumes here misses nothing.
    pub position: Position,
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
    pub known: KnownVersions,
}

/// The updates of `subscription`, until `stop`.
pub fn updates(
    cache: Arc<Cache>,
    subscription: Subscription,
    stop: CancellationToken,
) -> impl Stream<Item = Positioned> {
    stream! {
        let Subscription { selector, start, known } = subscription;
        let selector = Arc::new(selector);
        let listening = cache.log().listen(Arc::clone(&selector), Interest::Events);
        let (mut revision, mut begin) = match start {
            Start::After(position) => (position.revision, None),
            Start::Snapshot(gap) => (0, Some((cache.state(), gap, known))),
        };
        let mut bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
        loop {
            if let Some((state, gap, known)) = begin.take() {
                revision = state.revision;
                let entries = snapshot(&state, &selector, known);
                drop(state);
                yield at(revision, false, Update::SnapshotBegin { revision, gap });
                for entry in entries {
                    yield at(revision, false, Update::Entry(entry));
                }
                yield at(revision, true, Update::SnapshotEnd { revision });
                bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
            }
            if stop.is_cancelled() {
                yield at(revision, true, Update::GoingAway { retry_after: retry_after() });
                return;
            }
            let newest = listening.newest_meant();
            match cache.log().read(revision, newest, BATCH) {
                Ok(events) if events.is_empty() => revision = listening.caught_up(revision),
                Ok(events) => {
                    for event in events {
                        revision = event.revision;
                        if is_meant(&selector, &event) {
                            yield at(revision, true, Update::Event(event));
                            bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
                        }
                    }
                    continue;
                }
                Err(gap) => {
                    // What the client knew at the beginning may be out of date: the snapshot leaves nothing out.
                    let state = cache.state();
                    let (from, to) = (revision, state.revision);
                    begin = Some((state, Some(gap), KnownVersions::new()));
                    yield at(from, true, Update::Lagged { skipped: to - from, from, to });
                    continue;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = listening.beyond(revision, u64::MAX) => {}
                () = tokio::time::sleep_until(bookmark_at) => {
                    revision = listening.caught_up(revision);
                    yield at(revision, true, Update::Bookmark { revision });
                    bookmark_at = Instant::now() + BOOKMARK_INTERVAL;
                }
            }
        }
    }
}

fn at(revision: u64, complete: bool, update: Update) -> Positioned {
    let position = Position {
        revision,
        second: 0,
        complete,
    };
    Positioned { position, update }
}

fn is_meant(selector: &Selector, event: &Event) -> bool {
    event
        .kind
        .series()
        .is_none_or(|(series, labels)| selector.matches(series, labels))
}

/// The entries of a snapshot of `state` that differ from what is `known`, in the order of names.
fn snapshot(state: &State, selector: &Selector, mut known: KnownVersions) -> Vec<Arc<Entry>> {
    let mut entries: Vec<Arc<Entry>> = Vec::new();
    for (name, entry) in &state.entries {
        let held = known.remove(name);
        let served = entry.served.as_deref().map(Known::of);
        if selector.matches(name, &entry.series.labels) && (held.is_none() || held != served) {
            entries.push(Arc::clone(entry));
        }
    }
    // What the client holds and this server has never heard of: say that nothing is served.
    entries.extend(
        known
            .into_keys()
            .map(|name| Arc::new(Entry::unknown(&name))),
    );
    entries.sort_by(|a, b| a.series.name.cmp(&b.series.name));
    entries
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
            beside: false,
        };
        cache.commit(change, String::new()).await.unwrap().revision
    }

    fn after(revision: u64) -> Start {
        Start::After(at(revision, true, Update::Bookmark { revision }).position)
    }

    fn from(start: Start) -> Subscription {
        Subscription {
            selector: Selector::default(),
            start,
            known: KnownVersions::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_is_told_every_ten_seconds_that_it_lives() {
        let (_folder, cache) = cache();
        reject(&cache, "A").await;
        let stop = CancellationToken::new();
        let mut updates = Box::pin(updates(Arc::clone(&cache), from(after(1)), stop));
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
        let mut updates = Box::pin(updates(Arc::clone(&cache), from(after(0)), stop.clone()));
        let count = 3 * BATCH as u64;
        for i in 0..count {
            assert_eq!(reject(&cache, &format!("R{i}")).await, i + 1);
        }
        for revision in 1..=count {
            let next = updates.next().await.unwrap();
            assert_eq!(next.position.revision, revision);
            assert!(matches!(next.update, Update::Event(event) if event.revision == revision));
        }
        stop.cancel();
        let last = updates.next().await.unwrap();
        assert!(matches!(last.update, Update::GoingAway { .. }));
        assert_eq!(last.position.revision, count);
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
                assert_eq!(next.position.revision, at + 1, "{next:?}");
                at = next.position.revision;
            }
        }
        writer.await.unwrap();
    }
}
