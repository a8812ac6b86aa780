//! Where the files of a version or a run lie: behind MLflow's proxy, or in a bucket that we read ourselves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use loadcast_model::artifact::MAX_ARTIFACT_BYTES;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use url::Url;

use super::{client::Client, download::download};
use crate::{
    bucket::{is_bucket, open_bucket},
    environment::Environment,
    error::{Error, Result},
};

/// The buckets that were opened, by scheme and name.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<HashMap<String, Arc<dyn ObjectStore>>>);

impl Buckets {
    fn get(&self, url: &Url, environment: &Environment) -> Result<Arc<dyn ObjectStore>> {
        let mut root = url.clone();
        root.set_path("");
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(root.as_str()) {
            return Ok(Arc::clone(store));
        }
        let store = open_bucket(&root, environment)?;
        open.insert(root.into(), Arc::clone(&store));
        Ok(store)
    }
}

/// A folder of files.
#[derive(Debug)]
pub(super) struct Artifacts<'a> {
    client: &'a Client,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The path behind MLflow's proxy.
    Proxied(String),
    /// The store, and the path in it.
    Bucket(Arc<dyn ObjectStore>, Path),
}

impl<'a> Artifacts<'a> {
    /// The folder at `uri`: `mlflow-artifacts:/PATH`, or `s3://`, `gs://` and `az://` roots.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for places that only MLflow itself or Python can reach.
    pub(super) fn at(
        client: &'a Client,
        uri: &str,
        buckets: &Buckets,
        environment: &Environment,
    ) -> Result<Self> {
        let unsupported = |reason: &str| Error::Unsupported {
            what: uri.to_owned(),
            reason: reason.to_owned(),
        };
        if uri.split(['/', '\\']).any(|segment| segment == "..") {
            return Err(unsupported("its path climbs out of its folder"));
        }
        if let Some(rest) = uri.strip_prefix("mlflow-artifacts:") {
            let path = match rest.strip_prefix("//") {
                None => rest,
                Some(path) if path.starts_with('/') => path,
                Some(other) => {
                    let (host, path) = other.split_once('/').unwrap_or((other, ""));
                    if !is_host_of(host, client.base()) {
                        return Err(unsupported(
                            "its artifacts are served by another host than --registry names; point --registry at that host",
                        ));
                    }
                    path
                }
            };
            let path = path.trim_matches('/').to_owned();
            let place = Place::Proxied(path);
            return Ok(Self { client, place });
        }
        match Url::parse(uri) {
            Ok(url) if is_bucket(url.scheme()) => {
                let path =
                    Path::parse(url.path()).map_err(|error| unsupported(&error.to_string()))?;
                let store = buckets.get(&url, environment)?;
                let place = Place::Bucket(store, path);
                Ok(Self { client, place })
            }
            Ok(url) if url.scheme() != "file" => Err(unsupported(
                "its artifacts lie in a store that this build cannot read; use mlflow-artifacts:, s3, gs or az",
            )),
            _ => Err(unsupported(
                "its artifacts lie in a folder of the machine that logged them; start mlflow server with --serve-artifacts and --artifacts-destination, and log it again",
            )),
        }
    }

    /// The file `name`; `None` where there is none. `expected`: its length, where somebody wrote it down.
    pub(super) async fn get(&self, name: &str, expected: Option<u64>) -> Result<Option<Bytes>> {
        match &self.place {
            Place::Proxied(path) => {
                download(self.client, &format!("{path}/{name}"), expected).await
            }
            Place::Bucket(store, path) => match store.get(&below(path, name)).await {
                Ok(found) if found.meta.size > MAX_ARTIFACT_BYTES as u64 => Err(Error::Corrupt {
                    what: found.meta.location.to_string(),
                    reason: format!("{} bytes; at most {MAX_ARTIFACT_BYTES}", found.meta.size),
                }),
                Ok(found) => Ok(Some(found.bytes().await?)),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// The length of the file `name`, where the place can say it before it is read.
    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>> {
        match &self.place {
            Place::Proxied(path) => {
                let listed = self.client.list_artifacts(path).await?;
                let file = listed
                    .files
                    .iter()
                    .find(|file| file.path.rsplit('/').next() == Some(name));
                Ok(file.and_then(|file| file.file_size?.0))
            }
            // A bucket says it with the answer, which is then checked against it.
            Place::Bucket(..) => Ok(None),
        }
    }

    /// Deletes the folder with all that is in it; nothing to do where there is none.
    pub(super) async fn delete(&self) -> Result<()> {
        match &self.place {
            Place::Proxied(path) => self.client.delete_artifacts(path).await,
            Place::Bucket(store, path) => {
                let listed = store.list(Some(path)).map_ok(|meta| meta.location).boxed();
                let deleted = store.delete_stream(listed).try_collect::<Vec<Path>>().await;
                match deleted {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Writes the file `name`.
    pub(super) async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        match &self.place {
            Place::Proxied(path) => {
                let path = format!("{path}/{name}");
                self.client.put_artifact(&path, bytes).await
            }
            Place::Bucket(store, path) => {
                store.put(&below(path, name), bytes.into()).await?;
                Ok(())
            }
        }
    }
}

/// The path of the file `name`, which may lie deeper.
fn below(path: &Path, name: &str) -> Path {
    name.split('/')
        .fold(path.clone(), |path, part| path.join(part))
}

fn is_host_of(host: &str, base: &Url) -> bool {
    let name = base.host_str().unwrap_or_default();
    let port = base.port_or_known_default().unwrap_or_default();
    host == name || host == format!("{name}:{port}")
}
