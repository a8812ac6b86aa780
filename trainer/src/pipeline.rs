//! From columns of rows to served models: each through the four stages in order, then, when all are judged, the pushes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::backtest::Method;

use crate::brake::Brake;
use crate::champion::Champion;
use crate::checks::Checks;
use crate::console::Console;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::model_folder;
use crate::page::{Page, Pages};
use crate::push::{self, Destination};
use crate::report::{Done, RunReport, SeriesReport};
use crate::source::table::Table;
use crate::stage::prepare_features::{self, Preparation, prepare_features};
use crate::stage::train::{self, train};
use crate::stage::validate_data::{self, Column, Rules, inspect};
use crate::stage::validate_model::gate::Gate;
use crate::stage::validate_model::{
    self, Approved, Bar, Conclusion, Judgement, Outcome, Reason, Rejected, validate_model,
};
use crate::time::floor_seconds;
use crate::verdict::Verdict;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A local path or URL of a CSV file.
    pub data: String,
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
    /// What follows from each gate, and its limit.
    pub gates: Checks<Gate>,
    /// When promotions stop; `None`: never.
    pub brake: Option<Brake>,
    /// The alias to move; `None` moves none.
    pub alias: Option<String>,
    /// The column that says which rows saturation held down.
    pub mask_column: Option<String>,
    /// Where a page about all series is written.
    pub report_html: Option<PathBuf>,
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
            series: Vec::new(),
            time_column: None,
            labels: BTreeMap::new(),
            rules: Rules {
                now: Some(floor_seconds(now)),
                ..Rules::default()
            },
            preparation: Preparation::default(),
            method: Method::Search,
            gates: Checks::default(),
            brake: Some(Brake::default()),
            alias: Some("champion".to_owned()),
            mask_column: None,
            report_html: None,
            output_dir: None,
            now,
        }
    }
}

/// A series that went through the stages as far as it got, before anything is pushed.
struct Candidate {
    declaration: Declaration,
    verdicts: Vec<Verdict>,
    outcome: Result<Outcome>,
}

/// Takes one column through the four stages.
///
/// # Errors
/// The refusal of the first stage that refuses; that of the last one is in the judgement.
pub async fn judge(
    column: Column,
    plan: &Plan,
    client: Option<&Client>,
    console: &mut Console<'_>,
) -> Result<Judgement> {
    let valid = console.told(validate_data::STAGE, || {
        let inspected = inspect(column, &plan.rules);
        (inspected.verdict, inspected.data)
    })?;
    let features = console.stage(prepare_features::STAGE, || {
        prepare_features(valid, &plan.preparation)
    })?;
    let champion = match client {
        Some(client) => Champion::ask(client, &features).await,
        None => Champion::Unknown("no server was asked (--dry-run)".to_owned()),
    };
    let trained = console.stage(train::STAGE, || train(features, plan.method.clone()))?;
    let bar = Bar {
        gates: plan.gates.clone(),
        champion,
    };
    console.stage(validate_model::STAGE, || validate_model(trained, &bar))
}

/// Runs every series of the plan; `client` is `None` for a dry run.
///
/// All are judged before the first is pushed, because the fleet brake looks at all of them. One series that fails stops no
/// other: its error stands in the report beside the results of the rest.
///
/// # Errors
/// When the file itself cannot be read or has none of the series; [`Error::Output`] when no report can be written.
pub async fn run(
    plan: &Plan,
    client: Option<&Client>,
    console: &mut Console<'_>,
) -> Result<(RunReport, Vec<Error>)> {
    let table = Table::open(&plan.data).await?;
    let declarations = match plan.series.as_slice() {
        [] => Declaration::of_known_columns(&table)?,
        given => given.to_vec(),
    };
    let several = declarations.len() > 1;
    let pages = Pages::new()?;
    let mut candidates = Vec::with_capacity(declarations.len());
    for declaration in declarations {
        console.begin(title(&declaration));
        candidates.push(judge_series(&table, declaration, plan, client, &pages, console).await);
    }
    let mut report = RunReport::new(plan, client.is_none());
    let mut failures = Vec::new();
    if let Some(stopped) = brake(plan, &mut candidates) {
        console.line(format!("  {:<18}{stopped}", "fleet brake"));
        report.stopped = Some(stopped.to_string());
        failures.push(stopped);
    }
    for Candidate {
        declaration,
        verdicts,
        outcome,
    } in candidates
    {
        let name = declaration.name.as_ref();
        if several {
            console.line(name);
        }
        let outcome = push_series(name, outcome, plan, client, &pages, console).await;
        let outcome = outcome.map_err(|error| error.of_place(name));
        report
            .series
            .push(SeriesReport::new(&declaration, verdicts, &outcome));
        failures.extend(outcome.err());
    }
    if let Some(path) = &plan.report_html {
        pages.write(path, &report)?;
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

/// Takes a series as far as it gets, and keeps a page about it.
#[tracing::instrument(name = "trainer.judge_series", skip_all, fields(series = %declaration.name))]
async fn judge_series(
    table: &Table,
    declaration: Declaration,
    plan: &Plan,
    client: Option<&Client>,
    pages: &Pages,
    console: &mut Console<'_>,
) -> Candidate {
    let column = column(table, &declaration, plan);
    let judged = match column {
        Ok(column) => judge(column, plan, client, console).await,
        Err(error) => Err(error),
    };
    let verdicts = console.take_verdicts();
    let page = Page {
        declaration: &declaration,
        verdicts: &verdicts,
        judged: judged.as_ref(),
    };
    let kept = pages.keep(&page);
    let outcome = kept.and_then(|()| Ok(judged?.outcome));
    Candidate {
        declaration,
        verdicts,
        outcome,
    }
}

fn column(table: &Table, declaration: &Declaration, plan: &Plan) -> Result<Column> {
    let (time_column, labels) = (plan.time_column.as_deref(), plan.labels.clone());
    let column = Column::new(table, declaration.clone(), time_column, labels)?;
    match &plan.mask_column {
        Some(mask) => column.with_mask(table, mask),
        None => Ok(column),
    }
}

/// Holds all models back when too many series would move too far.
fn brake(plan: &Plan, candidates: &mut [Candidate]) -> Option<Error> {
    let brake = plan.brake.as_ref()?;
    let promoted = candidates.iter().filter_map(|candidate| {
        let approved = candidate.approved()?;
        let promoted = approved.conclusion() == Conclusion::Promote;
        promoted.then(|| (candidate.declaration.name.as_ref(), approved.movement()))
    });
    let stopped = brake.judge(promoted)?;
    let message = stopped.message(brake);
    for candidate in candidates {
        if let Ok(Outcome::Approved(approved)) = &mut candidate.outcome
            && approved.conclusion() == Conclusion::Promote
        {
            approved.hold_back(Reason {
                code: "FLEET_BRAKE",
                message: message.clone(),
            });
        }
    }
    Some(Error::held(
        message,
        "look at the report, then run again with --brake-share or --brake-change set higher, or --no-brake; or promote one by one with `loadcast models promote`",
    ))
}

#[tracing::instrument(name = "trainer.push_series", skip_all, fields(series = %name))]
async fn push_series(
    name: &str,
    outcome: Result<Outcome>,
    plan: &Plan,
    client: Option<&Client>,
    pages: &Pages,
    console: &mut Console<'_>,
) -> Result<Done> {
    let approved = match outcome? {
        Outcome::Rejected(rejected) => {
            tell_rejection(client, name, &rejected).await;
            return Err(rejected.error());
        }
        Outcome::Approved(approved) => approved,
    };
    if let Some(folder) = &plan.output_dir {
        let folder = folder.join(name);
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
                report_html: Some(pages.document(name)?),
            };
            let receipt = push::push(*approved, client, &destination).await?;
            console.line(&receipt);
            done.receipt = Some(receipt);
        }
    }
    Ok(done)
}

/// The refusal is what ends the run; a server that does not hear of it is a lesser matter.
async fn tell_rejection(client: Option<&Client>, series: &str, rejected: &Rejected) {
    if let Some(client) = client
        && let Err(error) = push::report_rejection(client, series, rejected).await
    {
        tracing::warn!(%series, %error, "the server was not told of the refused candidate");
    }
}

impl Candidate {
    fn approved(&self) -> Option<&Approved> {
        match &self.outcome {
            Ok(Outcome::Approved(approved)) => Some(approved),
            _ => None,
        }
    }
}
