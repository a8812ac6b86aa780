//! Why a command failed: the reason in the first line, the remedy after it.

use std::io;
use std::process::ExitCode;

use loadcast_client::Error;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server, or the way to it.
    #[error(transparent)]
    Client(#[from] Error),

    /// What was given makes no sense: the reason, and the remedy in the next line.
    #[error("{0}")]
    Input(String),

    /// Results could not be written.
    #[error("cannot write the result: {0}\nis the disk full?")]
    Output(#[from] io::Error),

    /// A patch would not say what it changes.
    #[error("no patch can be written: {reason}\n{remedy}")]
    NoPatch { reason: String, remedy: String },

    /// A file that was named cannot be used.
    #[error("{path}: {why}")]
    File { path: String, why: String },

    /// What was checked does not hold; what follows from it is on stdout.
    #[error("{0}\nthe remedy stands beside each reason on stdout")]
    Check(String),

    /// A watch was to see so many events and did not.
    #[error(
        "saw {seen} of {wanted} events in time, and {owed} new forecasts are missing\n\
         give it longer with --timeout, or check the selection"
    )]
    TooFewEvents { seen: u64, wanted: u64, owed: usize },
}

impl Failure {
    /// Nobody reads the output any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// 2 for what the user mistyped, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Client(Error::InvalidAddress { .. }) | Self::File { .. } => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

/// JSON of our own types fails only where writing does.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}
