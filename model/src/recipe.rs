//! The search for a forecast that beats "the same as yesterday", and its distillation into one Prophet model.
//!
//! Choosing one of many models by a few origins is mostly choosing noise; the median of a few different, robust
//! forecasts gains much and always. So:
//!
//! 1. A handful of candidates ([`Candidate`]) each say what comes next.
//! 2. They are weighed by what they would have said at up to 42 origins of the latest 14 days inside the history; the
//!    same origins decide of how many hours the level at the origin is taken, and how long it lasts ([`Anchor`]): it
//!    is kept unless forgetting it was better by a tenth.
//! 3. The forecast is their pointwise weighted median. Where it did not beat the seasonal naive on these origins, the
//!    search abstains: the seasonal naive it is, and the report says so.
//! 4. That forecast is distilled into Prophet's basis, so that server and Python say the same; the report has the loss.
//! 5. The residuals at the same origins calibrate the bands by lead and the peaks by window, and say what the residuals
//!    of the last hours are worth for the next ones ([`Correction`]).
//!
//! Nothing here depends on anything but the history and the options; the same arguments give the same bits.

mod calibrate;
mod candidate;
mod combine;
mod distil;
mod experience;

use serde::{Deserialize, Serialize};

use self::{
    calibrate::calibrate,
    candidate::{Past, Proposal, propose},
    combine::combine,
    distil::{Week, distil},
    experience::Experience,
};
pub use self::{
    candidate::Candidate,
    combine::{Anchor, Weighted},
};
use crate::{
    artifact::Clamps,
    calibration::BandCalibration,
    correction::{Correction, uncorrected_peaks},
    error::{Error, Result},
    forecaster::{Forecaster, Question},
    grid::Grid,
    normal::normal_quantile,
    order::quantile,
    peak::PeakCalibration,
    prophet::ProphetModel,
};

const DAY: u32 = 86_400;

/// The fewest days of history that are searched.
const LEAST_DAYS: usize = 2;

/// `sigma_obs` is at least this share of the largest value, as Prophet has it for a constant history.
const LEAST_NOISE: f64 = 1e-9;

/// The share of residuals that the model's own noise is taken from.
const NOISE_SHARE: f64 = 0.8;

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchOptions {
    /// How far ahead the forecast must be good, in seconds.
    pub horizon_seconds: u32,
    /// The share of observations that the model's default band should hold; in (0, 1).
    pub interval_width: f64,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            horizon_seconds: DAY,
            interval_width: 0.8,
        }
    }
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// The distilled forecast.
    pub model: ProphetModel,
    /// Of its bands; `None` where the history was too short to see any error.
    pub calibration: Option<BandCalibration>,
    /// Of the leads that follow an observation; `None` where the origins inside the history say that it does not help.
    pub correction: Option<Correction>,
    /// Of the maxima of windows; `None` where the history was too short to see any.
    pub peak: Option<PeakCalibration>,
    /// At least 0 where nothing below 0 was ever observed.
    pub clamps: Clamps,
    /// The forecast of the horizon before it was distilled, from the first step after the history on.
    pub undistilled: Vec<f64>,
    /// How it was found.
    pub report: Report,
}

/// How a search went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The candidates of the median with their weights.
    pub candidates: Vec<Weighted>,
    /// How long the level at the origin is taken to last.
    pub anchor: Anchor,
    /// The combination was no better than the seasonal naive, which was taken instead.
    pub abstained: bool,
    /// Origins inside the history that the choices rest on.
    pub origins: u32,
    /// Days over which they are spread.
    pub days: f64,
    /// Mean absolute error of the choice at these origins, in the series' unit; `None` without enough of them.
    pub expected_mae: Option<f64>,
    /// That of the seasonal naive.
    pub naive_mae: Option<f64>,
    /// Mean absolute difference of the distilled forecast from the undistilled one over the horizon, in the series' unit.
    pub distillation_loss: f64,
    /// How often Prophet was fitted.
    pub fits: u32,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Searches the forecast of what comes after `grid`.
///
/// # Errors
/// [`Error::Invalid`] for a step that does not divide a day or a horizon of less than a step;
/// [`Error::NotEnoughData`] below two days; errors of [`fit`](crate::fit::fit).
pub fn search(grid: &Grid, options: &SearchOptions) -> Result<Searched> {
    let step = grid.step_seconds;
    if step == 0 || !DAY.is_multiple_of(step) {
        return Err(Error::invalid(
            "step",
            format!("{step} s do not divide a day; give a step that does, such as 5m or 1h"),
        ));
    }
    let horizon = (options.horizon_seconds / step) as usize;
    if horizon == 0 {
        return Err(Error::invalid(
            "horizon",
            format!("shorter than a step of {step} s; give at least a step"),
        ));
    }
    let day = (DAY / step) as usize;
    let history = grid.to_history()?;
    let (Some(values), true) = (grid.filled(), grid.values.len() >= LEAST_DAYS * day) else {
        return Err(Error::NotEnoughData {
            reason: format!(
                "{} steps of {step} s; a search takes at least {LEAST_DAYS} days of them",
                grid.values.len()
            ),
        });
    };
    let past = Past {
        start: grid.start,
        step,
        values: &values,
    };
    let experience = Experience::gather(&past, &grid.values, horizon)?;
    let proposals = propose(&past, horizon.max(7 * day))?;
    let choice = choose(&experience, &proposals);
    let ahead = combine(&proposals, choice.anchor, &choice.weights, step);

    let residuals = experience.residuals(choice.anchor, &choice.weights);
    let calibration = calibrate(&residuals, step, experience.origins(), experience.days)?;
    let paths = experience.paths(choice.anchor, &choice.weights);
    let correction = Correction::fit(&paths, step, experience.days)?;
    let peak = uncorrected_peaks(&paths, step, experience.days)?;
    let noise = noise(residuals.iter().map(|(_, residual)| residual.abs()))
        .or_else(|| {
            noise(
                values
                    .iter()
                    .zip(values.get(day..)?)
                    .map(|(a, b)| (b - a).abs()),
            )
        })
        .unwrap_or(0.0);
    let largest = values
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    let model = distil(
        Week {
            start: past.time(values.len()),
            values: &ahead[..7 * day],
        },
        &history,
        noise.max(LEAST_NOISE * largest.max(1.0)),
        choice.expected_mae.unwrap_or(noise),
        options.interval_width,
    );
    let undistilled = ahead[..horizon].to_vec();
    let ds: Vec<i64> = (0..horizon).map(|i| past.time(values.len() + i)).collect();
    let said = Forecaster::new(model.clone())?
        .forecast(&Question::at(&ds))?
        .yhat;
    let lost = said
        .iter()
        .zip(&undistilled)
        .map(|(a, b)| (a - b).abs())
        .sum::<f64>();
    let least = history.y().iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Searched {
        model,
        clamps: Clamps {
            min: (least >= 0.0).then_some(0.0),
            max: None,
        },
        undistilled,
        correction,
        peak,
        report: Report {
            warnings: warnings(&choice, &experience, calibration.is_some()),
            candidates: choice.weights,
            anchor: choice.anchor,
            abstained: choice.abstained,
            origins: experience.origins(),
            days: experience.days,
            expected_mae: choice.expected_mae,
            naive_mae: choice.naive_mae,
            distillation_loss: lost / horizon as f64,
            fits: experience.fits + 1,
        },
        calibration,
    })
}

struct Choice {
    anchor: Anchor,
    weights: Vec<Weighted>,
    abstained: bool,
    expected_mae: Option<f64>,
    naive_mae: Option<f64>,
}

fn choose(experience: &Experience<'_>, proposals: &[Proposal]) -> Choice {
    let (anchor, weights) = experience.anchor(proposals);
    let expected_mae = experience.error(anchor, &weights);
    let naive = vec![Weighted {
        candidate: Candidate::SeasonalNaive,
        weight: 1.0,
    }];
    let naive_mae = experience.error(Anchor::None, &naive);
    let abstained =
        matches!((expected_mae, naive_mae), (Some(own), Some(naive)) if own >= naive && own > 0.0);
    if abstained {
        return Choice {
            anchor: Anchor::None,
            weights: naive,
            abstained,
            expected_mae: naive_mae,
            naive_mae,
        };
    }
    Choice {
        anchor,
        weights,
        abstained,
        expected_mae,
        naive_mae,
    }
}

/// The deviation of a normal distribution that holds as much as `errors` do; `None` of nothing.
fn noise(errors: impl Iterator<Item = f64>) -> Option<f64> {
    let mut errors: Vec<f64> = errors.collect();
    errors.sort_unstable_by(f64::total_cmp);
    let deviate = normal_quantile(0.5 + NOISE_SHARE / 2.0);
    (!errors.is_empty()).then(|| quantile(&errors, NOISE_SHARE) / deviate)
}

fn warnings(choice: &Choice, experience: &Experience<'_>, calibrated: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if choice.abstained {
        warnings.push(
            "nothing beat the seasonal naive inside the history: the forecast is the same as yesterday".to_owned(),
        );
    }
    if choice.expected_mae.is_none() {
        warnings.push(format!(
            "{} origins inside the history are too few to weigh the candidates: all count the same",
            experience.origins()
        ));
    }
    if !calibrated {
        warnings.push(
            "too few errors were seen to calibrate the bands: they are the model's own".to_owned(),
        );
    }
    warnings
}
