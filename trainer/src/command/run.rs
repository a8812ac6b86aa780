//! `loadcast-trainer run`: rows to served models.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::zone::Zone;

use super::{Failures, data, ended, judging, method, preparing, pushing};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::fleet;
use crate::fleet::shard::Shard;
use crate::output;
use crate::pipeline::Plan;
use crate::report::RunReport;

/// Train a model of each series and push it: validate the data, prepare it, fit, validate the model
/// by a backtest, push. The rows are in a CSV or Parquet file, in a dataset that was collected, or
/// in Prometheus; a catalog, or flags, say which series they are.
///
/// Without --series and --catalog, a file with the columns cpu_mean_5m (cores) and mem_mean_5m
/// (bytes) gives the series CPU_Prophet_Model and Memory_Prophet_Model.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Args {
    #[command(flatten)]
    data: data::Args,
    #[command(flatten)]
    method: method::Args,
    #[command(flatten)]
    pushing: pushing::Args,
    #[command(flatten)]
    preparing: preparing::Args,
    #[command(flatten)]
    gates: judging::Gates,
    #[command(flatten)]
    brakes: judging::Brakes,
    /// Run only part I, counted from 0, of N: the series whose names fall to it
    #[arg(
        long,
        env = "LOADCAST_SHARD",
        value_name = "I/N",
        conflicts_with = "shards"
    )]
    shard: Option<Shard>,
    /// How many parts there are; which one this is says JOB_COMPLETION_INDEX, as in an indexed Job of Kubernetes
    #[arg(
        long,
        env = "LOADCAST_SHARDS",
        value_name = "N",
        requires = "job_index"
    )]
    shards: Option<u32>,
    #[arg(long, env = "JOB_COMPLETION_INDEX", hide = true)]
    job_index: Option<u32>,
    /// How many series are trained at once [default: as many as there are cores]
    #[arg(long, env = "LOADCAST_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Note what was done in this folder; the same run, when it was killed, then goes on where it was. For one run at a time
    #[arg(long, env = "LOADCAST_JOURNAL", value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Do everything but the push; needs no server
    #[arg(long, env = "LOADCAST_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
    /// Write what was found and done as JSON
    #[arg(long, env = "LOADCAST_REPORT", value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Write a page about all series, with pictures
    #[arg(long, env = "LOADCAST_REPORT_HTML", value_name = "FILE.html")]
    report_html: Option<PathBuf>,
    /// Write each series' MLflow model folder to DIR/NAME
    #[arg(long, env = "LOADCAST_OUTPUT_DIR", value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

impl Args {
    pub(super) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let (client, report) = (self.client()?, self.report.clone());
        let plan = self.plan(now).await?;
        let (_, failures) = run(&plan, client.as_ref(), report.as_deref(), out).await?;
        ended(failures)
    }

    /// The server to push to; `None` for a dry run.
    pub(super) fn client(&self) -> Result<Option<Client>> {
        match self.dry_run {
            true => Ok(None),
            false => self.pushing.connect().map(Some),
        }
    }

    /// Where what was found and done is written as JSON.
    pub(super) fn report(&self) -> Option<&Path> {
        self.report.as_deref()
    }

    /// The run that begins `now`.
    pub(super) async fn plan(self, now: Timestamp) -> Result<Plan> {
        let shard = match (self.shard, self.shards, self.job_index) {
            (Some(shard), ..) => shard,
            (None, Some(count), Some(index)) => Shard::new(index, count).map_err(|what| {
                Error::settings(
                    format!("--shards {count}: {what}"),
                    "give the completions of the Job",
                )
            })?,
            _ => Shard::default(),
        };
        let mut plan = self.data.plan(now).await?;
        plan.preparation = self.preparing.preparation().await?;
        let asked = self.method.asked().await?;
        plan.method = asked.method(!plan.preparation.holidays.is_empty());
        plan.gates = self.gates.checks();
        plan.brake = self.brakes.brake();
        plan.alias = self.pushing.alias().map(str::to_owned);
        plan.shard = shard;
        plan.jobs = self.jobs.map_or(plan.jobs, usize::from);
        plan.journal = self.journal;
        plan.report_html = self.report_html;
        plan.output_dir = self.output_dir;
        Ok(plan)
    }
}

/// Runs, and writes the report.
pub(super) async fn run(
    plan: &Plan,
    client: Option<&Client>,
    report_path: Option<&Path>,
    out: &mut (dyn Write + Send),
) -> Result<(RunReport, Vec<Error>)> {
    let (report, failures) = fleet::run(plan, client, &mut Console::new(out)).await?;
    if let Some(path) = report_path {
        output::write(path, report.to_json().as_bytes())?;
    }
    Ok((report, failures))
}

pub(super) fn read_zone(name: &str) -> Result<Zone> {
    name.parse().map_err(|error| {
        Error::settings(
            format!("--time-zone: `{name}`: {error}"),
            "write an IANA name such as UTC or Europe/Berlin",
        )
    })
}
