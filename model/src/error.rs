//! The crate's one error: variants by what the caller can do.

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input is wrong. Mend the named field.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field, as the user knows it.
        field: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The model cannot know that by itself. Give it.
    #[error("{input} is needed: {reason}")]
    MissingInput {
        /// The column: `cap`, `floor`, `regressors.NAME`, `conditions.NAME` or `holidays`.
        input: String,
        /// What it is for and what to give.
        reason: String,
    },
    /// This build cannot do that, whatever the input.
    #[error("{feature} is not supported: {reason}")]
    Unsupported {
        /// What was asked for.
        feature: String,
        /// Why, and what to do instead.
        reason: String,
    },
    /// Bytes that should be an artifact are none. Get the artifact again.
    #[error("{what} is corrupt: {reason}")]
    Corrupt {
        /// The file.
        what: &'static str,
        /// Where it stops making sense.
        reason: String,
    },
    /// There is too little history. Wait, or widen the window.
    #[error("not enough data: {reason}")]
    NotEnoughData {
        /// How much there is and how much it takes.
        reason: String,
    },
    /// The model says something that is not a finite number. Do not use it.
    #[error("the forecast is not finite: {reason}")]
    NonFinite {
        /// Where.
        reason: String,
    },
    /// The fit did not end in parameters. Look at the data.
    #[error("the fit failed: {reason}")]
    FitFailed {
        /// Why.
        reason: String,
    },
}

impl Error {
    /// An input that is wrong, and what would be right.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field: field.into(),
            reason: reason.into(),
        }
    }

    /// A column that the model needs, and what to give.
    pub fn missing(input: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::MissingInput {
            input: input.into(),
            reason: reason.into(),
        }
    }

    /// Something this build cannot do, and what to do instead.
    pub fn unsupported(feature: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            feature: feature.into(),
            reason: reason.into(),
        }
    }
}
