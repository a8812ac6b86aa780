//! What a run found and did, as JSON.

use loadcast_model::backtest::Backtest;
use loadcast_model::series::SeriesName;
use serde::{Deserialize, Serialize};

use crate::declaration::Declaration;
use crate::error::Error;
use crate::fleet::Pushed;
use crate::handover::Refusal;
use crate::pipeline::Plan;
use crate::push::{Receipt, TRAINER_VERSION};
use crate::stage::validate_model::{AgainstChampion, Approved, Conclusion, Reason};
use crate::time::show_instant;
use crate::verdict::Verdict;

/// A whole run.
#[derive(Debug, Serialize)]
pub struct RunReport {
    trainer_version: &'static str,
    data: String,
    at: String,
    dry_run: bool,
    /// Why the fleet brake stopped promotions; `None` when it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// In the order they were declared.
    pub series: Vec<SeriesReport>,
}

/// One series of a run: its verdicts, and either what was made or why not.
#[derive(Debug, Serialize, Deserialize)]
pub struct SeriesReport {
    series: String,
    column: String,
    unit: Option<String>,
    verdicts: Vec<Verdict>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Outcome {
    Done(Box<Done>),
    Failed(Box<Failed>),
}

/// Why nothing was made of a series.
#[derive(Debug, Serialize, Deserialize)]
struct Failed {
    error: String,
    remedy: String,
    /// A model was made, and refused; otherwise a rerun tries again.
    rejected: bool,
    /// The server was told.
    told: bool,
    /// A model was approved, and could not be pushed.
    #[serde(default)]
    unpushed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<Refusal>,
}

/// What was made of a series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Done {
    /// Of the bytes of model.pr.
    pub sha256: String,
    /// Bytes of model.pr.
    pub size_bytes: usize,
    /// Of the grid the model was trained on.
    pub data_sha256: String,
    /// Under which a push of it is done once.
    pub idempotency_key: String,
    /// The last observation.
    pub cutoff: String,
    /// Observations on the grid.
    pub rows: usize,
    /// Spacing of the grid.
    pub step_seconds: u32,
    /// What is to become of it.
    pub conclusion: Conclusion,
    /// Why it is not promoted; empty when it is.
    pub reasons: Vec<Reason>,
    /// What the backtest of the latest days found; `None` when the history was too short for one.
    pub backtest: Option<Backtest>,
    /// What the backtest of the latest 30 days found; `None` when the history was too short for one.
    pub month: Option<Backtest>,
    /// How it compares with what is served; `None` where that is not known.
    pub champion: Option<AgainstChampion>,
    /// By how much, relative to what is served, the next day would move; `None` where that is not known.
    pub movement: Option<f64>,
    /// Where a folder of it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The server's answer; `None` when nothing was pushed.
    #[serde(flatten)]
    pub receipt: Option<Receipt>,
}

impl Done {
    pub(crate) fn new(approved: &Approved) -> Self {
        Self {
            sha256: approved.sha256().to_owned(),
            size_bytes: approved.model_pr().len(),
            data_sha256: approved.data_sha256().to_owned(),
            idempotency_key: String::new(),
            cutoff: show_instant(approved.cutoff()),
            rows: approved.rows(),
            step_seconds: approved.series().step_seconds,
            conclusion: approved.conclusion(),
            reasons: approved.reasons().to_vec(),
            backtest: approved.skill().cloned(),
            month: approved.month().cloned(),
            champion: approved.against_champion().cloned(),
            movement: approved.movement(),
            folder: None,
            receipt: None,
        }
    }
}

impl SeriesReport {
    /// What became of a series: what was made, or why not and whether that is a judgement of its model.
    pub(crate) fn new(
        declaration: &Declaration,
        verdicts: Vec<Verdict>,
        outcome: Result<Done, (Refusal, bool)>,
    ) -> Self {
        Self {
            series: declaration.name.to_string(),
            column: declaration.column.clone(),
            unit: declaration.unit.map(|unit| unit.to_string()),
            verdicts,
            outcome: match outcome {
                Ok(done) => Outcome::Done(Box::new(done)),
                Err((refusal, rejected)) => Outcome::Failed(Box::new(Failed {
                    error: refusal.what.clone(),
                    remedy: refusal.remedy.clone(),
                    rejected,
                    told: false,
                    unpushed: false,
                    refusal: Some(refusal),
                })),
            },
        }
    }

    /// The series' name.
    #[must_use]
    pub fn series(&self) -> &str {
        &self.series
    }

    /// The same, as a name.
    #[must_use]
    pub fn name(&self) -> Option<SeriesName> {
        self.series.parse().ok()
    }

    /// Its name, column and unit.
    #[must_use]
    pub fn title(&self) -> String {
        let unit = self.unit.as_deref().unwrap_or("no unit");
        format!("{} (column {}, {unit})", self.series, self.column)
    }

    /// What the stages said.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// What was made; `None` when the series failed.
    #[must_use]
    pub fn done(&self) -> Option<&Done> {
        match &self.outcome {
            Outcome::Done(done) => Some(done),
            Outcome::Failed(_) => None,
        }
    }

    /// Why the series failed; `None` when it did not.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(failed) => Some(&failed.error),
        }
    }

    /// The same as an error.
    #[must_use]
    pub fn failure(&self) -> Option<Error> {
        match &self.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(failed) => {
                Some(Error::model(failed.error.clone(), failed.remedy.clone()))
            }
        }
    }

    /// Whether its model was refused.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(failed) if failed.rejected)
    }

    /// Whether a model was made and judged.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.is_rejected() || self.done().is_some()
    }

    /// Whether a model was approved, and could not be pushed.
    pub(crate) fn is_unpushed(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(failed) if failed.unpushed)
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_pushed(&self) -> bool {
        match &self.outcome {
            Outcome::Done(done) => done.receipt.is_some(),
            Outcome::Failed(failed) => failed.told,
        }
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match &self.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(failed) => failed.refusal.as_ref(),
        }
    }

    pub(crate) fn told(&mut self) {
        if let Outcome::Failed(failed) = &mut self.outcome {
            failed.told = true;
        }
    }

    pub(crate) fn pushed(&mut self, pushed: Pushed) {
        if let Outcome::Done(done) = &mut self.outcome {
            done.conclusion = pushed.conclusion;
            done.reasons = pushed.reasons;
            done.idempotency_key = pushed.idempotency_key;
            done.folder = pushed.folder;
            done.receipt = pushed.receipt;
        }
    }

    /// What was made could not be pushed.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.outcome = Outcome::Failed(Box::new(Failed {
            error: error.to_string(),
            remedy: error.remedy().to_owned(),
            rejected: false,
            told: false,
            unpushed: true,
            refusal: None,
        }));
    }
}

impl RunReport {
    pub(crate) fn new(plan: &Plan, dry_run: bool) -> Self {
        Self {
            trainer_version: TRAINER_VERSION,
            data: plan.data.clone(),
            at: plan.now.to_string(),
            dry_run,
            stopped: None,
            series: Vec::new(),
        }
    }

    /// The report as indented JSON with a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self);
        json.expect("the report has string keys and serialises without error") + "\n"
    }
}
