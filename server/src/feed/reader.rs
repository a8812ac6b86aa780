//! One subscriber to forecasts: where it stands, what it was sent, and what it is to be told next.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::series::SeriesName;

use crate::{
    cache::Cache,
    event_log::{Interest, Listening},
    feed::{
        Known, KnownVersions, Position,
        due::{AllSent, Due, Key, Sent, meant},
        forecasts::{Cause, Condition, Positioned, Update, Watch, gone_reason},
        settled,
    },
    live::Seen,
    selector::Selector,
    served::{Served, State, not_served},
};

/// How many events are read at once to find which series changed.
const BATCH: usize = 1_024;

/// One subscriber's place and memory.
pub(super) struct Reader {
    selector: Arc<Selector>,
    pub(super) listening: Listening,
    step_seconds: Option<u32>,
    condition: Option<Condition>,
    known: KnownVersions,
    sent: AllSent,
    pub(super) due: Due,
    lag: Lag,
    /// Where a client can resume: the last point at which nothing was due.
    pub(super) position: Position,
    /// What was committed up to here was sent or is in `due`.
    pub(super) revision: u64,
    /// What observations changed up to here was sent or is in `due`; counted as [`Live`](crate::live::Live) does.
    pub(super) observed: u64,
    /// What changed by itself up to this epoch second was sent or is in `due`.
    second: i64,
    /// The first answer to change by itself does so at this epoch second, or later.
    pub(super) earliest: i64,
}

/// Answers that were never sent, since the client was told last.
#[derive(Default)]
struct Lag {
    skipped: u64,
    from: Option<u64>,
}

impl Reader {
    /// A reader of the log of `cache` who has read nothing.
    pub(super) fn new(cache: &Cache, watch: Watch) -> Self {
        let selector = Arc::new(watch.selector);
        Self {
            listening: cache.log().listen(Arc::clone(&selector), Interest::Answers),
            selector,
            step_seconds: watch.step_seconds,
            condition: watch.condition,
            known: watch.known,
            sent: AllSent::new(),
            due: Due::default(),
            lag: Lag::default(),
            position: Position {
                revision: 0,
                second: 0,
                complete: false,
            },
            revision: 0,
            // What is sent from now on is looked at after this was read.
            observed: cache.live().changes(),
            second: 0,
            earliest: i64::MAX,
        }
    }

    /// `update`, and where it leaves the client.
    pub(super) fn positioned(&self, update: Update) -> Positioned {
        Positioned {
            position: self.position,
            update,
        }
    }

    /// Begins with what `state` serves; returns what is known not to be served.
    pub(super) fn begin(&mut self, cache: &Cache, state: &State, now: Timestamp) -> Vec<Update> {
        self.revision = state.revision;
        self.position.revision = state.revision;
        let known = std::mem::take(&mut self.known);
        let selector = Arc::clone(&self.selector);
        for (name, served) in meant(state, &selector) {
            if known.get(name) == Some(&Known::of(served)) {
                let seen = cache.seen(served);
                self.remember(name.clone(), self.sent_by(served, now.as_second(), &seen));
            } else {
                self.due.add([name.clone()]);
            }
        }
        let entry = |name: &SeriesName| state.entries.get(name).map(|entry| &**entry);
        let absent = |name: &&SeriesName| entry(name).is_none_or(|entry| entry.served.is_none());
        let failed = selector.names().filter(absent).map(|name| Update::Failed {
            series: name.clone(),
            cause: Cause::Snapshot,
            error: not_served(name, entry(name)),
        });
        let unnamed = known.keys().filter(|name| !selector.names_it(name));
        let gone = unnamed.filter(absent).map(|name| Update::Gone {
            series: name.clone(),
            revision: state.revision,
            reason: gone_reason(entry(name)),
        });
        failed.chain(gone).collect()
    }

    /// Goes on from what an earlier connection had sent up to `position`.
    pub(super) fn resume(&mut self, cache: &Cache, state: &State, position: Position) {
        self.revision = position.revision;
        self.second = position.second;
        self.position = position;
        let selector = Arc::clone(&self.selector);
        for (name, served) in meant(state, &selector) {
            if served.revision <= position.revision {
                let seen = cache.seen(served);
                let mut sent = self.sent_by(served, position.second, &seen);
                let changed_at = seen.view().map(|view| view.changed_at.as_second());
                if changed_at.is_some_and(|second| second >= position.second) {
                    // What the client was sent was another view, or the same once more.
                    sent.key.generation = 0;
                    self.due.add([name.clone()]);
                }
                self.remember(name.clone(), sent);
            }
        }
    }

    fn sent_by(&self, served: &Served, second: i64, seen: &Seen) -> Sent {
        let step = self.step_of(served);
        let key = Key::of(served, step, second, seen);
        Sent {
            key,
            until: key.bucket.saturating_add(i64::from(step)),
            told: None,
            gated: seen.gate_of(served).is_some(),
        }
    }

    fn remember(&mut self, name: SeriesName, sent: Sent) {
        self.earliest = self.earliest.min(sent.until);
        self.sent.insert(name, sent);
    }

    fn step_of(&self, served: &Served) -> u32 {
        self.step_seconds
            .unwrap_or_else(|| served.loaded.metadata().series.step_seconds)
    }

    /// Makes due what was committed since `revision`, up to the state that is returned.
    pub(super) async fn catch_up(&mut self, cache: &Cache, resumed: bool) -> Arc<State> {
        let state = settled(cache).await;
        while self.revision < state.revision {
            match cache.log().read(self.revision, state.revision, BATCH) {
                Ok(events) => {
                    self.revision = events.last().map_or(state.revision, |event| event.revision);
                    let events = events.iter().map(|event| &**event);
                    self.due
                        .add_changed(events, &self.selector, &mut self.sent, resumed);
                }
                Err(_) => {
                    let due = &mut self.due;
                    let lost =
                        due.add_everything(&state, self.revision, &self.selector, &self.sent);
                    self.skip(lost);
                    self.revision = state.revision;
                }
            }
        }
        state
    }

    /// Makes due what observations have changed.
    pub(super) fn add_observed(&mut self, cache: &Cache) {
        if self.listening.observed() <= self.observed {
            return;
        }
        let (names, observed) = cache.live().changed_after(self.observed);
        self.observed = observed;
        match names {
            Some(names) => {
                let sent = names
                    .into_iter()
                    .filter(|name| self.sent.contains_key(name));
                self.due.add(sent);
            }
            None => self.due.add(self.sent.keys().cloned()),
        }
    }

    /// Makes due what changes by itself up to `now`.
    pub(super) fn add_elapsed(&mut self, now: Timestamp) {
        // Between two passes only, so that a reader that is slower than time still gets to the end of each.
        if !self.due.is_empty() {
            return;
        }
        self.second = now.as_second();
        if self.second < self.earliest {
            return;
        }
        self.earliest = i64::MAX;
        for (name, sent) in &self.sent {
            if sent.until <= self.second {
                self.due.add([name.clone()]);
            } else {
                self.earliest = self.earliest.min(sent.until);
            }
        }
    }

    /// What is to be said of series `name`, which had `events` since it was looked at last.
    pub(super) fn look(
        &mut self,
        cache: &Cache,
        state: &State,
        name: SeriesName,
        events: u64,
        now: Timestamp,
    ) -> Option<Update> {
        let entry = state.entries.get(&name).map(|entry| &**entry);
        let meant = entry.is_some_and(|entry| self.selector.matches(&name, &entry.series.labels));
        let served = entry.and_then(|entry| entry.served.as_ref());
        let update = match served.filter(|_| meant) {
            Some(served) => self.look_at(cache, served, name, events, now),
            None if self.sent.remove(&name).is_none() => {
                self.skip(events);
                None
            }
            None => {
                self.skip(events.saturating_sub(1));
                Some(Update::Gone {
                    series: name,
                    revision: self.revision,
                    reason: match served {
                        Some(_) => "NOT_SELECTED".to_owned(),
                        None => gone_reason(entry),
                    },
                })
            }
        };
        if self.due.is_empty() && self.position.complete {
            self.arrive();
        }
        update
    }

    /// What is to be said of a series that is served and meant.
    fn look_at(
        &mut self,
        cache: &Cache,
        served: &Arc<Served>,
        name: SeriesName,
        events: u64,
        now: Timestamp,
    ) -> Option<Update> {
        let seen = cache.seen(served);
        let mut next = self.sent_by(served, now.as_second(), &seen);
        let last = self.sent.get(&name).copied();
        let cause = match last {
            None if !self.position.complete => Cause::Snapshot,
            None => Cause::Version,
            // A clock that is set back changes no answer.
            Some(last) if next.key <= last.key => {
                self.earliest = self.earliest.min(last.until);
                self.skip(events);
                return None;
            }
            Some(last) if last.key.revision != next.key.revision => Cause::Version,
            Some(last) if last.key.freshness != next.key.freshness => Cause::Freshness,
            Some(last) if last.key.bucket != next.key.bucket => Cause::Step,
            Some(_) => Cause::Observed,
        };
        let steps = last.map_or(0, |last| {
            let elapsed = next.key.bucket.saturating_sub(last.key.bucket).max(0);
            elapsed.unsigned_abs() / u64::from(self.step_of(served))
        });
        self.skip((events + steps).saturating_sub(1));
        let told = last.and_then(|last| last.told);
        // Whether the value may be acted on is news however little it moved.
        let is_news =
            cause == Cause::Freshness || last.is_some_and(|last| last.gated != next.gated);
        let value = self
            .condition
            .as_ref()
            .map(|condition| {
                (condition.value)(served, now, &seen)
                    .map(|value| (value, condition.holds(told, value)))
            })
            .transpose();
        let mut update = Some(Update::Forecast {
            cause,
            served: Arc::clone(served),
            now,
            bucket: next.key.bucket,
            seen,
        });
        match value {
            Ok(None) => {}
            Ok(Some((value, holds))) if holds || is_news => {
                next.told = Some(value);
            }
            Ok(Some(_)) => {
                next.told = told;
                update = None;
            }
            Err(error) => {
                let series = name.clone();
                update = Some(Update::Failed {
                    series,
                    cause,
                    error,
                });
            }
        }
        self.remember(name, next);
        update
    }

    fn skip(&mut self, count: u64) {
        if count > 0 {
            self.lag.skipped += count;
            self.lag.from.get_or_insert(self.position.revision);
        }
    }

    /// What is to be said of what was skipped, once.
    pub(super) fn lagged(&mut self) -> Option<Update> {
        let Lag { skipped, from } = std::mem::take(&mut self.lag);
        (skipped > 0).then(|| Update::Lagged {
            skipped,
            from: from.unwrap_or(self.revision),
            to: self.revision,
        })
    }

    /// Nothing is due.
    pub(super) fn arrive(&mut self) {
        self.position = Position {
            revision: self.revision,
            second: self.second,
            complete: true,
        };
    }
}
