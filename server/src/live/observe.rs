//! Taking observations in: off the serving threads, series by series.

use std::sync::{Arc, atomic::Ordering};

use loadcast_model::{catalog::Gates, series::SeriesName};

use super::{Live, lock, memory::Taken};
use crate::{
    cache::Cache,
    error::Result,
    event::Reason,
    served::{Change, Served},
};

/// The largest magnitude that an observation may have: squares and sums of what is smaller are numbers still.
pub const MAX_MAGNITUDE: f64 = 1e150;

/// What became of a run of observations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// They were looked at.
    Taken(Taken),
    /// None was.
    Refused(Refused),
}

/// Why none was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nothing is served under this name, so that there is nothing to compare with.
    NotServed,
    /// They are spaced otherwise than the series, whose step this is, in seconds.
    Step(u32),
    /// [`MAX_BYTES`](super::MAX_BYTES) are remembered already.
    Full,
}

impl Cache {
    /// Takes `values` of `series` at steps of `step` seconds (`None`: the series' own), the first of which holds the epoch
    /// second `start`; commits what that means for its gate. Blocks.
    pub fn observe_blocking(
        &self,
        series: &SeriesName,
        start: i64,
        step: Option<u32>,
        values: &[f64],
    ) -> Outcome {
        let outcome = self.take(series, start, step, values);
        let counts = self.live().counts();
        let all = u64::try_from(values.len()).unwrap_or(u64::MAX);
        let (accepted, missing) = match &outcome {
            Outcome::Taken(taken) => (taken.accepted, taken.missing),
            Outcome::Refused(_) => (0, 0),
        };
        counts.accepted.fetch_add(accepted, Ordering::Relaxed);
        counts.missing.fetch_add(missing, Ordering::Relaxed);
        let ignored = all.saturating_sub(accepted).saturating_sub(missing);
        counts.ignored.fetch_add(ignored, Ordering::Relaxed);
        outcome
    }

    fn take(&self, series: &SeriesName, start: i64, step: Option<u32>, values: &[f64]) -> Outcome {
        let Some(served) = self.get(series) else {
            return Outcome::Refused(Refused::NotServed);
        };
        let own_step = served.loaded.metadata().series.step_seconds;
        if step.is_some_and(|step| step != own_step) {
            return Outcome::Refused(Refused::Step(own_step));
        }
        let now = self.clock().now();
        let live = self.live();
        if let Some(slot) = live.slot(series) {
            let memory = lock(&slot.memory);
            if !memory.fits(&served) {
                live.forget(series, &slot, memory);
            }
        }
        let Some(slot) = live.slot_for(&served, now) else {
            return Outcome::Refused(Refused::Full);
        };
        let mut memory = lock(&slot.memory);
        // Again, for another version may be served by now, and whoever has the lock makes it of that one.
        let Some(served) = self.get(series).filter(|served| memory.fits(served)) else {
            return Outcome::Refused(Refused::NotServed);
        };
        let taken = memory.take(&served, start, values, now);
        if taken.accepted > 0 {
            self.settle_gate(&mut memory, &served);
            live.publish(series, &slot, &memory, now);
            drop(memory);
            self.log()
                .observed(&served.loaded.metadata().series, live.changes());
        }
        Outcome::Taken(taken)
    }

    /// Commits what the scores mean for the gate of `served`. A gate that cannot be committed stays as it is, and is tried
    /// again with the next observation.
    pub(super) fn settle_gate(&self, memory: &mut super::memory::Memory, served: &Arc<Served>) {
        let series = &served.loaded.metadata().series;
        let wished = memory.decide(self.live().gates(series));
        let is = memory.gate();
        let same = match (is, &wished) {
            (None, None) => true,
            (Some(is), Some(wished)) => is.code == wished.code,
            _ => false,
        };
        if same {
            return;
        }
        match self.commit_gate(served, wished.clone()) {
            Ok(()) => memory.set_gate(wished),
            Err(error) => {
                tracing::error!(series = %series.name, %error, "what live scores say of a gate cannot be committed");
            }
        }
    }

    fn commit_gate(&self, served: &Served, wished: Option<Reason>) -> Result<()> {
        let change = Change::Gate {
            series: served.loaded.metadata().series.name.clone(),
            version: served.version,
            closed: wished,
        };
        self.commit_blocking(change, String::new()).map(drop)
    }
}

impl Live {
    /// What live scores of `series` must be.
    pub(super) fn gates(&self, series: &loadcast_model::series::Series) -> Gates {
        let entry = self.declared.as_ref().and_then(|it| it.entry(series));
        entry.map(|entry| entry.gates).unwrap_or_default()
    }
}
