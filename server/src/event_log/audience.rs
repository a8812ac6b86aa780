//! Who is woken by which event. An event costs its own readers a wake-up and everybody else nothing: named series are
//! looked up, and only selectors by label are tried one after another.

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

use futures::task::AtomicWaker;
use loadcast_model::series::{Series, SeriesName};

use crate::{
    event::{Event, EventKind},
    selector::Selector,
};

/// Which events wake a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Every event that the selector means, and those about the registry.
    Events,
    /// Those that change an answer: something begins or ceases to be served. A name is enough here, since a series
    /// whose labels have changed may have to be taken back.
    Answers,
}

/// Everybody who listens to one log.
#[derive(Debug, Default)]
pub(super) struct Audience {
    members: Mutex<Members>,
    newest: AtomicU64,
}

#[derive(Debug, Default)]
struct Members {
    next_id: u64,
    /// Listeners whose selector names series, under each of the names.
    named: HashMap<SeriesName, BTreeMap<u64, Arc<Listener>>>,
    /// All listeners.
    all: BTreeMap<u64, Arc<Listener>>,
    /// Listeners whose selector names none.
    unnamed: BTreeMap<u64, Arc<Listener>>,
}

#[derive(Debug)]
struct Listener {
    selector: Arc<Selector>,
    interest: Interest,
    newest: AtomicU64,
    /// Up to here observations have changed what may be meant.
    observed: AtomicU64,
    waker: AtomicWaker,
}

impl Listener {
    fn is_meant(&self, event: &Event) -> bool {
        match (self.interest, event.kind.series()) {
            (Interest::Events, None) => true,
            (Interest::Events, Some((name, labels))) => self.selector.matches(name, labels),
            (Interest::Answers, Some((name, labels))) => {
                matches!(
                    event.kind,
                    EventKind::Served { .. } | EventKind::Removed { .. }
                ) && (self.selector.names_it(name) || self.selector.matches(name, labels))
            }
            (Interest::Answers, None) => false,
        }
    }
}

impl Audience {
    /// An audience of a log whose newest event is `newest`.
    pub(super) fn at(newest: u64) -> Self {
        Self {
            members: Mutex::default(),
            newest: AtomicU64::new(newest),
        }
    }

    /// The newest revision of which everybody meant has been told.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }

    /// Tells of `event`, which can be read by now.
    pub(super) fn tell(&self, event: &Event) {
        let members = self.lock();
        let candidates: Box<dyn Iterator<Item = &Arc<Listener>>> = match event.kind.series() {
            None => Box::new(members.all.values()),
            Some((name, _)) => {
                let named = members.named.get(name).into_iter().flatten();
                Box::new(
                    named
                        .map(|(_, listener)| listener)
                        .chain(members.unnamed.values()),
                )
            }
        };
        let meant: Vec<_> = candidates
            .filter(|listener| listener.is_meant(event))
            .cloned()
            .collect();
        for listener in &meant {
            listener.newest.store(event.revision, Ordering::Release);
        }
        self.newest.store(event.revision, Ordering::Release);
        drop(members);
        // Outside the lock: what a wake-up runs is not ours to know.
        for listener in meant {
            listener.waker.wake();
        }
    }

    /// Tells those who wait for answers that observations have changed those of `series`.
    pub(super) fn observed(&self, series: &Series, changes: u64) {
        let members = self.lock();
        let named = members.named.get(&series.name).into_iter().flatten();
        let candidates = named
            .map(|(_, listener)| listener)
            .chain(members.unnamed.values());
        let meant = candidates.filter(|listener| {
            listener.interest == Interest::Answers
                && listener.selector.matches(&series.name, &series.labels)
        });
        let meant: Vec<_> = meant.cloned().collect();
        drop(members);
        for listener in meant {
            listener.observed.fetch_max(changes, Ordering::AcqRel);
            listener.waker.wake();
        }
    }

    /// Begins to listen.
    pub(super) fn listen(
        self: &Arc<Self>,
        selector: Arc<Selector>,
        interest: Interest,
    ) -> Listening {
        let mut members = self.lock();
        let id = members.next_id;
        members.next_id += 1;
        let listener = Arc::new(Listener {
            // Whatever is in the log already may be meant.
            newest: AtomicU64::new(self.newest()),
            observed: AtomicU64::new(0),
            waker: AtomicWaker::new(),
            interest,
            selector,
        });
        members.all.insert(id, Arc::clone(&listener));
        let mut named = false;
        for name in listener.selector.names() {
            named = true;
            let under_name = members.named.entry(name.clone()).or_default();
            under_name.insert(id, Arc::clone(&listener));
        }
        if !named {
            members.unnamed.insert(id, Arc::clone(&listener));
        }
        Listening {
            audience: Arc::clone(self),
            listener,
            id,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the audience, given up when dropped.
#[derive(Debug)]
pub struct Listening {
    audience: Arc<Audience>,
    listener: Arc<Listener>,
    id: u64,
}

impl Listening {
    /// The newest event that may be meant for this listener. At the beginning: the newest event.
    pub fn newest_meant(&self) -> u64 {
        self.listener.newest.load(Ordering::Acquire)
    }

    /// Where a reader stands that has read everything meant up to `position`: events after it that are not meant
    /// move it too. Unchanged while something is left to read.
    pub fn caught_up(&self, position: u64) -> u64 {
        // In this order: whoever was meant up to `newest` was told before it moved.
        let newest = self.audience.newest();
        if self.newest_meant() > position {
            position
        } else {
            newest.max(position)
        }
    }

    /// Observations have changed what may be meant up to here: see [`Live`](crate::live::Live).
    pub fn observed(&self) -> u64 {
        self.listener.observed.load(Ordering::Acquire)
    }

    /// Returns once an event after `position` may be meant, or observations beyond `observed` are.
    pub async fn beyond(&self, position: u64, observed: u64) {
        poll_fn(|cx| {
            self.listener.waker.register(cx.waker());
            if self.newest_meant() > position || self.observed() > observed {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut members = self.audience.lock();
        members.all.remove(&self.id);
        members.unnamed.remove(&self.id);
        for name in self.listener.selector.names() {
            if let Some(under_name) = members.named.get_mut(name) {
                under_name.remove(&self.id);
                if under_name.is_empty() {
                    members.named.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use jiff::Timestamp;

    use super::*;
    use crate::event::Reason;

    fn removed(revision: u64, series: &str, labels: &[(&str, &str)]) -> Event {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Event {
            revision,
            at: Timestamp::UNIX_EPOCH,
            traceparent: String::new(),
            kind: EventKind::Removed {
                series: series.parse().unwrap(),
                labels: labels.iter().map(own).collect::<BTreeMap<_, _>>().into(),
                previous_version: 1,
                reason: Reason::new("RETIRED", ""),
            },
        }
    }

    fn listen(
        audience: &Arc<Audience>,
        names: &[&str],
        labels: &str,
        interest: Interest,
    ) -> Listening {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let selector = Selector::parse(&names, labels).unwrap();
        audience.listen(Arc::new(selector), interest)
    }

    #[test]
    fn an_event_wakes_those_it_is_meant_for_and_moves_the_rest_on() {
        let audience = Arc::new(Audience::at(4));
        let named = listen(&audience, &["a", "b"], "", Interest::Events);
        let labelled = listen(&audience, &[], "team=x", Interest::Events);
        let answers = listen(&audience, &[], "", Interest::Answers);
        let everything = listen(&audience, &[], "", Interest::Events);
        audience.tell(&removed(5, "a", &[]));
        assert!(named.beyond(4, 0).now_or_never().is_some());
        assert!(labelled.beyond(4, 0).now_or_never().is_none());
        assert_eq!((named.caught_up(4), labelled.caught_up(4)), (4, 5));
        audience.tell(&removed(6, "z", &[("team", "x")]));
        assert!(named.beyond(5, 0).now_or_never().is_none());
        assert!(labelled.beyond(5, 0).now_or_never().is_some());
        audience.tell(&Event {
            kind: EventKind::RegistryBack,
            ..removed(7, "z", &[])
        });
        assert_eq!(answers.newest_meant(), 6);
        for listening in [&named, &labelled, &everything] {
            assert_eq!(listening.newest_meant(), 7);
        }
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let audience = Arc::new(Audience::at(0));
        let listening = [
            listen(&audience, &["a"], "", Interest::Events),
            listen(&audience, &[], "", Interest::Answers),
        ];
        drop(listening);
        let members = audience.lock();
        assert!(members.named.is_empty() && members.unnamed.is_empty() && members.all.is_empty());
    }
}
