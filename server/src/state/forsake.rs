//! A directory that is taken away or cannot be written, and its return: what it remembers meanwhile, and how it catches up.

use std::{fs, sync::Arc};

use uuid::Uuid;

use super::{
    ADDED_TOGETHER, EVENTS, HEADER, LOCK, Remembers, SEGMENT, StateDir, lock,
    model_record::ModelRecord, record::RecordFile, remove_file, segment::Segment, strike_out,
    write_header,
};
use crate::{
    error::{Error, Result},
    event::Event,
};

impl StateDir {
    /// Gives up remembering what comes after `revision`: whatever becomes of this process, the directory continues its
    /// epoch no more, unless [`StateDir::rejoin`] does.
    ///
    /// # Errors
    /// [`Error::State`] when even that cannot be made durable; what cannot be remembered must then not be served.
    pub fn forsake(&mut self, revision: u64) -> Result<()> {
        // With the files themselves gone there is nothing left that could be continued. In a folder that was only moved
        // there is.
        if let Err(error) = strike_out(&self.folder)
            && !self.is_gone()
        {
            return Err(error);
        }
        if self.remembers == Remembers::Everything {
            self.remembers = Remembers::UpTo(revision);
        }
        Ok(())
    }

    /// Makes what was taken away again, empty and of no epoch: [`StateDir::rejoin`] gives it one. A crash before begins a
    /// new epoch.
    ///
    /// # Errors
    /// [`Error::State`]; it is then still gone.
    pub fn renew(&mut self) -> Result<()> {
        let folder = &self.folder;
        tracing::error!(folder = %folder.display(), "the state directory was taken away; it is made again from memory");
        self.remembers = Remembers::Nothing;
        fs::create_dir_all(folder).map_err(|error| Error::state(folder, error))?;
        if !folder.join(LOCK).exists() {
            self._lock = lock(folder)?;
        }
        for file in [HEADER, EVENTS, SEGMENT] {
            remove_file(&folder.join(file))?;
        }
        let (segment, _) = Segment::open(&folder.join(SEGMENT), u64::MAX)?;
        let (events, _) = RecordFile::open(&folder.join(EVENTS))?;
        (self.models, self.events) = (segment, events);
        Ok(())
    }

    /// Continues `epoch` with the retained `events` and the `models` that the directory does not remember: beside those
    /// that it does, or in the place of what lies there when it remembers nothing. Blocks on fsync.
    ///
    /// # Errors
    /// [`Error::State`], or the first error of `models`. The epoch is then still struck out, and it remembers what it did.
    pub fn rejoin(
        &mut self,
        epoch: Uuid,
        events: &[Arc<Event>],
        models: impl Iterator<Item = Result<ModelRecord>>,
    ) -> Result<()> {
        let end = self.models.end()?;
        let is_new = self.remembers == Remembers::Nothing;
        let kept = if is_new {
            self.models.replace(models)
        } else {
            self.add(models)
        };
        let rejoined = kept.and_then(|()| {
            self.events.rewrite(events.iter().map(|event| &**event))?;
            write_header(&self.folder, epoch)
        });
        if rejoined.is_ok() {
            self.remembers = Remembers::Everything;
            return rejoined;
        }
        // The header may be there and only not known to last: it goes before what it speaks of.
        strike_out(&self.folder)?;
        if !is_new {
            self.models.cut_back(end)?;
        }
        rejoined
    }

    fn add(&mut self, models: impl Iterator<Item = Result<ModelRecord>>) -> Result<()> {
        let mut models = models.peekable();
        while models.peek().is_some() {
            let some: Result<Vec<_>> = models.by_ref().take(ADDED_TOGETHER).collect();
            self.models.append(&some?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::event::EventKind;

    fn event(revision: u64) -> Arc<Event> {
        Arc::new(Event {
            revision,
            at: Timestamp::UNIX_EPOCH,
            traceparent: String::new(),
            kind: EventKind::RegistryBack,
        })
    }

    fn removal(revision: u64) -> ModelRecord {
        ModelRecord {
            revision,
            series: "a".parse().unwrap(),
            model: None,
        }
    }

    /// A directory with three events.
    fn filled(folder: &Path) -> (StateDir, Uuid) {
        let (mut state, restored) = StateDir::open(folder).unwrap();
        for revision in 1..=3 {
            let record = removal(revision);
            state.append(&[event(revision)], &[record]).unwrap();
        }
        (state, restored.epoch)
    }

    fn segment_bytes(folder: &Path) -> u64 {
        fs::metadata(folder.join(SEGMENT)).unwrap().len()
    }

    /// No header can be written until this folder goes.
    fn block_header(folder: &Path) -> std::path::PathBuf {
        let staged = folder.join(HEADER).with_extension("new");
        fs::create_dir(&staged).unwrap();
        staged
    }

    #[test]
    fn a_forsaken_directory_begins_a_new_epoch_and_one_that_rejoined_continues_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (mut state, epoch) = filled(folder.path());
        state.forsake(3).unwrap();
        assert_eq!(state.remembers(), Remembers::UpTo(3));
        state.forsake(4).unwrap();
        assert_eq!(state.remembers(), Remembers::UpTo(3), "not what came later");
        let copy = tempfile::tempdir().unwrap();
        for file in [EVENTS, SEGMENT] {
            fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
        }
        let (_copied, restored) = StateDir::open(copy.path()).unwrap();
        assert_ne!(restored.epoch, epoch);
        assert!(restored.events.is_empty());

        let events = [event(3), event(4)];
        state.rejoin(epoch, &events, std::iter::empty()).unwrap();
        assert_eq!(state.remembers(), Remembers::Everything);
        state.append(&[event(5)], &[]).unwrap();
        drop(state);
        let (_state, restored) = StateDir::open(folder.path()).unwrap();
        assert_eq!(restored.epoch, epoch);
        let revisions: Vec<u64> = restored.events.iter().map(|event| event.revision).collect();
        assert_eq!(revisions, [3, 4, 5]);
    }

    #[test]
    fn what_a_failed_rejoin_added_is_taken_back_and_its_epoch_stays_struck_out() {
        let folder = tempfile::tempdir().unwrap();
        let (mut state, epoch) = filled(folder.path());
        state.forsake(3).unwrap();
        let before = segment_bytes(folder.path());
        let staged = block_header(folder.path());
        let mut longest = 0;
        let models = (4..6).map(|revision| {
            longest = revision;
            Ok(removal(revision))
        });
        assert!(state.rejoin(epoch, &[event(4)], models).is_err());
        assert_eq!(longest, 5, "it failed after they were added");
        assert_eq!(segment_bytes(folder.path()), before);
        assert_eq!(state.remembers(), Remembers::UpTo(3));
        assert!(!folder.path().join(HEADER).exists());
        let broken = (4..=u64::MAX).map(|revision| match revision {
            4..=1_500 => Ok(removal(revision)),
            _ => Err(Error::Internal("no record".to_owned())),
        });
        fs::remove_dir(staged).unwrap();
        assert!(state.rejoin(epoch, &[event(4)], broken).is_err());
        assert_eq!(segment_bytes(folder.path()), before);
    }

    #[test]
    fn a_directory_made_again_remembers_nothing_until_it_rejoined_whatever_is_forsaken_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (mut state, epoch) = filled(&path);
        fs::remove_dir_all(&path).unwrap();
        state.renew().unwrap();
        assert_eq!(state.remembers(), Remembers::Nothing);
        let staged = block_header(&path);
        let models = || [Ok(removal(1))].into_iter();
        assert!(state.rejoin(epoch, &[event(3)], models()).is_err());
        state.forsake(3).unwrap();
        assert_eq!(state.remembers(), Remembers::Nothing);
        fs::remove_dir(staged).unwrap();
        state.rejoin(epoch, &[event(3)], models()).unwrap();
        assert_eq!(state.remembers(), Remembers::Everything);
    }

    #[test]
    fn a_directory_that_was_only_moved_cannot_be_forsaken_for_its_epoch_would_be_continued() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        let (mut state, epoch) = filled(&here);
        fs::rename(&here, &there).unwrap();
        assert!(state.forsake(3).is_err());
        assert_eq!(state.remembers(), Remembers::Everything);
        drop(state);
        assert_eq!(StateDir::open(&there).unwrap().1.epoch, epoch);
    }

    #[test]
    fn models_whose_events_are_refused_do_not_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (mut state, _) = filled(folder.path());
        let before = segment_bytes(folder.path());
        state.events.refuse_appends();
        assert!(state.append(&[event(4)], &[removal(4)]).is_err());
        assert_eq!(segment_bytes(folder.path()), before);
    }
}
