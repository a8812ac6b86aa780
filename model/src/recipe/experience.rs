//! What the candidates would have done at origins inside the history: the evidence for weights, anchor and bands.

use super::{
    candidate::{Candidate, Past, Proposal, propose},
    combine::{Anchor, Weighted, combine},
};
use crate::{correction::Path, error::Result};

/// How many origins are looked at, spread over how many of the latest days.
const ORIGINS: usize = 42;
const SPAN_DAYS: usize = 14;

/// The shortest history that an origin may have before it, in days.
const LEAST_DAYS: usize = 2;

/// The fewest origins that are evidence for anything.
pub(super) const LEAST_ORIGINS: usize = 6;

/// The share by which an anchor of more hours must beat that of one, to be chosen: it lags behind a change of level by
/// hours, no more.
const LEAST_GAIN: f64 = 0.02;

/// The same of one that does not last: it forgets a change of level.
const LEAST_GAIN_OF_FADING: f64 = 0.1;

/// A weekly shape seen only once must have spoken at origins of at least this many days, and beaten every daily candidate
/// by [`LEAST_WEEKLY_GAIN`] there: on one week alone, chance looks like a shape.
const LEAST_DAYS_OF_EVIDENCE: f64 = 2.0;
const LEAST_WEEKLY_GAIN: f64 = 0.1;

/// A weight is at most this many times that of the seasonal naive, and at least its inverse.
const MOST_WEIGHT: f64 = 1e3;

/// The anchors that are tried beside that of the last hour, each with the share by which it must be better.
const OTHER_ANCHORS: [(Anchor, f64); 6] = [
    (Anchor::Constant { hours: 3 }, LEAST_GAIN),
    (Anchor::Constant { hours: 6 }, LEAST_GAIN),
    (Anchor::Constant { hours: 12 }, LEAST_GAIN),
    (Anchor::Fading { hours: 12 }, LEAST_GAIN_OF_FADING),
    (Anchor::Fading { hours: 4 }, LEAST_GAIN_OF_FADING),
    (Anchor::None, LEAST_GAIN_OF_FADING),
];

/// Origins inside a history, what every candidate said at each, and what came.
#[derive(Debug)]
pub(super) struct Experience<'a> {
    step: u32,
    origins: Vec<Origin<'a>>,
    /// Days over which the origins are spread, the last one's horizon included.
    pub(super) days: f64,
    /// Days from the first origin to the last.
    spread_days: f64,
    /// How often Prophet was fitted.
    pub(super) fits: u32,
}

#[derive(Debug)]
struct Origin<'a> {
    proposals: Vec<Proposal>,
    truth: &'a [Option<f64>],
}

/// The residuals of a forecast, observed minus forecast, at one lead.
pub(super) type Residual = (usize, f64);

impl<'a> Experience<'a> {
    /// Goes through up to [`ORIGINS`] origins, each with all of `past` before it, at least [`LEAST_DAYS`] days, and with
    /// a horizon of `observed` values after it.
    ///
    /// # Errors
    /// As [`propose`].
    pub(super) fn gather(
        past: &Past<'_>,
        observed: &'a [Option<f64>],
        horizon: usize,
    ) -> Result<Self> {
        let day = past.day();
        let last = observed.len().saturating_sub(horizon);
        let first = (LEAST_DAYS * day).max(last.saturating_sub(SPAN_DAYS * day));
        let mut origins = Vec::new();
        if let Some(range) = last.checked_sub(first) {
            let count = ORIGINS.min(range + 1);
            for k in 0..count {
                // Evenly from the last to the first.
                let at = last - k * range / (count - 1).max(1);
                let before = Past {
                    values: &past.values[..at],
                    ..*past
                };
                origins.push(Origin {
                    proposals: propose(&before, horizon)?,
                    truth: &observed[at..at + horizon],
                });
            }
        }
        let spread = last.saturating_sub(first);
        Ok(Self {
            step: past.step,
            days: (spread + horizon) as f64 / day as f64,
            spread_days: spread as f64 / day as f64,
            fits: u32::try_from(origins.len()).unwrap_or(u32::MAX),
            origins,
        })
    }

    /// How many origins there are.
    pub(super) fn origins(&self) -> u32 {
        u32::try_from(self.origins.len()).unwrap_or(u32::MAX)
    }

    /// The weight of each candidate that `proposals` hold under `anchor`: the seasonal naive's mean absolute error over
    /// its own, on the origins where both spoke. Without evidence it is 1. Of the two daily profiles only the better
    /// one has a weight, the plain one without evidence: a spike at its minute asks for the plain, noise for the smooth.
    pub(super) fn weights(&self, proposals: &[Proposal], anchor: Anchor) -> Vec<Weighted> {
        let alone = |candidate| {
            vec![Weighted {
                candidate,
                weight: 1.0,
            }]
        };
        let error = |origin: &Origin<'_>, candidate: Candidate| {
            let spoke = origin.proposals.iter().any(|p| p.candidate == candidate);
            let said =
                spoke.then(|| combine(&origin.proposals, anchor, &alone(candidate), self.step))?;
            mean_error(&said, origin.truth)
        };
        let naive: Vec<Option<f64>> = self
            .origins
            .iter()
            .map(|origin| error(origin, Candidate::SeasonalNaive))
            .collect();
        let evidence = |candidate| {
            let pairs = self
                .origins
                .iter()
                .zip(&naive)
                .filter_map(|(origin, naive)| Some((error(origin, candidate)?, (*naive)?)));
            let (own, naives, count) = pairs
                .fold((0.0, 0.0, 0_usize), |(own, naives, count), pair| {
                    (own + pair.0, naives + pair.1, count + 1)
                });
            let weight = if count < LEAST_ORIGINS || (own == 0.0 && naives == 0.0) {
                1.0
            } else {
                (naives / own).clamp(1.0 / MOST_WEIGHT, MOST_WEIGHT)
            };
            (weight, count as f64 * self.days_apart())
        };
        let mut weights = Vec::with_capacity(proposals.len());
        let seen_once = !proposals
            .iter()
            .any(|proposal| proposal.candidate == Candidate::WeeklyNaive);
        let mut best_daily: f64 = 0.0;
        for Proposal { candidate, .. } in proposals {
            let (candidate, (weight, days)) = (*candidate, evidence(*candidate));
            if candidate == Candidate::WeeklyProfile {
                let earned = days >= LEAST_DAYS_OF_EVIDENCE
                    && weight >= best_daily * (1.0 + LEAST_WEEKLY_GAIN);
                if seen_once && !earned {
                    continue;
                }
            } else if candidate != Candidate::WeeklyNaive {
                best_daily = best_daily.max(weight);
            }
            weights.push(Weighted { candidate, weight });
        }
        let weight = |candidate| {
            let of_it = weights.iter().find(|w| w.candidate == candidate);
            of_it.map_or(0.0, |weighted| weighted.weight)
        };
        let smooth = weight(Candidate::SmoothProfile) > weight(Candidate::DailyProfile);
        let worse = match smooth {
            true => Candidate::DailyProfile,
            false => Candidate::SmoothProfile,
        };
        weights.retain(|weighted| weighted.candidate != worse);
        weights
    }

    /// Days from one origin to the next.
    fn days_apart(&self) -> f64 {
        match self.origins.len() {
            0 | 1 => 0.0,
            count => self.spread_days / (count - 1) as f64,
        }
    }

    /// The anchor for `proposals`, with the weights under it: of the last hour and constant, unless another has been
    /// better by the share that it must be.
    pub(super) fn anchor(&self, proposals: &[Proposal]) -> (Anchor, Vec<Weighted>) {
        let first = Anchor::Constant { hours: 1 };
        let first = (first, self.weights(proposals, first));
        let Some(to_beat) = self.error(first.0, &first.1) else {
            return first;
        };
        let mut best = (to_beat, first);
        for (anchor, least_gain) in OTHER_ANCHORS {
            let weights = self.weights(proposals, anchor);
            let error = self.error(anchor, &weights);
            match error.map(|error| error / (1.0 - least_gain)) {
                Some(error) if error < best.0 => best = (error, (anchor, weights)),
                _ => {}
            }
        }
        best.1
    }

    /// The mean absolute error of a combination over all origins; `None` below [`LEAST_ORIGINS`].
    pub(super) fn error(&self, anchor: Anchor, weights: &[Weighted]) -> Option<f64> {
        if self.origins.len() < LEAST_ORIGINS {
            return None;
        }
        let errors: Vec<f64> = self
            .origins
            .iter()
            .filter_map(|origin| {
                let said = combine(&origin.proposals, anchor, weights, self.step);
                mean_error(&said, origin.truth)
            })
            .collect();
        (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
    }

    /// The residuals of a combination, of all origins.
    pub(super) fn residuals(&self, anchor: Anchor, weights: &[Weighted]) -> Vec<Residual> {
        let mut residuals = Vec::new();
        for origin in &self.origins {
            let said = combine(&origin.proposals, anchor, weights, self.step);
            let pairs = said.iter().zip(origin.truth).enumerate();
            residuals
                .extend(pairs.filter_map(|(lead, (said, truth))| Some((lead, (*truth)? - said))));
        }
        residuals
    }

    /// What a combination said at each origin and what came, the first origin first.
    pub(super) fn paths(&self, anchor: Anchor, weights: &[Weighted]) -> Vec<Path> {
        let path = |origin: &Origin<'_>| Path {
            forecast: combine(&origin.proposals, anchor, weights, self.step),
            observed: origin.truth.to_vec(),
        };
        self.origins.iter().rev().map(path).collect()
    }
}

fn mean_error(said: &[f64], truth: &[Option<f64>]) -> Option<f64> {
    let errors = said
        .iter()
        .zip(truth)
        .filter_map(|(said, truth)| Some(((*truth)? - said).abs()));
    let (sum, count) = errors.fold((0.0, 0_u32), |(sum, count), error| (sum + error, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
