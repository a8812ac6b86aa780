//! A registry whose writes fail from some point on, and on which another server writes too.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use async_trait::async_trait;
use loadcast_model::series::SeriesName;
use loadcast_registry::{
    error::{Error as RegistryError, Result as RegistryResult},
    registry::{Made, NewVersion, Poll, Registered, Registry, StoredVersion, Tombstone},
};

/// A registry that stops answering at a chosen step.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) inner: Arc<dyn Registry>,
    /// How many more writes succeed.
    pub(super) writes_left: AtomicU32,
    /// To where another server moves the alias while a version is registered here; 0: nowhere.
    pub(super) rival: AtomicU64,
}

impl Failing {
    fn write(&self) -> RegistryResult<()> {
        let left = self.writes_left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(RegistryError::unreachable("the test pulled the plug"));
        }
        self.writes_left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl Registry for Failing {
    fn url(&self) -> &str {
        "failing:"
    }
    async fn poll(&self, alias: &str) -> RegistryResult<Poll> {
        self.inner.poll(alias).await
    }
    async fn alias(&self, series: &SeriesName, alias: &str) -> RegistryResult<Option<u64>> {
        self.inner.alias(series, alias).await
    }
    async fn versions(&self, series: &SeriesName) -> RegistryResult<Vec<u64>> {
        self.inner.versions(series).await
    }
    async fn fetch(&self, series: &SeriesName, version: u64) -> RegistryResult<StoredVersion> {
        self.inner.fetch(series, version).await
    }
    async fn register(&self, version: NewVersion) -> RegistryResult<Registered> {
        self.write()?;
        let series = version.metadata.series.name.clone();
        let registered = self.inner.register(version).await?;
        let rival = self.rival.swap(0, Ordering::Relaxed);
        if rival > 0 {
            let moved = self.inner.set_alias(&series, "champion", rival, None);
            moved.await?;
        }
        Ok(registered)
    }
    async fn made_by(&self, series: &SeriesName, key: &str) -> RegistryResult<Option<Made>> {
        self.inner.made_by(series, key).await
    }
    async fn complete(&self, series: &SeriesName, version: u64) -> RegistryResult<()> {
        self.write()?;
        self.inner.complete(series, version).await
    }
    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> RegistryResult<()> {
        self.write()?;
        self.inner.set_alias(series, alias, version, expected).await
    }
    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> RegistryResult<()> {
        self.write()?;
        self.inner.retire(series, tombstone).await
    }
    async fn revive(&self, series: &SeriesName) -> RegistryResult<()> {
        self.write()?;
        self.inner.revive(series).await
    }
    async fn prune(
        &self,
        series: &SeriesName,
        keep: usize,
        spared: &[u64],
    ) -> RegistryResult<Vec<u64>> {
        self.write()?;
        self.inner.prune(series, keep, spared).await
    }

    async fn pin(&self, series: &SeriesName, version: u64, pinned: bool) -> RegistryResult<()> {
        self.write()?;
        self.inner.pin(series, version, pinned).await
    }

    async fn tombstone(&self, series: &SeriesName) -> RegistryResult<Option<Tombstone>> {
        self.inner.tombstone(series).await
    }
}
