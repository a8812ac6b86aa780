//! Changes of what is served, and what each turns a state into.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{
    score::Scores,
    series::{Labels, SeriesName},
};

use super::{Entry, Served, State};
use crate::{
    event::{Event, EventKind, Reason},
    load::Loaded,
};

/// A change of what is served or known.
#[derive(Debug)]
pub enum Change {
    /// Serve a verified model from now on.
    Serve {
        /// The model.
        loaded: Arc<Loaded>,
        /// The registry's number.
        version: u64,
        /// The alias it is served by.
        alias: String,
    },
    /// Stop serving a series, and forget what was kept of it.
    Remove {
        /// The series.
        series: SeriesName,
        /// Why.
        reason: Reason,
    },
    /// A candidate was refused.
    Reject {
        /// The series.
        series: SeriesName,
        /// 0 when it never had a number.
        version: u64,
        /// Of its model.pr; empty when unknown.
        sha256: String,
        /// Why; at least one.
        reasons: Vec<Reason>,
        /// What the trainer measured.
        scores: Option<Scores>,
        /// It was not to be served, only to answer under the alias `candidate`.
        beside: bool,
    },
    /// The registry names no version of a series any more. What is served goes on being served.
    AliasGone {
        /// The series.
        series: SeriesName,
        /// What to do.
        reason: Reason,
    },
    /// The registry names the version again that is served.
    AliasBack {
        /// The series.
        series: SeriesName,
    },
    /// What live scores of a version mean for its gate.
    Gate {
        /// The series.
        series: SeriesName,
        /// Whose scores they are; of another than is served they mean nothing.
        version: u64,
        /// Why it is closed; `None`: it is open.
        closed: Option<Reason>,
    },
    /// The registry stopped answering.
    RegistryUnreachable {
        /// What it or the system said.
        message: String,
    },
    /// The registry answers again.
    RegistryBack,
}

/// The state after `change`, and the event that is the difference; `None` when nothing changes. `keep` versions of a
/// series, the served one among them, stay in memory.
pub fn apply(
    before: &State,
    change: Change,
    keep: usize,
    now: Timestamp,
    traceparent: String,
) -> Option<(State, Event)> {
    let revision = before.revision + 1;
    let event = |kind| Event {
        revision,
        at: now,
        traceparent,
        kind,
    };
    match change {
        Change::Serve {
            loaded,
            version,
            alias,
        } => {
            let series = &loaded.metadata().series;
            let current = before
                .entries
                .get(&series.name)
                .and_then(|entry| entry.served.as_deref());
            if current.is_some_and(|current| {
                current.version == version
                    && current.alias == alias
                    && current.loaded.metadata().sha256 == loaded.metadata().sha256
            }) {
                return None;
            }
            let previous_version = current.map_or(0, |current| current.version);
            let event = event(EventKind::Served {
                series: series.name.clone(),
                labels: Arc::clone(&series.labels),
                version,
                previous_version,
                sha256: loaded.metadata().sha256.clone(),
                alias: alias.clone(),
                scores: loaded.metadata().scores.clone(),
            });
            let served = Served {
                loaded,
                version,
                alias,
                previous_version,
                revision,
                served_since: now,
            };
            let after = before.with_served(Arc::new(served), keep).at(revision);
            Some((after, event))
        }
        Change::Remove { series, reason } => {
            let entry = before.entries.get(&series);
            let served = entry.and_then(|entry| entry.served.as_deref());
            let removed = entry.and_then(|entry| entry.removed.as_ref());
            if served.is_none() && removed == Some(&reason) {
                return None;
            }
            let event = event(EventKind::Removed {
                labels: labels_of(entry),
                previous_version: served.map_or(0, |served| served.version),
                series,
                reason,
            });
            Some((before.after(&event), event))
        }
        Change::Reject {
            series,
            version,
            sha256,
            reasons,
            scores,
            beside,
        } => {
            let known = before.entries.get(&series);
            let same = known
                .and_then(|entry| entry.rejection.as_ref())
                .is_some_and(|last| {
                    last.version == version && last.sha256 == sha256 && last.reasons == reasons
                });
            let is_known = beside || known.is_some_and(|entry| entry.refused == Some(version));
            if same && is_known && version != 0 {
                return None;
            }
            let event = event(EventKind::Rejected {
                labels: labels_of(known),
                series,
                version,
                sha256,
                reasons,
                scores,
                beside,
            });
            Some((before.after(&event), event))
        }
        Change::AliasGone { series, reason } => {
            let entry = before.entries.get(&series)?;
            if entry.served.is_none() || entry.alias_gone.is_some() {
                return None;
            }
            let event = event(EventKind::AliasGone {
                labels: Arc::clone(&entry.series.labels),
                series,
                reason,
            });
            Some((before.after(&event), event))
        }
        Change::AliasBack { series } => {
            let entry = before.entries.get(&series)?;
            entry.alias_gone.as_ref()?;
            let event = event(EventKind::AliasBack {
                labels: Arc::clone(&entry.series.labels),
                series,
            });
            Some((before.after(&event), event))
        }
        Change::Gate {
            series,
            version,
            closed,
        } => {
            let entry = before.entries.get(&series)?;
            let served = entry.served.as_deref()?;
            let is = entry.gate.as_ref().map(|gate| &gate.reason.code);
            if served.version != version || is == closed.as_ref().map(|reason| &reason.code) {
                return None;
            }
            let labels = Arc::clone(&entry.series.labels);
            let event = event(match closed {
                Some(reason) => EventKind::GateClosed {
                    series,
                    labels,
                    version,
                    reason,
                },
                None => EventKind::GateOpened {
                    series,
                    labels,
                    version,
                },
            });
            Some((before.after(&event), event))
        }
        Change::RegistryUnreachable { message } => {
            if before.registry_unreachable.is_some() {
                return None;
            }
            let event = event(EventKind::RegistryUnreachable { message });
            Some((before.after(&event), event))
        }
        Change::RegistryBack => {
            before.registry_unreachable.as_ref()?;
            let event = event(EventKind::RegistryBack);
            Some((before.after(&event), event))
        }
    }
}

fn labels_of(entry: Option<&Arc<Entry>>) -> Labels {
    entry.map_or_else(Labels::default, |entry| Arc::clone(&entry.series.labels))
}
