//! What operators order: move an alias, go back, retire. In the registry first, then here; a registry that does not
//! answer leaves everything as it is.

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::{CANDIDATE, Tombstone};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    event::Reason,
    obtain::obtain,
    publish::Publisher,
    served::{Change, RETIRED, not_served},
};

/// Where an order ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The version that was meant; 0 for a retirement.
    pub version: u64,
    /// The revision of what is served from now on; 0 when the order was about an alias that is not followed.
    pub revision: u64,
    /// The history.
    pub epoch: Uuid,
}

impl Publisher {
    /// Points `alias` of `series` at `version`; serves it when it is the followed alias, and revives the series when it
    /// was retired; loads it beside what is served when the alias is `candidate`. A version kept in memory takes no download.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is no such version, the alias is not at `expected`, or the registry does not
    /// answer; [`Error::Rejected`] when the version cannot be served. The alias has then not moved.
    pub async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
        traceparent: String,
    ) -> Result<Moved> {
        let _lane = self.lanes.enter(series).await;
        if alias != self.followed_alias {
            let candidate = if alias == CANDIDATE {
                Some(obtain(&self.cache, &*self.registry, series, version).await?)
            } else {
                None
            };
            self.move_alias(series, alias, version, expected).await?;
            if let Some(obtained) = candidate {
                self.try_beside(&obtained, version);
            }
            return Ok(Moved {
                version,
                revision: 0,
                epoch: self.cache.state().epoch,
            });
        }
        self.follow(series, version, expected, traceparent).await
    }

    /// Serves the version that was served before `version`, or `version` itself when it is not 0.
    ///
    /// # Errors
    /// [`Error::UnknownSeries`] when the series is not served, [`Error::NoPreviousVersion`] when there is nothing to go
    /// back to; and as [`Publisher::set_alias`].
    pub async fn rollback(
        &self,
        series: &SeriesName,
        version: u64,
        traceparent: String,
    ) -> Result<Moved> {
        let _lane = self.lanes.enter(series).await;
        let entry = self.cache.entry(series);
        let served = entry
            .as_deref()
            .and_then(|entry| entry.served.as_deref())
            .ok_or_else(|| not_served(series, entry.as_deref()))?;
        let version = match version {
            0 => served.previous_version,
            named => named,
        };
        if version == 0 {
            return Err(Error::NoPreviousVersion {
                series: series.clone(),
                served: served.version,
            });
        }
        self.follow(series, version, None, traceparent).await
    }

    /// Lays a tombstone on `series` and stops serving it. [`Publisher::set_alias`] revives it; a push does not.
    ///
    /// # Errors
    /// [`Error::Registry`] when it is not known there, or the registry does not answer.
    pub async fn retire(
        &self,
        series: &SeriesName,
        reason: String,
        traceparent: String,
    ) -> Result<Moved> {
        let _lane = self.lanes.enter(series).await;
        let tombstone = Tombstone {
            reason: reason.clone(),
            at: self.cache.clock().now(),
        };
        self.registry.retire(series, tombstone).await?;
        let change = Change::Remove {
            series: series.clone(),
            reason: Reason::new(RETIRED, reason),
        };
        let committed = self.cache.commit(change, traceparent).await?;
        self.cache.discard(self.cache.candidates().retire(series));
        self.aspirations.supersede(series);
        Ok(Moved {
            version: 0,
            revision: committed.revision,
            epoch: committed.epoch,
        })
    }

    /// Moves the followed alias, in the registry and then here. What cannot be served is found out before it moves.
    async fn follow(
        &self,
        series: &SeriesName,
        version: u64,
        expected: Option<u64>,
        traceparent: String,
    ) -> Result<Moved> {
        let obtained = obtain(&self.cache, &*self.registry, series, version).await?;
        self.move_alias(series, &self.followed_alias, version, expected)
            .await?;
        self.registry.revive(series).await?;
        self.serve(series, obtained, version, traceparent).await?;
        let published = self.published(series, version, true);
        Ok(Moved {
            version,
            revision: published.revision,
            epoch: published.epoch,
        })
    }
}
