//! A run: every series through the four stages, as many at once as there are cores; then, when all are judged, the pushes.
//!
//! What is made waits on disk ([`spool`]), so that memory holds what is at work and a report of the rest, and a run that was
//! killed goes on where it was. One series that fails stops no other.

pub mod drift;
pub mod shard;
pub mod spool;

use std::sync::Arc;

use futures::StreamExt as _;
use loadcast_client::Client;
use loadcast_model::series::SeriesName;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use self::spool::Spool;
use crate::brake::braked;
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
    /// As many series are judged at once.
    jobs: Semaphore,
}

/// Runs every series of the plan; `client` is `None` for a dry run.
///
/// All are judged before the first is pushed, because the fleet brake looks at all of them. The report has every series,
/// in the order they are declared; the errors are of those that were not pushed.
///
/// # Errors
/// When the data themselves cannot be read or have none of the series; [`Error::Output`] when the journal cannot be
/// written.
pub async fn run(
    plan: &Plan,
    client: Option<&Client>,
    console: &mut Console<'_>,
) -> Result<(RunReport, Vec<Error>)> {
    let mut spool = Spool::open(plan, client.map(Client::addr))?;
    let (supply, mut declared) = Supply::open(&as_of(plan, spool.now())).await?;
    if spool.begin(supply.sha256(), plan.now)? {
        console.line(format!("going on with the run of {}", spool.now()));
    }
    let plan = as_of(plan, spool.now());
    declared.retain(|declared| plan.has(&declared.declaration.name));
    let mut report = RunReport::new(&plan, client.is_none());
    let (jobs, report_html) = (plan.jobs.max(1), plan.report_html.clone());
    let fleet = Arc::new(Fleet {
        plan,
        supply,
        client: client.cloned(),
        spool,
        jobs: Semaphore::new(jobs),
    });
    console.begin_fleet("judging", declared.len());
    // More than are judged at once: one that takes long keeps no core idle.
    let judging = futures::stream::iter(declared)
        .map(|declared| Arc::clone(&fleet).judge_aside(declared))
        .buffered(4 * jobs);
    let mut judging = std::pin::pin!(judging);
    while let Some(judged) = judging.next().await {
        console.judged(&judged);
        report.series.push(judged);
    }
    let mut failures = Vec::new();
    let held = fleet.spool.held(|| fleet.said_by_brake(&report.series))?;
    if let Some(stopped) = &held {
        console.line(format!("  {:<18}{stopped}", "fleet brake"));
        report.stopped = Some(stopped.clone());
        failures.push(stop(stopped));
    }
    console.begin_fleet("pushing", report.series.len());
    let judged = std::mem::take(&mut report.series);
    let pushing = futures::stream::iter(judged)
        .map(|judged| fleet.push(judged, held.clone()))
        .buffered(PUSHES);
    let mut pushing = std::pin::pin!(pushing);
    while let Some(pushed) = pushing.next().await {
        console.pushed(&pushed, fleet.client.is_none());
        let failure = pushed.failure();
        failures.extend(failure.map(|error| error.of_place(pushed.series())));
        report.series.push(pushed);
    }
    console.summary(&report);
    if report.series.iter().all(|series| !series.is_unpushed()) {
        fleet.spool.end(jiff::Timestamp::now())?;
    }
    if let Some(path) = &report_html {
        let written = page::write(path, &report, |series| fleet.spool.section(series));
        failures.extend(written.err());
    }
    Ok((report, failures))
}

/// The plan as if it were `now`: a run that goes on is of when it was begun, and the same data then give the same bytes.
fn as_of(plan: &Plan, now: jiff::Timestamp) -> Plan {
    let mut plan = plan.clone();
    plan.now = now;
    let now = crate::time::floor_seconds(now);
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

impl Fleet {
    /// Judges a series when its turn comes, on a thread that may block: rows are parsed, models fitted and files written
    /// there. Whatever goes wrong is of this series alone.
    async fn judge_aside(self: Arc<Self>, declared: Declared) -> SeriesReport {
        let declaration = declared.declaration.clone();
        let Ok(_turn) = self.jobs.acquire().await else {
            unreachable!("the semaphore is never closed")
        };
        let fleet = Arc::clone(&self);
        let handle = tokio::runtime::Handle::current();
        let judging = tokio::task::spawn_blocking(move || handle.block_on(fleet.judge(&declared)));
        let judged = judging.await.unwrap_or_else(|error| {
            Err(Error::model(
                format!("a stage died: {error}"),
                "this is a defect: tell the makers, with the data of this series",
            ))
        });
        judged.unwrap_or_else(|error| {
            SeriesReport::new(&declaration, Vec::new(), Err((Refusal::of(&error), false)))
        })
    }

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
        let outcome = match judged.map(|judgement| judgement.outcome) {
            Ok(Outcome::Rejected(rejected)) => Err((Refusal::rejected(&rejected), true)),
            Err(error) => Err((Refusal::of(&error), false)),
            Ok(Outcome::Approved(approved)) => {
                let mut done = Done::new(&approved);
                let validated = Validated::of(*approved, self.plan.now)?;
                let validated = validated.with_section(section.clone());
                let alias = validated.alias(self.plan.alias.as_deref());
                done.idempotency_key = validated.idempotency_key(alias);
                let verdicts = verdicts.as_slice().try_into();
                let verdicts = verdicts.map_err(|_| {
                    Error::model("a model was approved before its time", "this is a defect")
                })?;
                self.spool.keep(&validated, verdicts).await?;
                Ok(done)
            }
        };
        self.spool.keep_section(&declaration.name, &section)?;
        let report = SeriesReport::new(declaration, verdicts, outcome);
        self.spool.tell(&declaration.name, &report)?;
        Ok(report)
    }

    /// Why no model is promoted; `None` when each may go its way.
    fn said_by_brake(&self, judged: &[SeriesReport]) -> Option<String> {
        let brake = self.plan.brake.as_ref()?;
        let promoted = judged.iter().filter_map(|report| {
            let done = report.done()?;
            let promoted = done.conclusion == Conclusion::Promote;
            promoted.then_some((report.series(), done.movement))
        });
        Some(brake.judge(promoted, self.plan.fleet)?.message(brake))
    }

    /// Pushes what was approved, and tells of what was rejected, unless that was done before the run was interrupted.
    async fn push(&self, mut report: SeriesReport, held: Option<String>) -> SeriesReport {
        let Some(name) = report.name().filter(|_| !report.is_pushed()) else {
            return report;
        };
        if let Some(refusal) = report.refusal().cloned() {
            if let Some(client) = self.client.as_ref().filter(|_| report.is_rejected()) {
                // The refusal is what ends the run; a server that does not hear of it is a lesser matter.
                match report_rejection(client, name.as_ref(), &refusal).await {
                    Ok(()) => report.told(),
                    Err(error) => {
                        tracing::warn!(series = %name, %error, "the server was not told of the refused candidate");
                    }
                }
                self.note(&name, &report);
            }
            return report;
        }
        let span = tracing::info_span!("trainer.push_series", series = %name);
        match self.push_model(name.as_ref(), held).instrument(span).await {
            Ok(pushed) => {
                report.pushed(pushed);
                self.note(&name, &report);
            }
            // Noted as judged: what goes on pushes it again.
            Err(error) => report.failed(&error),
        }
        report
    }

    /// What cannot be noted is done again by a run that goes on, which the server recognises.
    fn note(&self, name: &SeriesName, report: &SeriesReport) {
        if let Err(error) = self.spool.tell(name, report) {
            tracing::warn!(series = %name, %error, "the journal does not know what was done");
        }
    }

    /// The model as it was pushed, or as it would have been.
    async fn push_model(&self, name: &str, held: Option<String>) -> Result<Pushed> {
        let mut model = self.spool.model(name).await?;
        if let Some(message) = held.filter(|_| model.conclusion() == Conclusion::Promote) {
            model.hold_back(braked(message));
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
