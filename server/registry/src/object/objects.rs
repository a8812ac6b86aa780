//! An object store as the registry uses it: small JSON objects, put-if-absent, compare-and-put, and listings that are
//! read only where they changed.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use loadcast_model::{artifact::MAX_ARTIFACT_BYTES, series::SeriesName};
use object_store::{
    GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion,
    path::Path,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// How many small objects are read at once during a listing: enough to hide a store's round trip, few enough to be polite.
const SMALL_READS: usize = 32;

/// Who may write to a store.
#[derive(Debug)]
pub enum Writers {
    /// Only we: this file is locked for as long as the registry is open.
    One(File),
    /// Others may, so the store compares before it overwrites.
    Many,
}

/// How an object is written.
#[derive(Debug)]
pub(super) enum Put {
    /// Whatever is there.
    Always,
    /// Only where nothing is.
    IfAbsent,
    /// Only where that is still what is there.
    IfUnchanged(UpdateVersion),
}

/// The store, and what listings of it have shown.
#[derive(Debug)]
pub(super) struct Objects {
    store: Arc<dyn ObjectStore>,
    writers: Writers,
    /// Small objects as they were last read, with the entity tag they had.
    seen: Mutex<HashMap<Path, (String, Bytes)>>,
}

impl Objects {
    pub(super) fn new(store: Arc<dyn ObjectStore>, writers: Writers) -> Self {
        Self {
            store,
            writers,
            seen: Mutex::default(),
        }
    }

    async fn get(&self, path: &Path) -> Result<Option<GetResult>> {
        match self.store.get(path).await {
            Ok(found) if found.meta.size > MAX_ARTIFACT_BYTES as u64 => Err(Error::Corrupt {
                what: path.to_string(),
                reason: format!("{} bytes; at most {MAX_ARTIFACT_BYTES}", found.meta.size),
            }),
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The object at `path`; `None` where none is.
    pub(super) async fn read(&self, path: &Path) -> Result<Option<Bytes>> {
        match self.get(path).await? {
            Some(found) => Ok(Some(found.bytes().await?)),
            None => Ok(None),
        }
    }

    /// As [`Objects::read`], from JSON.
    pub(super) async fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>> {
        match self.read(path).await? {
            Some(bytes) => from_json(path, &bytes).map(Some),
            None => Ok(None),
        }
    }

    /// As [`Objects::read_json`], with what a later [`Put`] needs so as to write only when nobody has written since.
    pub(super) async fn read_to_change<T: DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<(Option<T>, Put)> {
        let Some(found) = self.get(path).await? else {
            return Ok((None, Put::IfAbsent));
        };
        let put = match self.writers {
            Writers::One(_) => Put::Always,
            Writers::Many => Put::IfUnchanged(UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            }),
        };
        let value = from_json(path, &found.bytes().await?)?;
        Ok((Some(value), put))
    }

    pub(super) async fn exists(&self, path: &Path) -> Result<bool> {
        match self.store.head(path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes `bytes`; false when `put` forbids it.
    pub(super) async fn put(
        &self,
        path: &Path,
        bytes: impl Into<PutPayload>,
        put: Put,
    ) -> Result<bool> {
        use object_store::Error::{AlreadyExists, Precondition};
        let mode = match put {
            Put::Always => PutMode::Overwrite,
            Put::IfAbsent => PutMode::Create,
            Put::IfUnchanged(version) => PutMode::Update(version),
        };
        match self.store.put_opts(path, bytes.into(), mode.into()).await {
            Ok(_) => Ok(true),
            Err(AlreadyExists { .. } | Precondition { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn write(&self, path: &Path, bytes: impl Into<PutPayload>) -> Result<()> {
        self.put(path, bytes, Put::Always).await.map(drop)
    }

    /// Deletes the object at `path`; nothing to do where none is.
    pub(super) async fn delete(&self, path: &Path) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything under `prefix`, however deep.
    pub(super) async fn list(&self, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        match self.store.list(Some(prefix)).try_collect().await {
            // An empty prefix lists nothing; only a bucket can be missing.
            Err(error @ object_store::Error::NotFound { .. }) => Err(Error::unreachable(error)),
            listed => Ok(listed?),
        }
    }

    /// The names of the folders directly under `prefix`.
    pub(super) async fn folders(&self, prefix: &Path) -> Result<Vec<String>> {
        let listing = self.store.list_with_delimiter(Some(prefix)).await?;
        let folders = listing.common_prefixes.iter();
        Ok(folders
            .filter_map(|folder| folder.filename().map(str::to_owned))
            .collect())
    }

    /// The numbers that are folders directly under `prefix`, ascending.
    pub(super) async fn numbers(&self, prefix: &Path) -> Result<Vec<u64>> {
        let folders = self.folders(prefix).await?;
        let mut numbers: Vec<u64> = folders
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The series that have an object directly under `prefix`, with what the listing says of it.
    pub(super) async fn series_under(
        &self,
        prefix: &Path,
    ) -> Result<BTreeMap<SeriesName, ObjectMeta>> {
        let listed = self.list(prefix).await?;
        let series: BTreeMap<SeriesName, ObjectMeta> = listed
            .into_iter()
            .filter_map(|meta| Some((meta.location.filename()?.parse().ok()?, meta)))
            .collect();
        self.seen().retain(|path, _| {
            !path.prefix_matches(prefix)
                || path
                    .filename()
                    .and_then(|name| name.parse().ok())
                    .is_some_and(|name: SeriesName| series.contains_key(&name))
        });
        Ok(series)
    }

    /// The small JSON objects that a listing showed, several read at once and only those that changed since they were
    /// last read; those that are gone by now are left out. Sorted.
    pub(super) async fn each<T: DeserializeOwned>(
        &self,
        listed: BTreeMap<SeriesName, ObjectMeta>,
    ) -> Result<Vec<(SeriesName, T)>> {
        futures::stream::iter(listed)
            .map(async |(series, meta)| {
                let Some(bytes) = self.read_listed(&meta).await? else {
                    return Ok(None);
                };
                Ok(Some((series, from_json(&meta.location, &bytes)?)))
            })
            .buffered(SMALL_READS)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await
    }

    async fn read_listed(&self, meta: &ObjectMeta) -> Result<Option<Bytes>> {
        if let Some((tag, bytes)) = self.seen().get(&meta.location)
            && meta.e_tag.as_ref() == Some(tag)
        {
            return Ok(Some(bytes.clone()));
        }
        let Some(found) = self.get(&meta.location).await? else {
            return Ok(None);
        };
        let tag = found.meta.e_tag.clone();
        let bytes = found.bytes().await?;
        if let Some(tag) = tag {
            let seen = (tag, bytes.clone());
            self.seen().insert(meta.location.clone(), seen);
        }
        Ok(Some(bytes))
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Path, (String, Bytes)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn from_json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
        what: path.to_string(),
        reason: error.to_string(),
    })
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("plain structs with string keys are always JSON")
}
