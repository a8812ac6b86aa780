//! `loadcast top`: what every series will do next, and whether that can be trusted, on one screen.

mod look;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::io::Write;
use std::time::Duration;

use clap::ValueEnum;
use futures::TryStreamExt;
use jiff::Timestamp;
use loadcast_client::{BatchItem, BatchQuery, Client, Error, Range, Selector};

use crate::cli::ansi;
use crate::cli::args::{duration, level};
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::top::look::{Look, Sort};

/// What to look at, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of series; none: all
    series: Vec<String>,

    /// Only series whose labels match: namespace=shop,signal!=memory
    #[arg(long, short = 'l', env = "LOADCAST_LABEL_SELECTOR", default_value = "")]
    label_selector: String,

    /// How far to look ahead
    #[arg(long, env = "LOADCAST_HORIZON", value_name = "DURATION", value_parser = duration, default_value = "1h")]
    horizon: Duration,

    /// The quantile whose highest value is shown
    #[arg(long, env = "LOADCAST_LEVEL", value_name = "LEVEL", value_parser = level, default_value = "0.9")]
    level: f64,

    /// How often to look
    #[arg(long, env = "LOADCAST_INTERVAL", value_name = "DURATION", value_parser = duration, default_value = "2s")]
    interval: Duration,

    /// What stands first
    #[arg(long, env = "LOADCAST_SORT", value_enum, default_value = "attention")]
    sort: Sort,

    /// Look once, print, and end; so it does where the output is no terminal
    #[arg(long, env = "LOADCAST_ONCE")]
    once: bool,

    /// How to show it
    #[arg(
        long,
        short,
        env = "LOADCAST_OUTPUT",
        value_enum,
        default_value = "table"
    )]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One row a series, for people
    Table,
    /// One object a look: a line each, or with --once one for people too
    Json,
}

/// Looks until it is told to end.
pub(crate) async fn run(
    args: Args,
    client: &Client,
    terminal: &Terminal,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match (args.output, args.once) {
        (Output::Json, true) => {
            serde_json::to_writer_pretty(&mut *out, &look(&args, client).await?.to_json())?;
            writeln!(out)?;
        }
        (Output::Json, false) => loop {
            serde_json::to_writer(&mut *out, &look(&args, client).await?.to_json())?;
            writeln!(out)?;
            out.flush()?;
            tokio::time::sleep(args.interval).await;
        },
        (Output::Table, false) if terminal.interactive => {
            screen::run(&args, client, terminal).await?;
        }
        (Output::Table, _) => {
            let look = look(&args, client).await?.sorted(args.sort);
            let buffer = view::whole(&look, terminal.columns);
            for line in ansi::lines(&buffer, terminal.colour) {
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}

/// Asks for models and forecasts once. What is known of a series that cannot answer is shown as well.
async fn look(args: &Args, client: &Client) -> Result<Look, Error> {
    let selector = Selector {
        names: args.series.clone(),
        label_selector: args.label_selector.clone(),
    };
    let query = BatchQuery {
        levels: vec![args.level],
        ..BatchQuery::new(selector.clone(), Range::Horizon(args.horizon))
    };
    let models = client.models(&selector).await?;
    let items = client.batch_get_forecasts(query).await?;
    let items: Vec<BatchItem> = items.try_collect().await?;
    Ok(Look::new(
        client.addr(),
        Timestamp::now(),
        args.horizon,
        args.level,
        models,
        items,
    ))
}
