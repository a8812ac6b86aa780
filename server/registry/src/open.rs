//! From a URL to a registry.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    sync::Arc,
};

use object_store::{local::LocalFileSystem, memory::InMemory};
use url::Url;

use crate::{
    error::{Error, Result},
    object::ObjectRegistry,
    registry::Registry,
};

/// The file in a registry's folder that its one writer keeps locked.
const LOCK_FILE: &str = ".writer.lock";

/// Opens the registry at `url`: `memory:`, or `file:///FOLDER` (made when absent, locked for one writer, every write
/// fsynced).
///
/// # Errors
/// [`Error::InvalidUrl`] for anything else, [`Error::Locked`] when another server holds the folder,
/// [`Error::Unreachable`] when the folder cannot be made or written.
pub fn open(url: &str) -> Result<Arc<dyn Registry>> {
    let invalid = |reason: String| Error::InvalidUrl {
        url: url.to_owned(),
        reason,
    };
    let parsed = Url::parse(url)
        .map_err(|error| invalid(format!("{error}; write file:///absolute/folder or memory:")))?;
    match parsed.scheme() {
        "memory" => Ok(Arc::new(ObjectRegistry::new(
            Arc::new(InMemory::new()),
            "memory:".to_owned(),
            None,
        ))),
        "file" => {
            let folder = parsed.to_file_path().map_err(|()| {
                invalid(
                    "it has a host; write file:///absolute/folder with three slashes".to_owned(),
                )
            })?;
            open_folder(&folder, url)
        }
        "s3" | "gs" | "az" | "mlflow+http" | "mlflow+https" => Err(invalid(format!(
            "{} registries are not supported yet; use file:///absolute/folder or memory:",
            parsed.scheme()
        ))),
        other => Err(invalid(format!(
            "unknown scheme {other}; use file:///absolute/folder or memory:"
        ))),
    }
}

fn open_folder(folder: &Path, url: &str) -> Result<Arc<dyn Registry>> {
    let unreachable = |error: std::io::Error| Error::Unreachable {
        reason: format!("{}: {error}", folder.display()),
    };
    fs::create_dir_all(folder).map_err(unreachable)?;
    let lock = File::create(folder.join(LOCK_FILE)).map_err(unreachable)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::Locked {
                url: url.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(unreachable(error)),
    }
    remove_staged(folder).map_err(unreachable)?;
    let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
    Ok(Arc::new(ObjectRegistry::new(
        Arc::new(store),
        url.to_owned(),
        Some(lock),
    )))
}

/// Removes what a killed writer left half-written: object_store stages every put as `NAME#NUMBER` and renames it.
/// Only the holder of the lock may do this.
fn remove_staged(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            remove_staged(&path)?;
        } else if is_staged(&entry.file_name().to_string_lossy()) {
            tracing::info!(path = %path.display(), "removing what a killed writer left half-written");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn is_staged(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(folder: &Path) -> String {
        Url::from_directory_path(folder).unwrap().to_string()
    }

    #[test]
    fn unknown_scheme_names_the_flag_and_the_remedy() {
        let error = open("ftp://somewhere").unwrap_err().to_string();
        assert!(
            error.contains("--registry") && error.contains("file:///"),
            "{error}"
        );
        let error = open("./models").unwrap_err().to_string();
        assert!(
            error.contains("--registry") && error.contains("file:///"),
            "{error}"
        );
    }

    #[test]
    fn a_second_writer_on_the_same_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = open(&url_of(folder.path())).unwrap();
        assert!(matches!(
            open(&url_of(folder.path())),
            Err(Error::Locked { .. })
        ));
    }

    #[test]
    fn half_written_files_of_a_killed_writer_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("models/a/versions/1");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("model.pr#1"), "half").unwrap();
        fs::write(deep.join("model.pr"), "whole").unwrap();
        let _registry = open(&url_of(folder.path())).unwrap();
        assert!(!deep.join("model.pr#1").exists());
        assert!(deep.join("model.pr").exists());
    }
}
