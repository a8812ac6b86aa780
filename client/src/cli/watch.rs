//! `loadcast watch`: two streams of one server, told in one order.

mod paint;
mod print;
mod session;
#[cfg(test)]
mod tests;

use std::future::pending;
use std::io::Write;
use std::time::Duration;

use clap::{ArgAction, ValueEnum};
use futures::StreamExt;
use loadcast_client::{Client, Selector, WatchQuery};
use tokio::time::{Instant, sleep_until};

use crate::cli::args::duration;
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;
use crate::cli::watch::print::Printer;
use crate::cli::watch::session::Session;

/// What to follow, and until when.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Names of series; none: all
    series: Vec<String>,

    /// Only series whose labels match: namespace=shop,signal!=memory
    #[arg(long, short = 'l', env = "LOADCAST_LABEL_SELECTOR", default_value = "")]
    label_selector: String,

    /// Forecasts as they change, beside the events of models
    #[arg(long, env = "LOADCAST_FORECASTS", action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, value_name = "BOOL")]
    forecasts: bool,

    /// How far the forecasts look ahead
    #[arg(long, env = "LOADCAST_HORIZON", value_name = "DURATION", value_parser = duration, default_value = "1h")]
    horizon: Duration,

    /// End after so many events, each new version's forecast included
    #[arg(long, env = "LOADCAST_UNTIL_EVENTS", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    until_events: Option<u64>,

    /// End after this long; with --until-events that is a failure
    #[arg(long, env = "LOADCAST_TIMEOUT", value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,

    /// How to show them
    #[arg(
        long,
        short,
        env = "LOADCAST_OUTPUT",
        value_enum,
        default_value = "text"
    )]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line for people
    Text,
    /// One object a line, with its type
    Json,
}

/// Follows until the end that was asked for, a final error, or a signal.
pub(crate) async fn run(
    args: Args,
    client: &Client,
    terminal: &Terminal,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let selector = Selector {
        names: args.series,
        label_selector: args.label_selector,
    };
    let mut models = client.watch_models(selector.clone());
    let mut forecasts = args
        .forecasts
        .then(|| client.watch_forecasts(WatchQuery::new(selector, args.horizon)));
    let deadline = args.timeout.map(|timeout| Instant::now() + timeout);
    let mut session = Session::new(args.forecasts);
    let mut printer = Printer::new(
        args.output == Output::Json,
        args.horizon,
        *terminal,
        out,
        std::io::stderr(),
    );

    while args
        .until_events
        .is_none_or(|wanted| !session.has_told(wanted))
    {
        let lines = tokio::select! {
            update = models.next() => match update {
                Some(update) => session.model(update?, models.token()),
                None => return Ok(()),
            },
            update = next_of(&mut forecasts) => match update {
                Some(update) => {
                    let token = forecasts.as_ref().and_then(|forecasts| forecasts.token());
                    session.forecast(update?, token)
                }
                None => return Ok(()),
            },
            () = until(session.overdue_at()) => session.release_overdue(Instant::now()),
            () = until(deadline) => {
                return match args.until_events {
                    Some(wanted) => Err(Failure::TooFewEvents {
                        seen: session.events(),
                        wanted,
                        owed: session.owed(),
                    }),
                    None => Ok(()),
                };
            }
        };
        for line in lines {
            printer.print(&line)?;
        }
    }
    Ok(())
}

async fn next_of<S: futures::Stream + Unpin>(stream: &mut Option<S>) -> Option<S::Item> {
    match stream {
        Some(stream) => stream.next().await,
        None => pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}
