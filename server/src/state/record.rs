//! Append-only files of checksummed records: `[length u32 LE][crc32 u32 LE][payload]`.

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
    /// Opens `path` (made when absent), reads every record, and cuts off one torn at the end.
    ///
    /// # Errors
    /// [`Error::State`] when the file cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, Contents<T>)> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(|error| Error::state(path, error))?;
        let scan = scan::<T>(path)?;
        file.set_len(scan.good_bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| Error::state(path, error))?;
        let opened = Self {
            path: path.to_owned(),
            file,
            len: scan.contents.items.len(),
            _record: PhantomData,
        };
        Ok((opened, scan.contents))
    }

    /// How many records the file holds.
    pub fn count(&self) -> usize {
        self.len
    }

    /// Appends one record and waits until it is on the disk. A failed append is cut off again.
    ///
    /// # Errors
    /// [`Error::State`]
    pub fn append(&mut self, record: &T) -> Result<()> {
        let framed = frame(&self.path, record)?;
        let before = self
            .file
            .metadata()
            .map_err(|error| Error::state(&self.path, error))?
            .len();
        let written = self
            .file
            .write_all(&framed)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            if let Err(error) = self.file.set_len(before) {
                tracing::error!(path = %self.path.display(), %error, "cannot cut off a half-written record");
            }
            return Err(Error::state(&self.path, error));
        }
        self.len += 1;
        Ok(())
    }

    /// Replaces the file by one that holds `records`, atomically.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite<'a>(&mut self, records: impl Iterator<Item = &'a T>) -> Result<()>
    where
        T: 'a,
    {
        let mut bytes = Vec::new();
        let mut len = 0;
        for record in records {
            bytes.extend_from_slice(&frame(&self.path, record)?);
            len += 1;
        }
        self.file = replace_file(&self.path, &bytes)?;
        self.len = len;
        Ok(())
    }

    /// Reads every record again.
    ///
    /// # Errors
    /// [`Error::State`]
    pub fn read_all(&self) -> Result<Vec<T>> {
        Ok(scan(&self.path)?.contents.items)
    }
}

struct Scan<T> {
    contents: Contents<T>,
    good_bytes: u64,
}

fn scan<T: Record>(path: &Path) -> Result<Scan<T>> {
    let fail = |error| Error::state(path, error);
    let file = File::open(path).map_err(fail)?;
    let total = file.metadata().map_err(fail)?.len();
    let mut reader = BufReader::new(file);
    let mut items = Vec::new();
    let mut good_bytes = 0;
    let mut damaged = false;
    while total - good_bytes >= HEAD_BYTES as u64 {
        let mut head = [0; HEAD_BYTES];
        reader.read_exact(&mut head).map_err(fail)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
        let end = good_bytes + HEAD_BYTES as u64 + u64::from(length);
        if end > total {
            damaged = length > MAX_RECORD_BYTES;
            break;
        }
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload).map_err(fail)?;
        let decoded = (crc32fast::hash(&payload) == checksum)
            .then(|| T::decode(&payload))
            .and_then(|decoded| {
                decoded
                    .inspect_err(|error| tracing::error!(path = %path.display(), error, "a record cannot be read"))
                    .ok()
            });
        let Some(record) = decoded else {
            damaged = end < total;
            break;
        };
        items.push(record);
        good_bytes = end;
    }
    Ok(Scan {
        contents: Contents { items, damaged },
        good_bytes,
    })
}

fn frame<T: Record>(path: &Path, record: &T) -> Result<Vec<u8>> {
    let payload = record.encode().map_err(|error| Error::state(path, error))?;
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length <= MAX_RECORD_BYTES)
        .ok_or_else(|| Error::state(path, format!("a record of {} bytes", payload.len())))?;
    let mut framed = Vec::with_capacity(HEAD_BYTES + payload.len());
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    framed.extend_from_slice(&payload);
    Ok(framed)
}

/// Writes `bytes` beside `path`, fsyncs, renames over it, fsyncs the folder; returns the file, open for appending.
///
/// # Errors
/// [`Error::State`]; what was at `path` is then still there.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<File> {
    let staged = path.with_extension("new");
    let replace = || {
        let mut writer = BufWriter::new(File::create(&staged)?);
        writer.write_all(bytes)?;
        writer.into_inner()?.sync_all()?;
        fs::rename(&staged, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        OpenOptions::new().read(true).append(true).open(path)
    };
    replace().map_err(|error: std::io::Error| Error::state(path, error))
}
