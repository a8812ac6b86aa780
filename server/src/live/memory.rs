//! All that is remembered of one series, and what its readers see of it.

use jiff::Timestamp;
use loadcast_model::{catalog::Gates, series::ZeroMeans};
use serde::{Deserialize, Serialize};

use super::{LiveScores, Observation, View, gate::decide, judged::Judged, past::Past};
use crate::{event::Reason, served::Served};

/// The most bytes that are remembered of one series, whatever its step.
pub const MAX_SERIES_BYTES: usize = 128 * 1024;

/// So far ahead of this server's clock an observation may be, in seconds.
const CLOCKS_DIFFER: i64 = 60;

/// One series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    past: Past,
    judged: Judged,
    /// Why the gate is closed, as it was committed.
    #[serde(skip)]
    gate: Option<Reason>,
}

/// What became of observations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// They are remembered.
    pub accepted: u64,
    /// Marked as missing: NaN, or a zero where zero says that.
    pub missing: u64,
    /// Not later than the last one: out of order, or told before.
    pub late: u64,
    /// Later than this server's clock.
    pub future: u64,
}

impl Memory {
    /// Of a series that was not observed yet.
    pub(crate) fn new(served: &Served) -> Self {
        let past = Past::new(served.loaded.metadata().series.step_seconds);
        let judged = Judged::begin(served, &past);
        Self {
            past,
            judged,
            gate: None,
        }
    }

    /// So many bytes it takes at most, for a series with this step.
    pub(crate) fn most_bytes(step: i64) -> usize {
        size_of::<Self>() + 2 * Past::capacity(step) * size_of::<f64>() + Judged::most_bytes(step)
    }

    /// So many bytes it takes at most.
    pub(crate) fn bytes(&self) -> usize {
        Self::most_bytes(self.past.step())
    }

    /// Whether what was observed is of the step of `served`; else there is nothing to go on from.
    pub(crate) fn fits(&self, served: &Served) -> bool {
        let step = served.loaded.metadata().series.step_seconds;
        self.past.step() == i64::from(step)
    }

    /// Begins anew with `served` where another version was judged; what was observed stays.
    pub(crate) fn follow(&mut self, served: &Served) {
        if !self.judged.is_of(served) {
            self.judged = Judged::begin(served, &self.past);
            self.gate = None;
        }
    }

    /// Takes `values` at the steps from the one that holds `start` on, for `served`, at `now`.
    pub(crate) fn take(
        &mut self,
        served: &Served,
        start: i64,
        values: &[f64],
        now: Timestamp,
    ) -> Taken {
        self.follow(served);
        let step = self.past.step();
        let zero_means = served.loaded.metadata().series.zero_means;
        let newest = now.as_second().saturating_add(CLOCKS_DIFFER);
        if self.past.last().is_some_and(|(at, _)| at > newest) {
            // The clock was set back: until it is there again everything would be late.
            self.past = Past::new(served.loaded.metadata().series.step_seconds);
            self.judged = Judged::begin(served, &self.past);
        }
        let mut taken = Taken::default();
        let mut at = start.div_euclid(step).saturating_mul(step);
        for value in values {
            let is_missing = value.is_nan() || (*value == 0.0 && zero_means == ZeroMeans::Missing);
            if is_missing {
                taken.missing += 1;
            } else if at > newest {
                taken.future += 1;
            } else if self.past.push(at, *value) {
                self.judged.take(served, &self.past, at, *value);
                taken.accepted += 1;
            } else {
                taken.late += 1;
            }
            at = at.saturating_add(step);
        }
        taken
    }

    /// Why the gate is to be closed by what is known now; `None`: it is to be open.
    pub(crate) fn decide(&self, gates: Gates) -> Option<Reason> {
        decide(gates, &self.judged.scores(), self.gate.as_ref())
    }

    pub(crate) fn gate(&self) -> Option<&Reason> {
        self.gate.as_ref()
    }

    pub(crate) fn set_gate(&mut self, gate: Option<Reason>) {
        self.gate = gate;
    }

    /// What readers see at `now`.
    pub(crate) fn view(&self, now: Timestamp) -> View {
        let Judged {
            version,
            sha256,
            since,
            state,
            unscored,
            ..
        } = &self.judged;
        let last = self.past.last().and_then(|(at, value)| {
            let at = Timestamp::from_second(at).ok()?;
            Some(Observation { at, value })
        });
        View {
            generation: 0,
            changed_at: now,
            version: *version,
            sha256: sha256.clone(),
            last,
            peak: self.past.peak(),
            gate: self.gate.clone(),
            // Where the model could not say what it forecast, the last residual is not that of the last observation.
            residuals: state.clone().filter(|_| unscored.is_none()),
            scores: last.map(|_| LiveScores {
                since: Timestamp::from_second(*since).unwrap_or_default(),
                leads: self.judged.scores(),
                unscored: unscored.clone(),
            }),
        }
    }

    /// What a file says makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        self.past.is_sound() && self.judged.is_sound(self.past.step())
    }

    /// How many bytes it takes now.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        size_of::<Self>() + self.past.allocated() + self.judged.allocated()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_a_series_is_bounded_whatever_its_step() {
        for step in [1, 7, 15, 59, 60, 61, 90, 300, 3_600, 86_400, 200_000] {
            let most = Memory::most_bytes(step);
            assert!(most <= MAX_SERIES_BYTES, "{step} s: {most} bytes");
        }
    }
}
