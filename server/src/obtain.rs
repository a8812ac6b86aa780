//! A version that may be served: from memory where it is kept, else from the registry.

use std::sync::Arc;

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;

use crate::{
    cache::Cache,
    error::{Error, Result},
    load::Loaded,
};

/// `version` of `series`. One that is kept in memory takes no download; any other is fetched, and verified and warmed off
/// the serving threads.
///
/// # Errors
/// [`Error::Registry`] when it cannot be fetched, [`Error::Rejected`] when it cannot be served.
pub async fn obtain(
    cache: &Cache,
    registry: &dyn Registry,
    series: &SeriesName,
    version: u64,
) -> Result<Arc<Loaded>> {
    if let Some(kept) = cache.version(series, version) {
        return Ok(Arc::clone(&kept.loaded));
    }
    let stored = registry.fetch(series, version).await?;
    let verify = move || Loaded::verify(stored.manifest.metadata, &stored.model_pr);
    tokio::task::spawn_blocking(verify)
        .await
        .map_err(|error| Error::Internal(format!("a load died: {error}")))?
        .map(Arc::new)
}
