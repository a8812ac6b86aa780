//! What an answer rests on beside the version itself, taken once: an answer, its freshness and the key that it is kept
//! under then speak of the same moment.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use loadcast_model::{artifact::Metadata, correction::State, series::Series};

use super::{Live, Observation, View};
use crate::{
    event::Reason,
    freshness::{Freshness, Limits},
    served::Served,
};

/// What was seen of one series.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    view: Option<Arc<View>>,
    limits: Limits,
}

impl Live {
    /// What is to be seen of `series` now.
    pub fn seen(&self, series: &Series) -> Seen {
        let entry = self.declared.as_ref().and_then(|it| it.entry(series));
        let schedule = entry.and_then(|entry| entry.schedule);
        let limits = Limits::default();
        Seen {
            view: self.view(&series.name),
            limits: match schedule {
                Some(schedule) => limits.trained_every(schedule.every_seconds),
                None => limits,
            },
        }
    }
}

impl Seen {
    /// The generation of the view; 0 where nothing was observed.
    pub fn generation(&self) -> u64 {
        self.view.as_ref().map_or(0, |view| view.generation)
    }

    /// The view; `None` where nothing was observed.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// The same for who asks as of an instant: without observations when one of them is later, for what was known then is
    /// not known any more. The gate stays: it is about the version.
    pub(crate) fn as_of(&self, instant: Option<Timestamp>) -> Self {
        let later = |last: Observation| instant.is_some_and(|instant| last.at > instant);
        let mut seen = self.clone();
        if let Some(view) = &mut seen.view
            && view.last.is_some_and(later)
        {
            let view = Arc::make_mut(view);
            (view.last, view.peak, view.residuals) = (None, None, None);
        }
        seen
    }

    /// The last observation.
    pub fn last(&self) -> Option<Observation> {
        self.view.as_ref()?.last
    }

    /// The largest observation that is remembered.
    pub fn peak(&self) -> Option<f64> {
        self.view.as_ref()?.peak
    }

    /// What corrects answers of `served`.
    pub(crate) fn residuals_of(&self, served: &Served) -> Option<&State> {
        self.view.as_ref()?.residuals_of(served)
    }

    /// Why answers of `served` are gated.
    pub fn gate_of(&self, served: &Served) -> Option<&Reason> {
        self.view.as_ref()?.gate_of(served)
    }

    /// How fresh an answer of a model is at `now`.
    pub fn freshness(&self, metadata: &Metadata, now: Timestamp) -> Freshness {
        let (limits, known_to) = self.known_to(metadata);
        limits.judge(now, metadata.trained_at, known_to)
    }

    /// The instant up to which data are known, and the limits that hold: data are known to the end of the last observed
    /// step or to the model's cutoff, whichever is later; the short limit is that of observations.
    pub fn known_to(&self, metadata: &Metadata) -> (Limits, Timestamp) {
        let step = metadata.series.step_seconds;
        let end = self.last().and_then(|last| {
            let length = SignedDuration::from_secs(step.into());
            last.at.checked_add(length).ok()
        });
        match end.filter(|end| *end > metadata.cutoff) {
            Some(end) => (self.limits.observed(step), end),
            None => (self.limits, metadata.cutoff),
        }
    }
}
