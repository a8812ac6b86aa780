//! Stage 4: is the model, restored from its bytes, worth acting on?
//!
//! It forecasts the next day and the 30 days after as a server will; its recipe is backtested over the latest days, and
//! over the latest 30 where the history allows, against the seasonal naive and against what is served now
//! ([`champion`](crate::champion) says how). Every [`Gate`] is told with what was measured and the limit. The gravest
//! consequence decides: PROMOTE moves the alias, CANDIDATE_ONLY registers beside it, REJECT registers nothing.

pub mod gate;
mod judge;
mod measure;

use std::borrow::Cow;

use loadcast_model::artifact::Clamps;
use loadcast_model::backtest::{Backtest, Method, Origin};
use loadcast_model::calibration::BandCalibration;
use loadcast_model::correction::Correction;
use loadcast_model::grid::Grid;
use loadcast_model::peak::PeakCalibration;
use loadcast_model::series::Series;
use loadcast_model::spec::Spec;
use loadcast_model::zone::Zone;
use serde::{Deserialize, Serialize};

use self::gate::Gate;
use self::judge::judge;
use self::measure::{Ahead, Measured};
pub use self::measure::{MAX_ORIGINS, negligible};
use crate::champion::Champion;
use crate::checks::Checks;
use crate::error::{Error, Result};
use crate::stage::train::Trained;
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "validate model";

/// What a model is held against.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What follows from each gate, and its limit.
    pub gates: Checks<Gate>,
    /// What is served now.
    pub champion: Champion,
}

/// A model that was judged, and what the judgement rests on.
#[derive(Debug)]
pub struct Judgement {
    /// Whether it may be pushed.
    pub outcome: Outcome,
    /// For a person to look at.
    pub evidence: Evidence,
}

/// Whether a judged model may be pushed.
#[derive(Debug)]
pub enum Outcome {
    /// It may.
    Approved(Box<Approved>),
    /// It may not.
    Rejected(Box<Rejected>),
}

/// What a judgement rests on.
#[derive(Debug)]
pub struct Evidence {
    /// The whole history.
    pub grid: Grid,
    /// Whose wall clock its times are of.
    pub zone: Zone,
    /// Steps of it that were trained on: the last ones.
    pub window: usize,
    /// One-day forecasts of the latest days.
    pub days: Vec<Origin>,
    /// The forecast of the latest 30 days; empty where the history does not allow it.
    pub month: Vec<Origin>,
    /// Times and point forecast of the day after the history.
    pub next_day: Vec<(i64, f64)>,
    /// What is served now.
    pub champion: Champion,
}

/// What may become of a model that can be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Conclusion {
    /// It is to be served.
    Promote,
    /// It is to be registered; what is served stays.
    CandidateOnly,
}

/// Why a model is not promoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Upper-case, as the server shows it: `SKILL`.
    pub code: Cow<'static, str>,
    /// The same in words and numbers.
    pub message: String,
}

/// Candidate and champion on the same times, which neither had seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgainstChampion {
    /// The champion's version.
    pub version: u64,
    /// Mean absolute error of the candidate's recipe, in the series' unit.
    pub mae: f64,
    /// That of what is served.
    pub champion_mae: f64,
    /// Values that were compared.
    pub values: usize,
}

/// A model that may be pushed. Only [`validate_model`] makes one.
#[derive(Debug, Clone)]
pub struct Approved {
    series: Series,
    cutoff: i64,
    rows: usize,
    method: Method,
    spec: Spec,
    calibration: Option<BandCalibration>,
    correction: Option<Correction>,
    peak: Option<PeakCalibration>,
    clamps: Option<Clamps>,
    data_sha256: String,
    sha256: String,
    model_pr: Vec<u8>,
    skill: Option<Backtest>,
    month: Option<Backtest>,
    against_champion: Option<AgainstChampion>,
    movement: Option<f64>,
    beside: Option<u64>,
    conclusion: Conclusion,
    reasons: Vec<Reason>,
    verdict: Verdict,
}

/// A model that may not be pushed.
#[derive(Debug, Clone)]
pub struct Rejected {
    reasons: Vec<Reason>,
    remedy: &'static str,
    sha256: String,
    skill: Option<Backtest>,
    verdict: Verdict,
}

/// Judges a trained model.
///
/// # Errors
/// [`Error::Model`] when its own bytes cannot be read back; errors of a backtest other than too short a history.
pub fn validate_model(trained: Trained, bar: &Bar) -> Result<Judgement> {
    let ahead = Ahead::forecast(&trained)?;
    let measured = Measured::measure(&trained, &ahead, &bar.champion)?;
    let judged = judge(&trained, &ahead, &measured, bar);
    let Measured {
        days,
        month,
        against_champion,
        movement,
    } = measured;
    let skill = days.backtest;
    let outcome = match judged.conclusion {
        None => Outcome::Rejected(Box::new(Rejected {
            reasons: judged.reasons,
            remedy: judged.remedy,
            sha256: trained.sha256,
            skill,
            verdict: judged.verdict,
        })),
        Some(conclusion) => Outcome::Approved(Box::new(Approved {
            data_sha256: trained.features.data_sha256(),
            series: trained.features.about.series.clone(),
            cutoff: trained.features.about.cutoff,
            rows: trained.rows,
            method: trained.method,
            spec: trained.spec,
            calibration: trained.calibration,
            correction: trained.correction,
            peak: trained.peak,
            clamps: trained.clamps,
            sha256: trained.sha256,
            model_pr: trained.model_pr,
            skill,
            month: month.backtest,
            against_champion: against_champion.ok(),
            movement,
            beside: bar.champion.version(),
            conclusion,
            reasons: judged.reasons,
            verdict: judged.verdict,
        })),
    };
    Ok(Judgement {
        outcome,
        evidence: Evidence {
            grid: trained.features.grid,
            zone: trained.features.about.series.zone.clone(),
            window: trained.features.about.window,
            days: days.origins,
            month: month.origins,
            next_day: ahead.next_day,
            champion: bar.champion.clone(),
        },
    })
}

impl Approved {
    /// What is forecast.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// The last observation that was trained on, in seconds since 1970.
    #[must_use]
    pub fn cutoff(&self) -> i64 {
        self.cutoff
    }

    /// Steps with observations.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How it was made.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Of its bands; `None`: they are the model's own.
    #[must_use]
    pub fn calibration(&self) -> Option<&BandCalibration> {
        self.calibration.as_ref()
    }

    /// What the last residuals are worth for the next leads; `None`: nothing, or nobody asked.
    #[must_use]
    pub fn correction(&self) -> Option<&Correction> {
        self.correction.as_ref()
    }

    /// Quantiles of windows' maxima; `None` where none were seen.
    #[must_use]
    pub fn peak(&self) -> Option<&PeakCalibration> {
        self.peak.as_ref()
    }

    /// Bounds for every answer.
    #[must_use]
    pub fn clamps(&self) -> Option<Clamps> {
        self.clamps
    }

    /// What was fitted.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Lower-case hex, of the grid that was trained on.
    #[must_use]
    pub fn data_sha256(&self) -> &str {
        &self.data_sha256
    }

    /// What the backtest of the latest days found; `None` where none was possible.
    #[must_use]
    pub fn skill(&self) -> Option<&Backtest> {
        self.skill.as_ref()
    }

    /// What the backtest of the latest 30 days found; `None` where none was possible.
    #[must_use]
    pub fn month(&self) -> Option<&Backtest> {
        self.month.as_ref()
    }

    /// How it compares with what is served; `None` where that is not known.
    #[must_use]
    pub fn against_champion(&self) -> Option<&AgainstChampion> {
        self.against_champion.as_ref()
    }

    /// By how much, relative to what is served, the next day's mean or peak would move, the larger; `None` where that is
    /// not known.
    #[must_use]
    pub fn movement(&self) -> Option<f64> {
        self.movement
    }

    /// The version that it was judged beside, 0 for none; `None` where that is not known.
    #[must_use]
    pub fn beside(&self) -> Option<u64> {
        self.beside
    }

    /// What is to become of it.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        self.conclusion
    }

    /// Why it is not promoted; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Lower-case hex, of the bytes of model.pr.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The bytes of model.pr.
    #[must_use]
    pub fn model_pr(&self) -> &[u8] {
        &self.model_pr
    }

    /// The same, taken out of it.
    #[must_use]
    pub fn into_model_pr(self) -> Vec<u8> {
        self.model_pr
    }
}

impl Rejected {
    /// Why; at least one.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Lower-case hex, of the bytes of the model that was refused.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What the backtest of the latest days found; `None` where none was possible.
    #[must_use]
    pub fn skill(&self) -> Option<&Backtest> {
        self.skill.as_ref()
    }

    /// The refusal as an error.
    #[must_use]
    pub fn error(&self) -> Error {
        let messages: Vec<&str> = self
            .reasons
            .iter()
            .map(|one| one.message.as_str())
            .collect();
        Error::model(messages.join("; "), self.remedy)
    }
}

impl Conclusion {
    /// As the wire and the registry write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "PROMOTE",
            Self::CandidateOnly => "CANDIDATE_ONLY",
        }
    }
}

impl Judged for Judgement {
    fn verdict(&self) -> &Verdict {
        match &self.outcome {
            Outcome::Approved(approved) => &approved.verdict,
            Outcome::Rejected(rejected) => &rejected.verdict,
        }
    }
}
