//! MLflow 2.x and 3.x over REST: a series is a registered model, a version a model version, an alias an alias.
//!
//! Reading: a poll is `registered-models/search` in pages of [`Limits::page`] models, which say aliases, stages and
//! tombstones at once: one request per 200 models, and one even for none. To load a version costs two requests to find its
//! files and one per file.
//!
//! Writing: run, files, logged model, then the version with all its tags in one request, so that a version is either
//! whole or not there. What we wrote carries tags (`loadcast.*`): size and sha256 of model.pr, which are checked before it
//! is served, and the idempotency key.
//!
//! MLflow has no compare-and-set: an alias is read, compared and written. Who comes later than the other's write is told
//! ([`Error::AliasMoved`]); of two servers that write at the same moment the later one wins, both may be told that they
//! moved it, and both serve what won from their next poll on. And a number comes back when the newest version of a model is
//! deleted by hand, which is why answers name the digest beside the number.

mod access;
mod artifacts;
mod clean;
mod client;
mod describe;
mod download;
mod follow;
mod foreign;
mod read;
mod wire;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use loadcast_model::series::SeriesName;
use serde_json::json;
use url::Url;
use uuid::Uuid;

pub use self::client::Limits;
use self::{
    access::Access,
    artifacts::{Artifacts, Buckets},
    clean::UnderWay,
    client::Client,
    wire::{
        GotRegisteredModel, ModelVersion, ModelVersions, Page, RegisteredModel, RegisteredModels,
        tag,
    },
};
use crate::{
    environment::Environment,
    error::{Error, Result},
    registry::{CANDIDATE, Made, NewVersion, Poll, Registered, Registry, StoredVersion, Tombstone},
};

/// The most pages of one listing; beyond that something is answering nonsense.
const MAX_PAGES: usize = 5_000;

/// How long writing a version may take, from its run to its number.
const MAX_PUSH: Duration = Duration::from_secs(600);

/// Tags of what we wrote.
mod tags {
    pub(super) const ACTIVATE_AT: &str = "loadcast.activate_at";
    pub(super) const KEY: &str = "loadcast.key";
    /// Hex, so that it needs no quoting in a filter.
    pub(super) const KEY_SHA256: &str = "loadcast.key_sha256";
    pub(super) const SHA256: &str = "loadcast.sha256";
    pub(super) const SIZE: &str = "loadcast.size_bytes";
    pub(super) const COMPLETED: &str = "loadcast.completed";
    pub(super) const PINNED: &str = "loadcast.pinned";
    pub(super) const REGISTERED_AT: &str = "loadcast.registered_at";
    /// Of a run: the series of the version that is to come of it.
    pub(super) const SERIES: &str = "loadcast.series";
    /// Of a run: the process that made it.
    pub(super) const WRITER: &str = "loadcast.writer";
}

/// A registry on an MLflow server.
#[derive(Debug)]
pub struct MlflowRegistry {
    client: Client,
    url: String,
    environment: Environment,
    buckets: Buckets,
    /// The experiment that our runs go to.
    experiment: String,
    /// Who writes, told apart from other servers.
    writer: Uuid,
    under_way: UnderWay,
}

impl MlflowRegistry {
    /// The registry at `url` (`mlflow+http://HOST[:PORT][/PATH]` or `mlflow+https://`), with MLflow's own variables:
    /// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`; `MLFLOW_WORKSPACE`;
    /// `MLFLOW_EXPERIMENT_NAME` for what is written (default `loadcast`); and those of its buckets. Talks to nobody yet.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] and [`Error::Denied`] for what can never work.
    pub fn new(url: &Url, environment: &Environment, limits: Limits) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidUrl {
            url: url.to_string(),
            reason,
        };
        let base = url.as_str().strip_prefix("mlflow+").unwrap_or(url.as_str());
        let base = Url::parse(base).map_err(|error| invalid(error.to_string()))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(invalid(
                "it has a query or fragment; write mlflow+https://HOST[:PORT][/PATH]".to_owned(),
            ));
        }
        let experiment = environment.get("MLFLOW_EXPERIMENT_NAME");
        Ok(Self {
            client: Client::new(base, Access::from_environment(environment)?, limits)?,
            url: url.to_string(),
            environment: environment.clone(),
            buckets: Buckets::default(),
            experiment: experiment.unwrap_or("loadcast").to_owned(),
            writer: Uuid::new_v4(),
            under_way: UnderWay::default(),
        })
    }

    /// The same registry, written to by `writer`, whom no other process calls itself at the same time.
    #[must_use]
    pub fn written_by(mut self, writer: Uuid) -> Self {
        self.writer = writer;
        self
    }

    fn artifacts(&self, uri: &str) -> Result<Artifacts<'_>> {
        Artifacts::at(&self.client, uri, &self.buckets, &self.environment)
    }

    /// The registered model of `series`; `None` where there is none.
    async fn model(&self, series: &SeriesName) -> Result<Option<RegisteredModel>> {
        let query = [("name", series.as_ref())];
        match self.client.get("registered-models/get", &query).await {
            Ok(GotRegisteredModel { registered_model }) => Ok(Some(registered_model)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list_models(&self) -> Result<Vec<RegisteredModel>> {
        // By name: pages are offsets, and the default order moves with every change.
        let page = self.client.limits.page.to_string();
        let query = [("max_results", page.as_str()), ("order_by", "name ASC")];
        let pages: Vec<RegisteredModels> = self.pages("registered-models/search", &query).await?;
        let models = pages.into_iter().flat_map(|page| page.registered_models);
        let models: BTreeMap<String, RegisteredModel> =
            models.map(|model| (model.name.clone(), model)).collect();
        Ok(models.into_values().collect())
    }

    /// The versions that `filter` finds, ascending.
    async fn search(&self, filter: &str) -> Result<Vec<ModelVersion>> {
        let query = [("filter", filter), ("max_results", "1000")];
        let pages: Vec<ModelVersions> = self.pages("model-versions/search", &query).await?;
        let mut versions: Vec<ModelVersion> = pages
            .into_iter()
            .flat_map(|page| page.model_versions)
            .collect();
        versions.sort_by_key(|version| version.version.0);
        Ok(versions)
    }

    /// All pages of a listing, or an error: one whose tokens come round again, or do not end, is no listing.
    async fn pages<P: Page>(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<P>> {
        let mut pages = Vec::new();
        let mut tokens = BTreeSet::new();
        let mut token = String::new();
        while tokens.len() < MAX_PAGES {
            let next = [("page_token", token.as_str())];
            let next = next.into_iter().filter(|_| !token.is_empty());
            let query: Vec<(&str, &str)> = query.iter().copied().chain(next).collect();
            let mut page: P = self.client.get(path, &query).await?;
            let next = page.next_page_token().filter(|next| !next.is_empty());
            pages.push(page);
            match next {
                None => return Ok(pages),
                Some(next) if tokens.insert(next.clone()) => token = next,
                Some(_) => break,
            }
        }
        Err(Error::unreachable(format!("{path}: its pages have no end")))
    }

    async fn set_version_tag(
        &self,
        series: &SeriesName,
        version: u64,
        key: &str,
        value: &str,
    ) -> Result<()> {
        let body =
            json!({"name": series, "version": version.to_string(), "key": key, "value": value});
        self.client.post("model-versions/set-tag", &body).await
    }
}

#[async_trait]
impl Registry for MlflowRegistry {
    fn url(&self) -> &str {
        &self.url
    }

    async fn poll(&self, alias: &str) -> Result<Poll> {
        let models = self.list_models().await?;
        let retired = models.iter().filter(|model| follow::is_retired(model));
        Ok(Poll {
            aspired: models
                .iter()
                .filter_map(|model| follow::aspired(model, alias))
                .collect(),
            retired: retired
                .filter_map(|model| model.name.parse().ok())
                .collect(),
            candidates: models
                .iter()
                .filter(|_| alias != CANDIDATE)
                .filter_map(follow::candidate)
                .collect(),
            copy: None,
        })
    }

    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>> {
        let model = self.model(series).await?;
        Ok(model.and_then(|model| follow::alias(&model, alias)))
    }

    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>> {
        let found = self.search(&format!("name='{series}'")).await?;
        Ok(found.iter().filter_map(|found| found.version.0).collect())
    }

    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion> {
        self.read_version(series, version).await
    }

    async fn register(&self, version: NewVersion) -> Result<Registered> {
        self.write_version(version).await
    }

    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>> {
        let found = self.version_of_key(series, key).await?;
        Ok(found.and_then(|found| {
            Some(Made {
                version: found.version.0?,
                sha256: tag(&found.tags, tags::SHA256)?.to_owned(),
                completed: tag(&found.tags, tags::COMPLETED).is_some(),
            })
        }))
    }

    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()> {
        self.set_version_tag(series, version, tags::COMPLETED, "true")
            .await
    }

    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()> {
        let moved = |expected: u64, actual: u64| Error::AliasMoved {
            series: series.clone(),
            alias: alias.to_owned(),
            expected,
            actual,
        };
        let actual = self.alias(series, alias).await?.unwrap_or(0);
        if let Some(expected) = expected
            && expected != actual
        {
            return Err(moved(expected, actual));
        }
        if actual == version {
            return Ok(());
        }
        let body = json!({"name": series, "alias": alias, "version": version.to_string()});
        let Err(error) = self.client.post("registered-models/alias", &body).await else {
            return Ok(());
        };
        // Of two that make an alias at one moment MLflow's database refuses one; and only the answer may have been lost.
        match self
            .alias(series, alias)
            .await
            .map(Option::unwrap_or_default)
        {
            Ok(now) if now == version => Ok(()),
            Ok(now) if now != actual => Err(moved(expected.unwrap_or(actual), now)),
            Ok(_) | Err(_) => Err(error),
        }
    }

    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()> {
        if self.versions(series).await?.is_empty() {
            return Err(Error::NotFound {
                what: series.to_string(),
            });
        }
        let value = serde_json::to_string(&tombstone).map_err(Error::unreachable)?;
        let body = json!({"name": series, "key": follow::RETIRED, "value": value});
        self.client.post("registered-models/set-tag", &body).await?;
        Ok(())
    }

    async fn revive(&self, series: &SeriesName) -> Result<()> {
        let body = json!({"name": series, "key": follow::RETIRED});
        let deleted = self.client.delete("registered-models/delete-tag", &body);
        match deleted.await {
            Err(Error::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>> {
        let model = self.model(series).await?;
        Ok(model.and_then(|model| follow::tombstone(&model)))
    }

    async fn prune(&self, series: &SeriesName, keep: usize, spared: &[u64]) -> Result<Vec<u64>> {
        self.prune_versions(series, keep, spared).await
    }

    async fn pin(&self, series: &SeriesName, version: u64, pinned: bool) -> Result<()> {
        let number = version.to_string();
        if pinned {
            return self
                .set_version_tag(series, version, tags::PINNED, "true")
                .await;
        }
        let body = json!({"name": series, "version": number, "key": tags::PINNED});
        let path = "model-versions/delete-tag";
        self.client.delete(path, &body).await
    }
}
