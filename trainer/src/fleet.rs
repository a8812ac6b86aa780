//! A run: every series through the four stages, as many at once as there are cores; then, when all are judged, the pushes.
//!
//! What is made waits on disk ([`spool`]), so that memory holds what is at work and a report of the rest, and a run that was
//! killed goes on where it was. One series that fails stops no other.

pub mod shard;
pub mod spool;

use std::sync::Arc;

use futures::StreamExt as _;
use loadcast_client::Client;
use tracing::Instrument as _;

use self::spool::Spool;
use crate::brake::Brake;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::handover::Refusal;
use crate::model_folder;
use crate::page::{self, Page};
use crate::pipeline::{self, Plan};
use crate::push::validated::Validated;
use crate::push::{push, report_rejection};
use crate::report::{Done, RunReport, SeriesReport};
use crate::source::supply::{Declared, Supply};
use crate::stage::validate_model::{Conclusion, Outcome, Reason};

/// How many models are pushed at once: enough to share the registry's round trips.
const PUSHES: usize = 8;

/// What the series of a run share.
struct Fleet {
    plan: Plan,
    supply: Supply,
    client: Option<Client>,
    spool: Spool,
}

/// Runs every series of the plan; `client` is `None` for a dry run.
///
/// All are judged before the first is pushed, because the fleet brake looks at all of them. The report has every series,
/// in the order they are declared; the errors are of those that were not pushed.
///
/// # Errors
/// When the data themselves cannot be read or have none of the series; [`Error::Output`] when no report can be written.
pub async fn run(
    plan: &Plan,
    client: Option<&Client>,
    console: &mut Console<'_>,
) -> Result<(RunReport, Vec<Error>)> {
    let spool = Spool::open(plan)?;
    let plan = as_of(plan, &spool);
    let (supply, mut declared) = Supply::open(&plan).await?;
    declared.retain(|declared| plan.shard.has(&declared.declaration.name));
    let mut report = RunReport::new(&plan, client.is_none());
    let fleet = Arc::new(Fleet {
        plan,
        supply,
        client: client.cloned(),
        spool,
    });
    console.begin_fleet("judging", declared.len());
    let judging = futures::stream::iter(declared).map(|declared| {
        let fleet = Arc::clone(&fleet);
        tokio::spawn(async move { fleet.judge(&declared).await })
    });
    let mut judging = judging.buffered(fleet.plan.jobs.max(1));
    while let Some(judged) = judging.next().await {
        let judged = judged.map_err(died)??;
        console.judged(&judged);
        report.series.push(judged);
    }
    let mut failures = Vec::new();
    let held = fleet.held(&report.series);
    if let Some(stopped) = &held {
        console.line(format!("  {:<18}{stopped}", "fleet brake"));
        report.stopped = Some(stopped.clone());
        failures.push(stop(stopped));
    }
    console.begin_fleet("pushing", report.series.len());
    let judged = std::mem::take(&mut report.series);
    let pushing = futures::stream::iter(judged).map(|judged| {
        let (fleet, held) = (Arc::clone(&fleet), held.clone());
        tokio::spawn(async move { fleet.push(judged, held).await })
    });
    let mut pushing = pushing.buffered(PUSHES);
    while let Some(pushed) = pushing.next().await {
        let pushed = pushed.map_err(died)??;
        console.pushed(&pushed, fleet.client.is_none());
        let failure = pushed.failure();
        failures.extend(failure.map(|error| error.of_place(pushed.series())));
        report.series.push(pushed);
    }
    if let Some(path) = &fleet.plan.report_html {
        page::write(path, &report, |series| fleet.spool.section(series))?;
    }
    console.summary(&report);
    fleet.spool.end(jiff::Timestamp::now())?;
    Ok((report, failures))
}

/// A run that goes on is as if it were when it was begun: the same data then give the same bytes.
fn as_of(plan: &Plan, spool: &Spool) -> Plan {
    let mut plan = plan.clone();
    let now = crate::time::floor_seconds(spool.now());
    plan.now = spool.now();
    plan.rules.now = plan.rules.now.map(|_| now);
    plan.rules.shift_to = plan.rules.shift_to.map(|_| now);
    plan
}

/// What ends a run whose promotions stopped.
pub(crate) fn stop(stopped: &str) -> Error {
    Error::held(
        stopped,
        "look at the report, then run again with --brake-share or --brake-change set higher, or --no-brake; or promote one by one with `loadcast models promote`",
    )
}

fn died(error: tokio::task::JoinError) -> Error {
    Error::model(
        format!("a series died: {error}"),
        "this is a defect: tell the makers, with the data of this series",
    )
}

impl Fleet {
    /// Takes a series as far as it gets, unless that was done before the run was interrupted.
    ///
    /// # Errors
    /// When what was found cannot be kept; everything else is in the report.
    async fn judge(&self, declared: &Declared) -> Result<SeriesReport> {
        let declaration = &declared.declaration;
        if let Some(report) = self.spool.finished(&declaration.name)? {
            return Ok(report);
        }
        let span = tracing::info_span!("trainer.judge_series", series = %declaration.name);
        let plan = declared.plan(&self.plan);
        let client = self.client.as_ref();
        let judging = pipeline::judge(&self.supply, declared, &plan, client);
        let (verdicts, judged) = judging.instrument(span).await;
        let section = page::section(&Page {
            declaration,
            verdicts: &verdicts,
            judged: judged.as_ref(),
        });
        let kept_verdicts = <&[_; 4]>::try_from(verdicts.as_slice());
        let outcome = match judged.map(|judgement| judgement.outcome) {
            Ok(Outcome::Rejected(rejected)) => Err((Refusal::rejected(&rejected), true)),
            Err(error) => Err((Refusal::of(&error), false)),
            Ok(Outcome::Approved(approved)) => {
                let mut done = Done::new(&approved);
                let validated = Validated::of(*approved, self.plan.now)?;
                let validated = validated.with_section(section.clone());
                let alias = validated.alias(self.plan.alias.as_deref());
                done.idempotency_key = validated.idempotency_key(alias);
                let kept_verdicts = kept_verdicts.map_err(|_| {
                    Error::model("a model was approved before its time", "this is a defect")
                })?;
                self.spool.keep(&validated, kept_verdicts).await?;
                Ok(done)
            }
        };
        self.spool.keep_section(&declaration.name, &section)?;
        let report = SeriesReport::new(declaration, verdicts, outcome);
        self.spool.tell(&declaration.name, &report)?;
        Ok(report)
    }

    /// Why no model is promoted; `None` when each may go its way.
    fn held(&self, judged: &[SeriesReport]) -> Option<String> {
        let brake: &Brake = self.plan.brake.as_ref()?;
        let promoted = judged.iter().filter_map(|report| {
            let done = report.done()?;
            let promoted = done.conclusion == Conclusion::Promote;
            promoted.then_some((report.series(), done.movement))
        });
        Some(brake.judge(promoted)?.message(brake))
    }

    /// Pushes what was approved, and tells of what was rejected, unless that was done before the run was interrupted.
    ///
    /// # Errors
    /// When what was done cannot be noted; everything else is in the report.
    async fn push(&self, mut report: SeriesReport, held: Option<String>) -> Result<SeriesReport> {
        let Some(name) = report.name().filter(|_| !report.is_pushed()) else {
            return Ok(report);
        };
        if let Some(refusal) = report.refusal().cloned() {
            if let Some(client) = self.client.as_ref().filter(|_| report.is_judged()) {
                // The refusal is what ends the run; a server that does not hear of it is a lesser matter.
                match report_rejection(client, name.as_ref(), &refusal).await {
                    Ok(()) => report.told(),
                    Err(error) => {
                        tracing::warn!(series = %name, %error, "the server was not told of the refused candidate");
                    }
                }
                self.spool.tell(&name, &report)?;
            }
            return Ok(report);
        }
        let span = tracing::info_span!("trainer.push_series", series = %name);
        match self.push_model(name.as_ref(), held).instrument(span).await {
            Ok(pushed) => {
                report.pushed(pushed);
                self.spool.tell(&name, &report)?;
            }
            // Noted as judged: what goes on pushes it again.
            Err(error) => report.failed(&error),
        }
        Ok(report)
    }

    /// The model as it was pushed, or as it would have been.
    async fn push_model(&self, name: &str, held: Option<String>) -> Result<Pushed> {
        let mut model = self.spool.model(name).await?;
        if let Some(message) = held.filter(|_| model.conclusion() == Conclusion::Promote) {
            let code = "FLEET_BRAKE".into();
            model.hold_back(Reason { code, message });
        }
        let mut folder = None;
        if let Some(place) = &self.plan.output_dir {
            let place = place.join(name);
            model_folder::write(&place, model.model_pr(), model.metadata())?;
            folder = Some(place.display().to_string());
        }
        let promoted = self.plan.alias.as_deref();
        let key = model.idempotency_key(model.alias(promoted));
        let (conclusion, reasons) = (model.conclusion(), model.reasons().to_vec());
        let receipt = match &self.client {
            Some(client) => Some(push(model, client, promoted).await?),
            None => None,
        };
        Ok(Pushed {
            conclusion,
            reasons,
            idempotency_key: key,
            folder,
            receipt,
        })
    }
}

/// What a push came to.
#[derive(Debug)]
pub struct Pushed {
    /// What became of the model.
    pub conclusion: Conclusion,
    /// Why it was not promoted.
    pub reasons: Vec<Reason>,
    /// Under which it is pushed once.
    pub idempotency_key: String,
    /// Where a folder of it was written.
    pub folder: Option<String>,
    /// The server's answer; `None` in a dry run.
    pub receipt: Option<crate::push::Receipt>,
}
