//! The state directory: what one server remembers across kill -9 with nothing else running.
//!
//! ```text
//! lock          held by the one server that uses the directory
//! state.json    schema version and epoch
//! events.log    every committed event, in order; the commit point of a change
//! models.seg    the served models without their history; the last record of a series counts
//! ```
//!
//! A change is appended to `models.seg` (when it serves or removes a model), then to `events.log`, each fsynced,
//! before anyone sees it. A model record whose event did not make it into the log was never visible and is dropped.

pub mod model_record;
pub mod record;

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    event::Event,
    state::{
        model_record::{ModelRecord, last_of_each_series},
        record::{RecordFile, replace_file},
    },
};

/// The schema that this build writes and reads. A directory of another schema is refused, never guessed at.
pub const SCHEMA: u32 = 1;

/// Garbage that `models.seg` may carry beyond one record per series before it is rewritten.
const MODEL_SLACK: usize = 1_000;

/// The content of `state.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    schema: u32,
    epoch: Uuid,
}

/// An open, locked state directory.
#[derive(Debug)]
pub struct StateDir {
    events: RecordFile<Event>,
    models: RecordFile<ModelRecord>,
    _lock: File,
}

/// What a state directory remembers.
#[derive(Debug)]
pub struct Restored {
    /// The id of the revision history that `events` belong to.
    pub epoch: Uuid,
    /// Retained events, ascending by revision; empty when the epoch is new.
    pub events: Vec<Event>,
    /// The last record of each series that is served, ascending by revision. Under a new epoch these are not yet
    /// committed: serve them again.
    pub models: Vec<ModelRecord>,
}

impl StateDir {
    /// Opens `folder` (made when absent), locks it, and reads what it remembers.
    ///
    /// A record torn by a crash at the end of a file was never visible and is cut off. Damage anywhere else loses
    /// history, so the epoch changes; models that still check out are kept.
    ///
    /// # Errors
    /// [`Error::StateLocked`] when another server holds it; [`Error::State`] when it cannot be read or written, or is
    /// of another schema.
    pub fn open(folder: &Path) -> Result<(Self, Restored)> {
        fs::create_dir_all(folder).map_err(|error| Error::state(folder, error))?;
        let lock = lock(folder)?;
        let (mut events_file, events) = RecordFile::<Event>::open(&folder.join("events.log"))?;
        let (mut models_file, models) =
            RecordFile::<ModelRecord>::open(&folder.join("models.seg"))?;
        if events.damaged || models.damaged {
            tracing::error!(folder = %folder.display(), "state is damaged; what checks out is kept, a new epoch begins");
        }
        let kept = read_header(folder)?.filter(|_| !events.damaged && !models.damaged);
        let restored = match kept {
            Some(Header { epoch, .. }) => {
                let committed = events.items.last().map_or(0, |event| event.revision);
                let visible = models
                    .items
                    .into_iter()
                    .filter(|record| record.revision <= committed);
                Restored {
                    epoch,
                    models: last_of_each_series(visible),
                    events: events.items,
                }
            }
            None => {
                let epoch = Uuid::new_v4();
                events_file.rewrite(std::iter::empty::<&Event>())?;
                write_header(folder, epoch)?;
                // Revision 0: visible in the new epoch too, should a crash come before they are served again.
                let mut models = last_of_each_series(models.items.into_iter());
                for record in &mut models {
                    record.revision = 0;
                }
                Restored {
                    epoch,
                    models,
                    events: Vec::new(),
                }
            }
        };
        models_file.rewrite(restored.models.iter())?;
        let state = Self {
            events: events_file,
            models: models_file,
            _lock: lock,
        };
        Ok((state, restored))
    }

    /// Makes one change durable: the model record (if any), then its event. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`]; the change must then not become visible.
    pub fn append(&mut self, event: &Event, model: Option<&ModelRecord>) -> Result<()> {
        if let Some(model) = model {
            self.models.append(model)?;
        }
        self.events.append(event)
    }

    /// Whether `events.log` holds much more than the `retained` events that are still needed.
    pub fn events_want_rewrite(&self, retained: usize) -> bool {
        self.events.count() > 2 * retained.max(MODEL_SLACK)
    }

    /// Whether `models.seg` holds much more than one record for each of `live` series.
    pub fn models_want_rewrite(&self, live: usize) -> bool {
        self.models.count() > 2 * live + MODEL_SLACK
    }

    /// Cuts `events.log` down to `retained`. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite_events(&mut self, retained: &[Arc<Event>]) -> Result<()> {
        self.events.rewrite(retained.iter().map(|event| &**event))
    }

    /// Cuts `models.seg` down to the last record of each series. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite_models(&mut self) -> Result<()> {
        let records = self.models.read_all()?;
        self.models
            .rewrite(last_of_each_series(records.into_iter()).iter())
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|error| Error::state(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::StateLocked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::state(&path, error)),
    }
}

fn read_header(folder: &Path) -> Result<Option<Header>> {
    let path = folder.join("state.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::state(&path, error)),
    };
    let header: Header =
        serde_json::from_slice(&bytes).map_err(|error| Error::state(&path, error))?;
    if header.schema != SCHEMA {
        return Err(Error::state(
            &path,
            format!(
                "schema {}, this server knows {SCHEMA}; use the server that wrote it or another --state-dir",
                header.schema
            ),
        ));
    }
    Ok(Some(header))
}

fn write_header(folder: &Path, epoch: Uuid) -> Result<()> {
    let path = folder.join("state.json");
    let header = Header {
        schema: SCHEMA,
        epoch,
    };
    let bytes = serde_json::to_vec(&header).map_err(|error| Error::state(&path, error))?;
    replace_file(&path, &bytes).map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use jiff::Timestamp;

    use super::*;
    use crate::event::EventKind;

    fn event(revision: u64) -> Event {
        Event {
            revision,
            at: Timestamp::UNIX_EPOCH,
            traceparent: String::new(),
            kind: EventKind::RegistryBack,
        }
    }

    fn filled(folder: &Path, count: u64) -> Uuid {
        let (mut state, restored) = StateDir::open(folder).unwrap();
        for revision in 1..=count {
            state.append(&event(revision), None).unwrap();
        }
        restored.epoch
    }

    #[test]
    fn epoch_and_events_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let epoch = filled(folder.path(), 3);
        let (_state, restored) = StateDir::open(folder.path()).unwrap();
        assert_eq!(restored.epoch, epoch);
        assert_eq!(restored.events, [event(1), event(2), event(3)]);
    }

    #[test]
    fn a_second_server_on_the_same_state_directory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let _first = StateDir::open(folder.path()).unwrap();
        let error = StateDir::open(folder.path()).unwrap_err();
        assert!(matches!(error, Error::StateLocked { .. }));
        assert!(error.to_string().contains("--state-dir"), "{error}");
    }

    #[test]
    fn a_record_torn_at_any_byte_is_cut_off_and_the_epoch_stays() {
        let folder = tempfile::tempdir().unwrap();
        let epoch = filled(folder.path(), 3);
        let path = folder.path().join("events.log");
        let whole = fs::read(&path).unwrap();
        let record = whole.len() / 3;
        for cut in (2 * record)..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut state, restored) = StateDir::open(folder.path()).unwrap();
            assert_eq!(restored.epoch, epoch, "cut at {cut}");
            assert_eq!(restored.events, [event(1), event(2)], "cut at {cut}");
            state.append(&event(3), None).unwrap();
            drop(state);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn damage_inside_the_log_begins_a_new_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let epoch = filled(folder.path(), 3);
        let path = folder.path().join("events.log");
        let mut bytes = fs::read(&path).unwrap();
        bytes[12] ^= 0xff;
        fs::write(&path, bytes).unwrap();
        let (_state, restored) = StateDir::open(folder.path()).unwrap();
        assert_ne!(restored.epoch, epoch);
        assert!(restored.events.is_empty());
    }

    #[test]
    fn another_schema_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 1);
        let mut file = File::create(folder.path().join("state.json")).unwrap();
        write!(file, r#"{{"schema":99,"epoch":"{}"}}"#, Uuid::nil()).unwrap();
        let error = StateDir::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("schema 99"), "{error}");
    }
}
