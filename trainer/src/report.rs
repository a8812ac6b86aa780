//! What a run found and did, as JSON.

use loadcast_model::backtest::Backtest;
use serde::Serialize;

use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::pipeline::Plan;
use crate::push::{self, Receipt, TRAINER_VERSION};
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
    /// In the order they were run.
    pub series: Vec<SeriesReport>,
}

/// One series of a run: its verdicts, and either what was made or why not.
#[derive(Debug, Serialize)]
pub struct SeriesReport {
    series: String,
    column: String,
    verdicts: Vec<Verdict>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Outcome {
    Done(Box<Done>),
    Failed { error: String, remedy: String },
}

/// What was made of a series.
#[derive(Debug, Clone, Serialize)]
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
    /// The server's answer; `None` when nothing was pushed.
    #[serde(flatten)]
    pub receipt: Option<Receipt>,
}

impl Done {
    pub(crate) fn new(approved: &Approved, alias: Option<&str>) -> Self {
        Self {
            sha256: approved.sha256().to_owned(),
            size_bytes: approved.model_pr().len(),
            data_sha256: approved.data_sha256().to_owned(),
            idempotency_key: push::idempotency_key(approved, push::alias(approved, alias)),
            cutoff: show_instant(approved.cutoff()),
            rows: approved.rows(),
            step_seconds: approved.series().step_seconds,
            conclusion: approved.conclusion(),
            reasons: approved.reasons().to_vec(),
            backtest: approved.skill().cloned(),
            month: approved.month().cloned(),
            champion: approved.against_champion().cloned(),
            movement: approved.movement(),
            receipt: None,
        }
    }
}

impl SeriesReport {
    pub(crate) fn new(
        declaration: &Declaration,
        verdicts: Vec<Verdict>,
        outcome: &Result<Done>,
    ) -> Self {
        let outcome = match outcome {
            Ok(done) => Outcome::Done(Box::new(done.clone())),
            Err(error) => Outcome::failed(error),
        };
        let (series, column) = (declaration.name.to_string(), declaration.column.clone());
        Self {
            series,
            column,
            verdicts,
            outcome,
        }
    }

    /// The series' name.
    #[must_use]
    pub fn series(&self) -> &str {
        &self.series
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
            Outcome::Failed { .. } => None,
        }
    }

    /// Why the series failed; `None` when it did not.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed { error, .. } => Some(error),
        }
    }
}

impl Outcome {
    fn failed(error: &Error) -> Self {
        Self::Failed {
            error: error.to_string(),
            remedy: error.remedy().to_owned(),
        }
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
