//! `loadcast-trainer run`: rows to served models.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::backtest::Method;
use loadcast_model::zone::Zone;

use super::{Failures, data, judging, preparing};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::fleet;
use crate::fleet::shard::Shard;
use crate::output;
use crate::pipeline::Plan;
use crate::push;
use crate::report::RunReport;
use crate::source::spec;

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
    /// What to fit: Prophet's arguments as TOML [default: --search; with --holidays, Prophet's own defaults]; a catalog says its own
    #[arg(long, env = "LOADCAST_SPEC", value_name = "FILE.toml")]
    spec: Option<String>,
    /// Search the best forecast instead of fitting a spec: candidates combined, anchored, and distilled into one model
    #[arg(long, env = "LOADCAST_SEARCH", value_parser = FalseyValueParser::new(), conflicts_with_all = ["spec", "holidays"])]
    search: bool,
    /// Where to push
    #[arg(
        long,
        env = "LOADCAST_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    server: String,
    /// The alias that is to point at the new version; empty moves none
    #[arg(
        long,
        env = "LOADCAST_ALIAS",
        default_value = "champion",
        value_name = "NAME"
    )]
    alias: String,
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
        if failures.is_empty() {
            Ok(())
        } else {
            Err(Failures(failures))
        }
    }

    /// The server to push to; `None` for a dry run.
    pub(super) fn client(&self) -> Result<Option<Client>> {
        match self.dry_run {
            true => Ok(None),
            false => push::connect(&self.server).map(Some),
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
        // Prophet's defaults lose to "the same as yesterday" more often than not, and would not pass the gates.
        let search = self.search || (self.spec.is_none() && self.preparing.holidays.is_none());
        plan.method = method(search, self.spec.as_deref()).await?;
        plan.gates = self.gates.checks();
        plan.brake = self.brakes.brake();
        plan.alias = Some(self.alias).filter(|alias| !alias.is_empty());
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

/// What `--search` and `--spec` ask for; Prophet's defaults where neither does.
pub(super) async fn method(search: bool, spec: Option<&str>) -> Result<Method> {
    match spec {
        _ if search => Ok(Method::Search),
        Some(place) => Ok(Method::Spec(Box::new(spec::read(place).await?))),
        None => Ok(Method::Spec(Box::default())),
    }
}
