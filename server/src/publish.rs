//! A push: verified, made durable in the registry, then served; in that order.

use std::sync::Arc;

use bytes::Bytes;
use loadcast_model::artifact::Metadata;
use loadcast_registry::{
    error::Error as RegistryError,
    registry::{Attachment, NewVersion, Registry},
};
use uuid::Uuid;

use crate::{
    cache::Cache,
    error::{Error, Result},
    event::Reason,
    lanes::Lanes,
    load::Loaded,
    served::Change,
};

/// A complete push, as it arrived.
#[derive(Debug)]
pub struct Push {
    /// The content of loadcast.json, digest and size as announced.
    pub metadata: Metadata,
    /// The idempotency key.
    pub key: String,
    /// The alias to move; `None` moves none.
    pub alias: Option<String>,
    /// Where that alias must be now; 0: nowhere; `None`: wherever.
    pub expected_version: Option<u64>,
    /// The bytes of model.pr.
    pub model_pr: Bytes,
    /// Reports and plots.
    pub attachments: Vec<Attachment>,
    /// The trace that the push is part of.
    pub traceparent: String,
}

/// Where a push ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The registry's number.
    pub version: u64,
    /// The revision at which it is served; 0 when no followed alias was moved.
    pub revision: u64,
    /// The history.
    pub epoch: Uuid,
    /// The key had been pushed before.
    pub already_registered: bool,
}

/// Takes pushes: the first of the two inlets to the cache.
#[derive(Debug, Clone)]
pub struct Publisher {
    cache: Arc<Cache>,
    registry: Arc<dyn Registry>,
    lanes: Arc<Lanes>,
    followed_alias: String,
}

impl Publisher {
    /// A publisher into `cache` by way of `registry`; versions under `followed_alias` are served.
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<dyn Registry>,
        lanes: Arc<Lanes>,
        followed_alias: String,
    ) -> Self {
        Self {
            cache,
            registry,
            lanes,
            followed_alias,
        }
    }

    /// Registers and serves `push`. Answers once the version is durable and served.
    ///
    /// # Errors
    /// [`Error::Rejected`] for an artifact that cannot be served (an event tells of it); [`Error::Registry`] when the
    /// key was used for other bytes, the alias is elsewhere than expected, or the registry does not answer.
    pub async fn publish(&self, push: Push) -> Result<Published> {
        let series = push.metadata.series.name.clone();
        let _lane = self.lanes.enter(&series).await;
        let loaded = self.load(&push).await?;
        if let (Some(alias), Some(expected)) = (&push.alias, push.expected_version) {
            let actual = self.registry.alias(&series, alias).await?.unwrap_or(0);
            if actual != expected && !self.is_retry(&push, actual).await? {
                return Err(RegistryError::AliasMoved {
                    series,
                    alias: alias.clone(),
                    expected,
                    actual,
                }
                .into());
            }
        }
        let registered = self
            .registry
            .register(NewVersion {
                metadata: push.metadata,
                key: push.key,
                model_pr: push.model_pr,
                attachments: push.attachments,
                registered_at: self.cache.clock().now(),
            })
            .await?;
        let version = registered.version;
        if let Some(alias) = &push.alias {
            self.registry
                .set_alias(&series, alias, version, None)
                .await?;
        }
        let state = self.cache.state();
        let mut published = Published {
            version,
            revision: 0,
            epoch: state.epoch,
            already_registered: registered.already_registered,
        };
        if push.alias.as_deref() == Some(self.followed_alias.as_str()) {
            let serve = Change::Serve {
                loaded: Box::new(loaded),
                version,
                alias: self.followed_alias.clone(),
            };
            let committed = self.cache.commit(serve, push.traceparent).await?;
            published.revision = self
                .cache
                .get(&series)
                .map_or(committed.revision, |served| served.revision);
            published.epoch = committed.epoch;
        }
        Ok(published)
    }

    /// Verifies and restores off the serving threads; a refusal is told of in an event.
    async fn load(&self, push: &Push) -> Result<Loaded> {
        let (metadata, model_pr) = (push.metadata.clone(), push.model_pr.clone());
        let loaded = tokio::task::spawn_blocking(move || Loaded::verify(metadata, &model_pr))
            .await
            .map_err(|error| Error::Internal(format!("a load died: {error}")))?;
        if let Err(Error::Rejected {
            series,
            code,
            description,
        }) = &loaded
        {
            let reject = Change::Reject {
                series: series.clone(),
                version: 0,
                sha256: push.metadata.sha256.clone(),
                reasons: vec![Reason::new(*code, description.clone())],
                scores: push.metadata.scores.clone(),
            };
            self.cache.commit(reject, push.traceparent.clone()).await?;
        }
        loaded
    }

    /// Whether the alias is where it is because this very push put it there.
    async fn is_retry(&self, push: &Push, actual: u64) -> Result<bool> {
        if actual == 0 {
            return Ok(false);
        }
        let made = self
            .registry
            .fetch(&push.metadata.series.name, actual)
            .await?;
        Ok(made.manifest.key == push.key && made.manifest.metadata.sha256 == push.metadata.sha256)
    }
}
