//! The trainer's one error: what went wrong, and what the reader can do about it.

use loadcast_model::error::Error as ModelError;
use thiserror::Error as ThisError;

/// A shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the trainer stopped. The variant says who can help; [`Error::remedy`] says how.
///
/// Messages are lowercase, name the field or place, and carry no remedy: the command line prints
/// the message on the first line and the remedy on the next.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// An input cannot be read: name another place, or make it readable.
    #[error("{0}")]
    Source(Reason),
    /// Rows are not what they must be: name other columns, or repair the data.
    #[error("{0}")]
    Data(Reason),
    /// A flag or a file of settings asks for what cannot be: change it.
    #[error("{0}")]
    Settings(Reason),
    /// A model could not be fitted, read or trusted: change the spec or the data.
    #[error("{0}")]
    Model(Reason),
    /// Models were judged well, and are not promoted before a human has looked.
    #[error("{0}")]
    Held(Reason),
    /// The server did not take the model: start it, wait, or settle the conflict it names.
    #[error("{0}")]
    Server(Reason),
    /// A result cannot be written: choose another place.
    #[error("{0}")]
    Output(Reason),
}

/// What went wrong, and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    what: String,
    remedy: String,
}

impl Reason {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (what, remedy) = (what.into(), remedy.into());
        Self { what, remedy }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<loadcast_prometheus::error::Error> for Error {
    fn from(error: loadcast_prometheus::error::Error) -> Self {
        use loadcast_prometheus::error::Error as Prometheus;
        let reason = Reason::new(error.to_string(), error.remedy());
        match error {
            Prometheus::Data { .. } => Self::Data(reason),
            Prometheus::Settings { .. } => Self::Settings(reason),
            _ => Self::Source(reason),
        }
    }
}

impl Error {
    pub(crate) fn source(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Source(Reason::new(what, remedy))
    }

    pub(crate) fn data(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Data(Reason::new(what, remedy))
    }

    pub(crate) fn settings(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Settings(Reason::new(what, remedy))
    }

    pub(crate) fn model(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Model(Reason::new(what, remedy))
    }

    pub(crate) fn server(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Server(Reason::new(what, remedy))
    }

    pub(crate) fn held(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Held(Reason::new(what, remedy))
    }

    pub(crate) fn output(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Output(Reason::new(what, remedy))
    }

    /// An error of the model crate, with the remedy that a user of this one has.
    pub(crate) fn of_model(error: ModelError) -> Self {
        let what = error.to_string();
        match error {
            ModelError::Invalid { .. } | ModelError::Unsupported { .. } => Self::settings(
                what,
                "change what it names: in --spec, in the flags, or in the model that was given",
            ),
            ModelError::MissingInput { .. } => {
                Self::data(what, "add it to the data, or leave it out of --spec")
            }
            ModelError::NotEnoughData { .. } => Self::data(what, "give a longer history"),
            ModelError::Corrupt { .. } => {
                Self::model(what, "get the artifact again from where it came from")
            }
            _ => Self::model(
                what,
                "look for extreme values in the data, or leave out seasonalities with --spec",
            ),
        }
    }

    /// An instant that no calendar has.
    pub(crate) fn outside_calendar(seconds: i64) -> Self {
        Self::data(
            format!("the last observation, {seconds} s since 1970, is outside the calendar"),
            "check the time column",
        )
    }

    /// The same error with a series, file or other place in front.
    pub(crate) fn of_place(mut self, place: &str) -> Self {
        let reason = self.reason_mut();
        reason.what = format!("{place}: {}", reason.what);
        self
    }

    fn reason_mut(&mut self) -> &mut Reason {
        match self {
            Self::Source(reason)
            | Self::Data(reason)
            | Self::Settings(reason)
            | Self::Model(reason)
            | Self::Held(reason)
            | Self::Server(reason)
            | Self::Output(reason) => reason,
        }
    }

    /// What to do about it; never empty.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self {
            Self::Source(reason)
            | Self::Data(reason)
            | Self::Settings(reason)
            | Self::Model(reason)
            | Self::Held(reason)
            | Self::Server(reason)
            | Self::Output(reason) => &reason.remedy,
        }
    }
}
