//! What is remembered of a series' residuals: a few numbers, however many observations there were.

use serde::{Deserialize, Serialize};

use super::{Correction, MEMORIES};
use crate::order::median;

/// So many residuals in a row beyond the threshold, on the same side, are a jump; one less where they go twice as far.
const IN_A_ROW: usize = 3;

/// The time constant with which the height of a jump follows what is observed, in seconds.
const FOLLOWS: f64 = 1_800.0;

/// A jump is over when this share of the threshold is left of it.
const OVER_BELOW: f64 = 0.5;

/// The memory whose mean a jump is measured from: that of an hour.
const BASE: usize = 2;

/// The last residuals of a model, as far as a [`Correction`] needs them. A new model begins a new state; telling it the
/// observations of the last hours, those before the model's cutoff too, brings it up to date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    begun: i64,
    last: Option<i64>,
    means: [f64; MEMORIES.len()],
    /// The uncorrected point forecast of the last observation.
    forecast: f64,
    /// By how much the level has jumped, all jumps together.
    offset: f64,
    jumped_at: Option<i64>,
    suspect: Option<Suspect>,
}

/// The beginning of what may be a jump.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Suspect {
    base: f64,
    above: bool,
    seen: [f64; IN_A_ROW],
    count: usize,
}

impl State {
    /// A state that takes observations after `begun`, in seconds of the wall clock.
    pub fn new(begun: i64) -> Self {
        Self {
            begun,
            last: None,
            means: [0.0; MEMORIES.len()],
            forecast: 0.0,
            offset: 0.0,
            jumped_at: None,
            suspect: None,
        }
    }

    /// A state for a model with this `cutoff`: it begins the longest memory before it, so that what was observed just
    /// before the cutoff counts too.
    pub fn of_model(cutoff: i64) -> Self {
        let longest = MEMORIES.into_iter().max().unwrap_or(0);
        Self::new(cutoff.saturating_sub(i64::from(longest)))
    }

    /// Whether an observation at `ds` is later than the last and than the state's beginning: any other is left out.
    pub fn awaits(&self, ds: i64) -> bool {
        ds > self.last.unwrap_or(self.begun)
    }

    /// Takes in what was observed at `ds`, where the model's uncorrected point forecast is `forecast`. An observation that
    /// is not later than the last or the state's beginning, or not finite, is left out; returns whether it was taken.
    pub fn observe(
        &mut self,
        correction: &Correction,
        ds: i64,
        observed: f64,
        forecast: f64,
    ) -> bool {
        self.take(correction.jump_beyond, ds, observed, forecast)
    }

    pub(super) fn take(
        &mut self,
        jump_beyond: Option<f64>,
        ds: i64,
        observed: f64,
        forecast: f64,
    ) -> bool {
        let before = self.last.unwrap_or(self.begun);
        let residual = observed - forecast;
        if !self.awaits(ds) || !residual.is_finite() {
            return false;
        }
        self.last = Some(ds);
        self.forecast = forecast;
        let apart = (ds - before) as f64;
        let mut deviation = residual - self.offset;
        if let Some(beyond) = jump_beyond {
            if let Some(jump) = self.suspect(beyond, deviation) {
                self.offset += jump;
                self.jumped_at = Some(ds);
                self.means = [0.0; MEMORIES.len()];
                return true;
            }
            deviation = self.follow(beyond, deviation, apart);
        }
        for (mean, memory) in self.means.iter_mut().zip(MEMORIES) {
            let keeps = match memory {
                0 => 0.0,
                memory => (-apart / f64::from(memory)).exp(),
            };
            *mean = keeps * *mean + (1.0 - keeps) * deviation;
        }
        true
    }

    /// After a jump its height follows what is observed, until it is no jump any more; what is left of the deviation.
    fn follow(&mut self, beyond: f64, deviation: f64, apart: f64) -> f64 {
        if self.jumped_at.is_none() {
            return deviation;
        }
        let by = deviation * (1.0 - (-apart / FOLLOWS).exp());
        self.offset += by;
        if self.offset.abs() >= OVER_BELOW * beyond {
            return deviation - by;
        }
        for mean in &mut self.means {
            *mean += self.offset;
        }
        self.jumped_at = None;
        deviation - by + std::mem::take(&mut self.offset)
    }

    /// By how much the level jumped, when this deviation has settled that it did.
    fn suspect(&mut self, beyond: f64, deviation: f64) -> Option<f64> {
        let base = self.means[BASE];
        let begun = || Suspect {
            base,
            above: deviation > base,
            seen: [deviation; IN_A_ROW],
            count: 0,
        };
        let far = |from: f64| (deviation - from).abs() > beyond;
        let goes_on =
            |suspect: &Suspect| far(suspect.base) && (deviation > suspect.base) == suspect.above;
        let going_on = self.suspect.filter(goes_on);
        let mut suspect = match going_on {
            Some(suspect) => suspect,
            None if far(base) => begun(),
            None => {
                self.suspect = None;
                return None;
            }
        };
        suspect.seen[suspect.count] = deviation;
        suspect.count += 1;
        let seen = &mut suspect.seen[..suspect.count];
        let twice = seen
            .iter()
            .all(|seen| (seen - suspect.base).abs() > 2.0 * beyond);
        if suspect.count < IN_A_ROW - usize::from(twice) {
            self.suspect = Some(suspect);
            return None;
        }
        self.suspect = None;
        Some(median(seen))
    }

    /// The time of the last observation that was taken in.
    pub fn last_observed(&self) -> Option<i64> {
        self.last
    }

    /// The uncorrected point forecast of the last observation.
    pub(super) fn last_forecast(&self) -> f64 {
        self.forecast
    }

    /// The weighted mean of the residuals over one of [`MEMORIES`], above the level after jumps; 0 for another.
    pub(super) fn mean(&self, memory_seconds: u32) -> f64 {
        let of = MEMORIES.iter().position(|memory| *memory == memory_seconds);
        of.map_or(0.0, |i| self.means[i])
    }

    pub(super) fn means(&self) -> [f64; MEMORIES.len()] {
        self.means
    }

    /// By how much the level has jumped since the state began, and how many seconds before the last observation it last did.
    pub fn jump(&self) -> Option<(f64, i64)> {
        let (at, last) = (self.jumped_at?, self.last?);
        Some((self.offset, last - at))
    }
}
