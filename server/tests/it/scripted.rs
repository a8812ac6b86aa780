//! A registry in memory that misbehaves as a script says.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use loadcast_registry::{
    error::{Error, Result},
    open::open,
    registry::{Made, NewVersion, Poll, Registered, Registry, StoredVersion, Tombstone},
};
use tokio::time::Instant;

use crate::support::{constant_model, metadata, now};

/// What to do to one call, named `poll`, `fetch SERIES VERSION` or `prune SERIES`.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    Unreachable(Option<Duration>),
    NotReady,
    Hang,
    /// It takes this long, and succeeds.
    Slow(Duration),
}

pub(crate) type Script = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

/// A registry in memory that keeps a log of its calls and fails as it is told.
pub(crate) struct Scripted {
    inner: Arc<dyn Registry>,
    script: Mutex<Script>,
    calls: Mutex<Vec<(Instant, String)>>,
    pub(crate) unlisted: Mutex<Vec<SeriesName>>,
    /// Every move of an alias is made twice, as by a client that lost the first answer.
    pub(crate) moves_twice: AtomicBool,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: open("memory:").unwrap(),
            script: Mutex::new(Box::new(|_| None)),
            calls: Mutex::default(),
            unlisted: Mutex::default(),
            moves_twice: AtomicBool::default(),
        })
    }

    pub(crate) fn set(&self, script: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Every call that `part` names from now on ends in `fault`.
    pub(crate) fn fail(&self, part: &'static str, fault: Fault) {
        self.set(move |call| call.contains(part).then(|| fault.clone()));
    }

    pub(crate) fn heal(&self) {
        self.set(|_| None);
    }

    /// When calls that contain `part` came.
    pub(crate) fn times(&self, part: &str) -> Vec<Instant> {
        let calls = self.calls.lock().unwrap();
        let named = calls.iter().filter(|(_, call)| call.contains(part));
        named.map(|(at, _)| *at).collect()
    }

    async fn called(&self, call: String) -> Result<()> {
        let fault = (self.script.lock().unwrap())(&call);
        self.calls.lock().unwrap().push((Instant::now(), call));
        match fault {
            None => Ok(()),
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::NotReady) => Err(Error::NotReady {
                what: "it".to_owned(),
                reason: "PENDING_REGISTRATION".to_owned(),
            }),
            Some(Fault::Unreachable(retry_after)) => Err(Error::Unreachable {
                reason: "as the script says".to_owned(),
                retry_after,
            }),
        }
    }

    /// Registers a version of `series` that answers its own number, and names it by the alias.
    pub(crate) async fn make(&self, series: &str, activate_at: Option<Timestamp>) -> u64 {
        let name: SeriesName = series.parse().unwrap();
        let version = self.versions(&name).await.unwrap().len() as u64 + 1;
        let model_pr = constant_model(version as f64);
        let registered = self.inner.register(NewVersion {
            metadata: metadata(&name, &model_pr),
            key: version.to_string(),
            model_pr: model_pr.into(),
            attachments: Vec::new(),
            registered_at: now(),
            activate_at,
        });
        let version = registered.await.unwrap().version;
        self.point(series, version).await;
        version
    }

    pub(crate) async fn point(&self, series: &str, version: u64) {
        self.name(series, "champion", version).await;
    }

    pub(crate) async fn name(&self, series: &str, alias: &str, version: u64) {
        let name = series.parse().unwrap();
        let set = self.inner.set_alias(&name, alias, version, None);
        set.await.unwrap();
    }
}

#[async_trait]
impl Registry for Scripted {
    fn url(&self) -> &str {
        self.inner.url()
    }

    async fn poll(&self, alias: &str) -> Result<Poll> {
        self.called("poll".to_owned()).await?;
        let mut poll = self.inner.poll(alias).await?;
        let unlisted = self.unlisted.lock().unwrap();
        poll.aspired.retain(|line| !unlisted.contains(&line.series));
        Ok(poll)
    }

    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>> {
        self.inner.alias(series, alias).await
    }

    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>> {
        self.inner.versions(series).await
    }

    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion> {
        self.called(format!("fetch {series} {version}")).await?;
        self.inner.fetch(series, version).await
    }

    async fn register(&self, version: NewVersion) -> Result<Registered> {
        self.inner.register(version).await
    }

    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>> {
        self.inner.made_by(series, key).await
    }

    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()> {
        self.inner.complete(series, version).await
    }

    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()> {
        let set = || self.inner.set_alias(series, alias, version, expected);
        if self.moves_twice.load(Ordering::Relaxed) {
            set().await?;
        }
        set().await
    }

    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()> {
        self.inner.retire(series, tombstone).await
    }

    async fn revive(&self, series: &SeriesName) -> Result<()> {
        self.inner.revive(series).await
    }

    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>> {
        self.inner.tombstone(series).await
    }

    async fn prune(&self, series: &SeriesName, keep: usize, spared: &[u64]) -> Result<Vec<u64>> {
        self.called(format!("prune {series}")).await?;
        self.inner.prune(series, keep, spared).await
    }

    async fn pin(&self, series: &SeriesName, version: u64, pinned: bool) -> Result<()> {
        self.inner.pin(series, version, pinned).await
    }
}
