//! The lock of a folder's one writer.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};

/// Held until it is dropped, or its process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes `folder` where there is none, and keeps other writers out of it.
    ///
    /// # Errors
    /// [`Error::Output`] when another process holds it, or the folder cannot be written.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        let unwritable = |error: std::io::Error| {
            Error::output(
                format!("{shown} cannot be written: {error}"),
                "give a place in a folder that is writable",
            )
        };
        fs::create_dir_all(folder).map_err(unwritable)?;
        let file = File::create(folder.join(".writer.lock")).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::output(
                format!("{shown}: another process writes to it"),
                "wait for it to end, or give another place",
            )),
            Err(TryLockError::Error(error)) => Err(unwritable(error)),
        }
    }
}
