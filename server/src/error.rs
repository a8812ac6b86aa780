//! The server's one error: variants by what the caller can do.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use loadcast_model::{error::Error as ModelError, series::SeriesName};
use loadcast_registry::error::Error as RegistryError;

/// A result of the server.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, by what the caller can do about it. `grpc/status.rs` is the one place where these become statuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is wrong. Mend the named field.
    #[error("{field}: {description}")]
    Invalid {
        /// The path of the field, as in the .proto file.
        field: String,
        /// What is wrong and what would be right.
        description: String,
    },
    /// Nothing is served under this name. Push a model, or ask for another series.
    #[error("series {series} is not served: {why}")]
    UnknownSeries {
        /// As asked for.
        series: String,
        /// An upper-case code.
        reason: &'static str,
        /// In words, with the remedy.
        why: String,
    },
    /// A version that is not in memory was asked for.
    #[error("version {version} of {series} is not kept in memory; version {served} is served")]
    UnknownVersion {
        /// The series.
        series: SeriesName,
        /// As asked for.
        version: u64,
        /// What is served instead.
        served: u64,
    },
    /// No version answers under the alias `candidate`. Push one, or wait until it is loaded.
    #[error("no candidate of {series} answers: {why}")]
    NoCandidate {
        /// The series.
        series: SeriesName,
        /// An upper-case code.
        reason: &'static str,
        /// In words, with the remedy.
        why: String,
    },
    /// A model was pushed for a retired series. Revive it first, or stop training it.
    #[error(
        "series {series} is retired ({reason}); revive it with SetAlias to one of its versions (loadcast models promote), then push again"
    )]
    Retired {
        /// The series.
        series: SeriesName,
        /// Why it was retired.
        reason: String,
    },
    /// There is nothing to go back to. Name a version.
    #[error("no version of {series} was served before {served}; name the version to go back to")]
    NoPreviousVersion {
        /// The series.
        series: SeriesName,
        /// What is served.
        served: u64,
    },
    /// What the series' model says is not to be acted on. Mend what is named, or let the caller's fallback decide.
    #[error("{series} is not to be acted on ({reason}): {why}")]
    Gated {
        /// The series.
        series: SeriesName,
        /// An upper-case code.
        reason: &'static str,
        /// What was measured, the limit, and the remedy.
        why: String,
    },
    /// This build does not do that yet.
    #[error("{feature} is not available: {description}")]
    Unsupported {
        /// What was asked for.
        feature: String,
        /// Why, and what to do instead.
        description: String,
    },
    /// The served model cannot answer by itself. Ask with the input.
    #[error("the model needs future.{input}: {description}")]
    NeedsInput {
        /// The field of FutureInputs: `cap`, `floor`, `regressors.NAME`, `conditions.NAME` or `holidays`.
        input: String,
        /// What it is for and what to give.
        description: String,
    },
    /// The pushed artifact cannot be served. Mend the model.
    #[error("the artifact of {series} is refused ({code}): {description}")]
    Rejected {
        /// The series.
        series: SeriesName,
        /// An upper-case code.
        code: &'static str,
        /// Why.
        description: String,
    },
    /// A resume token cannot be continued. Watch anew, or set snapshot_on_gap.
    #[error("the token cannot be continued: {gap}")]
    Gap {
        /// Why.
        gap: Gap,
    },
    /// The registry said no, or nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Another server uses the state directory.
    #[error(
        "state directory {} is in use by another server; stop it or choose another --state-dir",
        folder.display()
    )]
    StateLocked {
        /// The directory.
        folder: PathBuf,
    },
    /// The state directory cannot be read or written. A human must look at the disk.
    #[error("state {}: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A bound of this server was reached. Ask for less, or later.
    #[error("{subject}: {description}")]
    Exhausted {
        /// What is bounded.
        subject: &'static str,
        /// The bound, and what to do.
        description: String,
    },
    /// The server is leaving.
    #[error("the server is going away; connect again")]
    GoingAway,
    /// A defect of the server.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why a token cannot be continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// The log no longer reaches back to it.
    #[error(
        "revision {revision} is older than the log, which begins at {oldest} (now at {current})"
    )]
    Compacted {
        /// The token's.
        revision: u64,
        /// The oldest retained.
        oldest: u64,
        /// The newest.
        current: u64,
    },
    /// It is of another epoch, or of a revision that this epoch has not reached.
    #[error("it is of another history: epoch {theirs}, this server's is {ours}")]
    EpochChanged {
        /// The token's.
        theirs: String,
        /// This server's.
        ours: String,
    },
    /// It is of this epoch's future.
    #[error("revision {revision} is of the future; the newest is {current}")]
    Future {
        /// The token's.
        revision: u64,
        /// The newest.
        current: u64,
    },
}

impl Gap {
    /// The reason code of ErrorInfo.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Compacted { .. } => "REVISION_COMPACTED",
            Self::EpochChanged { .. } | Self::Future { .. } => "EPOCH_CHANGED",
        }
    }
}

impl Error {
    /// A request field that is wrong, and what would be right.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            description: description.into(),
        }
    }

    /// How long the registry asked to be left alone, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Registry(RegistryError::Unreachable { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }

    /// A state file that cannot be read or written.
    pub fn state(path: &Path, reason: impl ToString) -> Self {
        Self::State {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

impl From<ModelError> for Error {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Invalid { field, reason } => Self::invalid(field, reason),
            ModelError::MissingInput { input, reason } => Self::NeedsInput {
                input,
                description: reason,
            },
            ModelError::Unsupported { feature, reason } => Self::Unsupported {
                feature,
                description: reason,
            },
            other => Self::Internal(other.to_string()),
        }
    }
}
