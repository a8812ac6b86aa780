//! Why a Prometheus was not asked, or did not answer as it must.

use thiserror::Error as ThisError;

/// A shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong; the variant says who can help, [`Error::remedy`] says how.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be asked, refuses, or answers in part.
    #[error("{what}")]
    Source {
        /// In lowercase, naming the place.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// What it answers is not what is needed.
    #[error("{what}")]
    Data {
        /// In lowercase, naming the entry.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// A flag asks for what cannot be.
    #[error("{what}")]
    Settings {
        /// In lowercase, naming the flag.
        what: String,
        /// What to do about it.
        remedy: String,
    },
}

impl Error {
    pub(crate) fn source(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self::Source { what, remedy }
    }

    pub(crate) fn data(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self::Data { what, remedy }
    }

    pub(crate) fn settings(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self::Settings { what, remedy }
    }

    /// What to do about it; never empty.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self {
            Self::Source { remedy, .. }
            | Self::Data { remedy, .. }
            | Self::Settings { remedy, .. } => remedy,
        }
    }
}
