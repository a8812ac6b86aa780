//! What the last hour says about the next: the residuals since the cutoff shift the leads that follow, by a decaying
//! autoregression, and a jump of the level widens the band.
//!
//! A jump is three residuals in a row further from the last hour's mean than nearly all were before, or two that go twice
//! as far: then their median is added in full, fading with the lead over half a day, and goes on to follow what is
//! observed; and for an hour the band on the side that the level came from holds its return too.
//!
//! A model that is trained once a day knows nothing of what came since. The shift of a lead is
//! `weight * mean - flatness * change`: the mean is that of the last residuals (observed minus forecast), exponentially
//! weighted over the lead's own memory; the change is the forecast's own since the last observation, which is worth less
//! than it says where the shape is mostly noise. A weight and a flatness of 1 with no memory are the last value. They are
//! fitted on forecasts from origins inside the history ([`Correction::fit`]), each lead by least absolute error, and a
//! lead is corrected only where that helped at later origins than it was fitted on. Weights do not
//! grow with the lead; beyond the last fitted lead the shift falls to nothing at [`REACH`] times that lead.
//!
//! Whoever serves keeps a [`State`] per series, tells it each observation's residual, and lets [`Correction::apply`]
//! change a forecast. Without recent observations nothing changes.

mod fitting;
mod state;

use serde::{Deserialize, Serialize};

use crate::{
    calibration::BandCalibration,
    error::{Error, Result},
    forecaster::Forecast,
    peak::PeakCalibration,
};

pub use fitting::{Path, uncorrected_peaks};
pub use state::State;

/// The shift is gone at this many times the last fitted lead.
pub const REACH: u32 = 2;

/// The time constants that residuals are averaged over, in seconds; 0 is the last one alone.
pub const MEMORIES: [u32; 4] = [0, 900, 3_600, 14_400];

/// A level that jumped lasts: what counts of the jump at a lead fades with this time constant, in seconds.
const JUMP_FADES: f64 = 43_200.0;

/// How long the band stays widened after a jump: the time constant in seconds.
const DOUBT_FADES: f64 = 3_600.0;

/// Observations are recent while the last one is at most this many steps, or [`RECENT_SECONDS`], ago.
const RECENT_STEPS: i64 = 3;
const RECENT_SECONDS: i64 = 900;

const MAX_LEADS: usize = 64;

/// What a backtest has found about the leads that follow an observation. Times are seconds, values in the series' unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Correction {
    step_seconds: u32,
    leads: Vec<Lead>,
    /// A residual further from the mean of the last hour than this, and the next ones too, is a jump; `None`: the backtest
    /// has found that jumps do not last.
    jump_beyond: Option<f64>,
    bands: BandCalibration,
    peak: Option<PeakCalibration>,
}

/// The correction of one lead.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    /// Seconds since the last observation.
    pub lead_seconds: u32,
    /// One of [`MEMORIES`].
    pub memory_seconds: u32,
    /// 0 to 1, not growing with the lead.
    pub weight: f64,
    /// 0 to 1: the share of the forecast's own change since the last observation that is not believed.
    pub flatness: f64,
    /// Mean absolute error without and with the correction, at origins that it was not fitted on.
    pub mae_without: f64,
    /// With it.
    pub mae_with: f64,
}

/// As it is written, before anybody has looked at it.
#[derive(Debug, Clone, Deserialize)]
struct Unchecked {
    step_seconds: u32,
    leads: Vec<Lead>,
    jump_beyond: Option<f64>,
    bands: BandCalibration,
    peak: Option<PeakCalibration>,
}

impl TryFrom<Unchecked> for Correction {
    type Error = Error;

    fn try_from(from: Unchecked) -> Result<Self> {
        let wrong = |reason: &str| Err(Error::invalid("correction", reason));
        let leads = &from.leads;
        if from.step_seconds == 0 || leads.len() > MAX_LEADS {
            return wrong("there must be a step and at most 64 leads");
        }
        if leads.first().is_some_and(|lead| lead.lead_seconds == 0)
            || !leads.is_sorted_by(|a, b| a.lead_seconds < b.lead_seconds && a.weight >= b.weight)
        {
            return wrong("leads must ascend and weights must not");
        }
        let right = |lead: &Lead| {
            (0.0..=1.0).contains(&lead.weight)
                && (0.0..=1.0).contains(&lead.flatness)
                && MEMORIES.contains(&lead.memory_seconds)
                && lead.mae_with.is_finite()
                && lead.mae_without.is_finite()
        };
        if !leads.iter().all(right) {
            return wrong("weights must be from 0 to 1, memories known and errors finite");
        }
        if from
            .jump_beyond
            .is_some_and(|beyond| !(0.0..).contains(&beyond))
        {
            return wrong("jump_beyond must be at least 0");
        }
        Ok(Self {
            step_seconds: from.step_seconds,
            leads: from.leads,
            jump_beyond: from.jump_beyond,
            bands: from.bands,
            peak: from.peak,
        })
    }
}

impl Correction {
    /// The leads that are corrected, ascending; none where only jumps are.
    pub fn leads(&self) -> &[Lead] {
        &self.leads
    }

    /// Of the maxima of corrected forecasts, by the length of a window that begins after the last observation.
    pub fn peak(&self) -> Option<&PeakCalibration> {
        self.peak.as_ref()
    }

    /// Whether the backtest has found jumps worth guarding against, and how far a jump goes.
    pub fn jump_beyond(&self) -> Option<f64> {
        self.jump_beyond
    }

    /// Whether `state` says something about the forecasts at `now`: an observation is at most 3 steps, or 15 minutes, old.
    pub fn applies(&self, state: &State, now: i64) -> bool {
        let most = RECENT_SECONDS.max(RECENT_STEPS * i64::from(self.step_seconds));
        let last = state.last_observed();
        // An observation of a step is known when the step is over.
        last.is_some_and(|last| now.saturating_sub(last) <= most + i64::from(self.step_seconds))
    }

    /// Shifts `forecast` at the times `ds` (seconds of the wall clock, as those of `state`), and sets its quantiles to the
    /// corrected ones. Times at or before the last observation stay; where [`applies`](Self::applies) says no, all do.
    /// Returns whether a shift was applied to any of them.
    pub fn apply(&self, state: &State, now: i64, ds: &[i64], forecast: &mut Forecast) -> bool {
        let Some(last) = state.last_observed().filter(|_| self.applies(state, now)) else {
            return false;
        };
        let mut shifted = false;
        for (i, ds) in ds.iter().enumerate() {
            let lead = ds.saturating_sub(last);
            let Some(yhat) = forecast.yhat.get_mut(i) else {
                continue;
            };
            let Some(shift) = self.shift(state, lead, *yhat) else {
                continue;
            };
            shifted = true;
            *yhat += shift.total();
            let point = *yhat;
            let fitted = self.fitted_share(lead);
            for quantile in &mut forecast.quantiles {
                let level = quantile.level;
                let Some(value) = quantile.values.get_mut(i) else {
                    continue;
                };
                let own = *value + shift.total();
                let corrected = point + self.bands.residual(level, lead);
                let value_in = own + fitted * (corrected - own);
                *value = value_in + shift.doubt(level);
            }
        }
        shifted
    }

    /// What [`apply`](Self::apply) adds to the uncorrected point forecast `point` at `ds`; `None` where that stays as it is.
    pub fn added(&self, state: &State, now: i64, ds: i64, point: f64) -> Option<f64> {
        let last = state.last_observed().filter(|_| self.applies(state, now))?;
        self.shift(state, ds.saturating_sub(last), point)
            .map(Shift::total)
    }

    /// The shift of the point forecast `point` at a lead in seconds after the last observation; `None` where there is none.
    fn shift(&self, state: &State, lead: i64, point: f64) -> Option<Shift> {
        let (mean, flatness) = self.at_lead(state, lead);
        let weighted = mean - flatness * (point - state.last_forecast());
        let jump = state.jump().map_or((0.0, 0.0), |(offset, age)| {
            let left = offset * (-(lead as f64) / JUMP_FADES).exp();
            (left, left * (-(age as f64) / DOUBT_FADES).exp())
        });
        let reached = lead <= self.last_lead() * i64::from(REACH);
        (lead > 0 && (reached || jump.0 != 0.0)).then_some(Shift {
            mean: weighted,
            jump: jump.0,
            doubted: jump.1,
        })
    }

    /// `weight * mean` and the flatness at a lead: linear between the fitted leads, those of the first before it.
    fn at_lead(&self, state: &State, lead: i64) -> (f64, f64) {
        let of = |lead: &Lead| (lead.weight * state.mean(lead.memory_seconds), lead.flatness);
        let at = |i: usize| i64::from(self.leads[i].lead_seconds);
        let next = self
            .leads
            .partition_point(|l| i64::from(l.lead_seconds) < lead);
        let (from, value, until, then) = match (next.checked_sub(1), self.leads.get(next)) {
            (None, Some(first)) => return of(first),
            (Some(before), Some(after)) => {
                (at(before), of(&self.leads[before]), at(next), of(after))
            }
            (Some(last), None) => {
                let end = at(last) * i64::from(REACH);
                (at(last), of(&self.leads[last]), end, (0.0, 0.0))
            }
            (None, None) => return (0.0, 0.0),
        };
        let share = ((lead - from) as f64 / (until - from) as f64).min(1.0);
        let between = |a: f64, b: f64| a + share * (b - a);
        (between(value.0, then.0), between(value.1, then.1))
    }

    /// How much the band of a lead is the corrected one: wholly up to the last fitted lead, not at all where the shift is
    /// gone.
    fn fitted_share(&self, lead: i64) -> f64 {
        let last = self.last_lead();
        if last == 0 {
            return 0.0;
        }
        let beyond = (lead - last) as f64 / (last * i64::from(REACH - 1)) as f64;
        1.0 - beyond.clamp(0.0, 1.0)
    }

    fn last_lead(&self) -> i64 {
        self.leads
            .last()
            .map_or(0, |lead| i64::from(lead.lead_seconds))
    }
}

/// What is added to a point, and how far that is in doubt.
#[derive(Debug, Clone, Copy)]
struct Shift {
    mean: f64,
    jump: f64,
    /// The part of the jump that may as well go back.
    doubted: f64,
}

impl Shift {
    fn total(self) -> f64 {
        self.mean + self.jump
    }

    /// What doubt adds to a quantile: on the side that the level came from, the band holds a return too.
    fn doubt(self, level: f64) -> f64 {
        let back = -self.doubted;
        if (level > 0.5 && back > 0.0) || (level < 0.5 && back < 0.0) {
            back
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests;
