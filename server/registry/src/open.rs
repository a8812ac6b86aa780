//! From a URL to a registry.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    sync::Arc,
};

use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
use url::Url;
use uuid::Uuid;

use crate::{
    bucket::{is_bucket, open_bucket},
    environment::Environment,
    error::{Error, Result},
    mirror::Mirrored,
    mlflow::{Limits, MlflowRegistry},
    object::{ObjectRegistry, Writers},
    read_only::ReadOnly,
    registry::Registry,
};

/// The file in a registry's folder that its one writer keeps locked.
const LOCK_FILE: &str = ".writer.lock";

/// What a person may write.
const FORMS: &str = "file:///absolute/folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, mlflow+https://HOST or memory:";

/// Opens the registry at `url`, with endpoints and credentials from this process's environment. See [`open_with`].
///
/// # Errors
/// As [`open_with`].
pub fn open(url: &str) -> Result<Arc<dyn Registry>> {
    open_with(url, &Environment::of_process())
}

/// Opens the registry at `url`:
///
/// | URL | registry | variables read |
/// |---|---|---|
/// | `memory:` | gone with the process | |
/// | `file:///FOLDER` | made when absent, locked for one writer, every write fsynced | |
/// | `s3://BUCKET/PREFIX` | S3 and what speaks it | `AWS_*`, of them `AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP` |
/// | `gs://BUCKET/PREFIX` | Google Cloud Storage | `GOOGLE_*` |
/// | `az://CONTAINER/PREFIX` | Azure Blob Storage | `AZURE_*` |
/// | `mlflow+http://HOST`, `mlflow+https://HOST` | MLflow 2.x or 3.x | `MLFLOW_TRACKING_USERNAME` and `_PASSWORD` or `MLFLOW_TRACKING_TOKEN`, `MLFLOW_WORKSPACE`, `MLFLOW_EXPERIMENT_NAME` |
/// | two of them with a comma between | the first, with a [copy](crate::mirror) of it on the second for when it does not answer | |
///
/// Nothing is sent yet: a registry that is down can be opened.
///
/// # Errors
/// [`Error::InvalidUrl`] for anything else and for credentials in the URL, [`Error::Locked`] when another server holds
/// the folder, [`Error::Unreachable`] when the folder cannot be made or written.
pub fn open_with(url: &str, environment: &Environment) -> Result<Arc<dyn Registry>> {
    open_to_write(url, environment, Uuid::new_v4())
}

/// As [`open_with`], for a writer that was here before under the same name: what its pushes left when it died is cleared by
/// the next one at once. No two processes may have one name at one time.
///
/// # Errors
/// As [`open_with`].
pub fn open_to_write(
    url: &str,
    environment: &Environment,
    writer: Uuid,
) -> Result<Arc<dyn Registry>> {
    open_as(url, environment, Access::Write(writer))
}

/// As [`open_with`], to be followed only: every write is [`Error::ReadOnly`], and a folder is neither made nor locked, so
/// another server may write to it.
///
/// # Errors
/// As [`open_with`], without [`Error::Locked`].
pub fn open_read_only(url: &str, environment: &Environment) -> Result<Arc<dyn Registry>> {
    let registry = open_as(url, environment, Access::Read)?;
    Ok(Arc::new(ReadOnly(registry)))
}

/// What is to be done with a registry.
#[derive(Debug, Clone, Copy)]
enum Access {
    Read,
    /// By this writer.
    Write(Uuid),
}

fn open_as(url: &str, environment: &Environment, access: Access) -> Result<Arc<dyn Registry>> {
    let Some((first, second)) = url.split_once(',') else {
        return open_one(url, environment, access);
    };
    // Many servers may keep one copy, so none of them locks it.
    let Some(copy) = open_objects(&parse(second)?, environment, Access::Read)? else {
        return Err(Error::InvalidUrl {
            url: second.to_owned(),
            reason: "what stands behind the comma is a copy on an object store; write s3://, gs://, az:// or file:///"
                .to_owned(),
        });
    };
    let registry = open_one(first, environment, access)?;
    Ok(Arc::new(Mirrored::new(registry, copy)))
}

fn open_one(url: &str, environment: &Environment, access: Access) -> Result<Arc<dyn Registry>> {
    let parsed = parse(url)?;
    if let Some(registry) = open_objects(&parsed, environment, access)? {
        return Ok(Arc::new(registry));
    }
    match parsed.scheme() {
        "mlflow+http" | "mlflow+https" => {
            let registry = MlflowRegistry::new(&parsed, environment, Limits::default())?;
            Ok(Arc::new(match access {
                Access::Read => registry,
                Access::Write(writer) => registry.written_by(writer),
            }))
        }
        other => Err(Error::InvalidUrl {
            url: url.to_owned(),
            reason: format!("unknown scheme {other}; write {FORMS}"),
        }),
    }
}

/// The registry on an object store at `url`; `None` when that names no object store.
fn open_objects(
    url: &Url,
    environment: &Environment,
    access: Access,
) -> Result<Option<ObjectRegistry>> {
    let (store, writers): (Arc<dyn ObjectStore>, Writers) = match url.scheme() {
        "memory" => (Arc::new(InMemory::new()), Writers::Many),
        "file" => {
            let folder = url.to_file_path().map_err(|()| Error::InvalidUrl {
                url: url.to_string(),
                reason: "it has a host; write file:///absolute/folder with three slashes"
                    .to_owned(),
            })?;
            let writers = match access {
                Access::Read => Writers::Many,
                Access::Write(_) => Writers::One(lock(&folder, url.as_str())?),
            };
            let store = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true);
            (Arc::new(store), writers)
        }
        scheme if is_bucket(scheme) => (open_bucket(url, environment)?, Writers::Many),
        _ => return Ok(None),
    };
    Ok(Some(ObjectRegistry::new(store, url.to_string(), writers)))
}

fn parse(url: &str) -> Result<Url> {
    let parsed = Url::parse(url).map_err(|error| Error::InvalidUrl {
        url: url.to_owned(),
        reason: format!("{error}; write {FORMS}"),
    })?;
    if parsed.username().is_empty() && parsed.password().is_none() {
        return Ok(parsed);
    }
    Err(Error::InvalidUrl {
        url: without_credentials(parsed),
        reason: "credentials do not belong in a URL; put them in the environment".to_owned(),
    })
}

/// `url` as it may be shown.
fn without_credentials(mut url: Url) -> String {
    // Both fail only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// Makes `folder` where there is none, and keeps every other writer out of it.
fn lock(folder: &Path, url: &str) -> Result<File> {
    let unreachable =
        |error: std::io::Error| Error::unreachable(format!("{}: {error}", folder.display()));
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
    Ok(lock)
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
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        for url in [
            "s3://key:s3cret@bucket/prefix",
            "mlflow+https://me:s3cret@mlflow.example",
        ] {
            let error = open(url).unwrap_err().to_string();
            assert!(
                error.contains("environment") && !error.contains("s3cret"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_bucket_is_opened_without_talking_to_it() {
        let environment = Environment::from([
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AZURE_STORAGE_ACCOUNT_NAME", "account"),
            ("GOOGLE_SKIP_SIGNATURE", "true"),
        ]);
        for url in ["s3://bucket/prefix", "gs://bucket", "az://container/a/b"] {
            let registry = open_with(url, &environment).unwrap();
            assert_eq!(registry.url(), url);
            assert!(!format!("{registry:?}").contains("s3cret"));
        }
        let error = open_with("s3:///prefix", &environment)
            .unwrap_err()
            .to_string();
        assert!(error.contains("s3://BUCKET"), "{error}");
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
    fn a_folder_that_is_followed_only_is_neither_made_nor_locked() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Environment::default();
        let _writer = open(&url_of(folder.path())).unwrap();
        for _ in 0..2 {
            open_read_only(&url_of(folder.path()), &nothing).unwrap();
        }
        let absent = folder.path().join("absent");
        open_read_only(&url_of(&absent), &nothing).unwrap_err();
        assert!(!absent.exists());
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
