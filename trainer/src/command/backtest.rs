//! `loadcast-trainer backtest`: how good forecasts of a file's columns would have been.

mod leads;
mod plot;
mod table;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::builder::FalseyValueParser;
use loadcast_model::backtest::{self, Backtest};
use loadcast_model::grid::Grid;
use loadcast_model::series::SeriesName;
use serde::Serialize;

use super::method;
use super::replay::read_positive;
use crate::checks::{Checks, Override};
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::source::table::Table;
use crate::stage::prepare_features::{Preparation, prepare_features};
use crate::stage::validate_data::rule::{Rule, Severity};
use crate::stage::validate_data::{Column, Rules, validate_data};
use crate::time::{DAY, read_length};

/// All of a file: the backtest cuts the history itself, at each origin.
const EVERYTHING: i64 = 100 * 365 * DAY;

/// Forecast the past from rolling origins and compare with what came, and with "the same as yesterday".
///
/// Rows are floored to the step and averaged; gaps are interpolated for training and not scored. Origin k of n is n-k+1
/// horizons before the end; each is trained on everything before it, at most --max-train. MASE is scaled by the
/// in-sample one-day seasonal naive; coverage is that of the outermost levels. Without --spec and --search Prophet's
/// defaults are fitted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rows: a CSV file with a header line or a Parquet file, by path or URL (s3://, gs://, az://, file://)
    #[arg(long, env = "LOADCAST_DATA", value_name = "PATH|URL")]
    data: String,
    /// A column of values; repeat for more
    #[arg(
        long,
        env = "LOADCAST_COLUMN",
        value_delimiter = ',',
        required = true,
        value_name = "NAME"
    )]
    column: Vec<String>,
    /// The column of times [default: timestamp, ds, time, datetime or date]
    #[arg(long, env = "LOADCAST_TIME_COLUMN", value_name = "NAME")]
    time_column: Option<String>,
    /// What to fit: Prophet's arguments as TOML
    #[arg(long, env = "LOADCAST_SPEC", value_name = "FILE.toml")]
    spec: Option<String>,
    /// Search the best forecast at each origin anew
    #[arg(long, env = "LOADCAST_SEARCH", value_parser = FalseyValueParser::new(), conflicts_with = "spec")]
    search: bool,
    /// How far each origin looks ahead
    #[arg(long, env = "LOADCAST_HORIZON", default_value = "1d", value_parser = read_length, value_name = "DURATION")]
    horizon: i64,
    /// How many origins
    #[arg(long, env = "LOADCAST_ORIGINS", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    origins: u32,
    /// The most recent history that each is trained on
    #[arg(long, env = "LOADCAST_MAX_TRAIN", default_value = "28d", value_parser = read_length, value_name = "DURATION")]
    max_train: i64,
    /// Quantiles, each above 0 and below 1; the band is between the lowest and the highest
    #[arg(
        long,
        env = "LOADCAST_LEVELS",
        value_delimiter = ',',
        default_value = "0.1,0.9",
        value_name = "LEVEL,..."
    )]
    levels: Vec<f64>,
    /// Ask for these leads at every step instead, of models trained daily over the last --origins days, and compare with
    /// the last value and the day before
    #[arg(
        long,
        env = "LOADCAST_LEADS",
        value_delimiter = ',',
        value_parser = read_length,
        conflicts_with_all = ["plot", "horizon", "levels"],
        value_name = "DURATION,..."
    )]
    leads: Vec<i64>,
    /// With --leads: multiply what comes by each of these factors, from instants of these days on, and score the hour
    /// after the jump
    #[arg(
        long,
        env = "LOADCAST_LEVEL_SHIFT",
        value_delimiter = ',',
        value_parser = read_positive,
        requires = "leads",
        value_name = "FACTOR,..."
    )]
    level_shift: Vec<f64>,
    /// How the result is written
    #[arg(long, env = "LOADCAST_OUTPUT", value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Write a picture of each origin (COLUMN-K.svg): forecast, band and what came
    #[arg(long, env = "LOADCAST_PLOT", value_name = "DIR")]
    plot: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One object; an array of them for several columns
    Json,
    /// A line for each forecast
    Table,
}

/// One column's result.
#[derive(Debug, Serialize)]
struct Outcome {
    series: String,
    step_seconds: u32,
    #[serde(flatten)]
    backtest: Backtest,
    /// Of this machine, all cores.
    seconds: f64,
}

impl Args {
    pub(super) async fn run(self, out: &mut (dyn Write + Send)) -> Result<()> {
        let method = method::read(self.search, self.spec.as_deref()).await?;
        let method = method.unwrap_or_else(|| backtest::Method::Spec(Box::default()));
        let table = Table::open(&self.data).await?;
        if !self.leads.is_empty() {
            let text = leads::text(&self, &method, &table)?;
            return print(&text, out);
        }
        let plan = self.plan()?;
        let mut outcomes = Vec::new();
        for column in &self.column {
            let grid = grid(&table, column, self.time_column.as_deref())?;
            let begun = Instant::now();
            let of_column = |error| Error::of_model(error).of_place(column);
            let origins = backtest::origins(&method, &grid, &plan).map_err(of_column)?;
            outcomes.push(Outcome {
                series: column.clone(),
                step_seconds: grid.step_seconds,
                backtest: Backtest::of(&origins, &grid, &plan),
                seconds: begun.elapsed().as_secs_f64(),
            });
            if let Some(folder) = &self.plot {
                plot::write(folder, column, &method, &grid, &origins)?;
            }
        }
        let text = match self.output {
            Format::Json => json(&outcomes),
            Format::Table => table::text(&outcomes),
        };
        print(&text, out)
    }

    fn plan(&self) -> Result<backtest::Plan> {
        let mut levels = self.levels.clone();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        Ok(backtest::Plan {
            horizon_seconds: seconds("--horizon", self.horizon)?,
            season_seconds: seconds("season", DAY)?,
            origins: self.origins,
            max_train_seconds: Some(seconds("--max-train", self.max_train)?),
            levels,
        })
    }
}

fn seconds(flag: &str, length: i64) -> Result<u32> {
    u32::try_from(length).map_err(|_| {
        Error::settings(
            format!("{flag} of {} days is too long", length / DAY),
            "give less than 49000 days",
        )
    })
}

fn print(text: &str, out: &mut (dyn Write + Send)) -> Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Error::output(format!("standard output: {error}"), "keep it open"))
}

/// The whole column on its grid.
pub(super) fn grid(table: &Table, column: &str, time_column: Option<&str>) -> Result<Grid> {
    let name = column
        .parse()
        .unwrap_or_else(|_| SeriesName::from_labels(None, "backtest", column, "value"));
    let declaration = Declaration::new(name, column.to_owned(), None);
    let column = Column::new(table, declaration, time_column, BTreeMap::new())?;
    // How good a forecast of it would have been is worth knowing of every column of numbers.
    let rules = [Rule::Conflicts, Rule::Counter];
    let told = rules.map(|rule| Override::new(rule, Severity::Warning, None));
    let rules = Rules {
        checks: Checks::default().with(&told),
        ..Rules::default()
    };
    let preparation = Preparation {
        max_train_seconds: EVERYTHING,
        ..Preparation::default()
    };
    Ok(prepare_features(validate_data(column, &rules)?, &preparation)?.window())
}

fn json(outcomes: &[impl Serialize]) -> String {
    let json = match outcomes {
        [one] => serde_json::to_string_pretty(one),
        many => serde_json::to_string_pretty(many),
    };
    json.expect("the outcome has string keys and serialises without error") + "\n"
}
