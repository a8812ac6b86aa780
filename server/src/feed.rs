//! What subscribers see, before it becomes wire: model events in order ([`models`]), latest forecasts ([`forecasts`]).
//!
//! A feed reads the cache and the event log at its own position whenever its stream is polled. It owns no queue: a
//! subscriber that does not read is not polled, costs nothing and delays nobody.

pub mod forecasts;
pub mod models;

use std::time::Duration;

use uuid::Uuid;

use crate::{
    cache::Cache,
    error::{Error, Gap, Result},
    selector::Selector,
    token::Token,
};

/// On an idle stream a bookmark is sent this long after the last message.
pub const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With a snapshot, and why when a continuation was asked for.
    Snapshot(Option<Gap>),
    /// After this revision.
    After(u64),
}

/// A version that the client holds already; a snapshot need not carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The registry's number.
    pub version: u64,
    /// Of its model.pr.
    pub sha256: String,
}

/// Where a stream with `token` begins in `cache` now.
///
/// # Errors
/// [`Error::Invalid`] for a token that is none; [`Error::Gap`] for one that cannot be continued, unless
/// `snapshot_on_gap`.
pub fn start(
    cache: &Cache,
    selector: &Selector,
    token: &str,
    snapshot_on_gap: bool,
) -> Result<Start> {
    if token.is_empty() {
        return Ok(Start::Snapshot(None));
    }
    let token = Token::decode(token)?;
    let state = cache.state();
    let gap = match token.check(state.epoch, state.revision, selector.fingerprint()) {
        Ok(()) if !token.complete => return Ok(Start::Snapshot(None)),
        Ok(()) => match cache.events_after(token.revision, 1) {
            Ok(_) => return Ok(Start::After(token.revision)),
            Err(gap) => gap,
        },
        Err(Error::Gap { gap }) => gap,
        Err(error) => return Err(error),
    };
    if snapshot_on_gap {
        Ok(Start::Snapshot(Some(gap)))
    } else {
        Err(Error::Gap { gap })
    }
}

/// How long a client that is sent away should wait: between 0.1 and 2 s, spread so that they do not all come at once.
fn retry_after() -> Duration {
    let spread = Uuid::new_v4().as_u128() % 1_900;
    Duration::from_millis(100 + u64::try_from(spread).unwrap_or(0))
}
