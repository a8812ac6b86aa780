//! Following the registry: the second inlet to the cache. Decides purely ([`plan`]), acts thinly ([`Refresher`]).

use std::{sync::Arc, time::Duration};

use loadcast_model::series::SeriesName;
use loadcast_registry::{
    error::Error as RegistryError,
    registry::{Aspired, Registry},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cache::Cache,
    error::{Error, Result},
    event::Reason,
    lanes::Lanes,
    load::Loaded,
    served::{Change, State},
};

/// What to do about one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Fetch, verify and serve this version.
    Load {
        /// The series.
        series: SeriesName,
        /// The version that the alias points at.
        version: u64,
    },
}

/// What makes `served` what `aspired` says. Nothing is unloaded: a series that is not listed goes on being served, for
/// an alias that disappeared is a question to a human and not an order.
pub fn plan(served: &State, aspired: &[Aspired]) -> Vec<Action> {
    aspired
        .iter()
        .filter(|aspired| {
            let Some(entry) = served.entries.get(&aspired.series) else {
                return true;
            };
            let is_served = entry
                .served
                .as_ref()
                .is_some_and(|current| current.version == aspired.version);
            let is_refused = entry
                .rejection
                .as_ref()
                .is_some_and(|last| last.version == aspired.version);
            !is_served && !is_refused
        })
        .map(|aspired| Action::Load {
            series: aspired.series.clone(),
            version: aspired.version,
        })
        .collect()
}

/// Follows one alias of a registry.
#[derive(Debug, Clone)]
pub struct Refresher {
    cache: Arc<Cache>,
    registry: Arc<dyn Registry>,
    lanes: Arc<Lanes>,
    alias: String,
}

impl Refresher {
    /// A refresher of `cache` that follows `alias` in `registry`.
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<dyn Registry>,
        lanes: Arc<Lanes>,
        alias: String,
    ) -> Self {
        Self {
            cache,
            registry,
            lanes,
            alias,
        }
    }

    /// Refreshes every `interval` until `stop`.
    pub async fn run(self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::error!(%error, "a refresh could not be committed");
            }
        }
    }

    /// Looks once, and acts on what it sees. A registry that does not answer is told of, and changes nothing.
    ///
    /// # Errors
    /// [`Error::State`] when a change cannot be made durable.
    pub async fn refresh(&self) -> Result<()> {
        let aspired = match self.registry.aspired(&self.alias).await {
            Ok(aspired) => aspired,
            Err(error) => {
                let message = error.to_string();
                let change = Change::RegistryUnreachable { message };
                return self.cache.commit(change, String::new()).await.map(drop);
            }
        };
        self.cache.registry_answered();
        if self.cache.state().registry_unreachable.is_some() {
            self.cache
                .commit(Change::RegistryBack, String::new())
                .await?;
        }
        for Action::Load { series, .. } in plan(&self.cache.state(), &aspired) {
            self.load(&series).await?;
        }
        Ok(())
    }

    /// Serves what the alias of `series` points at now, which may be newer than the listing.
    async fn load(&self, series: &SeriesName) -> Result<()> {
        let _lane = self.lanes.enter(series).await;
        let fetched = match self.registry.alias(series, &self.alias).await {
            Ok(Some(version)) => (version, self.registry.fetch(series, version).await),
            Ok(None) => return Ok(()),
            Err(error) => (0, Err(error)),
        };
        let (version, stored) = match fetched {
            (version, Ok(stored)) => (version, stored),
            (version, Err(error)) => return self.refuse(series, version, &error).await,
        };
        let sha256 = stored.manifest.metadata.sha256.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            Loaded::verify(stored.manifest.metadata, &stored.model_pr)
        })
        .await
        .map_err(|error| Error::Internal(format!("a load died: {error}")))?;
        let change = match loaded {
            Ok(loaded) => Change::Serve {
                loaded: Box::new(loaded),
                version,
                alias: self.alias.clone(),
            },
            Err(Error::Rejected {
                code, description, ..
            }) => Change::Reject {
                series: series.clone(),
                version,
                sha256,
                reasons: vec![Reason::new(code, description)],
                scores: None,
            },
            Err(error) => return Err(error),
        };
        self.cache.commit(change, String::new()).await.map(drop)
    }

    /// A damaged or missing version is refused by name; a registry that stopped answering is tried again next time.
    async fn refuse(&self, series: &SeriesName, version: u64, error: &RegistryError) -> Result<()> {
        let code = match error {
            RegistryError::Corrupt { .. } => "CORRUPT",
            RegistryError::NotFound { .. } => "VERSION_MISSING",
            _ => {
                tracing::warn!(%series, version, %error, "cannot fetch; trying again at the next poll");
                return Ok(());
            }
        };
        let change = Change::Reject {
            series: series.clone(),
            version,
            sha256: String::new(),
            reasons: vec![Reason::new(code, error.to_string())],
            scores: None,
        };
        self.cache.commit(change, String::new()).await.map(drop)
    }
}
