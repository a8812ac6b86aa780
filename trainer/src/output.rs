//! Files that are either there whole or not at all.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `bytes` to `path` by way of a neighbour that is renamed over it, creating folders as needed.
///
/// # Errors
/// [`Error::Output`] when the place cannot be written; what was there before is untouched then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes))
}

/// Writes what `content` writes, as [`write()`] does.
///
/// # Errors
/// As [`write()`], and those of `content`.
pub fn write_with(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let neighbour = path.with_added_extension(format!("{}.part", std::process::id()));
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = BufWriter::new(fs::File::create(&neighbour)?);
        content(&mut file)?;
        file.into_inner()?.sync_all()?;
        fs::rename(&neighbour, path)
    };
    write().map_err(|error| {
        // The neighbour may not exist; that it is left behind must not hide the first error.
        let _ = fs::remove_file(&neighbour);
        Error::output(
            format!("{} cannot be written: {error}", path.display()),
            "give a place in a folder that exists and is writable",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named_with_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), b"x").unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert!(error.remedy().contains("writable"));
    }
}
