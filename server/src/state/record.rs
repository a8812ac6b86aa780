//! Append-only files of checksummed records: `[length u32 LE][crc32 u32 LE][payload]`.

use std::os::unix::fs::MetadataExt as _;
use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, BufWriter, Read as _, Write as _},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

/// The longest payload that is believed; a longer length is damage.
const MAX_RECORD_BYTES: u32 = 256 * 1024 * 1024;

/// Bytes of length and checksum before each payload.
const HEAD_BYTES: usize = 8;

/// What can be a record.
pub trait Record: Sized {
    /// The payload.
    ///
    /// # Errors
    /// A message for the log.
    fn encode(&self) -> std::result::Result<Vec<u8>, String>;

    /// The record of a payload whose checksum was right.
    ///
    /// # Errors
    /// A message for the log.
    fn decode(payload: &[u8]) -> std::result::Result<Self, String>;
}

/// One file of records of type `T`, open for appending.
#[derive(Debug)]
pub struct RecordFile<T> {
    path: PathBuf,
    file: File,
    len: usize,
    _record: PhantomData<fn() -> T>,
}

/// What a file held when it was opened.
#[derive(Debug)]
pub struct Contents<T> {
    /// The records that check out, in order, up to the first that does not.
    pub items: Vec<T>,
    /// A record other than one torn at the end of the file did not check out.
    pub damaged: bool,
}

impl<T: Record> RecordFile<T> {
    /// Opens `path` (made when absent), reads every record, and cuts off one torn at the end. Damage is left where it
    /// is, so that a crash now does not hide it.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Contents<T>)> {
        let file = open_to_append(path)?;
        let (contents, good_bytes) = read_all::<T>(path)?;
        if !contents.damaged {
            file.set_len(good_bytes)
                .and_then(|()| file.sync_all())
                .map_err(|error| Error::state(path, error))?;
        }
        let opened = Self {
            path: path.to_owned(),
            file,
            len: contents.items.len(),
            _record: PhantomData,
        };
        Ok((opened, contents))
    }

    /// How many records the file holds.
    pub fn count(&self) -> usize {
        self.len
    }

    /// Appends `records` and waits until they are on the disk. A failed append is cut off again.
    ///
    /// # Errors
    /// [`Error::State`]
    pub fn append<'a>(&mut self, records: impl IntoIterator<Item = &'a T>) -> Result<()>
    where
        T: 'a,
    {
        let mut framed = Vec::new();
        let mut count = 0;
        for record in records {
            framed.extend_from_slice(&frame(&self.path, record)?);
            count += 1;
        }
        append_durably(&self.path, &mut self.file, &framed)?;
        self.len += count;
        Ok(())
    }

    /// Whether it was taken away; see [`is_gone`].
    pub fn is_gone(&self) -> bool {
        is_gone(&self.file)
    }

    /// Replaces the file by one that holds `records`, atomically.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite<'a>(&mut self, records: impl Iterator<Item = &'a T>) -> Result<()>
    where
        T: 'a,
    {
        let mut len = 0;
        // Record by record: the whole file in memory at once would be its largest allocation by far.
        self.file = replace_file(&self.path, |file| {
            for record in records {
                let framed = frame(&self.path, record).map_err(std::io::Error::other)?;
                file.write_all(&framed)?;
                len += 1;
            }
            Ok(())
        })?;
        self.len = len;
        Ok(())
    }
}

#[cfg(test)]
impl<T> RecordFile<T> {
    /// Whatever is appended from now on is refused.
    pub fn refuse_appends(&mut self) {
        self.file = File::open(&self.path).unwrap();
    }
}

/// Reads every record of `path` into memory.
fn read_all<T: Record>(path: &Path) -> Result<(Contents<T>, u64)> {
    let mut items = Vec::new();
    let extent = scan(path, |_, payload| {
        items.push(T::decode(payload)?);
        Ok(())
    })?;
    let damaged = extent.damaged;
    Ok((Contents { items, damaged }, extent.good_bytes))
}

/// How far a file checks out.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Up to here.
    pub good_bytes: u64,
    /// What follows is not just a record torn at the end of the file.
    pub damaged: bool,
}

/// Hands `each` payload of the file, with the offset at which it begins, as long as records check out.
///
/// # Errors
/// [`Error::State`] when the file cannot be read.
pub fn scan(
    path: &Path,
    mut each: impl FnMut(u64, &[u8]) -> std::result::Result<(), String>,
) -> Result<Extent> {
    let fail = |error| Error::state(path, error);
    let file = File::open(path).map_err(fail)?;
    let total = file.metadata().map_err(fail)?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut payload = Vec::new();
    let mut extent = Extent {
        good_bytes: 0,
        damaged: false,
    };
    while total - extent.good_bytes >= HEAD_BYTES as u64 {
        let mut head = [0; HEAD_BYTES];
        reader.read_exact(&mut head).map_err(fail)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
        let begin = extent.good_bytes + HEAD_BYTES as u64;
        let end = begin + u64::from(length);
        if end > total {
            extent.damaged = length > MAX_RECORD_BYTES;
            break;
        }
        payload.resize(length as usize, 0);
        reader.read_exact(&mut payload).map_err(fail)?;
        let outcome = if crc32fast::hash(&payload) == checksum {
            each(begin, &payload)
        } else {
            Err("its checksum is wrong".to_owned())
        };
        if let Err(error) = outcome {
            tracing::error!(path = %path.display(), offset = begin, error, "a record cannot be read");
            extent.damaged = end < total;
            break;
        }
        extent.good_bytes = end;
    }
    Ok(extent)
}

/// Appends `bytes` and waits until they are on the disk; what a failure left is cut off again.
///
/// # Errors
/// [`Error::State`]
pub fn append_durably(path: &Path, file: &mut File, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let before = file
        .metadata()
        .map_err(|error| Error::state(path, error))?
        .len();
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if let Err(error) = written {
        if let Err(error) = file.set_len(before) {
            tracing::error!(path = %path.display(), %error, "cannot cut off a half-written record");
        }
        return Err(Error::state(path, error));
    }
    Ok(())
}

/// Whether no name leads to `file` any more: it lasts as long as it is open.
pub fn is_gone(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Opens `path` (made when absent) for reading and appending.
///
/// # Errors
/// [`Error::State`]
pub fn open_to_append(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(|error| Error::state(path, error))
}

/// `record` as it lies in the file of `path`.
///
/// # Errors
/// [`Error::State`] when it cannot be encoded or is too long.
pub fn frame<T: Record>(path: &Path, record: &T) -> Result<Vec<u8>> {
    let payload = record.encode().map_err(|error| Error::state(path, error))?;
    let head = head_of(&payload).map_err(|error| Error::state(path, error))?;
    Ok([&head, payload.as_slice()].concat())
}

/// Length and checksum of `payload`, as they stand before it.
///
/// # Errors
/// When it is longer than any record may be.
pub fn head_of(payload: &[u8]) -> std::io::Result<[u8; HEAD_BYTES]> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length <= MAX_RECORD_BYTES)
        .ok_or_else(|| std::io::Error::other(format!("a record of {} bytes", payload.len())))?;
    let ([a, b, c, d], [e, f, g, h]) =
        (length.to_le_bytes(), crc32fast::hash(payload).to_le_bytes());
    Ok([a, b, c, d, e, f, g, h])
}

/// Replaces the file at `path`, atomically, by what `write` writes: beside it, fsynced, renamed over it, folder fsynced.
/// Returns the file, open for appending.
///
/// # Errors
/// [`Error::State`]; what was at `path` is then still there, unless the folder could not be fsynced or the new file not be
/// opened: then the new one may be, and whoever holds the old one finds it gone ([`is_gone`]).
pub fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<File> {
    let staged = path.with_extension("new");
    let replace = || {
        let mut writer = BufWriter::new(File::create(&staged)?);
        write(&mut writer)?;
        writer.into_inner()?.sync_all()?;
        fs::rename(&staged, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        OpenOptions::new().read(true).append(true).open(path)
    };
    replace().map_err(|error: std::io::Error| {
        // On a full disk half a file is in the way of the next attempt.
        let _ = fs::remove_file(&staged);
        Error::state(path, error)
    })
}
