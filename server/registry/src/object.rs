//! The embedded registry: versions as MLflow model folders on an object store, aliases as small objects.
//!
//! ```text
//! models/<series>/versions/<n>/claim           takes the number: put-if-absent, holds the key
//! models/<series>/versions/<n>/{model.pr, MLmodel, loadcast.json, requirements.txt}
//! models/<series>/versions/<n>/attachments/<name>
//! models/<series>/versions/<n>/manifest.json   makes the version visible: last, put-if-absent
//! models/<series>/versions/<n>/completed       the push that made it did all that it was to do
//! models/<series>/versions/<n>/pinned          it is not to be pruned
//! models/<series>/keys/<sha256 of the key>     which number a key took, so that a died push is finished, not repeated
//! aliases/<alias>/<series>                     one listing shows every move
//! tombstones/<series>                          retired: why and when
//! ```
//!
//! A push that dies before the manifest leaves a claimed number and no version; its retry takes the number up again.
//!
//! A poll costs one LIST per 1,000 aliases, candidates and tombstones each, and one GET per object that changed since the
//! last: a listing shows entity tags, so what did not change is not read again.

mod copy;
mod layout;
mod objects;
mod prune;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use loadcast_model::{
    artifact::{self, Metadata},
    series::SeriesName,
};
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

pub use self::objects::Writers;

use self::{
    objects::{Objects, Put, to_json},
    prune::Numbered,
};
use crate::{
    error::{Error, Result},
    manifest::{AttachmentEntry, Manifest, SCHEMA},
    registry::{
        Aspired, CANDIDATE, Made, NewVersion, Poll, Registered, Registry, Rule, StoredVersion,
        Tombstone,
    },
};

/// A registry on an object store.
pub struct ObjectRegistry {
    objects: Objects,
    url: String,
}

impl fmt::Debug for ObjectRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ObjectRegistry").field(&self.url).finish()
    }
}

/// The content of a `claim`.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    key: String,
}

/// The content of an alias and of a key object.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Pointer {
    version: u64,
}

impl ObjectRegistry {
    /// A registry on `store`, called `url` towards people.
    pub fn new(store: Arc<dyn ObjectStore>, url: String, writers: Writers) -> Self {
        Self {
            objects: Objects::new(store, writers),
            url,
        }
    }

    async fn manifest(&self, series: &SeriesName, version: u64) -> Result<Option<Manifest>> {
        let path = layout::manifest(series, version);
        match self.objects.read(&path).await? {
            None => Ok(None),
            Some(bytes) => Manifest::decode(&bytes, series, version).map(Some),
        }
    }

    async fn must_exist(&self, series: &SeriesName, version: u64) -> Result<Manifest> {
        let manifest = self.manifest(series, version).await?;
        manifest.ok_or_else(|| Error::NotFound {
            what: format!("{series} version {version}"),
        })
    }

    /// The number for `key`: the one it took before, or a new one taken now.
    async fn claim(&self, series: &SeriesName, key: &str) -> Result<u64> {
        let taken = layout::key(series, key);
        if let Some(Pointer { version }) = self.objects.read_json(&taken).await? {
            return Ok(version);
        }
        let claim = to_json(&Claim {
            key: key.to_owned(),
        });
        let numbers = self.objects.numbers(&layout::versions(series)).await?;
        let mut version = numbers.last().copied().unwrap_or(0) + 1;
        while !self
            .objects
            .put(
                &layout::claim(series, version),
                claim.clone(),
                Put::IfAbsent,
            )
            .await?
        {
            version += 1;
        }
        let pointer = to_json(&Pointer { version });
        if self.objects.put(&taken, pointer, Put::IfAbsent).await? {
            return Ok(version);
        }
        // Another server pushes the same key at this moment and was first: its number it is, ours stays a gap.
        let first: Option<Pointer> = self.objects.read_json(&taken).await?;
        Ok(first.map_or(version, |first| first.version))
    }

    /// The MLflow model folder.
    async fn write_model(&self, version: u64, metadata: &Metadata, model_pr: Bytes) -> Result<()> {
        let file = |name: &str| layout::file(&metadata.series.name, version, name);
        self.objects.write(&file("model.pr"), model_pr).await?;
        self.objects
            .write(
                &file("MLmodel"),
                artifact::mlmodel_yaml(metadata).into_bytes(),
            )
            .await?;
        self.objects
            .write(
                &file("requirements.txt"),
                artifact::requirements_txt().as_bytes().to_vec(),
            )
            .await?;
        self.objects
            .write(&file("loadcast.json"), metadata.encode())
            .await
    }

    async fn attach(&self, version: u64, new: &NewVersion) -> Result<Vec<AttachmentEntry>> {
        let series = &new.metadata.series.name;
        let mut entries = Vec::with_capacity(new.attachments.len());
        for attachment in &new.attachments {
            let path = layout::attachment(series, version, &attachment.name);
            self.objects.write(&path, attachment.bytes.clone()).await?;
            entries.push(AttachmentEntry::of(attachment));
        }
        Ok(entries)
    }
}

#[async_trait]
impl Registry for ObjectRegistry {
    fn url(&self) -> &str {
        &self.url
    }

    async fn poll(&self, alias: &str) -> Result<Poll> {
        let retired = self.objects.series_under(&layout::tombstones()).await?;
        let mut named = self.objects.series_under(&layout::aliases(alias)).await?;
        named.retain(|series, _| !retired.contains_key(series));
        let pointers: Vec<(SeriesName, Pointer)> = self.objects.each(named).await?;
        let mut candidates = Vec::new();
        if alias != CANDIDATE {
            let mut named = self
                .objects
                .series_under(&layout::aliases(CANDIDATE))
                .await?;
            named.retain(|series, _| !retired.contains_key(series));
            let pointers: Vec<(SeriesName, Pointer)> = self.objects.each(named).await?;
            candidates.extend(
                pointers
                    .into_iter()
                    .map(|(series, to)| (series, to.version)),
            );
        }
        let aspired = pointers
            .into_iter()
            .map(|(series, Pointer { version })| Aspired {
                series,
                version,
                rule: Rule::Alias,
            })
            .collect();
        Ok(Poll {
            aspired,
            retired: retired.into_keys().collect(),
            candidates,
            copy: None,
        })
    }

    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>> {
        let path = layout::alias(alias, series);
        let pointer: Option<Pointer> = self.objects.read_json(&path).await?;
        Ok(pointer.map(|pointer| pointer.version))
    }

    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>> {
        let listed = self.objects.list(&layout::versions(series)).await?;
        Ok(Numbered::of(series, &listed).registered().collect())
    }

    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion> {
        let manifest = self.must_exist(series, version).await?;
        let path = layout::file(series, version, "model.pr");
        let model_pr = self.objects.read(&path).await?;
        StoredVersion::check(manifest, model_pr.unwrap_or_default())
    }

    async fn register(&self, new: NewVersion) -> Result<Registered> {
        let series = new.metadata.series.name.clone();
        let version = self.claim(&series, &new.key).await?;
        if let Some(made) = self.manifest(&series, version).await? {
            return made.registered_again(&new.metadata.sha256);
        }
        self.write_model(version, &new.metadata, new.model_pr.clone())
            .await?;
        let attachments = self.attach(version, &new).await?;
        let sha256 = new.metadata.sha256.clone();
        let manifest = Manifest {
            schema: SCHEMA,
            series: series.clone(),
            version,
            key: new.key,
            registered_at: new.registered_at,
            activate_at: new.activate_at,
            metadata: new.metadata,
            attachments,
        };
        let path = layout::manifest(&series, version);
        if self
            .objects
            .put(&path, to_json(&manifest), Put::IfAbsent)
            .await?
        {
            return Ok(Registered {
                version,
                already_registered: false,
            });
        }
        // Another server finished the same push first, or our own write got through and only its answer was lost.
        match self.manifest(&series, version).await? {
            Some(made) => made.registered_again(&sha256),
            None => Err(Error::Locked {
                url: self.url.clone(),
            }),
        }
    }

    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>> {
        let taken: Option<Pointer> = self.objects.read_json(&layout::key(series, key)).await?;
        let Some(Pointer { version }) = taken else {
            return Ok(None);
        };
        let Some(manifest) = self.manifest(series, version).await? else {
            return Ok(None);
        };
        Ok(Some(Made {
            version,
            sha256: manifest.metadata.sha256,
            completed: self
                .objects
                .exists(&layout::completed(series, version))
                .await?,
        }))
    }

    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()> {
        self.objects
            .write(&layout::completed(series, version), Bytes::new())
            .await
    }

    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()> {
        let path = layout::alias(alias, series);
        let (found, put): (Option<Pointer>, Put) = self.objects.read_to_change(&path).await?;
        let actual = found.map_or(0, |pointer| pointer.version);
        let moved = |expected: u64, actual: u64| Error::AliasMoved {
            series: series.clone(),
            alias: alias.to_owned(),
            expected,
            actual,
        };
        if let Some(expected) = expected
            && expected != actual
        {
            return Err(moved(expected, actual));
        }
        self.must_exist(series, version).await?;
        if actual == version {
            return Ok(());
        }
        let put = expected.map_or(Put::Always, |_| put);
        let pointer = to_json(&Pointer { version });
        if self.objects.put(&path, pointer, put).await? {
            return Ok(());
        }
        // Perhaps by ourselves, when only the answer was lost: the caller sees that it is where it was to go.
        let now = self.alias(series, alias).await?.unwrap_or(0);
        Err(moved(expected.unwrap_or(0), now))
    }

    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()> {
        if self.versions(series).await?.is_empty() {
            return Err(Error::NotFound {
                what: series.to_string(),
            });
        }
        self.objects
            .write(&layout::tombstone(series), to_json(&tombstone))
            .await
    }

    async fn revive(&self, series: &SeriesName) -> Result<()> {
        self.objects.delete(&layout::tombstone(series)).await
    }

    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>> {
        self.objects.read_json(&layout::tombstone(series)).await
    }

    async fn prune(&self, series: &SeriesName, keep: usize, spared: &[u64]) -> Result<Vec<u64>> {
        self.prune_versions(series, keep, spared).await
    }

    async fn pin(&self, series: &SeriesName, version: u64, pinned: bool) -> Result<()> {
        let path = layout::pinned(series, version);
        if !pinned {
            return self.objects.delete(&path).await;
        }
        self.must_exist(series, version).await?;
        self.objects.write(&path, Bytes::new()).await
    }
}
