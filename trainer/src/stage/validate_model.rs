//! Stage 4: does the model, restored from its bytes, say something finite, and is it better than "the same as yesterday"?
//!
//! The first decides: a model without finite numbers is refused. The second is measured and told.

use loadcast_model::artifact::{Clamps, decode_model_pr};
use loadcast_model::backtest::{Backtest, Method, Plan, backtest};
use loadcast_model::calibration::BandCalibration;
use loadcast_model::correction::Correction;
use loadcast_model::error::Error as ModelError;
use loadcast_model::forecaster::{Forecaster, Question};
use loadcast_model::grid::Grid;
use loadcast_model::peak::PeakCalibration;
use loadcast_model::series::Series;
use loadcast_model::spec::Spec;

use crate::error::{Error, Result};
use crate::stage::train::Trained;
use crate::time::{DAY, show_length};
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "validate model";

/// The most days at the end of the history that are held back, one after another.
const MAX_ORIGINS: u32 = 3;

/// The levels of the band whose coverage is measured.
const BAND: [f64; 2] = [0.1, 0.9];

/// A model that may be pushed. Only [`validate_model`] makes one.
#[derive(Debug, Clone)]
pub struct Approved {
    trained: Trained,
    skill: Option<Backtest>,
    verdict: Verdict,
}

/// Judges a trained model.
///
/// # Errors
/// [`Error::Rejected`] with the code `NON_FINITE` when its forecast is not finite; [`Error::Model`] when its own bytes
/// cannot be read back.
pub fn validate_model(trained: Trained) -> Result<Approved> {
    let mut verdict = Verdict::new(STAGE);
    warm_up(&trained, &mut verdict)?;
    let skill = measure(&trained.method, &trained.features.grid, &mut verdict)?;
    Ok(Approved {
        trained,
        skill,
        verdict,
    })
}

/// Forecasts the next day as a server will: from the bytes alone.
fn warm_up(trained: &Trained, verdict: &mut Verdict) -> Result<()> {
    let model = decode_model_pr(&trained.model_pr).map_err(Error::of_model)?;
    let forecaster = Forecaster::new(model).map_err(refuse)?;
    let grid = &trained.features.grid;
    let steps = (DAY / i64::from(grid.step_seconds)).max(1);
    let next: Vec<i64> = (0..steps)
        .map(|i| grid.time(grid.values.len()) + i * i64::from(grid.step_seconds))
        .collect();
    let yhat = forecaster
        .forecast(&Question::at(&next))
        .map_err(refuse)?
        .yhat;
    let low = yhat.iter().copied().fold(f64::INFINITY, f64::min);
    let high = yhat.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    verdict.ok(format!(
        "the next {} forecast between {low:.6} and {high:.6}",
        show_length(steps * i64::from(grid.step_seconds))
    ));
    Ok(())
}

fn refuse(error: ModelError) -> Error {
    match error {
        ModelError::NonFinite { reason } => Error::rejected(
            "NON_FINITE",
            format!("the model's forecast is not finite: {reason}"),
            "look for extreme values in the data, or leave out seasonalities with --spec",
        ),
        other => Error::of_model(other),
    }
}

/// One-day forecasts against "the same as the day before", or why there are none.
fn measure(method: &Method, grid: &Grid, verdict: &mut Verdict) -> Result<Option<Backtest>> {
    let unknown = |verdict: &mut Verdict, why: String| {
        verdict.warn(format!("skill unknown, because {why}"));
        Ok(None)
    };
    let step = i64::from(grid.step_seconds);
    if DAY % step != 0 {
        return unknown(
            verdict,
            format!("a day is no whole number of steps of {}", show_length(step)),
        );
    }
    let days = grid.values.len() as i64 / (DAY / step);
    // The naive forecast needs a day to repeat and its scale one more.
    let origins = u32::try_from(days - 2).unwrap_or(0).min(MAX_ORIGINS);
    if origins == 0 {
        return unknown(
            verdict,
            format!("{days} whole days of history leave none to hold back"),
        );
    }
    let day = DAY as u32;
    let plan = Plan {
        horizon_seconds: day,
        season_seconds: day,
        origins,
        max_train_seconds: None,
        levels: BAND.to_vec(),
    };
    let skill = match backtest(method, grid, &plan) {
        Err(ModelError::NotEnoughData { reason }) => return unknown(verdict, reason),
        other => other.map_err(Error::of_model)?,
    };
    tell(&skill, verdict);
    Ok(Some(skill))
}

fn tell(skill: &Backtest, verdict: &mut Verdict) {
    let origins = match skill.origins {
        1 => "on the last day".to_owned(),
        n => format!("on each of the last {n} days"),
    };
    match (skill.model.mase, skill.seasonal_naive.mase, skill.skill) {
        (Some(mase), Some(naive), Some(better)) => {
            let line = format!("MASE {mase:.3} {origins}, \"same as yesterday\" {naive:.3}: skill {better:+.2}");
            if better < 0.0 {
                verdict.warn(format!("{line}; repeating yesterday would have been better"));
            } else {
                verdict.ok(line);
            }
        }
        _ => verdict.warn(format!("skill unknown, because no day differs from the day before it or none was observed {origins}")),
    }
}

impl Approved {
    /// What is forecast.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.trained.features.series
    }

    /// The last observation that was trained on, in seconds since 1970.
    #[must_use]
    pub fn cutoff(&self) -> i64 {
        self.trained.features.cutoff
    }

    /// Steps with observations.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.trained.rows
    }

    /// How it was made.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.trained.method
    }

    /// Of its bands; `None`: they are the model's own.
    #[must_use]
    pub fn calibration(&self) -> Option<&BandCalibration> {
        self.trained.calibration.as_ref()
    }

    /// What the last residuals are worth for the next leads; `None`: nothing, or nobody asked.
    #[must_use]
    pub fn correction(&self) -> Option<&Correction> {
        self.trained.correction.as_ref()
    }

    /// Quantiles of windows' maxima; `None` where none were seen.
    #[must_use]
    pub fn peak(&self) -> Option<&PeakCalibration> {
        self.trained.peak.as_ref()
    }

    /// Bounds for every answer.
    #[must_use]
    pub fn clamps(&self) -> Option<Clamps> {
        self.trained.clamps
    }

    /// What was fitted.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.trained.spec
    }

    /// Lower-case hex, of the grid that was trained on.
    #[must_use]
    pub fn data_sha256(&self) -> &str {
        &self.trained.features.data_sha256
    }

    /// What the backtest found; `None` where none was possible.
    #[must_use]
    pub fn skill(&self) -> Option<&Backtest> {
        self.skill.as_ref()
    }

    /// Lower-case hex, of the bytes of model.pr.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.trained.sha256
    }

    /// The bytes of model.pr.
    #[must_use]
    pub fn model_pr(&self) -> &[u8] {
        &self.trained.model_pr
    }
}

impl Judged for Approved {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
