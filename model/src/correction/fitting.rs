//! From forecasts of the past to a [`Correction`].

use super::{Correction, JUMP_FADES, Lead, MEMORIES, REACH, State};
use crate::{
    calibration::{BandCalibration, Knot, STORED_LEVELS, widened_quantile},
    error::Result,
    order::quantile,
    peak::{PeakCalibration, Peaks},
};

/// The leads that are fitted, in minutes, as far as the step and the paths allow; the first is one step.
const MINUTES: [u32; 5] = [15, 60, 180, 360, 720];

/// The fewest paths, and the fewest pairs of a lead, that are evidence.
const LEAST_PATHS: usize = 6;
const LEAST_PAIRS: usize = 60;

/// The most pairs of a lead that are looked at; more are thinned out evenly.
const MOST_PAIRS: usize = 2_000;

/// The flatnesses that are tried.
const FLATNESSES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// The share of paths, the latest ones, that a fit on the others is judged by.
const JUDGED_SHARE: f64 = 1.0 / 3.0;

/// The share by which a lead's error must fall at the judged paths.
const LEAST_GAIN: f64 = 0.01;

/// The most watchful guard is taken that does not make the error at all paths larger by more than this share.
const MOST_LOSS_OF_GUARD: f64 = 0.01;

/// A jump goes so many times further from the last hour's mean than half of all residuals do: a median is not moved by
/// jumps in the history itself.
const JUMP_FACTORS: [f64; 3] = [5.0, 10.0, 20.0];

/// A forecast made at an origin inside a history, and what came: one value of each per step after the origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The point forecast.
    pub forecast: Vec<f64>,
    /// `None` where nothing was observed.
    pub observed: Vec<Option<f64>>,
}

/// The calibration of the maxima of forecasts as they are, whatever was observed since their cutoff.
///
/// # Errors
/// As [`BandCalibration::new`], for residuals that are not finite.
pub fn uncorrected_peaks(
    paths: &[Path],
    step_seconds: u32,
    days: f64,
) -> Result<Option<PeakCalibration>> {
    let mut peaks = Peaks::new(step_seconds);
    let begun: usize = paths.iter().map(|path| path.forecast.len()).sum();
    let thin = begun.div_ceil(MOST_PAIRS).max(1);
    for path in paths {
        for from in (0..path.forecast.len()).step_by(thin) {
            let ahead = path.forecast[from..].iter().copied();
            peaks.see(ahead.zip(path.observed.iter().skip(from).copied()));
        }
    }
    peaks.calibration(u32::try_from(paths.len()).unwrap_or(u32::MAX), days)
}

/// The state after an observation of a path.
struct Seen {
    path: usize,
    /// The step of the observation.
    at: usize,
    means: [f64; MEMORIES.len()],
    offset: f64,
}

/// A lead with its pairs.
struct Pairs {
    seconds: u32,
    of: Vec<Pair>,
}

/// What is to be explained at a lead, and what may.
#[derive(Clone, Copy)]
struct Pair {
    residual: f64,
    means: [f64; MEMORIES.len()],
    /// Of the forecast, from the observation to the lead.
    change: f64,
}

/// How a lead is explained.
#[derive(Clone, Copy)]
struct Way {
    memory: usize,
    weight: f64,
    flatness: f64,
}

impl Way {
    /// Not at all.
    const NONE: Self = Self {
        memory: 0,
        weight: 0.0,
        flatness: 0.0,
    };

    fn of(lead: &Lead) -> Self {
        let memory = MEMORIES
            .iter()
            .position(|memory| *memory == lead.memory_seconds);
        Self {
            memory: memory.unwrap_or(0),
            weight: lead.weight,
            flatness: lead.flatness,
        }
    }

    /// What is left of a residual.
    fn left(self, pair: &Pair) -> f64 {
        pair.residual + self.flatness * pair.change - self.weight * pair.means[self.memory]
    }

    /// The mean absolute error of pairs.
    fn error(self, pairs: &[Pair]) -> f64 {
        let errors = pairs.iter().map(|pair| self.left(pair).abs());
        errors.sum::<f64>() / pairs.len().max(1) as f64
    }
}

impl Correction {
    /// The correction that `paths` (in the order of their origins, one step of `step_seconds` between values) are evidence
    /// for, from origins spread over `days` days; `None` where there is too little evidence, or no lead is helped and
    /// jumps do not last.
    ///
    /// # Errors
    /// As [`BandCalibration::new`], for residuals that are not finite.
    pub fn fit(paths: &[Path], step_seconds: u32, days: f64) -> Result<Option<Self>> {
        if paths.len() < LEAST_PATHS || step_seconds == 0 {
            return Ok(None);
        }
        let split = paths.len() - ((paths.len() as f64 * JUDGED_SHARE) as usize).max(1);
        let unguarded = judged(paths, split, step_seconds, None);
        let total = |leads: &[Lead], beyond| -> f64 {
            let pairs = pairs(paths, step_seconds, beyond);
            let errors = leads.iter().zip(&pairs);
            errors
                .map(|(lead, pairs)| Way::of(lead).error(&pairs.of))
                .sum()
        };
        let most = total(&unguarded, None) * (1.0 + MOST_LOSS_OF_GUARD);
        let usual = usual_deviation(paths, step_seconds);
        let guarded = JUMP_FACTORS.into_iter().find_map(|factor| {
            let guard = Some(factor * usual?);
            let leads = judged(paths, split, step_seconds, guard);
            (total(&leads, guard) <= most).then_some((leads, guard))
        });
        let (leads, guard) = guarded.unwrap_or((unguarded, None));
        let mut leads = refitted(&leads, paths, step_seconds, guard);
        let of_all = u32::try_from(paths.len()).unwrap_or(u32::MAX);
        let Some(bands) = bands(&leads, paths, step_seconds, guard, of_all, days)? else {
            return Ok(None);
        };
        let helped = leads.iter().rposition(|lead| lead.weight > 0.0);
        leads.truncate(helped.map_or(0, |last| last + 1));
        if leads.is_empty() && guard.is_none() {
            return Ok(None);
        }
        let mut correction = Self {
            step_seconds,
            leads,
            jump_beyond: guard,
            bands,
            peak: None,
        };
        correction.peak = correction.peaks(paths, of_all, days)?;
        Ok(Some(correction))
    }

    /// The calibration of the corrected forecasts' maxima.
    fn peaks(&self, paths: &[Path], origins: u32, days: f64) -> Result<Option<PeakCalibration>> {
        let mut peaks = Peaks::new(self.step_seconds);
        let begun: usize = paths.iter().map(|path| path.forecast.len()).sum();
        let thin = begun.div_ceil(MOST_PAIRS).max(1);
        for path in paths {
            let mut state = State::new(-i64::from(self.step_seconds));
            for (at, observed, forecast) in path.seen() {
                state.take(
                    self.jump_beyond,
                    time(at, self.step_seconds),
                    observed,
                    forecast,
                );
                if at % thin != 0 {
                    continue;
                }
                let ahead = (at + 1..path.forecast.len()).map(|i| {
                    let lead = time(i - at, self.step_seconds);
                    let point = path.forecast[i];
                    let shift = self
                        .shift(&state, lead, point)
                        .map_or(0.0, |shift| shift.total());
                    (point + shift, path.observed.get(i).copied().flatten())
                });
                peaks.see(ahead);
            }
        }
        peaks.calibration(origins, days)
    }
}

impl Path {
    /// The steps that were observed, with what was and what was forecast.
    fn seen(&self) -> impl Iterator<Item = (usize, f64, f64)> {
        let pairs = self.observed.iter().zip(&self.forecast).enumerate();
        pairs.filter_map(|(i, (observed, forecast))| Some((i, (*observed)?, *forecast)))
    }

    fn residual(&self, i: usize) -> Option<f64> {
        Some((*self.observed.get(i)?)? - self.forecast.get(i)?)
    }
}

fn time(step: usize, step_seconds: u32) -> i64 {
    i64::try_from(step)
        .unwrap_or(i64::MAX)
        .saturating_mul(i64::from(step_seconds))
}

/// The states after each observation of `paths`.
fn walk(paths: &[Path], step_seconds: u32, beyond: Option<f64>) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (number, path) in paths.iter().enumerate() {
        let mut state = State::new(-i64::from(step_seconds));
        for (at, observed, forecast) in path.seen() {
            state.take(beyond, time(at, step_seconds), observed, forecast);
            seen.push(Seen {
                path: number,
                at,
                means: state.means(),
                offset: state.jump().map_or(0.0, |(offset, _)| offset),
            });
        }
    }
    seen
}

/// How far half of the residuals lie from the last hour's mean; `None` without evidence.
fn usual_deviation(paths: &[Path], step_seconds: u32) -> Option<f64> {
    let mut deviations = Vec::new();
    for path in paths {
        let mut state = State::new(-i64::from(step_seconds));
        for (at, observed, forecast) in path.seen() {
            deviations.push((observed - forecast - state.mean(3_600)).abs());
            state.take(None, time(at, step_seconds), observed, forecast);
        }
    }
    deviations.sort_unstable_by(f64::total_cmp);
    (deviations.len() >= LEAST_PAIRS).then(|| quantile(&deviations, 0.5))
}

/// The leads in steps and seconds that paths of `horizon` steps can be evidence for.
fn leads(step_seconds: u32, horizon: usize) -> Vec<(usize, u32)> {
    let minutes = MINUTES.iter().map(|minutes| minutes * 60 / step_seconds);
    let mut steps: Vec<u32> = std::iter::once(1)
        .chain(minutes.filter(|s| *s > 0))
        .collect();
    steps.dedup();
    let pairs = steps.into_iter().map(|s| (s as usize, s * step_seconds));
    // The shift of the last lead ends inside the horizon.
    pairs
        .filter(|(steps, _)| steps * REACH as usize <= horizon)
        .collect()
}

fn pairs(paths: &[Path], step_seconds: u32, beyond: Option<f64>) -> Vec<Pairs> {
    let horizon = paths
        .iter()
        .map(|path| path.forecast.len())
        .max()
        .unwrap_or(0);
    let seen = walk(paths, step_seconds, beyond);
    let thin = seen.len().div_ceil(MOST_PAIRS).max(1);
    let of_lead = |(steps, seconds): (usize, u32)| {
        let fade = (-f64::from(seconds) / JUMP_FADES).exp();
        let pair = |seen: &Seen| {
            let path = &paths[seen.path];
            Some(Pair {
                residual: path.residual(seen.at + steps)? - seen.offset * fade,
                means: seen.means,
                change: path.forecast[seen.at + steps] - path.forecast[seen.at],
            })
        };
        Pairs {
            seconds,
            of: seen.iter().step_by(thin).filter_map(pair).collect(),
        }
    };
    leads(step_seconds, horizon)
        .into_iter()
        .map(of_lead)
        .collect()
}

/// The way of least absolute error: for each memory and flatness, the weight is the median of `left / mean`, weighted by
/// `|mean|`.
fn least(pairs: &[Pair]) -> Way {
    let mut best = (Way::NONE.error(pairs), Way::NONE);
    let mut ratios: Vec<(f64, f64)> = Vec::with_capacity(pairs.len());
    for memory in 0..MEMORIES.len() {
        for flatness in FLATNESSES {
            let bare = Way {
                memory,
                weight: 0.0,
                flatness,
            };
            let with_mean = pairs.iter().filter(|pair| pair.means[memory] != 0.0);
            ratios.clear();
            ratios.extend(with_mean.map(|pair| {
                let mean = pair.means[memory];
                (bare.left(pair) / mean, mean.abs())
            }));
            ratios.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let half = ratios.iter().map(|(_, by)| by).sum::<f64>() / 2.0;
            let mut below = 0.0;
            let middle = ratios.iter().find(|(_, by)| {
                below += by;
                below >= half
            });
            let way = Way {
                weight: middle.map_or(0.0, |(ratio, _)| ratio.clamp(0.0, 1.0)),
                ..bare
            };
            let error = way.error(pairs);
            if error < best.0 {
                best = (error, way);
            }
        }
    }
    best.1
}

/// Each lead fitted on the paths before `split` and judged on those from it on; a weight of 0 where that did not help.
fn judged(paths: &[Path], split: usize, step_seconds: u32, beyond: Option<f64>) -> Vec<Lead> {
    let fitted = pairs(&paths[..split], step_seconds, beyond);
    let judged = pairs(&paths[split..], step_seconds, beyond);
    let bare = pairs(&paths[split..], step_seconds, None);
    let mut leads = Vec::new();
    for (fitted, (judged, bare)) in fitted.iter().zip(judged.iter().zip(&bare)) {
        if fitted.of.len() < LEAST_PAIRS || judged.of.len() < LEAST_PAIRS {
            break;
        }
        let mut way = least(&fitted.of);
        let mae_without = Way::NONE.error(&bare.of);
        if way.error(&judged.of) >= mae_without * (1.0 - LEAST_GAIN) {
            way = Way::NONE;
        }
        leads.push(Lead {
            lead_seconds: fitted.seconds,
            memory_seconds: MEMORIES[way.memory],
            weight: way.weight,
            flatness: way.flatness,
            mae_without,
            mae_with: way.error(&judged.of),
        });
    }
    leads
}

/// The leads that helped, fitted anew on all paths; those from the first on that did not have a weight of 0.
fn refitted(judged: &[Lead], paths: &[Path], step_seconds: u32, beyond: Option<f64>) -> Vec<Lead> {
    let mut most = 1.0_f64;
    let all = pairs(paths, step_seconds, beyond);
    let refit = |(lead, pairs): (&Lead, &Pairs)| {
        let way = match lead.weight > 0.0 {
            true => least(&pairs.of),
            false => Way::NONE,
        };
        most = most.min(way.weight);
        Lead {
            memory_seconds: MEMORIES[way.memory],
            weight: most,
            flatness: way.flatness,
            ..*lead
        }
    };
    judged.iter().zip(&all).map(refit).collect()
}

/// The bands of the corrected leads.
fn bands(
    leads: &[Lead],
    paths: &[Path],
    step_seconds: u32,
    beyond: Option<f64>,
    origins: u32,
    days: f64,
) -> Result<Option<BandCalibration>> {
    let all = pairs(paths, step_seconds, beyond);
    let knots = leads.iter().zip(&all).map(|(lead, pairs)| {
        let way = Way::of(lead);
        let mut left: Vec<f64> = pairs.of.iter().map(|pair| way.left(pair)).collect();
        left.sort_unstable_by(f64::total_cmp);
        let at = |level| widened_quantile(&left, level, days);
        Knot {
            lead_seconds: i64::from(lead.lead_seconds),
            residuals: STORED_LEVELS.into_iter().map(at).collect(),
        }
    });
    let knots: Vec<Knot> = knots.collect();
    if knots.is_empty() {
        return Ok(None);
    }
    BandCalibration::new(STORED_LEVELS.to_vec(), knots, origins, days).map(Some)
}
