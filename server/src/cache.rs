//! What is served, and the one door through which it changes.
//!
//! State is one value behind an `ArcSwap`: a persistent map from series to entries, so that a lookup never waits for a
//! swap, a swap costs the same however many models there are, and whoever holds a state holds a consistent one. Both
//! inlets, push and refresh, end in [`Cache::commit`]. It makes the change durable, then visible, then tells of it.

mod evicted;
mod records;
mod remember;

use std::{
    collections::HashMap,
    mem,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use loadcast_model::series::{Labels, SeriesName};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    cache::evicted::evicted,
    cache::records::{model_record, parameters, remembered},
    candidate::Candidates,
    catalog::Declared,
    clock::Clock,
    commit::{Stages, commit},
    error::{Error, Gap, Result},
    event::Event,
    event_log::EventLog,
    live::{Live, Seen},
    reclaim::{Garbage, Reclaimer},
    served::{Change, Entry, Outage, Served, State, apply},
    state::{Remembers, Restored, StateDir, model_record::ModelRecord},
};

/// How many versions of a series stay in memory when nobody says otherwise: the served one and two to go back to.
pub const KEEP_VERSIONS: usize = 3;

/// The most changes that [`Cache::commit_all`] commits together: enough to share an fsync, few enough to hold in memory.
const MAX_BATCH: usize = 256;

/// The cache of one server.
#[derive(Debug)]
pub struct Cache {
    state: ArcSwap<State>,
    log: EventLog,
    /// The revision that is served and logged.
    changed: watch::Sender<u64>,
    writer: Mutex<StateDir>,
    /// Changes that wait for the writer. Whoever becomes it commits them all. No longer than there are threads that block.
    queue: Mutex<Vec<Pending>>,
    reclaimer: Reclaimer,
    keep_versions: usize,
    clock: Clock,
    /// When the registry last answered, in epoch seconds; 0 for never.
    registry_seen: AtomicI64,
    /// Whether the registry answers, as the state has it.
    registry_answers: watch::Sender<bool>,
    candidates: Candidates,
    live: Live,
    /// Since when what is committed is not remembered; `None` while it is.
    forgetful: watch::Sender<Option<Outage>>,
}

/// A change on its way to the writer.
#[derive(Debug)]
struct Pending {
    change: Change,
    /// The model of a `Serve` as the segment keeps it, without its history.
    parameters: Option<Vec<u8>>,
    traceparent: String,
    outcome: Arc<OnceLock<Result<Committed>>>,
}

/// Changes that are committed together.
#[derive(Debug)]
struct Batch {
    after: Arc<State>,
    events: Vec<Arc<Event>>,
    records: Vec<ModelRecord>,
}

/// Where a committed change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The history.
    pub epoch: Uuid,
    /// Any later answer is of this revision or a later one.
    pub revision: u64,
}

impl Cache {
    /// Opens the state directory `folder` and serves what it remembers.
    ///
    /// # Errors
    /// [`Error::StateLocked`] or [`Error::State`].
    pub fn open(folder: &Path, clock: Clock) -> Result<Self> {
        let (state_dir, restored) = StateDir::open(folder)?;
        let Restored {
            epoch,
            events,
            models,
            unwritten,
        } = restored;
        let mut state = State::empty(epoch);
        for event in &events {
            state = state.after(event);
        }
        let continued = !events.is_empty();
        let told = events.iter().filter_map(|event| event.kind.series());
        let told: HashMap<&SeriesName, &Labels> = told.collect();
        let mut models = state_dir.load(&models, |record| remembered(record, &told))?;
        if continued {
            state.restore(models.drain(..));
        }
        let registry_answers = state.registry_unreachable.is_none();
        let forgetful = unwritten.map(|error| Outage {
            since: clock.now(),
            message: error.to_string(),
        });
        let cache = Self {
            changed: watch::Sender::new(state.revision),
            log: EventLog::new(events.into_iter()),
            state: ArcSwap::from_pointee(state),
            writer: Mutex::new(state_dir),
            queue: Mutex::default(),
            reclaimer: Reclaimer::default(),
            keep_versions: KEEP_VERSIONS,
            clock,
            registry_seen: AtomicI64::new(0),
            registry_answers: watch::Sender::new(registry_answers),
            candidates: Candidates::default(),
            live: Live::new(None),
            forgetful: watch::Sender::new(forgetful),
        };
        // A new history begins by serving what the old one served.
        cache.commit_all(models.into_iter().map(|served| Change::Serve {
            loaded: served.loaded,
            version: served.version,
            alias: served.alias,
        }))?;
        Ok(cache)
    }

    /// The same cache, with `keep_versions` of each series in memory from now on, the served one among them.
    #[must_use]
    pub fn with_keep_versions(mut self, keep_versions: usize) -> Self {
        self.keep_versions = keep_versions;
        self
    }

    /// The same cache, whose series `declared` tells more of.
    #[must_use]
    pub fn with_catalog(mut self, declared: Option<Arc<Declared>>) -> Self {
        self.live = Live::new(declared);
        self
    }

    /// The present state. Hold it for as long as one answer takes.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// What is served under `series`, pinned: it stays what it is whatever is swapped meanwhile.
    pub fn get(&self, series: &SeriesName) -> Option<Arc<Served>> {
        self.state.load().entries.get(series)?.served.clone()
    }

    /// A version of `series` that is in memory: the served one or one that is kept.
    pub fn version(&self, series: &SeriesName, version: u64) -> Option<Arc<Served>> {
        let state = self.state.load();
        let mut versions = state.entries.get(series)?.versions();
        versions.find(|served| served.version == version).cloned()
    }

    /// The entry of `series`: served, rejected or removed.
    pub fn entry(&self, series: &SeriesName) -> Option<Arc<Entry>> {
        self.state.load().entries.get(series).cloned()
    }

    /// What is loaded beside what is served.
    pub fn candidates(&self) -> &Candidates {
        &self.candidates
    }

    /// What observations say of what is served.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// What observations say of the series that `served` is a version of.
    pub(crate) fn seen(&self, served: &Served) -> Seen {
        self.live.seen(&served.loaded.metadata().series)
    }

    /// Frees candidates that answer no longer, once their last reader is gone.
    pub fn discard(&self, candidates: impl IntoIterator<Item = Arc<Served>>) {
        self.reclaimer
            .take(candidates.into_iter().map(Garbage::Served));
    }

    /// The clock that this cache tells time by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Wakes when a revision has become visible.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The log of what was committed, for those who follow it.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Up to `limit` events after `revision`, none newer than what is served.
    ///
    /// # Errors
    /// [`Gap::Compacted`] when the log no longer reaches back.
    pub fn events_after(
        &self,
        revision: u64,
        limit: usize,
    ) -> std::result::Result<Vec<Arc<Event>>, Gap> {
        let newest = *self.changed.borrow();
        self.log.read(revision, newest, limit)
    }

    /// Frees what is neither served nor kept nor read any more. Not for a serving thread.
    pub fn sweep(&self) {
        self.reclaimer.sweep();
    }

    /// How many replaced states and evicted versions wait for their last reader.
    pub fn unswept(&self) -> usize {
        self.reclaimer.waiting()
    }

    /// Notes that the registry answered just now.
    pub fn registry_answered(&self) {
        self.registry_seen
            .store(self.clock.now().as_second(), Ordering::Relaxed);
    }

    /// Whether the registry answers, as the state has it; wakes when that changes.
    pub fn registry_answers(&self) -> watch::Receiver<bool> {
        self.registry_answers.subscribe()
    }

    /// When the registry last answered; `None` for never.
    pub fn registry_last_success(&self) -> Option<Timestamp> {
        match self.registry_seen.load(Ordering::Relaxed) {
            0 => None,
            second => Timestamp::from_second(second).ok(),
        }
    }

    /// The one door: commits `change`, caused by the trace `traceparent`, off the serving threads.
    ///
    /// When this returns the change is durable and every later lookup sees it. On a disk that is full it is not durable
    /// here, which [`Cache::forgetful`] tells: the version is in the registry, and a restart begins a new epoch. A change
    /// that changes nothing (the version is served already) makes no event.
    ///
    /// # Errors
    /// [`Error::State`] when the disk refuses even to strike the epoch out; nothing has then changed.
    pub async fn commit(
        self: &Arc<Self>,
        change: Change,
        traceparent: String,
    ) -> Result<Committed> {
        let cache = Arc::clone(self);
        tokio::task::spawn_blocking(move || cache.commit_blocking(change, traceparent))
            .await
            .map_err(|error| Error::Internal(format!("a commit died: {error}")))?
    }

    /// As [`Cache::commit`] on this thread. Changes that meet here share one fsync.
    ///
    /// # Errors
    /// As [`Cache::commit`].
    pub fn commit_blocking(&self, change: Change, traceparent: String) -> Result<Committed> {
        let outcome = Arc::default();
        let pending = Pending {
            parameters: parameters(&change)?,
            change,
            traceparent,
            outcome: Arc::clone(&outcome),
        };
        lock(&self.queue).push(pending);
        let mut writer = lock(&self.writer);
        // Whoever was the writer before may have committed ours too.
        if outcome.get().is_none() {
            let pending = mem::take(&mut *lock(&self.queue));
            self.commit_pending(&mut writer, pending);
        }
        drop(writer);
        Arc::into_inner(outcome)
            .and_then(OnceLock::into_inner)
            .unwrap_or_else(|| Err(Error::Internal("a change was not committed".to_owned())))
    }

    /// Commits many changes, a batch at a time; on this thread.
    ///
    /// # Errors
    /// As [`Cache::commit`]; changes before the failing batch stay committed.
    pub fn commit_all(&self, changes: impl IntoIterator<Item = Change>) -> Result<()> {
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            let mut pending = Vec::new();
            let mut outcomes = Vec::new();
            for change in changes.by_ref().take(MAX_BATCH) {
                let outcome = Arc::default();
                outcomes.push(Arc::clone(&outcome));
                pending.push(Pending {
                    parameters: parameters(&change)?,
                    change,
                    traceparent: String::new(),
                    outcome,
                });
            }
            self.commit_pending(&mut lock(&self.writer), pending);
            for outcome in outcomes {
                Arc::into_inner(outcome)
                    .and_then(OnceLock::into_inner)
                    .transpose()?;
            }
        }
        Ok(())
    }

    /// Commits what is pending, together, and tells each how it went.
    fn commit_pending(&self, writer: &mut StateDir, pending: Vec<Pending>) {
        let before = self.state.load_full();
        let mut after = (*before).clone();
        let mut batch = (Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        for Pending {
            change,
            parameters,
            traceparent,
            outcome,
        } in pending
        {
            let now = self.clock.now();
            if let Some((next, event)) = apply(&after, change, self.keep_versions, now, traceparent)
            {
                after = next;
                batch.1.extend(model_record(&after, &event, parameters));
                batch.0.push(Arc::new(event));
            }
            let committed = Committed {
                epoch: after.epoch,
                revision: after.revision,
            };
            waiting.push((outcome, committed));
        }
        let batch = Batch {
            after: Arc::new(after),
            events: batch.0,
            records: batch.1,
        };
        let outcome = if batch.events.is_empty() {
            Ok(())
        } else {
            commit(
                &mut Install {
                    cache: self,
                    writer,
                },
                &batch,
            )
        };
        for (waiting, committed) in waiting {
            let told = match &outcome {
                Ok(()) => Ok(committed),
                Err(Error::State { path, reason }) => Err(Error::state(path, reason)),
                Err(other) => Err(Error::Internal(other.to_string())),
            };
            // Each has a cell of its own, which nobody else fills.
            let _ = waiting.set(told);
        }
        if outcome.is_ok() && !batch.events.is_empty() {
            self.clean_up(writer, before, &batch);
        }
    }

    /// What a commit leaves to do once everybody has been told.
    fn clean_up(&self, writer: &mut StateDir, before: Arc<State>, batch: &Batch) {
        for event in &batch.events {
            tracing::info!(
                revision = event.revision,
                kind = event.kind.name(),
                series = event.kind.series().map(|(series, _)| series.as_ref()),
                version = event.kind.version(),
                "committed"
            );
        }
        self.reclaimer
            .take(evicted(&before, batch).into_iter().map(Garbage::Served));
        self.reclaimer.take([Garbage::State(before)]);
        self.reclaimer.sweep();
        if let Err(error) = self.compact(writer, batch.after.entries.size()) {
            tracing::warn!(%error, "the state files could not be compacted; they go on growing");
        }
    }

    fn compact(&self, writer: &mut StateDir, live: usize) -> Result<()> {
        if writer.remembers() != Remembers::Everything {
            return Ok(());
        }
        if writer.events_want_rewrite(self.log.count()) {
            writer.rewrite_events(&self.log.retained())?;
        }
        if writer.models_want_rewrite(live) {
            writer.rewrite_models()?;
        }
        Ok(())
    }
}

/// A commit as the cache takes its steps.
struct Install<'a> {
    cache: &'a Cache,
    writer: &'a mut StateDir,
}

impl Install<'_> {
    /// Writes `batch` down; before it everything, where the directory was taken away.
    fn keep(&mut self, batch: &Batch) -> Result<()> {
        self.cache.catch_up(self.writer)?;
        self.writer.append(&batch.events, &batch.records)
    }
}

impl Stages for Install<'_> {
    type Batch = Batch;
    type Error = Error;

    fn make_durable(&mut self, batch: &Batch) -> Result<()> {
        if self.writer.remembers() != Remembers::Everything {
            return Ok(());
        }
        let Err(error) = self.keep(batch) else {
            return Ok(());
        };
        // What is served is in the registry: it is served all the same, in an epoch that ends with this process.
        let before = self.cache.state();
        if let Err(second) = self.writer.forsake(before.revision) {
            tracing::error!(error = %second, "the state directory cannot even be forsaken");
            return Err(error);
        }
        tracing::error!(%error, "the state directory cannot be written; what changes is served and not remembered until it can");
        self.cache.forgetful.send_replace(Some(Outage {
            since: self.cache.clock.now(),
            message: error.to_string(),
        }));
        Ok(())
    }

    fn make_visible(&mut self, batch: &Batch) {
        self.cache.state.store(Arc::clone(&batch.after));
    }

    fn log(&mut self, batch: &Batch) {
        for event in &batch.events {
            self.cache.log.push(Arc::clone(event), event.at);
        }
    }

    fn wake(&mut self, batch: &Batch) {
        self.cache.changed.send_replace(batch.after.revision);
        let answers = batch.after.registry_unreachable.is_none();
        self.cache
            .registry_answers
            .send_if_modified(|told| std::mem::replace(told, answers) != answers);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
