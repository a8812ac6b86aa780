//! Which series of a watch of forecasts have to be looked at, and how often each has changed meanwhile.

use std::collections::BTreeMap;

use loadcast_model::series::SeriesName;

use crate::{
    event::{Event, EventKind},
    freshness::Freshness,
    live::Seen,
    question::floor_to_step,
    selector::Selector,
    served::{Served, State},
};

/// What decides whether an answer has changed. On one stream the keys of a series only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// At which the version began to be served.
    pub(super) revision: u64,
    /// Now, floored to the step.
    pub(super) bucket: i64,
    /// Of what was seen of observations.
    pub(super) generation: u64,
    /// At `bucket`.
    pub(super) freshness: Freshness,
}

impl Key {
    /// The key of an answer from `served` in steps of `step` seconds at the epoch second `now`, with what was `seen`.
    pub(super) fn of(served: &Served, step: u32, now: i64, seen: &Seen) -> Self {
        let bucket = floor_to_step(now, step);
        let metadata = served.loaded.metadata();
        let as_of = jiff::Timestamp::from_second(bucket).unwrap_or(metadata.cutoff);
        Self {
            revision: served.revision,
            bucket,
            generation: seen.generation(),
            freshness: seen.freshness(metadata, as_of),
        }
    }
}

/// What a client was sent last of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sent {
    /// Of the answer.
    pub(super) key: Key,
    /// The answer changes at this epoch second by itself.
    pub(super) until: i64,
    /// The value that a condition compares with.
    pub(super) told: Option<f64>,
    /// Whether it was gated.
    pub(super) gated: bool,
}

impl Sent {
    /// Something older than all that is served, sent before a connection was lost.
    const FORGOTTEN: Self = Self {
        key: Key {
            revision: 0,
            bucket: i64::MAX,
            generation: 0,
            freshness: Freshness::Fresh,
        },
        until: i64::MAX,
        told: None,
        gated: false,
    };
}

/// What a client was sent, by series.
pub(super) type AllSent = BTreeMap<SeriesName, Sent>;

/// The series to be looked at, with the number of events that each had since it was looked at last.
#[derive(Debug, Default)]
pub(super) struct Due(BTreeMap<SeriesName, u64>);

impl Due {
    /// The first in the order of names, and its events.
    pub(super) fn pop(&mut self) -> Option<(SeriesName, u64)> {
        self.0.pop_first()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at `series` although it had no event.
    pub(super) fn add(&mut self, series: impl IntoIterator<Item = SeriesName>) {
        for name in series {
            self.0.entry(name).or_default();
        }
    }

    /// Looks at what `events` have changed. `resumed`: what a series was before its first event, the client was sent
    /// on an earlier connection.
    pub(super) fn add_changed<'a>(
        &mut self,
        events: impl IntoIterator<Item = &'a Event>,
        selector: &Selector,
        sent: &mut AllSent,
        resumed: bool,
    ) {
        for event in events {
            let (series, labels, previous) = match &event.kind {
                EventKind::Served {
                    series,
                    labels,
                    previous_version,
                    ..
                }
                | EventKind::Removed {
                    series,
                    labels,
                    previous_version,
                    ..
                } => (series, labels, *previous_version),
                _ => continue,
            };
            // A tombstone for what was not served changes no answer.
            if previous == 0 && matches!(event.kind, EventKind::Removed { .. }) {
                continue;
            }
            if selector.matches(series, labels) || sent.contains_key(series) {
                if resumed && previous != 0 && !self.0.contains_key(series) {
                    sent.entry(series.clone()).or_insert(Sent::FORGOTTEN);
                }
                *self.0.entry(series.clone()).or_default() += 1;
            }
        }
    }

    /// Looks at everything, since the log no longer says what changed after `revision`. Returns how many events are
    /// beyond telling: all but the last of each series.
    pub(super) fn add_everything(
        &mut self,
        state: &State,
        revision: u64,
        selector: &Selector,
        sent: &AllSent,
    ) -> u64 {
        let mut last_events = 0;
        for (name, served) in meant(state, selector) {
            let changed = served.revision > revision;
            last_events += u64::from(changed);
            self.0.insert(name.clone(), u64::from(changed));
        }
        for name in sent.keys() {
            if !self.0.contains_key(name) {
                last_events += 1;
                self.0.insert(name.clone(), 1);
            }
        }
        (state.revision - revision).saturating_sub(last_events)
    }
}

/// Every served series that is meant, in no order.
pub(super) fn meant<'a>(
    state: &'a State,
    selector: &'a Selector,
) -> impl Iterator<Item = (&'a SeriesName, &'a Served)> {
    let by_name = selector.names().filter_map(|name| state.entries.get(name));
    let all = selector
        .names()
        .next()
        .is_none()
        .then(|| state.entries.values())
        .into_iter()
        .flatten();
    by_name.chain(all).filter_map(|entry| {
        let served = entry.served.as_deref()?;
        selector
            .matches(&entry.series.name, &entry.series.labels)
            .then_some((&entry.series.name, served))
    })
}
