//! The state directory: what one server remembers across kill -9 with nothing else running.
//!
//! ```text
//! lock            held by the one server that uses the directory
//! state.json      schema version and epoch
//! events.log      every committed event, in order; the commit point of a change
//! parameters.bin  the parameter segment: the served models without their history; the last record of a series counts
//! ```
//!
//! A change is appended to `parameters.bin` (when it serves or removes a model), then to `events.log`, each fsynced,
//! before anyone sees it. A model record whose event did not make it into the log was never visible and is dropped.
//! A directory that is taken away while it is in use is made again before the next change is committed. One that cannot be
//! written, because the disk is full, is forsaken: its epoch is struck out, which takes no room, so that a restart begins
//! a new one; and when it can be written again, what happened meanwhile is added and the epoch put back.
//! Earlier schemas kept the models as JSON in files of other names; they are upgraded when they are opened.

mod forsake;
pub mod model_record;
pub mod record;
pub mod segment;
mod upgrade;

use std::{
    fs::{self, File, TryLockError},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    event::Event,
    state::{
        model_record::ModelRecord,
        record::{RecordFile, replace_file},
        segment::{Index, Place, Segment},
    },
};

/// The schema that this build writes; it reads this one and older ones. A newer one is refused, never guessed at.
pub const SCHEMA: u32 = 3;

/// Events that `events.log` may carry beyond those that are needed before it is rewritten.
const EVENT_SLACK: usize = 1_000;

/// Model records that share an fsync when a directory is brought up to date: few enough to hold in memory.
const ADDED_TOGETHER: usize = 1_000;

/// The file that the one server holds locked.
const LOCK: &str = "lock";

/// The file of schema and epoch.
const HEADER: &str = "state.json";

/// The file of events.
const EVENTS: &str = "events.log";

/// The file of the parameter segment.
const SEGMENT: &str = "parameters.bin";

/// The content of `state.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    schema: u32,
    epoch: Uuid,
}

/// What a directory remembers of what was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembers {
    /// All of it.
    Everything,
    /// What was committed up to this revision.
    UpTo(u64),
    /// None of it: what lies there, if anything, is of another epoch.
    Nothing,
}

/// An open, locked state directory.
#[derive(Debug)]
pub struct StateDir {
    folder: PathBuf,
    events: RecordFile<Event>,
    models: Segment,
    remembers: Remembers,
    _lock: File,
}

/// What a state directory remembers.
#[derive(Debug)]
pub struct Restored {
    /// The id of the revision history that `events` belong to.
    pub epoch: Uuid,
    /// Retained events, ascending by revision; empty when the epoch is new.
    pub events: Vec<Event>,
    /// Where the models lie that are served, for [`StateDir::load`]. Under a new epoch these are not yet committed:
    /// serve them again.
    pub models: Vec<Place>,
    /// Why the new epoch could not be written down: the directory then remembers nothing of it until
    /// [`StateDir::rejoin`].
    pub unwritten: Option<Error>,
}

impl StateDir {
    /// Opens `folder` (made when absent), locks it, and reads what it remembers.
    ///
    /// A record torn by a crash at the end of a file was never visible and is cut off. Damage anywhere else loses
    /// history, so the epoch changes; models that still check out are kept. On a full disk an epoch begins that is not
    /// written down, with the models that are there.
    ///
    /// # Errors
    /// [`Error::StateLocked`] when another server holds it; [`Error::State`] when it cannot be read or written, or is
    /// of another schema.
    pub fn open(folder: &Path) -> Result<(Self, Restored)> {
        fs::create_dir_all(folder).map_err(|error| Error::state(folder, error))?;
        let lock = lock(folder)?;
        upgrade::upgrade(folder)?;
        let (mut events_file, events) = RecordFile::<Event>::open(&folder.join(EVENTS))?;
        let header = read_header(folder)?;
        let committed = match &header {
            Some(_) => events.items.last().map_or(0, |event| event.revision),
            None => u64::MAX,
        };
        let (mut segment, mut index) = Segment::open(&folder.join(SEGMENT), committed)?;
        let damaged = events.damaged || index.damaged;
        if damaged {
            tracing::error!(folder = %folder.display(), "state is damaged; what checks out is kept, a new epoch begins");
        }
        let mut epoch = Uuid::new_v4();
        let mut kept = Vec::new();
        let opened = match header.filter(|_| !damaged) {
            Some(header) => segment.tidied(&index).map(|tidied| {
                (index, epoch, kept) = (tidied, header.epoch, events.items);
            }),
            None => begin(folder, epoch, &mut events_file, &mut segment, &mut index),
        };
        if let Err(error) = &opened {
            tracing::error!(%error, "the state directory cannot be written; a new epoch begins that is not remembered until it can");
            strike_out(folder)?;
        }
        let unwritten = opened.err();
        if segment.is_gone() {
            // Replaced, and not known to be: where the models lie in it is not known either.
            return Err(unwritten.unwrap_or_else(|| Error::state(folder, "it was taken away")));
        }
        let state = Self {
            folder: folder.to_owned(),
            events: events_file,
            models: segment,
            remembers: match unwritten {
                None => Remembers::Everything,
                Some(_) => Remembers::Nothing,
            },
            _lock: lock,
        };
        let restored = Restored {
            epoch,
            events: kept,
            models: index.places,
            unwritten,
        };
        Ok((state, restored))
    }

    /// What `restore` makes of the models at `places`, on every core; in the order of revisions.
    ///
    /// # Errors
    /// [`Error::State`] when they cannot be read.
    pub fn load<T: Send>(
        &self,
        places: &[Place],
        restore: impl Fn(ModelRecord) -> Option<T> + Sync,
    ) -> Result<Vec<T>> {
        self.models.load(places, restore)
    }

    /// Makes changes durable together: the model records, then the events. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`]; none of the changes must then become visible, and their models are taken back.
    pub fn append(&mut self, events: &[Arc<Event>], models: &[ModelRecord]) -> Result<()> {
        let end = self.models.end()?;
        self.models.append(models)?;
        let appended = self.events.append(events.iter().map(|event| &**event));
        if appended.is_err()
            && let Err(error) = self.models.cut_back(end)
        {
            tracing::error!(%error, "cannot take back models whose events were refused");
        }
        appended
    }

    /// Whether somebody took it away: what is appended then is lost with this process.
    pub fn is_gone(&self) -> bool {
        self.events.is_gone() || self.models.is_gone()
    }

    /// What it remembers of what was committed.
    pub fn remembers(&self) -> Remembers {
        self.remembers
    }

    /// Whether `events.log` holds much more than the `retained` events that are still needed.
    pub fn events_want_rewrite(&self, retained: usize) -> bool {
        self.events.count() > 2 * retained.max(EVENT_SLACK)
    }

    /// Whether the segment holds much more than one record for each of `live` series.
    pub fn models_want_rewrite(&self, live: usize) -> bool {
        self.models.wants_rewrite(live)
    }

    /// Cuts `events.log` down to `retained`. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite_events(&mut self, retained: &[Arc<Event>]) -> Result<()> {
        self.events.rewrite(retained.iter().map(|event| &**event))
    }

    /// Cuts the segment down to the last record of each series. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`]; the old file is then still in place.
    pub fn rewrite_models(&mut self) -> Result<()> {
        self.models.rewrite()
    }
}

fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(|error| Error::state(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::StateLocked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(Error::state(&path, error)),
    }
}

/// Begins `epoch` with the models of `index`, which tells where they lie as soon as they lie elsewhere.
fn begin(
    folder: &Path,
    epoch: Uuid,
    events: &mut RecordFile<Event>,
    segment: &mut Segment,
    index: &mut Index,
) -> Result<()> {
    // The old epoch goes first and the new one comes last: a crash between begins a new epoch again.
    remove_file(&folder.join(HEADER))?;
    *index = segment.renumbered(index)?;
    events.rewrite(std::iter::empty::<&Event>())?;
    write_header(folder, epoch)
}

/// Makes sure that the epoch of `folder` is not continued. It takes no room.
fn strike_out(folder: &Path) -> Result<()> {
    remove_file(&folder.join(HEADER))?;
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| Error::state(folder, error))
}

/// Removes what need not be there.
fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::state(path, error))
        }
        _ => Ok(()),
    }
}

fn read_header(folder: &Path) -> Result<Option<Header>> {
    let path = folder.join(HEADER);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::state(&path, error)),
    };
    let header: Header =
        serde_json::from_slice(&bytes).map_err(|error| Error::state(&path, error))?;
    if header.schema > SCHEMA {
        return Err(Error::state(
            &path,
            format!(
                "schema {}, this server knows up to {SCHEMA}; use the server that wrote it or another --state-dir",
                header.schema
            ),
        ));
    }
    Ok(Some(header))
}

fn write_header(folder: &Path, epoch: Uuid) -> Result<()> {
    let path = folder.join(HEADER);
    let header = Header {
        schema: SCHEMA,
        epoch,
    };
    let bytes = serde_json::to_vec(&header).map_err(|error| Error::state(&path, error))?;
    replace_file(&path, |file| file.write_all(&bytes)).map(drop)
}

#[cfg(test)]
mod tests {
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
            state.append(&[Arc::new(event(revision))], &[]).unwrap();
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
            state.append(&[Arc::new(event(3))], &[]).unwrap();
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
