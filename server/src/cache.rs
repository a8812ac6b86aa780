//! What is served, and the one door through which it changes.
//!
//! State is one value behind an `ArcSwap`: a persistent map from series to entries, so that a lookup never waits for a
//! swap, a swap costs the same however many models there are, and whoever holds a state holds a consistent one. Both
//! inlets, push and refresh, end in [`Cache::commit`]. It makes the change durable, then visible, then tells of it.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use loadcast_model::{artifact, series::SeriesName};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    clock::Clock,
    error::{Error, Gap, Result},
    event::Event,
    event_log::EventLog,
    load::Loaded,
    served::{Change, Entry, Served, State, apply},
    state::{
        Restored, StateDir,
        model_record::{ModelRecord, StoredFacts, StoredModel},
    },
};

/// The cache of one server.
#[derive(Debug)]
pub struct Cache {
    state: ArcSwap<State>,
    log: EventLog,
    /// The revision that is served and logged.
    changed: watch::Sender<u64>,
    writer: Mutex<StateDir>,
    clock: Clock,
    /// When the registry last answered, in epoch seconds; 0 for never.
    registry_seen: AtomicI64,
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
        } = restored;
        let mut state = State::empty(epoch);
        for event in &events {
            state = state.after(event);
        }
        let continued = !events.is_empty();
        let cache = Self {
            changed: watch::Sender::new(state.revision),
            log: EventLog::new(events.into_iter()),
            state: ArcSwap::from_pointee(state),
            writer: Mutex::new(state_dir),
            clock,
            registry_seen: AtomicI64::new(0),
        };
        for record in models {
            cache.restore(record, continued)?;
        }
        Ok(cache)
    }

    /// Serves a remembered model: as it was in a continued history, by a new event in a new one. A record that cannot
    /// be served any more is told of and left to the registry.
    fn restore(&self, record: ModelRecord, continued: bool) -> Result<()> {
        let Some(StoredModel { facts, model_pr }) = record.model else {
            return Ok(());
        };
        let loaded = match Loaded::restore(facts.metadata, &model_pr) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(series = %record.series, %error, "a remembered model cannot be served");
                return Ok(());
            }
        };
        if continued {
            let served = Served {
                loaded,
                version: facts.version,
                alias: facts.alias,
                previous_version: facts.previous_version,
                revision: record.revision,
                served_since: facts.served_since,
            };
            let state = self.state.load().with_served(Arc::new(served));
            self.state.store(Arc::new(state));
            return Ok(());
        }
        let serve = Change::Serve {
            loaded: Box::new(loaded),
            version: facts.version,
            alias: facts.alias,
        };
        self.commit_blocking(serve, String::new()).map(drop)
    }

    /// The present state. Hold it for as long as one answer takes.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// What is served under `series`, pinned: it stays what it is whatever is swapped meanwhile.
    pub fn get(&self, series: &SeriesName) -> Option<Arc<Served>> {
        self.state.load().entries.get(series)?.served.clone()
    }

    /// The entry of `series`: served, rejected or removed.
    pub fn entry(&self, series: &SeriesName) -> Option<Arc<Entry>> {
        self.state.load().entries.get(series).cloned()
    }

    /// The clock that this cache tells time by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Wakes when a revision has become visible.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
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

    /// Notes that the registry answered just now.
    pub fn registry_answered(&self) {
        self.registry_seen
            .store(self.clock.now().as_second(), Ordering::Relaxed);
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
    /// When this returns the change is durable and every later lookup sees it. A change that changes nothing (the
    /// version is served already) makes no event.
    ///
    /// # Errors
    /// [`Error::State`] when the disk refuses; nothing has then changed.
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

    fn commit_blocking(&self, change: Change, traceparent: String) -> Result<Committed> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.state.load_full();
        let Some((after, event)) = apply(&before, change, self.clock.now(), traceparent) else {
            return Ok(Committed {
                epoch: before.epoch,
                revision: before.revision,
            });
        };
        writer.append(&event, model_record(&after, &event)?.as_ref())?;
        let committed = Committed {
            epoch: after.epoch,
            revision: after.revision,
        };
        let live = after.entries.size();
        let event = Arc::new(event);
        self.state.store(Arc::new(after));
        self.log.push(Arc::clone(&event), event.at);
        self.changed.send_replace(committed.revision);
        tracing::info!(
            revision = committed.revision,
            kind = event.kind.name(),
            series = event.kind.series().map(|(series, _)| series.as_ref()),
            version = event.kind.version(),
            "committed"
        );
        if let Err(error) = self.compact(&mut writer, live) {
            tracing::warn!(%error, "the state files could not be compacted; they go on growing");
        }
        Ok(committed)
    }

    fn compact(&self, writer: &mut StateDir, live: usize) -> Result<()> {
        if writer.events_want_rewrite(self.log.count()) {
            writer.rewrite_events(&self.log.retained())?;
        }
        if writer.models_want_rewrite(live) {
            writer.rewrite_models()?;
        }
        Ok(())
    }
}

/// What `models.seg` must remember of `event`, whose outcome is `after`.
fn model_record(after: &State, event: &Event) -> Result<Option<ModelRecord>> {
    use crate::event::EventKind;
    let (EventKind::Served { series, .. } | EventKind::Removed { series, .. }) = &event.kind else {
        return Ok(None);
    };
    let served = after
        .entries
        .get(series)
        .and_then(|entry| entry.served.as_deref());
    let model = served
        .map(|served| {
            let model_pr = artifact::encode_model_pr(served.loaded.forecaster().model())
                .map_err(|error| Error::Internal(error.to_string()))?;
            Ok::<_, Error>(StoredModel {
                facts: StoredFacts {
                    version: served.version,
                    alias: served.alias.clone(),
                    previous_version: served.previous_version,
                    served_since: served.served_since,
                    metadata: served.loaded.metadata().clone(),
                },
                model_pr,
            })
        })
        .transpose()?;
    Ok(Some(ModelRecord {
        revision: event.revision,
        series: series.clone(),
        model,
    }))
}
