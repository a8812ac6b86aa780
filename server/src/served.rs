//! The state that is served, as a value, and how a change turns one state into the next. Pure: no clock, no disk.

mod change;

pub use change::{Change, apply};

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{
    score::Scores,
    series::{Series, SeriesName},
};
use rpds::HashTrieMapSync;
use uuid::Uuid;

use crate::{
    error::Error,
    event::{Event, EventKind, Reason},
    load::Loaded,
};

/// The reason code of a series that is retired.
pub const RETIRED: &str = "RETIRED";

/// Everything that is served at one revision.
#[derive(Debug, Clone)]
pub struct State {
    /// The id of the history that `revision` counts in.
    pub epoch: Uuid,
    /// The number of changes committed in this epoch.
    pub revision: u64,
    /// Every series that is served, or known by a rejection or removal.
    pub entries: HashTrieMapSync<SeriesName, Arc<Entry>>,
    /// Since when the registry does not answer; `None` while it does.
    pub registry_unreachable: Option<Outage>,
}

/// The registry does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// When that was first noticed.
    pub since: Timestamp,
    /// What it or the system said then.
    pub message: String,
}

/// One series.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As its last served model described it; shared between states as long as the description stays.
    pub series: Arc<Series>,
    /// What answers.
    pub served: Option<Arc<Served>>,
    /// What answered before, newest first: served again in an instant, and still answers who asks for it by number.
    pub kept: Vec<Arc<Served>>,
    /// The last refused candidate since the served version began to be served.
    pub rejection: Option<Rejection>,
    /// The version that was refused when it was to be served: not tried again until its alias moves.
    pub refused: Option<u64>,
    /// Why nothing is served any more.
    pub removed: Option<Reason>,
    /// The registry names no version of it any more, and it is served all the same.
    pub alias_gone: Option<Reason>,
    /// Live scores of the served version are below what is asked of them.
    pub gate: Option<Gate>,
}

/// A closed gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Whose scores they are.
    pub version: u64,
    /// Which score, and what it was.
    pub reason: Reason,
}

/// A version that is served.
#[derive(Debug)]
pub struct Served {
    /// The verified model.
    pub loaded: Arc<Loaded>,
    /// The registry's number.
    pub version: u64,
    /// The alias it is served by.
    pub alias: String,
    /// The version served before; 0 for none.
    pub previous_version: u64,
    /// The revision at which it began to be served.
    pub revision: u64,
    /// When it began to be served.
    pub served_since: Timestamp,
}

/// A refused candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// When.
    pub at: Timestamp,
    /// 0 when it never had a number.
    pub version: u64,
    /// Of its model.pr; empty when unknown.
    pub sha256: String,
    /// Why; at least one.
    pub reasons: Vec<Reason>,
    /// What the trainer measured.
    pub scores: Option<Scores>,
}

impl Entry {
    /// A series of which only the name is known.
    pub fn unknown(series: &SeriesName) -> Self {
        Self {
            series: Arc::new(Series::new(series.clone())),
            served: None,
            kept: Vec::new(),
            rejection: None,
            refused: None,
            removed: None,
            alias_gone: None,
            gate: None,
        }
    }

    /// Every version in memory: the served one, then those that are kept.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Served>> {
        self.served.iter().chain(&self.kept)
    }
}

impl State {
    /// The state at the beginning of an epoch.
    pub fn empty(epoch: Uuid) -> Self {
        Self {
            epoch,
            revision: 0,
            entries: HashTrieMapSync::new_sync(),
            registry_unreachable: None,
        }
    }

    fn at(mut self, revision: u64) -> Self {
        self.revision = revision;
        self
    }

    /// This state with `served` in the place of what its series had, at the same revision. What it had is kept, up to
    /// `keep` versions with the served one.
    pub fn with_served(&self, served: Arc<Served>, keep: usize) -> Self {
        let described = &served.loaded.metadata().series;
        let before = self.entries.get(&described.name);
        let series = match before {
            Some(entry) if *entry.series == *described => Arc::clone(&entry.series),
            _ => Arc::new(described.clone()),
        };
        let rejection = before
            .and_then(|entry| entry.rejection.clone())
            .filter(|rejection| rejection.at > served.served_since);
        let kept = before
            .into_iter()
            .flat_map(|entry| entry.versions())
            .filter(|earlier| earlier.version != served.version)
            .take(keep.saturating_sub(1))
            .cloned()
            .collect();
        self.with_entry(Entry {
            series,
            served: Some(served),
            kept,
            rejection,
            refused: None,
            removed: None,
            alias_gone: None,
            gate: None,
        })
    }

    /// Puts what was served before a restart into a state that knows all else from the events.
    pub fn restore(&mut self, served: impl IntoIterator<Item = Served>) {
        for served in served {
            let series = Arc::new(served.loaded.metadata().series.clone());
            let known = self.entries.get(&series.name);
            let rejection = known
                .and_then(|entry| entry.rejection.clone())
                .filter(|rejection| rejection.at > served.served_since);
            let entry = Entry {
                series: Arc::clone(&series),
                served: Some(Arc::new(served)),
                kept: Vec::new(),
                rejection,
                refused: known.and_then(|entry| entry.refused),
                removed: None,
                alias_gone: known.and_then(|entry| entry.alias_gone.clone()),
                gate: known.and_then(|entry| entry.gate.clone()),
            };
            self.entries
                .insert_mut(series.name.clone(), Arc::new(entry));
        }
    }

    fn with_entry(&self, entry: Entry) -> Self {
        Self {
            entries: self
                .entries
                .insert(entry.series.name.clone(), Arc::new(entry)),
            ..self.clone()
        }
    }

    fn entry_or_new(&self, series: &SeriesName) -> Entry {
        match self.entries.get(series) {
            Some(entry) => (**entry).clone(),
            None => Entry::unknown(series),
        }
    }

    /// The entry of `series` after `version` was refused; 0 had no number, and one `beside` was not to be served.
    fn refused_or_not(&self, series: &SeriesName, version: u64, beside: bool) -> Entry {
        let mut entry = self.entry_or_new(series);
        if version != 0 && !beside {
            entry.refused = Some(version);
        }
        entry
    }

    /// The state after `event`, for everything that an event itself carries: all but the model of a `Served`.
    pub fn after(&self, event: &Event) -> Self {
        let next = match &event.kind {
            EventKind::Served { series, .. } => match self.entries.get(series) {
                Some(entry)
                    if entry.alias_gone.is_some()
                        || entry.refused.is_some()
                        || entry.gate.is_some() =>
                {
                    self.with_entry(Entry {
                        alias_gone: None,
                        refused: None,
                        gate: None,
                        ..(**entry).clone()
                    })
                }
                _ => self.clone(),
            },
            EventKind::Removed { series, reason, .. } => self.with_entry(Entry {
                served: None,
                kept: Vec::new(),
                removed: Some(reason.clone()),
                alias_gone: None,
                gate: None,
                ..self.entry_or_new(series)
            }),
            EventKind::Rejected {
                series,
                version,
                sha256,
                reasons,
                scores,
                beside,
                ..
            } => self.with_entry(Entry {
                rejection: Some(Rejection {
                    at: event.at,
                    version: *version,
                    sha256: sha256.clone(),
                    reasons: reasons.clone(),
                    scores: scores.clone(),
                }),
                ..self.refused_or_not(series, *version, *beside)
            }),
            EventKind::AliasGone { series, reason, .. } => self.with_entry(Entry {
                alias_gone: Some(reason.clone()),
                ..self.entry_or_new(series)
            }),
            EventKind::AliasBack { series, .. } => self.with_entry(Entry {
                alias_gone: None,
                ..self.entry_or_new(series)
            }),
            EventKind::GateClosed {
                series,
                version,
                reason,
                ..
            } => self.with_entry(Entry {
                gate: Some(Gate {
                    version: *version,
                    reason: reason.clone(),
                }),
                ..self.entry_or_new(series)
            }),
            EventKind::GateOpened { series, .. } => self.with_entry(Entry {
                gate: None,
                ..self.entry_or_new(series)
            }),
            EventKind::RegistryUnreachable { message } => Self {
                registry_unreachable: Some(Outage {
                    since: event.at,
                    message: message.clone(),
                }),
                ..self.clone()
            },
            EventKind::RegistryBack => Self {
                registry_unreachable: None,
                ..self.clone()
            },
        };
        next.at(event.revision)
    }
}

/// Why nothing answers for `name`.
pub fn not_served(name: &SeriesName, entry: Option<&Entry>) -> Error {
    let (reason, why) = match entry {
        Some(Entry {
            removed: Some(reason),
            ..
        }) if reason.code == RETIRED => (
            RETIRED,
            format!(
                "it is retired ({}); SetAlias to one of its versions revives it",
                reason.message
            ),
        ),
        Some(Entry {
            removed: Some(reason),
            ..
        }) => ("REMOVED", format!("{}: {}", reason.code, reason.message)),
        Some(Entry {
            rejection: Some(rejection),
            ..
        }) => {
            let reasons: Vec<_> = rejection
                .reasons
                .iter()
                .map(|reason| format!("{}: {}", reason.code, reason.message))
                .collect();
            (
                "REJECTED",
                format!("its last candidate was refused ({})", reasons.join("; ")),
            )
        }
        _ => (
            "UNKNOWN_SERIES",
            "no model was pushed under this name; ListModels tells what is served".to_owned(),
        ),
    };
    Error::UnknownSeries {
        series: name.to_string(),
        reason,
        why,
    }
}
