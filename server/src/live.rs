//! What observations say of what is served: the last one, the residuals that correct the next leads, how good the
//! forecasts were, and whether that closes a gate.
//!
//! One value per series, [`View`], is all that readers see; it is replaced as a whole, and reading it waits for nobody.
//! Whoever computes or keeps an answer takes what is [`Seen`] first and the answer's key from it. What is remembered of a
//! series is bounded ([`MAX_SERIES_BYTES`](memory::MAX_SERIES_BYTES)), and so is all of it together ([`MAX_BYTES`]).

mod file;
mod follow;
mod gate;
mod judged;
pub mod memory;
pub mod metrics;
mod observe;
mod past;
pub mod pull;
mod seen;
mod tally;

pub use file::{FILE, WRITE_INTERVAL, keep};
pub use follow::follow;
pub use gate::{EVIDENCE_ROWS, OPENS_ABOVE};
pub use observe::{MAX_MAGNITUDE, Outcome, Refused};
pub use seen::Seen;
pub use tally::{BAND, LeadScores};

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use loadcast_model::{correction, series::SeriesName};
use rpds::HashTrieMapSync;

use self::memory::Memory;
use crate::{catalog::Declared, event::Reason, served::Served};

/// The most bytes that are remembered of all series together: some 30,000 of five-minute steps, or 5,000 of minutes.
pub const MAX_BYTES: usize = 512 * 1024 * 1024;

/// So many of the series that were observed last are told to whoever reads along; who is further behind looks at all.
const RECENT: usize = 4_096;

/// What is known of the series that were observed.
#[derive(Debug)]
pub struct Live {
    slots: ArcSwap<HashTrieMapSync<SeriesName, Arc<Slot>>>,
    /// Held while a series is added to or taken from `slots`.
    adding: Mutex<()>,
    bytes: AtomicUsize,
    /// The last generation that was given out.
    generation: AtomicU64,
    recent: Mutex<Recent>,
    /// Observations that were taken since the start, and those that were not.
    counts: Counts,
    declared: Option<Arc<Declared>>,
}

/// One series' place.
#[derive(Debug)]
struct Slot {
    /// Held while observations are taken: off the serving threads.
    memory: Mutex<Memory>,
    view: ArcSwap<View>,
}

/// The series whose views were replaced last.
#[derive(Debug, Default)]
struct Recent {
    names: VecDeque<SeriesName>,
    /// How many there ever were.
    count: u64,
}

/// What became of observations since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    pub(crate) missing: AtomicU64,
    pub(crate) ignored: AtomicU64,
    /// Questions to Prometheus that brought nothing.
    pub(crate) pull_failures: AtomicU64,
}

/// What observations say of one series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Another one whenever an answer about the series may be another, over and above version, step bucket and freshness.
    /// Rises; never 0.
    pub generation: u64,
    /// When this server learned it.
    pub changed_at: Timestamp,
    /// Of the version that gate, residuals and scores are of.
    pub version: u64,
    /// Of that version's model.pr.
    pub sha256: String,
    /// The last observation; `None` where there was none and only a gate is known.
    pub last: Option<Observation>,
    /// The largest observation that is remembered: of the past day, or of less where the step is short.
    pub peak: Option<f64>,
    /// Why answers are gated; `None` while they are not. See [`View::gate_of`].
    pub gate: Option<Reason>,
    /// What corrects answers; `None` where the artifact declares no correction. See [`View::residuals_of`].
    pub residuals: Option<correction::State>,
    /// How good the version's forecasts were; `None` before the first observation.
    pub scores: Option<LiveScores>,
}

/// The value of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The beginning of the step: a multiple of the series' step since the epoch.
    pub at: Timestamp,
    /// In the series' unit.
    pub value: f64,
}

/// How good one version's forecasts were.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveScores {
    /// Forecasts count that were made at this instant or later: the model's cutoff, or when it began to be served.
    pub since: Timestamp,
    /// By lead, ascending.
    pub leads: Vec<LeadScores>,
    /// Why there are none: the model needs what only a question can bring.
    pub unscored: Option<String>,
}

impl LiveScores {
    /// The lead that gates judge: the longest up to an hour.
    pub fn judged(&self) -> Option<&LeadScores> {
        gate::judged(&self.leads)
    }
}

impl Live {
    /// Of a server that has been told of no observation. `declared`: the catalog, where there is one.
    pub fn new(declared: Option<Arc<Declared>>) -> Self {
        Self {
            slots: ArcSwap::default(),
            adding: Mutex::new(()),
            bytes: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            recent: Mutex::default(),
            counts: Counts::default(),
            declared,
        }
    }

    /// What observations say of `series`; `None` when there were none.
    pub fn view(&self, series: &SeriesName) -> Option<Arc<View>> {
        let slots = self.slots.load();
        slots.get(series).map(|slot| slot.view.load_full())
    }

    /// Every series that was observed, and what that says, in no order.
    pub fn views(&self) -> Vec<(SeriesName, Arc<View>)> {
        let slots = self.slots.load();
        let views = slots.iter();
        views
            .map(|(name, slot)| (name.clone(), slot.view.load_full()))
            .collect()
    }

    /// The catalog, where there is one.
    pub fn declared(&self) -> Option<&Arc<Declared>> {
        self.declared.as_ref()
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many views were replaced so far: where a reader of [`Live::changed_after`] begins.
    pub fn changes(&self) -> u64 {
        lock(&self.recent).count
    }

    /// The series whose views were replaced after the first `read` ones, and how many that makes; `None` instead of them
    /// when they are not remembered any more.
    pub fn changed_after(&self, read: u64) -> (Option<Vec<SeriesName>>, u64) {
        let recent = lock(&self.recent);
        let behind = usize::try_from(recent.count.saturating_sub(read)).unwrap_or(usize::MAX);
        let skip = recent.names.len().checked_sub(behind);
        let names = skip.map(|skip| recent.names.iter().skip(skip).cloned().collect());
        (names, recent.count)
    }

    fn slot(&self, series: &SeriesName) -> Option<Arc<Slot>> {
        self.slots.load().get(series).cloned()
    }

    /// The place of a series, made when there is room for it.
    fn slot_for(&self, served: &Served, now: Timestamp) -> Option<Arc<Slot>> {
        let name = &served.loaded.metadata().series.name;
        match self.slot(name) {
            Some(slot) => Some(slot),
            None => self.add(name, Memory::new(served), now),
        }
    }

    fn add(&self, series: &SeriesName, memory: Memory, now: Timestamp) -> Option<Arc<Slot>> {
        let _adding = lock(&self.adding);
        if let Some(slot) = self.slot(series) {
            return Some(slot);
        }
        let bytes = memory.bytes();
        let held = self.bytes.load(Ordering::Relaxed);
        if held.saturating_add(bytes) > MAX_BYTES {
            return None;
        }
        self.bytes.store(held + bytes, Ordering::Relaxed);
        let view = self.numbered(memory.view(now));
        let slot = Arc::new(Slot {
            memory: Mutex::new(memory),
            view: ArcSwap::new(view),
        });
        let slots = self.slots.load();
        let slots = slots.insert(series.clone(), Arc::clone(&slot));
        self.slots.store(Arc::new(slots));
        Some(slot)
    }

    /// Forgets `slot`, whose memory is held, of a series that is not served any more; not one that took its place.
    fn forget(&self, series: &SeriesName, slot: &Arc<Slot>, memory: MutexGuard<'_, Memory>) {
        let _adding = lock(&self.adding);
        let is_there = self.slot(series).is_some_and(|it| Arc::ptr_eq(&it, slot));
        if !is_there {
            return;
        }
        let bytes = memory.bytes();
        self.bytes.fetch_sub(
            bytes.min(self.bytes.load(Ordering::Relaxed)),
            Ordering::Relaxed,
        );
        let slots = self.slots.load().remove(series);
        self.slots.store(Arc::new(slots));
    }

    /// Has readers see `memory`, which is that of `slot`.
    fn publish(&self, series: &SeriesName, slot: &Slot, memory: &Memory, now: Timestamp) {
        slot.view.store(self.numbered(memory.view(now)));
        let mut recent = lock(&self.recent);
        if recent.names.len() == RECENT {
            recent.names.pop_front();
        }
        recent.names.push_back(series.clone());
        recent.count += 1;
    }

    fn numbered(&self, view: View) -> Arc<View> {
        let generation = 1 + self.generation.fetch_add(1, Ordering::Relaxed);
        Arc::new(View { generation, ..view })
    }
}

impl View {
    /// Whether it speaks of this version.
    pub(crate) fn is_of(&self, served: &Served) -> bool {
        self.version == served.version && self.sha256 == served.loaded.metadata().sha256
    }

    /// The residuals that correct answers of `served`; `None` when they are of another version.
    pub fn residuals_of(&self, served: &Served) -> Option<&correction::State> {
        self.residuals.as_ref().filter(|_| self.is_of(served))
    }

    /// Why answers of `served` are gated; `None` when they are not.
    pub fn gate_of(&self, served: &Served) -> Option<&Reason> {
        self.gate.as_ref().filter(|_| self.is_of(served))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
