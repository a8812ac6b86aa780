//! The retained events in memory. Subscribers read from it at their own position; nobody queues for them, so a reader
//! that is slow or gone costs nothing and delays nobody. Who waits for an event that is meant for it is woken.

mod audience;

pub use audience::{Interest, Listening};

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use loadcast_model::series::Series;

use crate::{error::Gap, event::Event, event_log::audience::Audience, selector::Selector};

/// The most events that are retained.
pub const MAX_EVENTS: usize = 100_000;

/// Events older than this may be forgotten once there are more than [`MIN_EVENTS`].
const MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// This many are retained whatever their age.
const MIN_EVENTS: usize = 1_000;

/// A run of events with consecutive revisions, ending at the newest.
#[derive(Debug)]
pub struct EventLog {
    events: RwLock<VecDeque<Arc<Event>>>,
    audience: Arc<Audience>,
}

impl EventLog {
    /// A log that begins with `events`, ascending and consecutive.
    pub fn new(events: impl Iterator<Item = Event>) -> Self {
        let events: VecDeque<_> = events.map(Arc::new).collect();
        let newest = events.back().map_or(0, |event| event.revision);
        Self {
            events: RwLock::new(events),
            audience: Arc::new(Audience::at(newest)),
        }
    }

    /// Appends the next event, forgets what need not be retained at `now`, and wakes those for whom the event is meant.
    /// What the event tells of must be served by now.
    pub fn push(&self, event: Arc<Event>, now: Timestamp) {
        self.append(Arc::clone(&event), now);
        self.audience.tell(&event);
    }

    fn append(&self, event: Arc<Event>, now: Timestamp) {
        let mut events = self.events.write().unwrap_or_else(PoisonError::into_inner);
        events.push_back(event);
        while events.len() > MAX_EVENTS
            || (events.len() > MIN_EVENTS
                && events
                    .front()
                    .is_some_and(|oldest| now.duration_since(oldest.at) > MAX_AGE))
        {
            events.pop_front();
        }
    }

    /// Up to `limit` events in `(after, to]`, ascending.
    ///
    /// # Errors
    /// [`Gap::Compacted`] when an event in that range is no longer retained.
    pub fn read(&self, after: u64, to: u64, limit: usize) -> Result<Vec<Arc<Event>>, Gap> {
        if after >= to {
            return Ok(Vec::new());
        }
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        let oldest = events.front().map_or(to + 1, |event| event.revision);
        if after + 1 < oldest {
            return Err(Gap::Compacted {
                revision: after,
                oldest,
                current: to,
            });
        }
        let skip = usize::try_from(after + 1 - oldest).unwrap_or(usize::MAX);
        Ok(events
            .iter()
            .skip(skip)
            .take_while(|event| event.revision <= to)
            .take(limit)
            .cloned()
            .collect())
    }

    /// Begins to wait for events that `selector` means.
    pub fn listen(&self, selector: Arc<Selector>, interest: Interest) -> Listening {
        self.audience.listen(selector, interest)
    }

    /// Wakes those whose answers observations of `series` may have changed; `changes`: of [`Live`](crate::live::Live).
    pub fn observed(&self, series: &Series, changes: u64) {
        self.audience.observed(series, changes);
    }

    /// The newest revision that can be read.
    pub fn newest(&self) -> u64 {
        self.audience.newest()
    }

    /// Every retained event, ascending.
    pub fn retained(&self) -> Vec<Arc<Event>> {
        let events = self.events.read().unwrap_or_else(PoisonError::into_inner);
        events.iter().cloned().collect()
    }

    /// How many events are retained.
    pub fn count(&self) -> usize {
        self.events
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    fn event(revision: u64, at: i64) -> Event {
        Event {
            revision,
            at: Timestamp::from_second(at).unwrap(),
            traceparent: String::new(),
            kind: EventKind::RegistryBack,
        }
    }

    fn revisions(read: Result<Vec<Arc<Event>>, Gap>) -> Vec<u64> {
        read.unwrap().iter().map(|event| event.revision).collect()
    }

    #[test]
    fn reading_is_exact_at_every_edge() {
        let log = EventLog::new((5..=9).map(|revision| event(revision, 0)));
        assert_eq!(revisions(log.read(4, 9, 100)), [5, 6, 7, 8, 9]);
        assert_eq!(revisions(log.read(5, 9, 100)), [6, 7, 8, 9]);
        assert_eq!(revisions(log.read(8, 9, 100)), [9]);
        assert_eq!(revisions(log.read(9, 9, 100)), [] as [u64; 0]);
        assert_eq!(revisions(log.read(4, 9, 2)), [5, 6]);
        assert_eq!(revisions(log.read(4, 6, 100)), [5, 6]);
        assert_eq!(
            log.read(3, 9, 100).unwrap_err(),
            Gap::Compacted {
                revision: 3,
                oldest: 5,
                current: 9
            }
        );
    }

    #[test]
    fn age_forgets_only_beyond_the_minimum() {
        let log = EventLog::new((1..=1_500).map(|revision| event(revision, 0)));
        let later = Timestamp::from_second(8 * 86_400).unwrap();
        log.push(Arc::new(event(1_501, 8 * 86_400)), later);
        assert_eq!(log.count(), MIN_EVENTS);
        assert_eq!(revisions(log.read(1_500, 1_501, 10)), [1_501]);
    }
}
