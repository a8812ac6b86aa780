//! The last good answer of triggers that fall back to it. Bounded, and gone with the process: after a restart nothing is
//! made up.

use std::{
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use loadcast_model::trigger::Demand;
use lru::LruCache;

use crate::scaler::{asked::TriggerId, record::MAX_TRIGGERS};

/// A demand that a version made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Good {
    /// What was told.
    pub demand: Demand,
    /// The registry's number.
    pub version: u64,
    /// When it was told last.
    pub at: Timestamp,
}

/// Good answers by what was asked; those asked longest ago are forgotten beyond [`MAX_TRIGGERS`].
#[derive(Debug)]
pub struct LastGood(Mutex<LruCache<TriggerId, Good>>);

impl Default for LastGood {
    fn default() -> Self {
        let most = NonZeroUsize::new(MAX_TRIGGERS).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(most)))
    }
}

impl LastGood {
    /// Keeps a good answer.
    pub fn keep(&self, trigger: TriggerId, demand: Demand, version: u64, at: Timestamp) {
        let good = Good {
            demand,
            version,
            at,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.put(trigger, good);
    }

    /// The last one.
    pub fn of(&self, trigger: TriggerId) -> Option<Good> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&trigger).copied()
    }
}
