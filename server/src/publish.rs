//! A push: verified, made durable in the registry, then served; in that order. `moves` are the operators' commands.

mod moves;

pub use moves::Moved;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::{artifact::Metadata, series::SeriesName};
use loadcast_registry::{
    error::Error as RegistryError,
    registry::{Attachment, CANDIDATE, NewVersion, Registry},
};
use uuid::Uuid;

use crate::{
    aspired::{Aspiration, Aspirations, Progress},
    cache::Cache,
    error::{Error, Result},
    event::Reason,
    lanes::Lanes,
    load::Loaded,
    obtain::Obtained,
    retention::Retention,
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
    /// When it is to begin to be served; `None`: at once.
    pub activate_at: Option<Timestamp>,
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
    /// The revision at which it is served; 0 when it is not.
    pub revision: u64,
    /// The history.
    pub epoch: Uuid,
    /// The key had been pushed before.
    pub already_registered: bool,
}

/// Takes pushes and operators' commands: the first of the two inlets to the cache.
#[derive(Debug, Clone)]
pub struct Publisher {
    cache: Arc<Cache>,
    registry: Arc<dyn Registry>,
    lanes: Arc<Lanes>,
    aspirations: Arc<Aspirations>,
    followed_alias: String,
    poll_interval: Duration,
    retention: Arc<Retention>,
}

impl Publisher {
    /// A publisher into `cache` by way of `registry`; versions under `followed_alias` are served. Other servers look for them
    /// every `poll_interval`.
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<dyn Registry>,
        lanes: Arc<Lanes>,
        aspirations: Arc<Aspirations>,
        followed_alias: String,
        poll_interval: Duration,
    ) -> Self {
        Self {
            cache,
            registry,
            lanes,
            aspirations,
            followed_alias,
            poll_interval,
            retention: Arc::default(),
        }
    }

    /// The same publisher, which tells `retention` of every push.
    #[must_use]
    pub fn with_retention(mut self, retention: Arc<Retention>) -> Self {
        self.retention = retention;
        self
    }

    /// Registers and serves `push`. Answers once the version is durable and served.
    ///
    /// The same key and bytes again give the same version; what the first push left undone is done, what was done since
    /// (a rollback, a newer version) is not undone.
    ///
    /// # Errors
    /// [`Error::Rejected`] for an artifact that cannot be served (an event tells of it); [`Error::Retired`] for a retired
    /// series; [`Error::Registry`] when the key was used for other bytes, the alias is elsewhere than expected, or the
    /// registry does not answer.
    pub async fn publish(&self, push: Push) -> Result<Published> {
        let series = push.metadata.series.name.clone();
        let _lane = self.lanes.enter(&series).await;
        if let Some(tombstone) = self.registry.tombstone(&series).await? {
            return Err(Error::Retired {
                series,
                reason: tombstone.reason,
            });
        }
        let made = self.registry.made_by(&series, &push.key).await?;
        if let Some(made) = &made
            && made.sha256 != push.metadata.sha256
        {
            return Err(RegistryError::KeyReused {
                series,
                version: made.version,
                sha256: made.sha256.clone(),
            }
            .into());
        }
        if let Some(made) = made.as_ref().filter(|made| made.completed) {
            return Ok(self.published(&series, made.version, true));
        }
        if made.is_none() {
            self.check_activation(&push)?;
        }
        let loaded = self.load(&push).await?;
        // Before anything is registered, so that a push that comes too late leaves nothing.
        let mut observed = None;
        if let (Some(alias), Some(expected)) = (&push.alias, push.expected_version) {
            let actual = self.registry.alias(&series, alias).await?.unwrap_or(0);
            let is_ours = made.is_some_and(|made| made.version == actual);
            if actual != expected && !is_ours {
                return Err(RegistryError::AliasMoved {
                    series,
                    alias: alias.clone(),
                    expected,
                    actual,
                }
                .into());
            }
            observed = Some(actual);
        }
        let registered = self
            .registry
            .register(NewVersion {
                metadata: push.metadata,
                key: push.key,
                model_pr: push.model_pr,
                attachments: push.attachments,
                registered_at: self.cache.clock().now(),
                activate_at: push.activate_at,
            })
            .await?;
        let version = registered.version;
        if let Some(alias) = &push.alias {
            self.move_alias(&series, alias, version, observed).await?;
        }
        let obtained = Obtained {
            loaded,
            activate_at: push.activate_at,
        };
        match push.alias.as_deref() {
            Some(alias) if alias == self.followed_alias => {
                self.serve(&series, obtained, version, push.traceparent)
                    .await?;
            }
            Some(CANDIDATE) => self.try_beside(&obtained, version),
            _ => {}
        }
        if let Err(error) = self.registry.complete(&series, version).await {
            // Durable and served all the same; only a repetition of this push would move the alias again.
            tracing::warn!(%series, version, %error, "cannot note that a push is complete");
        }
        self.retention.pushed(&series);
        Ok(self.published(&series, version, registered.already_registered))
    }

    /// Moves an alias, of a push or an order. Another server on the same registry may have moved it since it was seen where it
    /// is `expected`, so the registry compares again: the version of a push then stays, whole and unnamed, for a push of the
    /// same key to finish.
    async fn move_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()> {
        let moved = self.registry.set_alias(series, alias, version, expected);
        match moved.await {
            // Another server did the same, or only the answer to our own move was lost.
            Err(RegistryError::AliasMoved { actual, .. }) if actual == version => Ok(()),
            moved => Ok(moved?),
        }
    }

    /// Lets what was obtained answer as the candidate of its series. The caller holds its lane and has moved the alias.
    fn try_beside(&self, obtained: &Obtained, version: u64) {
        let (revision, now) = (self.cache.state().revision, self.cache.clock().now());
        let candidate = obtained.as_candidate(version, revision, now);
        let candidates = self.cache.candidates();
        self.cache
            .discard(candidates.order(candidate, obtained.activate_at));
    }

    fn published(&self, series: &SeriesName, version: u64, already_registered: bool) -> Published {
        let state = self.cache.state();
        let served = state
            .entries
            .get(series)
            .and_then(|entry| entry.served.as_ref())
            .filter(|served| served.version == version);
        Published {
            version,
            revision: served.map_or(0, |served| served.revision),
            epoch: state.epoch,
            already_registered,
        }
    }

    /// An instant that other servers would learn of too late, or that lies within a step, is none to switch at.
    fn check_activation(&self, push: &Push) -> Result<()> {
        let Some(activate_at) = push.activate_at else {
            return Ok(());
        };
        let step = i64::from(push.metadata.series.step_seconds).max(1);
        let soonest = self.cache.clock().now() + 2 * self.poll_interval;
        let on_the_step =
            activate_at.subsec_nanosecond() == 0 && activate_at.as_second() % step == 0;
        if on_the_step && activate_at >= soonest {
            return Ok(());
        }
        Err(Error::invalid(
            "header.activate_at",
            format!(
                "{activate_at} is no multiple of the step of {step} s, or sooner than two poll intervals from now, {soonest}, when not every server would know of it; take a later step boundary, or leave it out"
            ),
        ))
    }

    /// Serves what was obtained, when its instant has come; until then it waits. The caller holds the lane of its series and
    /// has moved the followed alias.
    async fn serve(
        &self,
        series: &SeriesName,
        obtained: Obtained,
        version: u64,
        traceparent: String,
    ) -> Result<()> {
        let Obtained {
            loaded,
            activate_at,
        } = obtained;
        let now = self.cache.clock().now();
        if let Some(activate_at) = activate_at.filter(|at| *at > now) {
            let progress = Progress::Waiting {
                activate_at,
                loaded,
            };
            let ordered = Aspiration {
                version,
                alias: self.followed_alias.clone(),
                seen_at: now,
                failures: 0,
                progress,
            };
            self.aspirations.order(series, ordered);
            return Ok(());
        }
        let serve = Change::Serve {
            loaded,
            version,
            alias: self.followed_alias.clone(),
        };
        self.cache.commit(serve, traceparent).await?;
        self.aspirations.supersede(series);
        Ok(())
    }

    /// Verifies and restores off the serving threads; a refusal is told of in an event.
    async fn load(&self, push: &Push) -> Result<Arc<Loaded>> {
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
                beside: push.alias.as_deref() == Some(CANDIDATE),
            };
            self.cache.commit(reject, push.traceparent.clone()).await?;
        }
        loaded.map(Arc::new)
    }
}
