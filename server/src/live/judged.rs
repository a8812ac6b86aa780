//! One version under observation: the residuals that correct it, the forecasts that wait for what comes, and their scores.
//!
//! At every observation, from the model's cutoff and the beginning of its serving on, the forecasts are made that the
//! server answers with from then until the next observation, at a few leads. What is observed later is set against them.
//! An observation counts as known when its step is over, whenever it reached the server: the scores are a function of the
//! version and the observations alone.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use loadcast_model::correction::State;

use super::{
    past::{DAY, MAX_STEPS, Past},
    tally::{BAND, LeadScores, Row, Tally},
};
use crate::{
    answer::{Observed, columns, uncorrected},
    error::Result,
    question::Question,
    served::Served,
};

/// The leads that are scored, in seconds: rounded up to a step, each once, and no more steps than are remembered.
const LEADS: [i64; 4] = [300, 900, 3_600, DAY];

/// What is known of one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// The registry's number.
    pub(crate) version: u64,
    /// Of its model.pr.
    pub(crate) sha256: String,
    /// Forecasts count that were made at this instant or later.
    pub(crate) since: i64,
    /// The residuals; `None` where the artifact declares no correction.
    pub(crate) state: Option<State>,
    /// Why it cannot be scored or corrected; `None`: it can.
    pub(crate) unscored: Option<String>,
    leads: Vec<Lead>,
}

/// One lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Lead {
    seconds: i64,
    /// Forecasts of instants that have not been observed yet, ascending.
    waiting: VecDeque<Waiting>,
    tally: Tally,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Waiting {
    at: i64,
    point: f64,
    /// NaN where the band was not asked for.
    low: f64,
    high: f64,
}

/// The leads of a series with a step of so many seconds.
fn leads(step: i64) -> impl Iterator<Item = i64> {
    let mut before = 0;
    LEADS.into_iter().filter_map(move |lead| {
        let steps = lead.div_euclid(step) + i64::from(lead.rem_euclid(step) > 0);
        let is_new = steps > before && steps <= MAX_STEPS;
        before = before.max(steps);
        is_new.then_some(steps * step)
    })
}

impl Judged {
    /// `served`, brought up to date by what was observed before.
    pub(crate) fn begin(served: &Served, past: &Past) -> Self {
        let metadata = served.loaded.metadata();
        let step = past.step();
        let declares = metadata.correction.is_some();
        let cutoff = served.loaded.forecaster().model().ends.last.0;
        let lead = |seconds| Lead {
            seconds,
            waiting: VecDeque::new(),
            tally: Tally::default(),
        };
        let served_since = served.served_since.as_second();
        let mut begun = Self {
            version: served.version,
            sha256: metadata.sha256.clone(),
            since: metadata.cutoff.as_second().max(served_since - step),
            state: declares.then(|| State::of_model(cutoff)),
            unscored: None,
            leads: leads(step).map(lead).collect(),
        };
        let mut known = Past::new(u32::try_from(step).unwrap_or(u32::MAX));
        for (at, value) in past.iter() {
            known.push(at, value);
            begun.take(served, &known, at, value);
        }
        begun
    }

    /// Whether it is of `served`.
    pub(crate) fn is_of(&self, served: &Served) -> bool {
        self.version == served.version && self.sha256 == served.loaded.metadata().sha256
    }

    /// Takes in the last observation of `past`.
    pub(crate) fn take(&mut self, served: &Served, past: &Past, at: i64, value: f64) {
        self.score(past, at, value);
        if self.unscored.is_none()
            && let Err(error) = self.look_ahead(served, at, value)
        {
            self.unscored = Some(error.to_string());
        }
    }

    fn score(&mut self, past: &Past, at: i64, value: f64) {
        for lead in &mut self.leads {
            while lead.waiting.front().is_some_and(|first| first.at < at) {
                lead.waiting.pop_front();
            }
            let Some(made) = lead.waiting.pop_front_if(|first| first.at == at) else {
                continue;
            };
            let row = Row {
                observed: value,
                point: made.point,
                low: made.low,
                high: made.high,
                // What is not known when it is forecast is no reference.
                day_before: past.at(at - DAY).filter(|_| lead.seconds <= DAY),
                last: past.at(at - lead.seconds),
            };
            lead.tally.add(past.step(), &row);
        }
    }

    /// The residual of the observation at `at`, and the forecasts that are answered with from then on.
    fn look_ahead(&mut self, served: &Served, at: i64, value: f64) -> Result<()> {
        let metadata = served.loaded.metadata();
        let wall = metadata.series.zone.to_wall(at);
        if let (Some(state), Some(correction)) = (&mut self.state, &metadata.correction)
            && state.awaits(wall)
        {
            for said in uncorrected(served, &Question::of_levels(&[]), &[at])?.yhat {
                state.observe(correction, wall, value, said);
            }
        }
        if at < self.since {
            return Ok(());
        }
        let ahead: Vec<i64> = self.leads.iter().map(|lead| at + lead.seconds).collect();
        let observed = self
            .state
            .as_ref()
            .and_then(|state| Observed::after(state, 0));
        // Bands from sampled paths take too long to be asked for at every observation.
        let quick = served.loaded.forecaster().has_quick_bands();
        let levels: &[f64] = if quick { &BAND } else { &[] };
        let forecast = columns(served, &Question::of_levels(levels), &ahead, observed)?.forecast;
        for (i, lead) in self.leads.iter_mut().enumerate() {
            let of_level = |quantile: usize| {
                let quantile = forecast.quantiles.get(quantile);
                let value = quantile.and_then(|quantile| quantile.values.get(i));
                value.copied().unwrap_or(f64::NAN)
            };
            if let (Some(point), Some(at)) = (forecast.yhat.get(i), ahead.get(i)) {
                lead.waiting.push_back(Waiting {
                    at: *at,
                    point: *point,
                    low: of_level(0),
                    high: of_level(1),
                });
            }
        }
        Ok(())
    }

    /// The scores, by lead ascending.
    pub(crate) fn scores(&self) -> Vec<LeadScores> {
        let of = |lead: &Lead| lead.tally.scores(lead.seconds);
        self.leads.iter().map(of).collect()
    }

    /// How many bytes a version of a series with this step takes at most, beside its [`Past`].
    pub(crate) fn most_bytes(step: i64) -> usize {
        let waiting = |seconds: i64| usize::try_from(seconds / step).unwrap_or(0) + 1;
        let rows: usize = leads(step).map(waiting).sum();
        // A deque grows by doubling.
        size_of::<Self>() + 4 * size_of::<Lead>() + 2 * rows * size_of::<Waiting>()
    }

    /// What a file says makes sense for a series with this step.
    pub(crate) fn is_sound(&self, step: i64) -> bool {
        let ascending = |lead: &Lead| {
            let held = usize::try_from(lead.seconds / step).unwrap_or(0) + 1;
            lead.tally.is_sound()
                && lead.waiting.len() <= held
                && lead.waiting.iter().is_sorted_by(|a, b| a.at < b.at)
        };
        self.leads.iter().map(|lead| lead.seconds).eq(leads(step))
            && self.leads.iter().all(ascending)
    }

    /// How many bytes it has allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        let leads = self.leads.capacity() * size_of::<Lead>();
        let waiting = self.leads.iter().map(|lead| lead.waiting.capacity());
        leads + waiting.sum::<usize>() * size_of::<Waiting>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_are_steps_and_none_is_longer_than_what_is_remembered() {
        for (step, expected) in [
            (300, vec![300, 900, 3_600, 86_400]),
            (60, vec![300, 900, 3_600, 86_400]),
            (600, vec![600, 1_200, 3_600, 86_400]),
            (3_600, vec![3_600, 86_400]),
            (86_400, vec![86_400]),
            (10, vec![300, 900, 3_600]),
            (1, vec![300, 900]),
            (200_000, vec![200_000]),
        ] {
            assert_eq!(leads(step).collect::<Vec<_>>(), expected, "{step}");
        }
    }
}
