//! `loadcast-trainer fit`: rows to a model folder, with no server and no gates.

use std::io::Write;
use std::path::PathBuf;

use jiff::Timestamp;
use loadcast_model::artifact::{METADATA_SCHEMA, Metadata, encode_model_pr, sha256_hex};
use loadcast_model::error::Error as ModelError;
use loadcast_model::fit::{Fitted, fit, fit_exactly};
use loadcast_model::history::History;
use loadcast_model::series::{Series, SeriesName, ZeroMeans};
use loadcast_model::spec::{Growth, Spec};
use loadcast_model::zone::Zone;
use serde::Serialize;

use super::print;
use crate::error::{Error, Result};
use crate::push::TRAINER_VERSION;
use crate::source::table::Table;
use crate::source::{columns, location, model, spec};
use crate::{model_folder, output};

/// Fit a model to a CSV file and write it as an MLflow model folder, with nothing judged and nothing pushed.
///
/// With --like the settings are those of an existing model, Prophet's or ours, and the parameters the exact maximum of
/// Prophet's posterior. With --spec a yearly season that is forced on less than two years is held by a stronger prior,
/// which the report's warnings state; --exact fits that by the spec's own priors too. Rows may come in any order; those
/// whose value is empty or NaN are left out, as Prophet does.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("settings").required(true).args(["like", "spec"]))]
pub struct Args {
    /// The rows: a CSV file with columns of times and values, and what columns the settings need: cap, floor,
    /// regressors, conditions
    #[arg(long, env = "LOADCAST_DATA", value_name = "FILE.csv")]
    data: String,
    /// The column of times; times without a zone are the series' wall clock, others are converted to UTC
    #[arg(long, env = "LOADCAST_DS", default_value = "ds", value_name = "NAME")]
    ds: String,
    /// The column of values
    #[arg(long, env = "LOADCAST_Y", default_value = "y", value_name = "NAME")]
    y: String,
    /// The model whose settings are taken: an MLflow model folder, a model.pr, or a plain model JSON
    #[arg(long, env = "LOADCAST_LIKE", value_name = "PATH")]
    like: Option<String>,
    /// The settings: Prophet's arguments as TOML
    #[arg(long, env = "LOADCAST_SPEC", value_name = "FILE.toml")]
    spec: Option<String>,
    /// Further holidays: a CSV file with the columns holiday and ds, and lower_window and upper_window where they have
    /// any. A country's holidays need it
    #[arg(long, env = "LOADCAST_HOLIDAYS", value_name = "FILE.csv")]
    holidays: Option<String>,
    /// The exact maximum of Prophet's posterior with --spec too
    #[arg(long, env = "LOADCAST_EXACT", value_parser = clap::builder::FalseyValueParser::new())]
    exact: bool,
    /// The series' name in loadcast.json [default: the column of values]
    #[arg(long, env = "LOADCAST_SERIES", value_name = "NAME")]
    series: Option<SeriesName>,
    /// The folder that becomes an MLflow model
    #[arg(long, env = "LOADCAST_OUTPUT", value_name = "DIR")]
    output: PathBuf,
    /// Where the report is written, as JSON
    #[arg(long, env = "LOADCAST_REPORT", value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// How a fit went, the parameters scaled as in the model's JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// What prophet.stan's optimize prints as lp__; null for a constant history, which is not optimized.
    log_posterior: Option<f64>,
    k: f64,
    m: f64,
    delta: &'a [f64],
    beta: &'a [f64],
    sigma_obs: f64,
    iterations: u32,
    converged: bool,
    warnings: &'a [String],
}

impl Args {
    pub(super) async fn run(self, now: Timestamp, out: &mut (dyn Write + Send)) -> Result<()> {
        let spec = self.settings().await?;
        let bytes = location::read(&self.data).await?;
        let data_sha256 = sha256_hex(&bytes);
        let history = self.history(&Table::new(&self.data, bytes)?, &spec)?;
        let exactly = self.exact || self.like.is_some();
        let fitted = if exactly {
            fit_exactly(&spec, &history)
        } else {
            fit(&spec, &history)
        };
        let fitted = fitted.map_err(|error| self.refused(error))?;
        let model_pr = encode_model_pr(&fitted.model).map_err(Error::of_model)?;
        let metadata = self.metadata(&fitted, &history, &model_pr, data_sha256, now)?;
        model_folder::write(&self.output, &model_pr, &metadata)?;
        let report = report(&fitted)?;
        match &self.report {
            Some(path) => output::write(path, report.as_bytes()),
            None => print(&report, out),
        }
    }

    /// The spec of --like or --spec, with the holidays of --holidays.
    async fn settings(&self) -> Result<Spec> {
        let mut spec = match (&self.like, &self.spec) {
            (Some(like), _) => {
                let opened = model::open(like).await?;
                // Constants that were fitted with stand in loadcast.json, as model.pr has no place for them.
                let constants = opened.metadata.and_then(|metadata| metadata.spec);
                let constants = constants.unwrap_or_default();
                Spec {
                    cap: constants.cap,
                    floor: constants.floor,
                    ..opened.model.spec
                }
            }
            (None, Some(place)) => spec::read(place).await?,
            (None, None) => Spec::default(),
        };
        if let Some(file) = &self.holidays {
            let further = columns::holidays(&Table::open(file).await?)?;
            spec.holidays.extend(further);
        }
        Ok(spec)
    }

    fn history(&self, table: &Table, spec: &Spec) -> Result<History> {
        let ds = columns::times(table, &self.ds, &Zone::utc())?;
        let y = columns::observed(table, &self.y)?;
        let inputs = columns::inputs(table, &needs(spec))?;
        History::from_rows(&ds, &y, &inputs).map_err(|error| self.refused(error))
    }

    fn metadata(
        &self,
        fitted: &Fitted,
        history: &History,
        model_pr: &[u8],
        data_sha256: String,
        now: Timestamp,
    ) -> Result<Metadata> {
        let name = match &self.series {
            Some(name) => name.clone(),
            None => self.y.parse().map_err(|_| {
                Error::settings(
                    format!("--y {} is no name of a series", self.y),
                    "give one with --series: letters, digits, dots, dashes and underscores",
                )
            })?,
        };
        let steps = history.ds().windows(2).map(|pair| pair[1] - pair[0]);
        let step = steps.min().and_then(|step| u32::try_from(step).ok());
        Ok(Metadata {
            schema: METADATA_SCHEMA,
            sha256: sha256_hex(model_pr),
            size_bytes: model_pr.len() as u64,
            series: Series {
                name,
                labels: Default::default(),
                unit: None,
                step_seconds: step.unwrap_or(u32::MAX),
                zone: Zone::utc(),
                zero_means: ZeroMeans::default(),
                predecessor: None,
            },
            cutoff: Timestamp::from_second(history.last())
                .map_err(|_| Error::outside_calendar(history.last()))?,
            trained_at: now,
            rows: history.len() as u64,
            scores: None,
            trainer_version: TRAINER_VERSION.to_owned(),
            data_sha256,
            spec: Some(fitted.model.spec.clone()),
            verdict: None,
            clamps: None,
            band_calibration: None,
            correction: None,
            peak: None,
        })
    }

    fn refused(&self, error: ModelError) -> Error {
        columns::missing_input(&error, &self.data)
            .unwrap_or_else(|| Error::of_model(error).of_place(&self.data))
    }
}

/// The columns beside times and values that a fit of `spec` reads, named as a model's needs are.
fn needs(spec: &Spec) -> Vec<String> {
    let capacities = match spec.growth {
        Growth::Logistic => &["cap", "floor"][..],
        Growth::Linear | Growth::Flat => &[],
    };
    let regressors = spec.extra_regressors.iter();
    let conditions = spec
        .seasonalities
        .iter()
        .filter_map(|s| s.condition_name.as_ref());
    let capacities = capacities.iter().map(|name| (*name).to_owned());
    capacities
        .chain(regressors.map(|regressor| format!("regressors.{}", regressor.name)))
        .chain(conditions.map(|name| format!("conditions.{name}")))
        .collect()
}

fn report(fitted: &Fitted) -> Result<String> {
    let (model, report) = (&fitted.model, &fitted.report);
    let report = Report {
        log_posterior: report.log_posterior,
        k: model.k,
        m: model.m,
        delta: &model.delta,
        beta: &model.beta,
        sigma_obs: model.sigma_obs,
        iterations: report.iterations,
        converged: report.converged,
        warnings: &report.warnings,
    };
    let text = serde_json::to_string_pretty(&report);
    text.map(|text| text + "\n").map_err(|error| {
        Error::output(
            format!("the report is no JSON: {error}"),
            "report this as a fault",
        )
    })
}
