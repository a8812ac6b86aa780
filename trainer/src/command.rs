//! The command line: one file per command, each its flags and a thin way into the library.

pub mod backtest;
pub mod collect;
mod data;
mod declared;
pub mod fit;
pub mod forecast;
pub mod generate;
pub mod import;
mod judging;
mod method;
mod preparing;
mod pushing;
pub mod replay;
pub mod run;
pub mod serve;
pub mod stage;

use std::fmt;
use std::io::Write;

use clap::{Parser, Subcommand};
use jiff::Timestamp;

use crate::error::Error;

/// Turns rows of metrics into a validated forecast model and pushes it to a Loadcast server.
///
/// Every flag can also be given as an environment variable, LOADCAST_ and its name (--time-zone:
/// LOADCAST_TIME_ZONE). Results go to standard output, logs to standard error (RUST_LOG). Exit code
/// 0: done; 1: refused or failed, the reason on standard error; 2: wrong usage.
#[derive(Debug, Parser)]
#[command(
    name = "loadcast-trainer",
    version,
    propagate_version = true,
    subcommand_required = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one of it in the life of a process"
)]
enum Command {
    Generate(generate::Args),
    Collect(collect::Args),
    Run(run::Args),
    Serve(serve::Args),
    ValidateData(stage::validate_data::Args),
    Prepare(stage::prepare::Args),
    Train(stage::train::Args),
    ValidateModel(stage::validate_model::Args),
    Push(stage::push::Args),
    Fit(fit::Args),
    Forecast(forecast::Args),
    Backtest(backtest::Args),
    Replay(replay::Args),
    Import(import::Args),
}

/// Why a command failed: one error, or one for each series that did.
#[derive(Debug)]
pub struct Failures(Vec<Error>);

impl Cli {
    /// Runs the command as if it were `now`, its results written to `out`.
    ///
    /// # Errors
    /// Whatever made it fail; prints as the reason's line, then the remedy's.
    pub async fn run(self, now: Timestamp, out: &mut (dyn Write + Send)) -> Result<(), Failures> {
        match self.command {
            Command::Generate(args) => Ok(args.run(now, out)?),
            Command::Collect(args) => args.run(now, out).await,
            Command::Run(args) => args.run(now, out).await,
            Command::Serve(args) => Ok(args.run(out).await?),
            Command::ValidateData(args) => args.run(now, out).await,
            Command::Prepare(args) => args.run(out).await,
            Command::Train(args) => args.run(out).await,
            Command::ValidateModel(args) => args.run(now, out).await,
            Command::Push(args) => args.run(out).await,
            Command::Fit(args) => Ok(args.run(now, out).await?),
            Command::Forecast(args) => Ok(args.run(out).await?),
            Command::Backtest(args) => Ok(args.run(out).await?),
            Command::Replay(args) => Ok(args.run(out).await?),
            Command::Import(args) => Ok(args.run(now, out).await?),
        }
    }
}

impl Failures {
    /// The errors, in the order they happened.
    #[must_use]
    pub fn errors(&self) -> &[Error] {
        &self.0
    }
}

/// The end of a command: what failed, if anything did.
fn ended(failures: Vec<Error>) -> Result<(), Failures> {
    match failures.is_empty() {
        true => Ok(()),
        false => Err(Failures(failures)),
    }
}

/// Prints a result.
fn print(text: &str, out: &mut (dyn Write + Send)) -> crate::error::Result<()> {
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Error::output(format!("standard output: {error}"), "keep it open"))
}

impl From<Error> for Failures {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            write!(f, "{line_end}error: {error}\nremedy: {}", error.remedy())?;
        }
        Ok(())
    }
}
