//! What observations say of what is served: the last one, the residuals that correct the next leads, how good the
//! forecasts were, and whether that closes a gate.
//!
//! One value per series, [`View`], is all that readers see; it is replaced as a whole, and reading it waits for nobody.
//! Whoever computes or keeps an answer takes the view first and the answer's key from it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use loadcast_model::{correction, series::SeriesName};
use rpds::HashTrieMapSync;

use crate::{catalog::Declared, event::Reason, served::Served};

/// What is known of the series that were observed.
#[derive(Debug)]
pub struct Live {
    slots: ArcSwap<HashTrieMapSync<SeriesName, Arc<Slot>>>,
    /// Held while a series is added to or taken from `slots`.
    adding: Mutex<()>,
    /// The last generation that was given out.
    generation: AtomicU64,
    declared: Option<Arc<Declared>>,
}

/// One series' place.
#[derive(Debug)]
struct Slot {
    view: ArcSwap<View>,
}

/// What observations say of one series at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Another one whenever an answer about the series may be another, over and above version, step bucket and freshness.
    /// Rises; never 0.
    pub generation: u64,
    /// The last observation.
    pub last: Option<Observation>,
    /// Why answers are gated; `None` while they are not.
    pub gate: Option<Reason>,
    /// The residuals since the cutoff, and the model that they are of.
    pub residuals: Option<Residuals>,
}

/// The value of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The beginning of the step: a multiple of the series' step since the epoch.
    pub at: Timestamp,
    /// In the series' unit.
    pub value: f64,
}

/// The residuals of one version.
#[derive(Debug, Clone, PartialEq)]
pub struct Residuals {
    /// The registry's number.
    pub version: u64,
    /// Of its model.pr.
    pub sha256: String,
    /// On the wall clock of the series.
    pub state: correction::State,
}

impl Live {
    /// Of a server that has been told of no observation. `declared`: the catalog, where there is one.
    pub fn new(declared: Option<Arc<Declared>>) -> Self {
        Self {
            slots: ArcSwap::default(),
            adding: Mutex::new(()),
            generation: AtomicU64::new(0),
            declared,
        }
    }

    /// What observations say of `series`; `None` when there were none.
    pub fn view(&self, series: &SeriesName) -> Option<Arc<View>> {
        let slots = self.slots.load();
        slots.get(series).map(|slot| slot.view.load_full())
    }

    /// The catalog, where there is one.
    pub fn declared(&self) -> Option<&Arc<Declared>> {
        self.declared.as_ref()
    }

    /// Puts `view` in the place of what was said of `series`, under a new generation.
    pub fn publish(&self, series: &SeriesName, view: View) {
        let generation = 1 + self.generation.fetch_add(1, Ordering::Relaxed);
        let view = Arc::new(View { generation, ..view });
        if let Some(slot) = self.slots.load().get(series) {
            slot.view.store(view);
            return;
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots.load();
        match slots.get(series) {
            Some(slot) => slot.view.store(view),
            None => {
                let slot = Arc::new(Slot {
                    view: ArcSwap::new(view),
                });
                self.slots
                    .store(Arc::new(slots.insert(series.clone(), slot)));
            }
        }
    }
}

impl View {
    /// The residuals that correct answers of `served`; `None` when they are of another version.
    pub fn residuals_of(&self, served: &Served) -> Option<&correction::State> {
        let residuals = self.residuals.as_ref()?;
        let same = residuals.version == served.version
            && residuals.sha256 == served.loaded.metadata().sha256;
        same.then_some(&residuals.state)
    }
}
