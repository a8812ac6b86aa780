//! Where the rows of a run come from: a table, a dataset, or Prometheus.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::catalog::{Catalog, Entry, Source};
use loadcast_model::series::{Series, SeriesName};
use loadcast_model::zone::Zone;
use loadcast_prometheus::client::Prometheus;
use loadcast_prometheus::named::{Named, name, step_seconds};
use loadcast_prometheus::window::Window;

use super::dataset::{Collected, Dataset};
use super::location::Location;
use super::named::{self, TIME_COLUMN, VALUE_COLUMN, two_origins};
use super::table::Table;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::handover::Settings;
use crate::pipeline::Plan;
use crate::time::{DAY, floor_seconds};

/// What the gate of a month needs beside what is trained on: the 30 days that it forecasts, and one for the grid's edges.
const MONTH_AHEAD: i64 = 31 * DAY;

/// The rows of a run.
#[derive(Debug)]
pub enum Supply {
    /// Columns of one table.
    Table(Table),
    /// Series of a dataset, read one at a time.
    Dataset(Dataset),
    /// Results of expressions, in memory.
    Results(Vec<Named>),
}

/// One series to run: what it is, and what of the plan is otherwise for it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// What it is.
    pub declaration: Declaration,
    labels: BTreeMap<String, String>,
    zone: Option<Zone>,
    step_seconds: Option<i64>,
    settings: Settings,
    /// What declared it, as messages name it.
    origin: String,
    rows: Where,
}

/// Where in the supply its rows are.
#[derive(Debug, Clone)]
enum Where {
    Column,
    /// With the seconds of history that are read.
    Dataset(Collected, i64),
    Result(usize),
    /// Nowhere: its entry could not be asked, and why.
    Failed(Arc<Error>),
}

impl Supply {
    /// What the plan's data and catalog give, and the series in it.
    ///
    /// # Errors
    /// When the data cannot be read, or have none of the series; [`Error::Settings`] for two series of one name.
    pub async fn open(plan: &Plan) -> Result<(Self, Vec<Declared>)> {
        let (supply, declared) = Self::find(plan).await?;
        each_its_own_name(&declared)?;
        Ok((supply, declared))
    }

    async fn find(plan: &Plan) -> Result<(Self, Vec<Declared>)> {
        if let Some(prometheus) = &plan.prometheus {
            return results(plan, prometheus).await;
        }
        let dataset = Dataset::find(&Location::of(&plan.data)?).await?;
        match (dataset, &plan.catalog) {
            (Some(dataset), catalog) => {
                let declared = collected(&dataset, catalog.as_deref(), plan)?;
                Ok((Self::Dataset(dataset), declared))
            }
            (None, Some(catalog)) => {
                let table = Table::open(&plan.data).await?;
                let declared = columns(catalog, &plan.data)?;
                Ok((Self::Table(table), declared))
            }
            (None, None) => {
                let table = Table::open(&plan.data).await?;
                let declarations = match plan.series.as_slice() {
                    [] => Declaration::of_known_columns(&table)?,
                    given => given.to_vec(),
                };
                let declared = declarations.into_iter().map(Declared::of_column);
                Ok((Self::Table(table), declared.collect()))
            }
        }
    }

    /// A digest of the rows; `None` of what Prometheus said, which is asked for the same window again.
    #[must_use]
    pub fn sha256(&self) -> Option<String> {
        match self {
            Self::Table(table) => table.sha256(),
            Self::Dataset(dataset) => Some(dataset.sha256()),
            Self::Results(_) => None,
        }
    }

    /// The table with the rows of `declared`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn table(&self, declared: &Declared) -> Result<Cow<'_, Table>> {
        match (self, &declared.rows) {
            (Self::Table(table), _) => Ok(Cow::Borrowed(table)),
            (Self::Dataset(dataset), Where::Dataset(collected, history)) => {
                dataset.table(collected, *history).await.map(Cow::Owned)
            }
            (Self::Results(results), Where::Result(at)) if *at < results.len() => {
                let one = &results[*at];
                named::table(one.series.name.as_ref(), &one.samples).map(Cow::Owned)
            }
            (_, Where::Failed(error)) => Err(Error::source(error.to_string(), error.remedy())),
            _ => Err(Error::source(
                format!("{} is of another supply", declared.declaration.name),
                "open it again",
            )),
        }
    }
}

impl Declared {
    fn of_column(declaration: Declaration) -> Self {
        Self {
            origin: format!("column {}", declaration.column),
            declaration,
            labels: BTreeMap::new(),
            zone: None,
            step_seconds: None,
            settings: Settings::default(),
            rows: Where::Column,
        }
    }

    /// An entry that could not be asked stands for its series, and stops no other.
    fn failed(entry: &Entry, error: Error) -> Self {
        let series = Series::new(SeriesName::cleaned(entry.name.as_str()));
        let rows = Where::Failed(Arc::new(error));
        Self::of_series(&series, entry.name.as_str(), Some(entry), rows)
    }

    /// What the catalog says now comes before what it said when the series was collected.
    fn of_series(series: &Series, origin: &str, entry: Option<&Entry>, rows: Where) -> Self {
        let mut declaration =
            Declaration::new(series.name.clone(), VALUE_COLUMN.to_owned(), series.unit);
        declaration.zero_means = entry.map_or(series.zero_means, |entry| entry.zero_means);
        declaration.unit = entry.map_or(series.unit, |entry| entry.unit);
        declaration.predecessor.clone_from(&series.predecessor);
        Self {
            declaration,
            labels: (*series.labels).clone(),
            zone: Some(entry.map_or_else(|| series.zone.clone(), |entry| entry.zone.clone())),
            step_seconds: Some(series.step_seconds.into()),
            settings: entry.map(settings).unwrap_or_default(),
            origin: format!("entry {origin}"),
            rows,
        }
    }

    /// What the catalog says of how it is trained and judged.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The plan as it is for this series: what the catalog says of it comes before what the command line says of all.
    #[must_use]
    pub fn plan(&self, of_all: &Plan) -> Plan {
        let mut plan = of_all.clone();
        plan.labels.extend(self.labels.clone());
        if let Some(zone) = &self.zone {
            plan.rules.zone = zone.clone();
        }
        plan.rules.step_seconds = self.step_seconds.or(plan.rules.step_seconds);
        let max_train = &mut plan.preparation.max_train_seconds;
        *max_train = self.settings.max_train_seconds(*max_train);
        plan.method = self.settings.method(plan.method);
        plan.gates = self.settings.gates(plan.gates);
        if !matches!(self.rows, Where::Column) {
            plan.time_column = Some(TIME_COLUMN.to_owned());
        }
        plan
    }
}

fn settings(entry: &Entry) -> Settings {
    Settings::of(entry.method.as_ref(), entry.max_train_seconds, entry.gates)
}

/// That no two series are one: their samples, their folder and what is served would be.
fn each_its_own_name(declared: &[Declared]) -> Result<()> {
    let mut origins: BTreeMap<&str, &str> = BTreeMap::new();
    for one in declared {
        match origins.entry(one.declaration.name.as_ref()) {
            Slot::Vacant(slot) => {
                slot.insert(&one.origin);
            }
            Slot::Occupied(slot) => {
                return Err(two_origins(slot.key(), slot.get(), &one.origin));
            }
        }
    }
    Ok(())
}

async fn results(plan: &Plan, prometheus: &Prometheus) -> Result<(Supply, Vec<Declared>)> {
    let catalog = plan.catalog.as_ref().ok_or_else(|| {
        Error::settings(
            "--prometheus-url stands alone",
            "say what is asked: --catalog FILE.toml, or --promql EXPRESSION with --name TEMPLATE",
        )
    })?;
    let (mut results, mut declared) = (Vec::new(), Vec::new());
    for entry in &catalog.entries {
        let Source::Promql(expression) = &entry.source else {
            continue;
        };
        let window = window(entry, history(plan, Some(entry)), plan.now);
        let found = prometheus.range(expression, window).await;
        let named = found.and_then(|found| name(entry, found));
        let named = match named {
            Ok(named) => named,
            Err(error) => {
                declared.push(Declared::failed(entry, error.into()));
                continue;
            }
        };
        for one in named {
            declared.push(Declared::of_series(
                &one.series,
                entry.name.as_str(),
                Some(entry),
                Where::Result(results.len()),
            ));
            results.push(one);
        }
    }
    if declared.is_empty() {
        return Err(Error::data(
            format!(
                "{} has no history of what the catalog asks",
                prometheus.shown()
            ),
            "try its expressions in Prometheus' own page; entries with column need --data",
        ));
    }
    Ok((Supply::Results(results), declared))
}

/// The history that an entry's training and its gates need, in seconds, where flags of all say `max_train`.
#[must_use]
pub fn history_seconds(entry: Option<&Entry>, max_train: i64) -> i64 {
    let own = entry.map(settings).unwrap_or_default();
    own.max_train_seconds(max_train).saturating_add(MONTH_AHEAD)
}

/// How much of an entry's history is read.
fn history(plan: &Plan, entry: Option<&Entry>) -> i64 {
    let dropped = plan.rules.drop_last_seconds.unwrap_or_default();
    plan.history_seconds.unwrap_or_else(|| {
        history_seconds(entry, plan.preparation.max_train_seconds).saturating_add(dropped)
    })
}

/// The steps of the latest `history` seconds of an entry.
#[must_use]
pub fn window(entry: &Entry, history: i64, now: Timestamp) -> Window {
    let step = i64::from(step_seconds(entry));
    let until = floor_seconds(now).div_euclid(step) * step;
    Window::new(until.saturating_sub(history), until, step)
}

fn collected(dataset: &Dataset, catalog: Option<&Catalog>, plan: &Plan) -> Result<Vec<Declared>> {
    let mut declared = Vec::new();
    for collected in dataset.series() {
        let by_name = |entry: &&Entry| entry.name.as_str() == collected.entry;
        let entry = catalog.map(|catalog| catalog.entries.iter().find(by_name));
        // With a catalog, what it does not declare is not run.
        if let Some(None) = entry {
            continue;
        }
        let entry = entry.flatten();
        declared.push(Declared::of_series(
            &collected.series.clone(),
            &collected.entry.clone(),
            entry,
            Where::Dataset(collected, history(plan, entry)),
        ));
    }
    if declared.is_empty() {
        return Err(Error::data(
            format!("the dataset {} has none of the series", plan.data),
            "collect them first, with the same catalog: loadcast-trainer collect",
        ));
    }
    Ok(declared)
}

fn columns(catalog: &Catalog, place: &str) -> Result<Vec<Declared>> {
    let declared: Result<Vec<Declared>> = catalog
        .entries
        .iter()
        .filter_map(|entry| match &entry.source {
            Source::Column(column) => Some((entry, column)),
            Source::Promql(_) => None,
        })
        .map(|(entry, column)| {
            let name = entry.name.as_str().parse().map_err(Error::of_model)?;
            let mut declaration = Declaration::new(name, column.clone(), entry.unit);
            declaration.zero_means = entry.zero_means;
            declaration.predecessor.clone_from(&entry.predecessor);
            Ok(Declared {
                labels: entry
                    .series_labels(&BTreeMap::new())
                    .map_err(Error::of_model)?,
                zone: Some(entry.zone.clone()),
                step_seconds: entry.step_seconds.map(i64::from),
                settings: settings(entry),
                ..Declared::of_column(declaration)
            })
        })
        .collect();
    let declared = declared?;
    if declared.is_empty() {
        return Err(Error::settings(
            format!("the catalog has no entry with column, and {place} is a table"),
            "write column = \"NAME\" in an entry, or give --prometheus-url for those with promql",
        ));
    }
    Ok(declared)
}

#[cfg(test)]
mod tests;
