//! `loadcast forecast`.

use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use loadcast_client::{Client, Forecast, ForecastQuery, Range, Window};

use crate::cli::args::{WindowArg, duration, instant, level};
use crate::cli::failure::Failure;
use crate::cli::json::ForecastView;
use crate::cli::local::{formatted, zone};
use crate::cli::table::Table;
use crate::cli::terminal::Terminal;
use crate::cli::{chart, csv};

/// What to ask, and how to show the answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the series
    series: String,

    /// A window of the calendar in the series' time zone [default: next-day]
    #[arg(long, env = "LOADCAST_WINDOW", value_enum, conflicts_with_all = ["horizon", "start", "end"])]
    window: Option<WindowArg>,

    /// From now on for so long: 90s, 15m, 6h, 1d
    #[arg(long, env = "LOADCAST_HORIZON", value_name = "DURATION", value_parser = duration, conflicts_with_all = ["start", "end"])]
    horizon: Option<Duration>,

    /// First instant: RFC 3339; without a zone it is UTC
    #[arg(long, env = "LOADCAST_START", value_name = "TIME", value_parser = instant, requires = "end")]
    start: Option<Timestamp>,

    /// End, itself excluded
    #[arg(long, env = "LOADCAST_END", value_name = "TIME", value_parser = instant, requires = "start")]
    end: Option<Timestamp>,

    /// Spacing of the points [default: the series' own]
    #[arg(long, env = "LOADCAST_STEP", value_name = "DURATION", value_parser = duration)]
    step: Option<Duration>,

    /// Quantile levels of the band, like 0.1,0.9
    #[arg(long, env = "LOADCAST_LEVELS", value_delimiter = ',', value_parser = level)]
    levels: Vec<f64>,

    /// Trend and components too (table, json and csv)
    #[arg(long, env = "LOADCAST_COMPONENTS")]
    components: bool,

    /// Answer as if it were this instant
    #[arg(long, env = "LOADCAST_AS_OF", value_name = "TIME", value_parser = instant)]
    as_of: Option<Timestamp>,

    /// A version of the registry instead of the served one
    #[arg(long, env = "LOADCAST_MODEL_VERSION", value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "alias")]
    model_version: Option<u64>,

    /// The version of another alias instead of the served one
    #[arg(long, env = "LOADCAST_ALIAS")]
    alias: Option<String>,

    /// How to show it
    #[arg(
        long,
        short,
        env = "LOADCAST_OUTPUT",
        value_enum,
        default_value = "chart"
    )]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A picture for people
    Chart,
    /// One row a point, local times
    Table,
    /// One object, points as columns
    Json,
    /// One row a point, UTC, for programs
    Csv,
}

impl Args {
    fn query(self) -> ForecastQuery {
        let range = match (self.horizon, self.start, self.end) {
            (Some(horizon), _, _) => Range::Horizon(horizon),
            (None, Some(start), Some(end)) => Range::Between { start, end },
            _ => Range::Window(self.window.map_or(Window::NextDay, Window::from)),
        };
        ForecastQuery {
            step: self.step,
            levels: self.levels,
            components: self.components,
            as_of: self.as_of,
            version: self.model_version,
            alias: self.alias,
            ..ForecastQuery::new(self.series, range)
        }
    }
}

/// Asks and prints.
pub(crate) async fn run(
    args: Args,
    client: &Client,
    terminal: &Terminal,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let output = args.output;
    let forecast = client.forecast(&args.query()).await?;
    match output {
        Output::Chart => {
            for line in chart::lines(&forecast, terminal) {
                writeln!(out, "{line}")?;
            }
        }
        Output::Table => table(&forecast, out)?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut *out, &ForecastView::from(&forecast))?;
            writeln!(out)?;
        }
        Output::Csv => csv::print(&forecast, out)?,
    }
    Ok(())
}

/// One row for each point. The number of columns is only known here, so the cells are joined by hand.
fn table(forecast: &Forecast, out: &mut impl Write) -> Result<(), Failure> {
    let zone = zone(&forecast.time_zone);
    let mut names = vec!["yhat".to_owned()];
    let mut columns: Vec<&[f64]> = vec![&forecast.yhat];
    if !forecast.trend.is_empty() {
        names.push("trend".to_owned());
        columns.push(&forecast.trend);
    }
    for component in &forecast.components {
        names.push(component.name.clone());
        columns.push(&component.values);
    }
    for quantile in &forecast.quantiles {
        names.push(format!("q{}", quantile.level));
        columns.push(&quantile.values);
    }
    let heads: Vec<String> = names.iter().map(|name| format!("{name:>14}")).collect();
    let unit = forecast.unit.as_deref().unwrap_or("1");
    let mut table = Table::new([
        &format!("time ({})", forecast.time_zone),
        &heads.join(" "),
        &format!("[{unit}]"),
    ]);
    for (row, time) in forecast.times().enumerate() {
        let cells: Vec<String> = columns
            .iter()
            .map(|values| format!("{:>14.6}", values[row]))
            .collect();
        table.push([
            formatted(time, &zone, "%Y-%m-%d %H:%M:%S"),
            cells.join(" "),
            String::new(),
        ]);
    }
    table.print(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn query(flags: &[&str]) -> Result<ForecastQuery, clap::Error> {
        let line = ["forecast", "web"].iter().chain(flags);
        Alone::try_parse_from(line).map(|alone| alone.args.query())
    }

    #[test]
    fn tomorrow_is_the_default() {
        assert_eq!(
            query(&[]).unwrap(),
            ForecastQuery::new("web", Range::Window(Window::NextDay))
        );
    }

    #[test]
    fn every_range_can_be_said_but_only_one() {
        assert_eq!(
            query(&["--horizon", "6h"]).unwrap().range,
            Range::Horizon(Duration::from_secs(21_600))
        );
        assert_eq!(
            query(&["--window", "next-month"]).unwrap().range,
            Range::Window(Window::NextMonth)
        );
        let between = query(&["--start", "2026-01-01", "--end", "2026-01-02"]).unwrap();
        assert!(matches!(between.range, Range::Between { start, end } if start < end));
        for bad in [
            &["--start", "2026-01-01"][..],
            &["--horizon", "6h", "--window", "next-day"],
            &[
                "--horizon",
                "6h",
                "--start",
                "2026-01-01",
                "--end",
                "2026-01-02",
            ],
            &["--levels", "0.5,1.5"],
            &["--horizon", "-6h"],
        ] {
            assert!(query(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn levels_are_a_list() {
        assert_eq!(query(&["--levels", "0.1,0.9"]).unwrap().levels, [0.1, 0.9]);
    }

    #[test]
    fn a_table_has_a_row_for_each_point() {
        let mut out = Vec::new();
        table(&crate::cli::show::tests::forecast(vec![1.0, 2.5]), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.contains("2026-10-08 00:05:00        2.500000"),
            "{text}"
        );
    }
}
