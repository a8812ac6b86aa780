//! A registry with a copy of it on an object store, for the times when it does not answer: MLflow, then a bucket.
//!
//! - Writes go to the registry alone, and fail with it. So do the questions that a write depends on.
//! - What is fetched from the registry is copied under its own number, then the aliases, stages and tombstones of every
//!   poll. What the copy names is there, whole and digest-checked; its numbers are the registry's.
//! - While the registry answers, its word counts. Only while it is unreachable do [`poll`](Registry::poll) and
//!   [`fetch`](Registry::fetch) answer from the copy; a registry that refuses access, or a version that is damaged, is an
//!   error as ever.
//! - A poll of the copy says so ([`Poll::copy`]). It may be older than what a server serves, so of it only what is not
//!   served at all may be loaded: it is for a server that starts with nothing.
//! - A copy that cannot be written is told in the log, and costs nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use loadcast_model::series::SeriesName;
use tokio::sync::Mutex;

use crate::{
    error::{Error, Result},
    object::ObjectRegistry,
    registry::{
        Aspired, Made, NewVersion, Poll, Registered, Registry, Rule, StoredVersion, Tombstone,
    },
};

/// A registry and its copy.
#[derive(Debug)]
pub struct Mirrored {
    registry: Arc<dyn Registry>,
    copy: ObjectRegistry,
    url: String,
    /// By followed alias: what the copy is known to say, so that only what changes is written.
    known: Mutex<BTreeMap<String, Known>>,
}

/// What a copy says.
#[derive(Debug, Default)]
struct Known {
    aspired: BTreeMap<SeriesName, (u64, Rule)>,
    retired: BTreeSet<SeriesName>,
    /// Aspired, and not to be pointed at, because the copy has not got it yet.
    missing: BTreeMap<SeriesName, (u64, Rule)>,
}

impl Mirrored {
    /// `registry`, and where its copy lies.
    pub fn new(registry: Arc<dyn Registry>, copy: ObjectRegistry) -> Self {
        Self {
            url: format!("{},{}", registry.url(), copy.url()),
            registry,
            copy,
            known: Mutex::default(),
        }
    }

    /// The answer of the registry, or while it is unreachable that of `copy`.
    async fn or_copy<T>(
        &self,
        answer: Result<T>,
        copy: impl AsyncFnOnce(String) -> Result<T>,
    ) -> Result<T> {
        let error = match answer {
            Err(error @ Error::Unreachable { .. }) => error,
            answer => return answer,
        };
        let reason = error.to_string();
        match copy(reason).await {
            Ok(copied) => Ok(copied),
            Err(second) => {
                tracing::warn!(url = self.copy.url(), error = %second, "the copy of the registry cannot answer either");
                Err(error)
            }
        }
    }

    /// What the copy says is aspired, by the same rules.
    async fn copied(&self, alias: &str) -> Result<Poll> {
        let mut aspired = BTreeMap::new();
        let mut retired = Vec::new();
        for rule in [Rule::Alias, Rule::Production, Rule::Staging] {
            let poll = self.copy.poll(rule.name(alias)).await?;
            retired = poll.retired;
            for Aspired {
                series, version, ..
            } in poll.aspired
            {
                aspired.entry(series).or_insert((version, rule));
            }
        }
        let aspired = aspired
            .into_iter()
            .map(|(series, (version, rule))| Aspired {
                series,
                version,
                rule,
            })
            .collect();
        Ok(Poll {
            aspired,
            retired,
            ..Poll::default()
        })
    }

    /// Makes the copy say what `poll` says, as far as it has the versions.
    async fn copy_poll(&self, alias: &str, poll: &Poll) -> Result<()> {
        let mut all = self.known.lock().await;
        if !all.contains_key(alias) {
            let copied = self.copied(alias).await?;
            let aspired = copied.aspired.into_iter();
            let known = Known {
                aspired: aspired
                    .map(|line| (line.series, (line.version, line.rule)))
                    .collect(),
                retired: copied.retired.into_iter().collect(),
                missing: BTreeMap::new(),
            };
            all.insert(alias.to_owned(), known);
        }
        let known = all.entry(alias.to_owned()).or_default();
        for series in &poll.retired {
            if !known.retired.contains(series)
                && let Some(tombstone) = self.registry.tombstone(series).await?
            {
                self.copy.lay_tombstone(series, &tombstone).await?;
                known.retired.insert(series.clone());
            }
        }
        let retired: BTreeSet<&SeriesName> = poll.retired.iter().collect();
        let revived = known.retired.iter().filter(|old| !retired.contains(old));
        for series in revived.cloned().collect::<Vec<_>>() {
            self.copy.revive(&series).await?;
            known.retired.remove(&series);
        }
        for line in &poll.aspired {
            let says = (line.version, line.rule);
            if known.aspired.get(&line.series) != Some(&says)
                && known.missing.get(&line.series) != Some(&says)
            {
                self.point(alias, known, &line.series, says).await?;
            }
        }
        Ok(())
    }

    /// Points the copy at a version of `series`, when it has it.
    async fn point(
        &self,
        alias: &str,
        known: &mut Known,
        series: &SeriesName,
        says: (u64, Rule),
    ) -> Result<()> {
        let (version, rule) = says;
        if !self.copy.has(series, version).await? {
            known.missing.insert(series.clone(), says);
            return Ok(());
        }
        let set = self
            .copy
            .set_alias(series, rule.name(alias), version, None)
            .await;
        set?;
        for other in [Rule::Alias, Rule::Production, Rule::Staging] {
            if other != rule {
                self.copy.drop_alias(series, other.name(alias)).await?;
            }
        }
        known.missing.remove(series);
        known.aspired.insert(series.clone(), says);
        Ok(())
    }

    /// Copies a version, and points at it where a poll has been waiting for it.
    async fn copy_version(&self, series: &SeriesName, stored: &StoredVersion) -> Result<()> {
        self.copy.store(stored).await?;
        let version = stored.manifest.version;
        let mut all = self.known.lock().await;
        for (alias, known) in all.iter_mut() {
            if let Some(says) = known.missing.get(series).copied()
                && says.0 == version
            {
                self.point(alias, known, series, says).await?;
            }
        }
        Ok(())
    }

    fn tell(&self, copied: Result<()>) {
        if let Err(error) = copied {
            tracing::warn!(url = self.copy.url(), %error, "the copy of the registry cannot be kept up");
        }
    }
}

#[async_trait]
impl Registry for Mirrored {
    fn url(&self) -> &str {
        &self.url
    }

    async fn poll(&self, alias: &str) -> Result<Poll> {
        let answer = self.registry.poll(alias).await;
        if let Ok(poll) = &answer {
            self.tell(self.copy_poll(alias, poll).await);
        }
        self.or_copy(answer, async |reason| {
            Ok(Poll {
                copy: Some(reason),
                ..self.copied(alias).await?
            })
        })
        .await
    }

    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion> {
        let answer = self.registry.fetch(series, version).await;
        if let Ok(stored) = &answer {
            self.tell(self.copy_version(series, stored).await);
        }
        self.or_copy(answer, async |_| self.copy.fetch(series, version).await)
            .await
    }

    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>> {
        self.registry.alias(series, alias).await
    }

    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>> {
        self.registry.versions(series).await
    }

    async fn register(&self, version: NewVersion) -> Result<Registered> {
        self.registry.register(version).await
    }

    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>> {
        self.registry.made_by(series, key).await
    }

    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()> {
        self.registry.complete(series, version).await
    }

    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()> {
        self.registry
            .set_alias(series, alias, version, expected)
            .await
    }

    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()> {
        self.registry.retire(series, tombstone).await
    }

    async fn revive(&self, series: &SeriesName) -> Result<()> {
        self.registry.revive(series).await
    }

    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>> {
        self.registry.tombstone(series).await
    }

    async fn prune(&self, series: &SeriesName, keep: usize, spared: &[u64]) -> Result<Vec<u64>> {
        let gone = self.registry.prune(series, keep, spared).await?;
        self.tell(self.copy.forget(series, &gone).await);
        Ok(gone)
    }

    async fn pin(&self, series: &SeriesName, version: u64, pinned: bool) -> Result<()> {
        self.registry.pin(series, version, pinned).await
    }
}
