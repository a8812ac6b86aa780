//! Where bytes are: a local path or a URL that object stores answer for.
//!
//! Endpoints, regions and credentials of buckets are the environment's, under the names that each provider's own tools
//! read: `AWS_*` (with `AWS_ENDPOINT_URL` or `AWS_ENDPOINT` for what speaks S3), `GOOGLE_*`, `AZURE_*`.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use loadcast_registry::bucket::{is_bucket, open_bucket};
use loadcast_registry::environment::Environment;
use loadcast_registry::error::Error as BucketError;
use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, UpdateVersion};
use url::Url;

use crate::error::{Error, Result};

/// The most bytes read from one file: ten years of five-minute rows of twenty columns fit.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The most names that one listing gives: a fleet of series a hundred times over.
const MAX_LISTED: usize = 1_000_000;

/// A place in a store: a file, or a folder of them.
#[derive(Debug, Clone)]
pub struct Location {
    store: Arc<dyn ObjectStore>,
    path: StorePath,
    shown: String,
    local: bool,
}

/// What a place held when it was read, to be replaced by nobody else's.
#[derive(Debug, Clone)]
pub struct Seen(UpdateVersion);

/// Reads the whole file at `place`, a local path or a URL.
///
/// # Errors
/// [`Error::Source`] when there is no such file, it cannot be read, it is larger than
/// [`MAX_BYTES`], or the URL's scheme is not one that this build reads.
pub async fn read(place: &str) -> Result<Bytes> {
    if !place.contains("://") && Path::new(place).is_dir() {
        return Err(Error::source(
            format!("{place} is a folder, not a file"),
            "give the path of a file in it",
        ));
    }
    Location::of(place)?.read().await
}

impl Location {
    /// The place that a local path or a URL names; nobody is asked yet.
    ///
    /// # Errors
    /// [`Error::Source`] for what is neither, or whose scheme is not one that this build reads.
    pub fn of(place: &str) -> Result<Self> {
        if place.contains("://") {
            return Self::of_url(place);
        }
        let no_path = |error: &dyn std::fmt::Display| {
            Error::source(
                format!("{place} is no path: {error}"),
                "give the path of a file",
            )
        };
        let absolute = std::path::absolute(place).map_err(|error| no_path(&error))?;
        let path =
            StorePath::from_absolute_path(canonical(&absolute)).map_err(|error| no_path(&error))?;
        Ok(Self::local(path, place))
    }

    fn local(path: StorePath, shown: &str) -> Self {
        Self {
            store: Arc::new(LocalFileSystem::new().with_fsync(true)),
            path,
            shown: shown.trim_end_matches('/').to_owned(),
            local: true,
        }
    }

    fn of_url(place: &str) -> Result<Self> {
        const FORMS: &str = "give a local path, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";
        let url = Url::parse(place)
            .map_err(|error| Error::source(format!("{place} is no URL: {error}"), FORMS))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::source(
                format!("a {}:// URL has credentials in it", url.scheme()),
                "take them out of the URL and put them in the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or those of the provider",
            ));
        }
        let path = StorePath::from_url_path(url.path())
            .map_err(|error| Error::source(format!("{place} is no place: {error}"), FORMS))?;
        if url.scheme() == "file" {
            return Ok(Self::local(path, place));
        }
        if !is_bucket(url.scheme()) {
            return Err(Error::source(
                format!("{place}: this build cannot read {}:// URLs", url.scheme()),
                FORMS,
            ));
        }
        let mut bucket = url.clone();
        bucket.set_path("");
        let store = open_bucket(&bucket, &Environment::of_process()).map_err(|error| {
            let what = match error {
                BucketError::InvalidUrl { reason, .. } => reason,
                other => other.to_string(),
            };
            Error::source(format!("{place}: {what}"), FORMS)
        })?;
        Ok(Self {
            store,
            path,
            shown: place.trim_end_matches('/').to_owned(),
            local: false,
        })
    }

    /// The place `name` in this folder; `name` may have folders of its own.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let path = name
            .split('/')
            .fold(self.path.clone(), |path, part| path.join(part));
        Self {
            path,
            shown: format!("{}/{name}", self.shown),
            ..self.clone()
        }
    }

    /// As it was written, for people.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The path in the file system; `None` in a bucket.
    #[must_use]
    pub fn local_path(&self) -> Option<PathBuf> {
        let path = || PathBuf::from(format!("/{}", self.path));
        self.local.then(path)
    }

    /// The whole file.
    ///
    /// # Errors
    /// As [`read`].
    pub async fn read(&self) -> Result<Bytes> {
        let (bytes, _) = self.seen().await?;
        Ok(bytes)
    }

    /// The whole file; `None` where there is none.
    ///
    /// # Errors
    /// As [`read`], without that there is none.
    pub async fn find(&self) -> Result<Option<(Bytes, Seen)>> {
        match self.get().await {
            Ok(found) => found.map(Some),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unreadable(&self.shown, &error)),
        }
    }

    async fn seen(&self) -> Result<(Bytes, Seen)> {
        let found = self.get().await;
        found.map_err(|error| unreadable(&self.shown, &error))?
    }

    async fn get(&self) -> std::result::Result<Result<(Bytes, Seen)>, object_store::Error> {
        let answer = self.store.get(&self.path).await?;
        if answer.meta.size > MAX_BYTES {
            return Ok(Err(Error::source(
                format!(
                    "{} has {} bytes, more than the {MAX_BYTES} that are read",
                    self.shown, answer.meta.size
                ),
                "give fewer columns or a shorter history, or split the file",
            )));
        }
        let seen = Seen(UpdateVersion {
            e_tag: answer.meta.e_tag.clone(),
            version: answer.meta.version.clone(),
        });
        Ok(Ok((answer.bytes().await?, seen)))
    }

    /// Puts a file here, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Output`] when the place cannot be written; what was there before is untouched then.
    pub async fn write(&self, bytes: impl Into<Bytes>) -> Result<()> {
        let put = self.store.put(&self.path, bytes.into().into()).await;
        put.map(drop).map_err(|error| self.unwritable(&error))
    }

    /// Puts a file here in the place of what was `seen` (`None`: nothing), whole or not at all. In a bucket nobody else's
    /// is overwritten; a folder has no such condition, its writers keep each other out by a lock.
    ///
    /// # Errors
    /// [`Error::Output`] when somebody else wrote meanwhile, or the place cannot be written.
    pub async fn replace(&self, bytes: impl Into<Bytes>, seen: Option<Seen>) -> Result<()> {
        if self.local {
            return self.write(bytes).await;
        }
        let mode = match seen {
            Some(Seen(version)) => PutMode::Update(version),
            None => PutMode::Create,
        };
        let put = self
            .store
            .put_opts(&self.path, bytes.into().into(), mode.into())
            .await;
        put.map(drop).map_err(|error| match error {
            object_store::Error::Precondition { .. }
            | object_store::Error::AlreadyExists { .. }
            | object_store::Error::NotModified { .. } => Error::output(
                format!("{}: somebody else wrote it meanwhile", self.shown),
                "let one writer at a time work on this folder; run again, nothing that was complete is asked for again",
            ),
            other => self.unwritable(&other),
        })
    }

    /// The names of the files directly in this folder, in order.
    ///
    /// # Errors
    /// [`Error::Source`] when it cannot be listed.
    pub async fn files(&self) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&self.path)).await;
        let listed = listed.map_err(|error| unreadable(&self.shown, &error))?;
        let mut names: Vec<String> = listed
            .objects
            .iter()
            .filter_map(|object| object.location.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The names of the folders directly in this one, in order.
    ///
    /// # Errors
    /// [`Error::Source`] when it cannot be listed.
    pub async fn folders(&self) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&self.path)).await;
        let listed = listed.map_err(|error| unreadable(&self.shown, &error))?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|folder| folder.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        names.truncate(MAX_LISTED);
        Ok(names)
    }

    /// Whether anything is in this folder.
    ///
    /// # Errors
    /// [`Error::Source`] when it cannot be listed.
    pub async fn is_folder(&self) -> Result<bool> {
        let first = self.store.list(Some(&self.path)).try_next().await;
        let first = first.map_err(|error| unreadable(&self.shown, &error))?;
        Ok(first.is_some())
    }

    fn unwritable(&self, error: &object_store::Error) -> Error {
        let remedy = match self.local {
            true => "give a place in a folder that is writable",
            false => {
                "check that the bucket exists and that the credentials of the environment may write to it"
            }
        };
        Error::output(format!("{} cannot be written: {error}", self.shown), remedy)
    }
}

/// Store paths know no `..` and no links: what exists of `path` is resolved, the rest by its letters.
fn canonical(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return rest.components().fold(real, |mut path, part| {
                match part {
                    Component::ParentDir => drop(path.pop()),
                    Component::Normal(name) => path.push(name),
                    _ => {}
                }
                path
            });
        }
    }
    path.to_owned()
}

fn unreadable(place: &str, error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::source(
            format!("{place}: no such file"),
            "check the path for typing errors and the folder you are in",
        ),
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => Error::source(
            format!("{place}: permission denied"),
            "make the file readable for this user; for a bucket, give credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
        ),
        other => Error::source(
            format!("{place} cannot be read: {other}"),
            "check that the place is reachable and readable; what speaks S3 elsewhere is named by AWS_ENDPOINT_URL, and AWS_ALLOW_HTTP=true allows http",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_written_listed_and_read_by_path_and_by_url_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/../data");
        let place = Location::of(path.to_str().unwrap()).unwrap();
        assert!(!place.is_folder().await.unwrap());
        place.join("b/c.txt").write(&b"one"[..]).await.unwrap();
        place.join("a.txt").write(&b"two"[..]).await.unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        let again = Location::of(&format!("{url}data")).unwrap();
        assert_eq!(again.files().await.unwrap(), ["a.txt"]);
        assert_eq!(again.folders().await.unwrap(), ["b"]);
        assert_eq!(&again.join("b/c.txt").read().await.unwrap()[..], b"one");
        assert!(again.join("none").find().await.unwrap().is_none());
    }

    #[test]
    fn what_is_no_place_is_refused_with_what_to_write_and_secrets_are_not_repeated() {
        for (place, says) in [
            ("ftp://x/y", "this build cannot read ftp:// URLs"),
            ("s3:///y", "names no bucket"),
            ("s3://key:s3cret@b/y", "credentials"),
        ] {
            let error = Location::of(place).unwrap_err();
            let told = format!("{error} {}", error.remedy());
            assert!(told.contains(says) && !told.contains("s3cret"), "{told}");
        }
    }
}
