//! What a run is to do, and the way of one series through the four stages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::backtest::Method;
use loadcast_model::catalog::Catalog;
use loadcast_model::series::SeriesName;

use crate::brake::Brake;
use crate::champion::Champion;
use crate::checks::Checks;
use crate::declaration::Declaration;
use crate::error::Result;
use crate::fleet::shard::Shard;
use crate::source::supply::{Declared, Supply};
use crate::stage::prepare_features::{self, Preparation, prepare_features};
use crate::stage::train::{self, train};
use crate::stage::validate_data::{Column, Rules, inspect};
use crate::stage::validate_model::gate::Gate;
use crate::stage::validate_model::{self, Bar, Judgement, validate_model};
use crate::time::floor_seconds;
use crate::verdict::{Verdict, Verdicts};
use loadcast_prometheus::client::Prometheus;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A local path or URL: of a CSV or Parquet file, or of a dataset. The address of Prometheus where that is asked.
    pub data: String,
    /// What is declared of series; `None`: the columns below.
    pub catalog: Option<Arc<Catalog>>,
    /// Who is asked for the catalog's expressions; `None`: the data are read.
    pub prometheus: Option<Arc<Prometheus>>,
    /// How much history is asked of Prometheus, and read of a dataset; `None`: what training and its gates need.
    pub history_seconds: Option<i64>,
    /// Which columns become which series; empty: the known columns of the file.
    pub series: Vec<Declaration>,
    /// Which of them are run here.
    pub shard: Shard,
    /// Of those, the ones that are run; `None`: all.
    pub only: Option<BTreeSet<SeriesName>>,
    /// How many series these are of, for the brake, where they are some of a fleet; 0: they are all.
    pub fleet: usize,
    /// How many series are trained at once.
    pub jobs: usize,
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
    /// Where it is noted what was done, so that a run that was killed goes on; `None`: nowhere that lasts.
    pub journal: Option<PathBuf>,
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
            history_seconds: None,
            series: Vec::new(),
            shard: Shard::default(),
            only: None,
            fleet: 0,
            jobs: cores(),
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
            journal: None,
            now,
        }
    }
}

impl Plan {
    /// Whether `series` is run here.
    #[must_use]
    pub fn has(&self, series: &SeriesName) -> bool {
        self.shard.has(series) && self.only.as_ref().is_none_or(|only| only.contains(series))
    }
}

/// How many cores there are.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The rows of one series.
///
/// # Errors
/// When they cannot be read, or a column is not there.
pub async fn column(supply: &Supply, declared: &Declared, plan: &Plan) -> Result<Column> {
    let table = supply.table(declared).await?;
    let (time_column, labels) = (plan.time_column.as_deref(), plan.labels.clone());
    let column = Column::new(&table, declared.declaration.clone(), time_column, labels)?;
    match &plan.mask_column {
        Some(mask) => column.with_mask(&table, mask),
        None => Ok(column),
    }
}

/// Takes one series through the four stages; blocks on the arithmetic. The verdicts of the stages it came to are kept
/// whatever comes of it.
pub async fn judge(
    supply: &Supply,
    declared: &Declared,
    plan: &Plan,
    client: Option<&Client>,
) -> (Vec<Verdict>, Result<Judgement>) {
    let mut verdicts = Verdicts::default();
    let judged = through(supply, declared, plan, client, &mut verdicts).await;
    (verdicts.take(), judged)
}

async fn through(
    supply: &Supply,
    declared: &Declared,
    plan: &Plan,
    client: Option<&Client>,
    verdicts: &mut Verdicts,
) -> Result<Judgement> {
    let column = column(supply, declared, plan).await?;
    let inspected = inspect(column, &plan.rules);
    verdicts.push(inspected.verdict);
    let valid = inspected.data?;
    let features = verdicts.stage(prepare_features::STAGE, || {
        prepare_features(valid, &plan.preparation)
    })?;
    let champion = match client {
        Some(client) => Champion::ask(client, &features).await,
        None => Champion::Unknown("no server was asked (--dry-run)".to_owned()),
    };
    let bar = Bar {
        gates: plan.gates.clone(),
        champion,
    };
    let trained = verdicts.stage(train::STAGE, || train(features, plan.method.clone()))?;
    verdicts.stage(validate_model::STAGE, || validate_model(trained, &bar))
}
