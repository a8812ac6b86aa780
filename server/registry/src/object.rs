//! The embedded registry: versions as MLflow model folders on an object store, aliases as small objects.
//!
//! ```text
//! models/<series>/versions/<n>/claim           takes the number: put-if-absent, holds the key
//! models/<series>/versions/<n>/{model.pr, MLmodel, loadcast.json, requirements.txt}
//! models/<series>/versions/<n>/attachments/<name>
//! models/<series>/versions/<n>/manifest.json   makes the version visible: last, put-if-absent
//! models/<series>/versions/<n>/completed       the push that made it did all that it was to do
//! models/<series>/keys/<sha256 of the key>     which number a key took, so that a died push is finished, not repeated
//! aliases/<alias>/<series>                     one listing shows every move
//! tombstones/<series>                          retired: why and when
//! ```
//!
//! A push that dies before the manifest leaves a claimed number and no version; its retry takes the number up again.

mod layout;

use std::{collections::BTreeSet, fmt, fs::File, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use loadcast_model::{
    artifact::{self, sha256_hex},
    series::SeriesName,
};
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, path::Path};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    manifest::{AttachmentEntry, Manifest, SCHEMA},
    registry::{Aspired, Made, NewVersion, Registered, Registry, StoredVersion, Tombstone},
};

/// How many alias objects are read at once during a listing: enough to hide a store's round trip, few enough to be polite.
const ALIAS_READS: usize = 32;

/// A registry on an object store.
pub struct ObjectRegistry {
    store: Arc<dyn ObjectStore>,
    url: String,
    /// Held while this registry is open, so that a second server on the same folder is refused.
    _lock: Option<File>,
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
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    version: u64,
}

impl ObjectRegistry {
    /// A registry on `store`, called `url` towards people. `lock` is kept open as long as the registry is.
    pub fn new(store: Arc<dyn ObjectStore>, url: String, lock: Option<File>) -> Self {
        Self {
            store,
            url,
            _lock: lock,
        }
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        match self.store.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn exists(&self, path: &Path) -> Result<bool> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        let Some(bytes) = self.read(path).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::Corrupt {
                what: path.to_string(),
                reason: error.to_string(),
            })
    }

    async fn write(&self, path: &Path, bytes: impl Into<PutPayload>) -> Result<()> {
        self.store.put(path, bytes.into()).await?;
        Ok(())
    }

    /// Writes only when nothing is there; false when something is.
    async fn create(&self, path: &Path, bytes: Vec<u8>) -> Result<bool> {
        match self
            .store
            .put_opts(path, bytes.into(), PutMode::Create.into())
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The series that have an object directly under `prefix`.
    async fn series_under(&self, prefix: &Path) -> Result<BTreeSet<SeriesName>> {
        let listed: Vec<_> = self.store.list(Some(prefix)).try_collect().await?;
        Ok(listed
            .into_iter()
            .filter_map(|meta| meta.location.filename()?.parse().ok())
            .collect())
    }

    /// Numbers under `versions/`, claimed or registered.
    async fn numbers(&self, series: &SeriesName) -> Result<Vec<u64>> {
        let listing = self
            .store
            .list_with_delimiter(Some(&layout::versions(series)))
            .await?;
        let mut numbers: Vec<u64> = listing
            .common_prefixes
            .iter()
            .filter_map(|prefix| prefix.filename()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn manifest(&self, series: &SeriesName, version: u64) -> Result<Option<Manifest>> {
        let path = layout::manifest(series, version);
        match self.read(&path).await? {
            None => Ok(None),
            Some(bytes) => Manifest::decode(&bytes, series, version).map(Some),
        }
    }

    /// The number for `key`: the one it took before, or a new one taken now.
    async fn claim(&self, series: &SeriesName, key: &str) -> Result<u64> {
        let taken = layout::key(series, key);
        if let Some(Pointer { version }) = self.read_json(&taken).await? {
            return Ok(version);
        }
        let claim = Claim {
            key: key.to_owned(),
        };
        let mut version = self.numbers(series).await?.last().copied().unwrap_or(0) + 1;
        while !self
            .create(&layout::claim(series, version), to_json(&claim))
            .await?
        {
            version += 1;
        }
        self.write(&taken, to_json(&Pointer { version })).await?;
        Ok(version)
    }

    async fn write_files(&self, version: u64, new: &NewVersion) -> Result<Vec<AttachmentEntry>> {
        let series = &new.metadata.series.name;
        let file = |name: &str| layout::file(series, version, name);
        self.write(&file("model.pr"), new.model_pr.clone()).await?;
        self.write(
            &file("MLmodel"),
            artifact::mlmodel_yaml(&new.metadata).into_bytes(),
        )
        .await?;
        self.write(
            &file("requirements.txt"),
            artifact::requirements_txt().as_bytes().to_vec(),
        )
        .await?;
        self.write(&file("loadcast.json"), new.metadata.encode())
            .await?;
        let mut entries = Vec::with_capacity(new.attachments.len());
        for attachment in &new.attachments {
            let path = layout::attachment(series, version, &attachment.name);
            self.write(&path, attachment.bytes.clone()).await?;
            entries.push(AttachmentEntry {
                name: attachment.name.clone(),
                media_type: attachment.media_type.clone(),
                size_bytes: attachment.bytes.len() as u64,
                sha256: sha256_hex(&attachment.bytes),
            });
        }
        Ok(entries)
    }
}

#[async_trait]
impl Registry for ObjectRegistry {
    fn url(&self) -> &str {
        &self.url
    }

    async fn aspired(&self, alias: &str) -> Result<Vec<Aspired>> {
        let retired = self.series_under(&layout::tombstones()).await?;
        let named = self.series_under(&layout::aliases(alias)).await?;
        let followed: Vec<SeriesName> = named.difference(&retired).cloned().collect();
        let mut reads = futures::stream::iter(followed)
            .map(async |series| {
                let version = self.alias(&series, alias).await?;
                Ok::<_, Error>(version.map(|version| Aspired { series, version }))
            })
            .buffer_unordered(ALIAS_READS);
        let mut aspired = Vec::new();
        while let Some(read) = reads.try_next().await? {
            aspired.extend(read);
        }
        aspired.sort_by(|a, b| a.series.cmp(&b.series));
        Ok(aspired)
    }

    async fn alias(&self, series: &SeriesName, alias: &str) -> Result<Option<u64>> {
        let pointer: Option<Pointer> = self.read_json(&layout::alias(alias, series)).await?;
        Ok(pointer.map(|pointer| pointer.version))
    }

    async fn versions(&self, series: &SeriesName) -> Result<Vec<u64>> {
        let mut registered = Vec::new();
        for version in self.numbers(series).await? {
            if self.exists(&layout::manifest(series, version)).await? {
                registered.push(version);
            }
        }
        Ok(registered)
    }

    async fn fetch(&self, series: &SeriesName, version: u64) -> Result<StoredVersion> {
        let missing = || Error::NotFound {
            what: format!("{series} version {version}"),
        };
        let manifest = self.manifest(series, version).await?.ok_or_else(missing)?;
        let corrupt = |reason: String| Error::Corrupt {
            what: format!("model.pr of {series} version {version}"),
            reason,
        };
        let model_pr = self
            .read(&layout::file(series, version, "model.pr"))
            .await?
            .ok_or_else(|| corrupt("it is missing".to_owned()))?;
        let size = model_pr.len() as u64;
        if size != manifest.metadata.size_bytes {
            return Err(corrupt(format!(
                "{size} bytes, its manifest says {}",
                manifest.metadata.size_bytes
            )));
        }
        let digest = sha256_hex(&model_pr);
        if digest != manifest.metadata.sha256 {
            return Err(corrupt(format!(
                "sha256 {digest}, its manifest says {}",
                manifest.metadata.sha256
            )));
        }
        Ok(StoredVersion { manifest, model_pr })
    }

    async fn register(&self, new: NewVersion) -> Result<Registered> {
        let series = new.metadata.series.name.clone();
        let version = self.claim(&series, &new.key).await?;
        if let Some(made) = self.manifest(&series, version).await? {
            return if made.metadata.sha256 == new.metadata.sha256 {
                Ok(Registered {
                    version,
                    already_registered: true,
                })
            } else {
                Err(Error::KeyReused {
                    series,
                    version,
                    sha256: made.metadata.sha256,
                })
            };
        }
        let attachments = self.write_files(version, &new).await?;
        let manifest = Manifest {
            schema: SCHEMA,
            series: series.clone(),
            version,
            key: new.key,
            registered_at: new.registered_at,
            metadata: new.metadata,
            attachments,
        };
        if !self
            .create(&layout::manifest(&series, version), to_json(&manifest))
            .await?
        {
            return Err(Error::Locked {
                url: self.url.clone(),
            });
        }
        Ok(Registered {
            version,
            already_registered: false,
        })
    }

    async fn made_by(&self, series: &SeriesName, key: &str) -> Result<Option<Made>> {
        let taken: Option<Pointer> = self.read_json(&layout::key(series, key)).await?;
        let Some(Pointer { version }) = taken else {
            return Ok(None);
        };
        let Some(manifest) = self.manifest(series, version).await? else {
            return Ok(None);
        };
        Ok(Some(Made {
            version,
            sha256: manifest.metadata.sha256,
            completed: self.exists(&layout::completed(series, version)).await?,
        }))
    }

    async fn complete(&self, series: &SeriesName, version: u64) -> Result<()> {
        self.write(&layout::completed(series, version), Bytes::new())
            .await
    }

    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        version: u64,
        expected: Option<u64>,
    ) -> Result<()> {
        let actual = self.alias(series, alias).await?.unwrap_or(0);
        if let Some(expected) = expected
            && expected != actual
        {
            return Err(Error::AliasMoved {
                series: series.clone(),
                alias: alias.to_owned(),
                expected,
                actual,
            });
        }
        if self.manifest(series, version).await?.is_none() {
            return Err(Error::NotFound {
                what: format!("{series} version {version}"),
            });
        }
        if actual == version {
            return Ok(());
        }
        self.write(&layout::alias(alias, series), to_json(&Pointer { version }))
            .await
    }

    async fn retire(&self, series: &SeriesName, tombstone: Tombstone) -> Result<()> {
        if self.versions(series).await?.is_empty() {
            return Err(Error::NotFound {
                what: series.to_string(),
            });
        }
        self.write(&layout::tombstone(series), to_json(&tombstone))
            .await
    }

    async fn revive(&self, series: &SeriesName) -> Result<()> {
        match self.store.delete(&layout::tombstone(series)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn tombstone(&self, series: &SeriesName) -> Result<Option<Tombstone>> {
        self.read_json(&layout::tombstone(series)).await
    }

    async fn retired(&self) -> Result<Vec<SeriesName>> {
        let series = self.series_under(&layout::tombstones()).await?;
        Ok(series.into_iter().collect())
    }
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain structs with string keys are always JSON")
}
