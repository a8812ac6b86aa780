//! A registry that is followed and not written to.

use std::sync::Arc;

use async_trait::async_trait;
use loadcast_model::series::SeriesName;

use crate::{
    error::{Error, Result},
    registry::{Made, NewVersion, Poll, Registered, Registry, StoredVersion, Tombstone},
};

/// Reads from the registry within; every write is [`Error::ReadOnly`] and sends nothing.
#[derive(Debug)]
pub struct ReadOnly(pub Arc<dyn Registry>);

impl ReadOnly {
    fn refuse<T>(&self) -> Result<T> {
        Err(Error::ReadOnly {
            url: self.0.url().to_owned(),
        })
    }
}

#[async_trait]
impl Registry for ReadOnly {
    fn url(&self) -> &str {
        self.0.url()
    }

    async fn poll(&self, alias: &str) -> Result<Poll> {
        self.0.poll(alias).await
    }

    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>> {
        self.0.alias(series, alias).await
    }

    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>> {
        self.0.versions(series).await
    }

    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion> {
        self.0.fetch(series, version).await
    }

    async fn register(&self, _: NewVersion) -> Result<Registered> {
        self.refuse()
    }

    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>> {
        self.0.made_by(series, key).await
    }

    async fn complete(&self, _: &SeriesName, _: u64) -> Result<()> {
        self.refuse()
    }

    async fn set_alias(&self, _: &SeriesName, _: &str, _: u64, _: Option<u64>) -> Result<()> {
        self.refuse()
    }

    async fn retire(&self, _: &SeriesName, _: Tombstone) -> Result<()> {
        self.refuse()
    }

    async fn revive(&self, _: &SeriesName) -> Result<()> {
        self.refuse()
    }

    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>> {
        self.0.tombstone(series).await
    }

    async fn prune(&self, _: &SeriesName, _: usize, _: &[u64]) -> Result<Vec<u64>> {
        self.refuse()
    }

    async fn pin(&self, _: &SeriesName, _: u64, _: bool) -> Result<()> {
        self.refuse()
    }
}
