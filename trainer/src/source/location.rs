//! Where bytes come from: a local path or a URL that object stores answer for.

use object_store::local::LocalFileSystem;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::error::{Error, Result};

/// The most bytes read from one file: ten years of five-minute rows of twenty columns fit.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Reads the whole file at `place`, a local path or a URL.
///
/// # Errors
/// [`Error::Source`] when there is no such file, it cannot be read, it is larger than
/// [`MAX_BYTES`], or the URL's scheme is not one that this build reads.
pub async fn read(place: &str) -> Result<Vec<u8>> {
    let (store, path) = locate(place)?;
    let answer = store
        .get(&path)
        .await
        .map_err(|error| unreadable(place, &error))?;
    if answer.meta.size > MAX_BYTES {
        return Err(Error::source(
            format!(
                "{place} has {} bytes, more than the {MAX_BYTES} that are read",
                answer.meta.size
            ),
            "give fewer columns or a shorter history, or split the file",
        ));
    }
    let bytes = answer
        .bytes()
        .await
        .map_err(|error| unreadable(place, &error))?;
    Ok(bytes.to_vec())
}

fn locate(place: &str) -> Result<(Box<dyn ObjectStore>, StorePath)> {
    if place.contains("://") {
        let url = Url::parse(place).map_err(|error| {
            Error::source(
                format!("{place} is no URL: {error}"),
                "give a local path or a URL such as file:///var/data/metrics.csv",
            )
        })?;
        return object_store::parse_url(&url).map_err(|error| {
            tracing::debug!(%error, "no store for this URL");
            Error::source(
                format!("{place}: this build cannot read {}:// URLs", url.scheme()),
                "give a local path or a file:// URL",
            )
        });
    }
    let absolute = std::path::absolute(place).map_err(|error| {
        Error::source(
            format!("{place} is no path: {error}"),
            "give the path of a file",
        )
    })?;
    // Canonical, because store paths know no `..`; a missing file is told by the read itself.
    let absolute = absolute.canonicalize().unwrap_or(absolute);
    if absolute.is_dir() {
        return Err(Error::source(
            format!("{place} is a folder, not a file"),
            "give the path of a file in it",
        ));
    }
    let path = StorePath::from_absolute_path(&absolute).map_err(|error| {
        Error::source(
            format!("{place} is no path: {error}"),
            "give the path of a file",
        )
    })?;
    Ok((Box::new(LocalFileSystem::new()), path))
}

fn unreadable(place: &str, error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::source(
            format!("{place}: no such file"),
            "check the path for typing errors and the folder you are in",
        ),
        object_store::Error::PermissionDenied { .. } => Error::source(
            format!("{place}: permission denied"),
            "make the file readable for this user",
        ),
        other => Error::source(
            format!("{place} cannot be read: {other}"),
            "check that the place is reachable and readable",
        ),
    }
}
