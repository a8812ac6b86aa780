//! What cannot be loaded: for ever, which is told of in an event, or for now.

use loadcast_model::series::SeriesName;
use loadcast_registry::error::Error as RegistryError;

use super::Inner;
use crate::{
    error::{Error, Result},
    event::Reason,
    served::Change,
};

impl Inner {
    /// Refuses by name, in an event, a version that can never be served, or answer `beside` what is served; the message is
    /// returned. What may go better another time is handed back.
    pub(super) async fn reject(
        &self,
        series: &SeriesName,
        version: u64,
        beside: bool,
        error: Error,
    ) -> Result<String> {
        let Some(code) = refusal(&error) else {
            return Err(error);
        };
        let message = error.to_string();
        let change = Change::Reject {
            series: series.clone(),
            version,
            sha256: String::new(),
            reasons: vec![Reason::new(code, message.clone())],
            scores: None,
            beside,
        };
        self.cache.commit(change, String::new()).await?;
        Ok(message)
    }
}

/// The reason code of a version that can never be served; `None` for what may go better another time.
fn refusal(error: &Error) -> Option<&'static str> {
    match error {
        Error::Rejected { code, .. } => Some(code),
        Error::Registry(RegistryError::Corrupt { .. }) => Some("CORRUPT"),
        Error::Registry(RegistryError::NotFound { .. }) => Some("VERSION_MISSING"),
        Error::Registry(RegistryError::Unsupported { .. }) => Some("UNSUPPORTED"),
        _ => None,
    }
}

/// Whether the version is still being made: asked for again at every poll.
pub(super) fn is_not_ready(error: &Error) -> bool {
    matches!(error, Error::Registry(RegistryError::NotReady { .. }))
}
