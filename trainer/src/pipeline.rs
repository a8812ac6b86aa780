//! From one column of rows to one served model: the four stages in order, then the push.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::backtest::Method;
use loadcast_model::catalog::Catalog;

use crate::console::Console;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::model_folder;
use crate::push::{self, Destination};
use crate::report::{Done, RunReport, SeriesReport};
use crate::source::prometheus::Prometheus;
use crate::source::supply::{Declared, Supply};
use crate::stage::prepare_features::{self, Preparation, prepare_features};
use crate::stage::train::{self, train};
use crate::stage::validate_data::{self, Column, Rules, validate_data};
use crate::stage::validate_model::{self, Approved, validate_model};
use crate::time::DAY;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A local path or URL: of a CSV or Parquet file, or of a dataset. The address of Prometheus where that is asked.
    pub data: String,
    /// What is declared of series; `None`: the columns below.
    pub catalog: Option<Catalog>,
    /// Who is asked for the catalog's expressions; `None`: the data are read.
    pub prometheus: Option<Arc<Prometheus>>,
    /// How much history is asked of Prometheus.
    pub history_seconds: i64,
    /// Which columns become which series; empty: the known columns of the file.
    pub series: Vec<Declaration>,
    /// The time column's name; `None`: one of the usual names.
    pub time_column: Option<String>,
    /// Of every series.
    pub labels: BTreeMap<String, String>,
    /// How rows are taken.
    pub rules: Rules,
    /// How the grid is made.
    pub preparation: Preparation,
    /// What makes the model.
    pub method: Method,
    /// The alias to move; `None` moves none.
    pub alias: Option<String>,
    /// Where each series' MLflow model folder is written, under its name.
    pub output_dir: Option<PathBuf>,
    /// When this run is.
    pub now: Timestamp,
}

impl Plan {
    /// A run of the file at `data` with every setting at its default.
    #[must_use]
    pub fn new(data: impl Into<String>, now: Timestamp) -> Self {
        Self {
            data: data.into(),
            catalog: None,
            prometheus: None,
            history_seconds: 28 * DAY,
            series: Vec::new(),
            time_column: None,
            labels: BTreeMap::new(),
            rules: Rules::default(),
            preparation: Preparation::default(),
            method: Method::Spec(Box::default()),
            alias: Some("champion".to_owned()),
            output_dir: None,
            now,
        }
    }
}

/// Takes one column through the four stages.
///
/// # Errors
/// The refusal of the first stage that refuses.
pub fn approve(column: Column, plan: &Plan, console: &mut Console<'_>) -> Result<Approved> {
    let valid = console.stage(validate_data::STAGE, || validate_data(column, &plan.rules))?;
    let features = console.stage(prepare_features::STAGE, || {
        prepare_features(valid, &plan.preparation)
    })?;
    let trained = console.stage(train::STAGE, || train(features, plan.method.clone()))?;
    console.stage(validate_model::STAGE, || validate_model(trained))
}

/// Runs every series of the plan; `client` is `None` for a dry run.
///
/// One series that fails stops no other: its error stands in the report beside the results of the rest.
///
/// # Errors
/// When the data themselves cannot be read or have none of the series.
pub async fn run(
    plan: &Plan,
    client: Option<&Client>,
    console: &mut Console<'_>,
) -> Result<(RunReport, Vec<Error>)> {
    let (supply, declared) = Supply::open(plan).await?;
    let mut report = RunReport::new(plan, client.is_none());
    let mut failures = Vec::new();
    for declared in declared {
        let declaration = &declared.declaration;
        console.begin(title(declaration));
        let plan = &declared.plan(plan);
        let outcome = run_series(&supply, &declared, plan, client, console).await;
        let outcome = outcome.map_err(|error| error.of_place(declaration.name.as_ref()));
        report.series.push(SeriesReport::new(
            declaration,
            console.take_verdicts(),
            &outcome,
        ));
        failures.extend(outcome.err());
    }
    Ok((report, failures))
}

fn title(declaration: &Declaration) -> String {
    let unit = declaration
        .unit
        .as_ref()
        .map_or_else(|| "no unit".to_owned(), ToString::to_string);
    format!(
        "{} (column {}, {unit})",
        declaration.name, declaration.column
    )
}

#[tracing::instrument(name = "trainer.run_series", skip_all, fields(series = %declared.declaration.name))]
async fn run_series(
    supply: &Supply,
    declared: &Declared,
    plan: &Plan,
    client: Option<&Client>,
    console: &mut Console<'_>,
) -> Result<Done> {
    let name = declared.declaration.name.to_string();
    let column = column(supply, declared, plan).await?;
    let approved = match approve(column, plan, console) {
        Err(Error::Rejected { code, reason }) => {
            tell_rejection(client, &name, code, &reason.to_string()).await;
            return Err(Error::Rejected { code, reason });
        }
        other => other?,
    };
    if let Some(folder) = &plan.output_dir {
        let folder = folder.join(&name);
        let metadata = model_folder::metadata(&approved, plan.now)?;
        model_folder::write(&folder, approved.model_pr(), &metadata)?;
        console.line(format!("  wrote {}", folder.display()));
    }
    let mut done = Done::new(&approved, plan.alias.as_deref());
    match client {
        None => console.line("  push              left out (--dry-run)"),
        Some(client) => {
            let destination = Destination {
                alias: plan.alias.clone(),
                trained_at: plan.now,
            };
            let receipt = push::push(approved, client, &destination).await?;
            console.line(&receipt);
            done.receipt = Some(receipt);
        }
    }
    Ok(done)
}

/// The rows of one series.
///
/// # Errors
/// When they cannot be read, or a column is not there.
pub async fn column(supply: &Supply, declared: &Declared, plan: &Plan) -> Result<Column> {
    let table = supply.table(declared).await?;
    let (time_column, labels) = (plan.time_column.as_deref(), plan.labels.clone());
    Column::new(&table, declared.declaration.clone(), time_column, labels)
}

/// The refusal is what ends the run; a server that does not hear of it is a lesser matter.
async fn tell_rejection(client: Option<&Client>, series: &str, code: &str, message: &str) {
    if let Some(client) = client
        && let Err(error) = push::report_rejection(client, series, code, message).await
    {
        tracing::warn!(%series, %error, "the server was not told of the refused candidate");
    }
}
