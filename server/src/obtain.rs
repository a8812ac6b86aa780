//! A version that may be served: from memory where it is kept, else from the registry.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;

use crate::{
    cache::Cache,
    error::{Error, Result},
    load::Loaded,
};

/// A version that may be served, and from when on.
#[derive(Debug, Clone)]
pub struct Obtained {
    /// What answers.
    pub loaded: Arc<Loaded>,
    /// Not before this; `None` for one that was served before.
    pub activate_at: Option<Timestamp>,
}

/// `version` of `series`. One that is kept in memory, or is the candidate there, takes no download; any other is fetched, and verified and warmed off
/// the serving threads.
///
/// # Errors
/// [`Error::Registry`] when it cannot be fetched, [`Error::Rejected`] when it cannot be served.
pub async fn obtain(
    cache: &Cache,
    registry: &dyn Registry,
    series: &SeriesName,
    version: u64,
) -> Result<Obtained> {
    if let Some(kept) = cache.version(series, version) {
        return Ok(Obtained {
            loaded: Arc::clone(&kept.loaded),
            activate_at: None,
        });
    }
    if let Some(candidate) = cache.candidates().obtain(series, version) {
        return Ok(candidate);
    }
    let stored = registry.fetch(series, version).await?;
    let activate_at = stored.manifest.activate_at;
    let verify = move || Loaded::verify(stored.manifest.metadata, &stored.model_pr);
    let verified = tokio::task::spawn_blocking(verify)
        .await
        .map_err(|error| Error::Internal(format!("a load died: {error}")))?;
    Ok(Obtained {
        loaded: Arc::new(verified?),
        activate_at,
    })
}
