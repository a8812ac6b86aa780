//! Events: the differences of served states, in the order in which they were committed.

use jiff::Timestamp;
use loadcast_model::{
    score::Scores,
    series::{Labels, SeriesName},
};
use serde::{Deserialize, Serialize};

use crate::state::record::Record;

/// One committed change; published after it is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in this server's history: one more than the event before.
    pub revision: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// W3C traceparent of the push or refresh that caused it; empty when there was none.
    pub traceparent: String,
    /// What changed.
    pub kind: EventKind,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A version began to be served.
    Served {
        /// The series.
        series: SeriesName,
        /// Its labels, for filters.
        labels: Labels,
        /// What is served now.
        version: u64,
        /// What was served before; 0 for nothing.
        previous_version: u64,
        /// Of its model.pr.
        sha256: String,
        /// The alias it is served by.
        alias: String,
        /// Found by the trainer's backtest.
        scores: Option<Scores>,
    },
    /// A series stopped being served.
    Removed {
        /// The series.
        series: SeriesName,
        /// Its labels, for filters.
        labels: Labels,
        /// What was served before; 0 for nothing.
        previous_version: u64,
        /// Why.
        reason: Reason,
    },
    /// A candidate was refused; nothing else changed.
    Rejected {
        /// The series.
        series: SeriesName,
        /// Its labels where they are known.
        labels: Labels,
        /// Of the candidate; 0 when it never had one.
        version: u64,
        /// Of the candidate's model.pr; empty when unknown.
        sha256: String,
        /// Why; at least one.
        reasons: Vec<Reason>,
        /// What the trainer measured.
        scores: Option<Scores>,
        /// It was not to be served, only to answer under the alias `candidate`. Logs of earlier builds do not say.
        #[serde(default)]
        beside: bool,
    },
    /// The registry names no version of a series any more; what is served goes on being served.
    AliasGone {
        /// The series.
        series: SeriesName,
        /// Its labels, for filters.
        labels: Labels,
        /// What to do.
        reason: Reason,
    },
    /// The registry names the version again that is served.
    AliasBack {
        /// The series.
        series: SeriesName,
        /// Its labels, for filters.
        labels: Labels,
    },
    /// Live scores of what is served fell below what is asked of them; it goes on being served, and every answer says so.
    GateClosed {
        /// The series.
        series: SeriesName,
        /// Its labels, for filters.
        labels: Labels,
        /// What is served.
        version: u64,
        /// Which score, and what it was.
        reason: Reason,
    },
    /// They are good enough again.
    GateOpened {
        /// The series.
        series: SeriesName,
        /// Its labels, for filters.
        labels: Labels,
        /// What is served.
        version: u64,
    },
    /// The registry stopped answering; what is served goes on being served.
    RegistryUnreachable {
        /// What it or the system said.
        message: String,
    },
    /// The registry answers again.
    RegistryBack,
}

/// A reason: a code for programs and the same in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Upper-case.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Reason {
    /// A reason from its two halves.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl EventKind {
    /// The kind's own name, upper-case, as logs and people say it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Served { .. } => "SERVED",
            Self::Removed { .. } => "REMOVED",
            Self::Rejected { .. } => "REJECTED",
            Self::AliasGone { .. } => "ALIAS_GONE",
            Self::AliasBack { .. } => "ALIAS_BACK",
            Self::GateClosed { .. } => "GATE_CLOSED",
            Self::GateOpened { .. } => "GATE_OPENED",
            Self::RegistryUnreachable { .. } => "REGISTRY_UNREACHABLE",
            Self::RegistryBack => "REGISTRY_BACK",
        }
    }

    /// The version that the event is about; 0 when none.
    pub fn version(&self) -> u64 {
        match self {
            Self::Served { version, .. }
            | Self::Rejected { version, .. }
            | Self::GateClosed { version, .. }
            | Self::GateOpened { version, .. } => *version,
            _ => 0,
        }
    }

    /// The series that the event is about, with its labels; `None` for events about the registry.
    pub fn series(&self) -> Option<(&SeriesName, &Labels)> {
        match self {
            Self::Served { series, labels, .. }
            | Self::Removed { series, labels, .. }
            | Self::Rejected { series, labels, .. }
            | Self::AliasGone { series, labels, .. }
            | Self::AliasBack { series, labels }
            | Self::GateClosed { series, labels, .. }
            | Self::GateOpened { series, labels, .. } => Some((series, labels)),
            Self::RegistryUnreachable { .. } | Self::RegistryBack => None,
        }
    }
}

impl Record for Event {
    fn encode(&self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(self).map_err(|error| error.to_string())
    }

    fn decode(payload: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(payload).map_err(|error| error.to_string())
    }
}
