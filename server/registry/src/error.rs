//! What can go wrong between us and a registry, by what the caller can do about it.

use std::time::Duration;

use loadcast_model::series::SeriesName;

/// An error of a registry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not there. Ask for something else.
    #[error("{what} is not in the registry")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The same idempotency key came with other bytes. Use a new key.
    #[error(
        "idempotency key of {series} was used for version {version} with sha256 {sha256}; other bytes need another key"
    )]
    KeyReused {
        /// The series.
        series: SeriesName,
        /// The version that the key made.
        version: u64,
        /// The digest of that version's model.pr.
        sha256: String,
    },
    /// The alias is elsewhere than the caller believed. Look again, then decide.
    #[error("alias {alias} of {series} is at version {actual}, not {expected} (0: none)")]
    AliasMoved {
        /// The series.
        series: SeriesName,
        /// The alias.
        alias: String,
        /// What the caller expected; 0 for none.
        expected: u64,
        /// Where it is; 0 for none.
        actual: u64,
    },
    /// What is stored is not what was registered. The version cannot be used.
    #[error("{what} is damaged in the registry: {reason}")]
    Corrupt {
        /// The object.
        what: String,
        /// Why it cannot be right.
        reason: String,
    },
    /// Another server holds this registry. One writer at a time.
    #[error("registry {url} is held by another server; stop it or choose another --registry")]
    Locked {
        /// The registry.
        url: String,
    },
    /// The URL names no registry that this build knows.
    #[error("--registry {url}: {reason}")]
    InvalidUrl {
        /// The URL as given.
        url: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The registry does not answer, answers what no registry would, or its disk refuses. Try again later.
    #[error("registry unreachable: {reason}")]
    Unreachable {
        /// What it or the system said.
        reason: String,
        /// How long it asked to be left alone; `None` when it did not say.
        retry_after: Option<Duration>,
    },
    /// The registry knows us not, or forbids it. Mend the credentials or the permissions.
    #[error("registry refuses access: {reason}")]
    Denied {
        /// What it said, and which credentials were shown.
        reason: String,
    },
    /// The registry understood, and will never take it. Mend what is asked.
    #[error("registry refuses: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// This registry is opened to be followed only. Write to it by the server that may.
    #[error(
        "registry {url} is read-only here; push to the server that writes to it, or start this one without --read-only-registry"
    )]
    ReadOnly {
        /// The registry.
        url: String,
    },
    /// What is stored is whole, and of a kind that no server of ours can serve. Log it as another kind.
    #[error("{what} cannot be served: {reason}")]
    Unsupported {
        /// The version.
        what: String,
        /// Why, and how to log it instead.
        reason: String,
    },
    /// The version is still being made. Try again later.
    #[error("{what} is not ready: {reason}")]
    NotReady {
        /// The version.
        what: String,
        /// What the registry says of it.
        reason: String,
    },
}

/// A result of a registry.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// [`Error::Unreachable`] of a registry that did not say when to come back.
    pub fn unreachable(reason: impl ToString) -> Self {
        Self::Unreachable {
            reason: reason.to_string(),
            retry_after: None,
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as Store;
        match error {
            Store::NotFound { path, .. } => Self::NotFound { what: path },
            Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => Self::Denied {
                reason: error.to_string(),
            },
            // A refused listing is generic to object_store, and its status is only in its words.
            other if is_refusal(&other.to_string()) => Self::Denied {
                reason: other.to_string(),
            },
            other => Self::unreachable(other),
        }
    }
}

fn is_refusal(words: &str) -> bool {
    ["401", "403"]
        .iter()
        .any(|code| words.contains(&format!("status code: {code}")))
}
