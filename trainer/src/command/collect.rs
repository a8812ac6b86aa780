//! `loadcast-trainer collect`: history out of Prometheus, appended to a dataset.

use std::io::Write;

use clap::builder::NonEmptyStringValueParser;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use loadcast_model::catalog::{Entry, Source};

use super::{Failures, declared, ended};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::source::dataset::Writer;
use crate::source::location::Location;
use crate::source::supply;
use crate::stage::prepare_features::Preparation;
use crate::time::{floor_seconds, read_length, show_instant};
use loadcast_prometheus::client::Prometheus;
use loadcast_prometheus::flags;
use loadcast_prometheus::named;
use loadcast_prometheus::window::Window;

/// Append the history of a catalog's series to a dataset in a bucket or a folder, one Parquet file per series and month.
///
/// What is complete is not asked for again, so it may be run as often as one likes, and killed at any time. The newest
/// steps, two and at least ten minutes, are asked for again: samples arrive late. An entry that fails stops no other.
/// `run --data DATASET` trains on it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    declared: declared::Args,
    /// Spacing of the series of --promql [default: 5m]
    #[arg(long, env = "LOADCAST_STEP", value_parser = read_length, value_name = "DURATION", conflicts_with = "catalog")]
    step: Option<i64>,
    /// The dataset: a folder, or a place in a bucket (s3://BUCKET/PREFIX)
    #[arg(long, env = "LOADCAST_OUTPUT", value_parser = NonEmptyStringValueParser::new(), value_name = "PATH|URL")]
    output: String,
    #[command(flatten)]
    prometheus: flags::Args,
}

/// What was appended.
#[derive(Default)]
struct Tally {
    series: usize,
    new: usize,
    asked: usize,
}

impl Args {
    pub(super) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let prometheus = self
            .prometheus
            .connect()
            .map_err(Error::from)?
            .ok_or_else(|| {
                Error::settings(
                    "nobody to ask: --prometheus-url is missing",
                    "give --prometheus-url http://HOST:PORT",
                )
            })?;
        let catalog = self.declared.catalog(self.step).await?.ok_or_else(|| {
            Error::settings(
                "nothing to ask: neither --catalog nor --promql is given",
                "give --catalog FILE.toml, or --promql EXPRESSION with --name TEMPLATE",
            )
        })?;
        let mut writer = Writer::open(&Location::of(&self.output)?).await?;
        let mut console = Console::new(out);
        let max_train = Preparation::default().max_train_seconds;
        let mut entries = 0;
        let mut failures = Vec::new();
        for entry in &catalog.entries {
            let Source::Promql(expression) = &entry.source else {
                continue;
            };
            entries += 1;
            let history = self.declared.history;
            let history =
                history.unwrap_or_else(|| supply::history_seconds(Some(entry), max_train));
            let window = supply::window(entry, history, now);
            console.line(format!(
                "{} (every {} s until {})",
                entry.name,
                window.step,
                show_instant(window.until)
            ));
            let asking = Asking {
                entry,
                expression,
                window,
                now: floor_seconds(now),
            };
            match collect(asking, &prometheus, &mut writer, &mut console).await {
                Ok(tally) => console.line(format!(
                    "  {} series, {} new samples, {} chunks asked for",
                    tally.series, tally.new, tally.asked
                )),
                // The others are collected all the same: what is not asked for in time, Prometheus forgets.
                Err(error) => {
                    console.line(format!("  failed: {error}"));
                    failures.push(error.of_place(entry.name.as_str()));
                }
            }
        }
        if entries == 0 {
            return Err(Error::settings(
                "the catalog has no entry with promql",
                "a column of a table is not collected: give the table to `run` with --data",
            )
            .into());
        }
        ended(failures)
    }
}

/// What is asked, and when.
struct Asking<'a> {
    entry: &'a Entry,
    expression: &'a str,
    window: Window,
    now: i64,
}

async fn collect(
    asking: Asking<'_>,
    prometheus: &Prometheus,
    writer: &mut Writer,
    console: &mut Console<'_>,
) -> Result<Tally> {
    let Asking {
        entry,
        expression,
        window,
        now,
    } = asking;
    let mut appender = writer.entry(entry).await?;
    let mut tally = Tally::default();
    for missing in appender.missing(window) {
        let mut chunks = std::pin::pin!(prometheus.chunks(expression, missing).await?);
        while let Some((chunk, found)) = chunks.try_next().await? {
            let named = named::name(entry, found)?;
            let new = appender.append(chunk, named, now).await?;
            tally.asked += 1;
            tally.new += new;
            console.line(format!(
                "  {} to {}: {new} new samples",
                show_instant(chunk.from),
                show_instant(chunk.until)
            ));
        }
    }
    tally.series = appender.series();
    Ok(tally)
}
