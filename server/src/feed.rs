//! What subscribers see, before it becomes wire: model events in order ([`models`]), latest forecasts ([`forecasts`]).
//!
//! A feed reads the cache and the event log at its own position whenever its stream is polled. It owns no queue: a
//! subscriber that does not read is not polled, costs nothing and delays nobody.

mod due;
pub mod forecasts;
pub mod models;
mod reader;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use loadcast_model::series::SeriesName;
use uuid::Uuid;

use crate::{
    cache::Cache,
    error::{Error, Gap, Result},
    served::{Served, State},
    token::Token,
};

/// On an idle stream a bookmark is sent this long after the last message.
pub const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With a snapshot, and why when a continuation was asked for.
    Snapshot(Option<Gap>),
    /// After everything up to this position, which was sent.
    After(Position),
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Everything that was committed up to here was sent.
    pub revision: u64,
    /// As of this epoch second, where time matters to the stream; else 0.
    pub second: i64,
    /// False inside a snapshot: what was sent is no base to continue from.
    pub complete: bool,
}

/// What a client holds already; a snapshot at the beginning need not carry it.
pub type KnownVersions = BTreeMap<SeriesName, Known>;

/// A version that the client holds already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The registry's number.
    pub version: u64,
    /// Of its model.pr.
    pub sha256: String,
}

impl Known {
    /// What a client holds that was sent `served`.
    pub(crate) fn of(served: &Served) -> Self {
        Self {
            version: served.version,
            sha256: served.loaded.metadata().sha256.clone(),
        }
    }
}

/// Where a stream with `token` begins in `cache` now. `filter` tells apart what was asked.
///
/// # Errors
/// [`Error::Invalid`] for a token that is none; [`Error::Gap`] for one that cannot be continued, unless
/// `snapshot_on_gap`.
pub fn start(cache: &Cache, filter: u32, token: &str, snapshot_on_gap: bool) -> Result<Start> {
    if token.is_empty() {
        return Ok(Start::Snapshot(None));
    }
    let token = Token::decode(token)?;
    let state = cache.state();
    let gap = match token.check(state.epoch, state.revision, filter) {
        Ok(()) if !token.complete => return Ok(Start::Snapshot(None)),
        Ok(()) => match cache.events_after(token.revision, 1) {
            Ok(_) => {
                return Ok(Start::After(Position {
                    revision: token.revision,
                    second: token.second,
                    complete: true,
                }));
            }
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

/// A state whose every event can be read. A state is visible an instant before its event is.
async fn settled(cache: &Cache) -> Arc<State> {
    let state = cache.state();
    if cache.log().newest() < state.revision {
        // Fails only when the cache is gone, and we hold it.
        let _ = cache
            .subscribe()
            .wait_for(|revision| *revision >= state.revision)
            .await;
    }
    state
}

/// How long a client that is sent away should wait: between 0.1 and 2 s, spread so that they do not all come at once.
fn retry_after() -> Duration {
    let spread = Uuid::new_v4().as_u128() % 1_900;
    Duration::from_millis(100 + u64::try_from(spread).unwrap_or(0))
}
