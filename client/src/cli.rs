//! The command line: its flags, and what the process leaves behind (stdout: results; stderr: reasons; 0, 1 or 2).

mod ansi;
mod args;
mod axis;
mod chart;
mod completions;
mod csv;
mod failure;
mod forecast;
mod json;
mod keda;
mod local;
mod models;
mod push;
mod recommend;
mod show;
mod table;
mod terminal;
mod top;
mod units;
mod watch;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use loadcast_client::Client;
use tracing_subscriber::EnvFilter;

use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;

/// Forecasts of resource usage, the models behind them, and their changes as they happen.
#[derive(Debug, Parser)]
#[command(
    name = "loadcast",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Every flag can be set as LOADCAST_<FLAG>. Exit status: 0 done, 1 refused or failed, 2 usage."
)]
struct Cli {
    /// Address of the server
    #[arg(
        long,
        global = true,
        env = "LOADCAST_ADDR",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    addr: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forecast one series: as a chart, a table, JSON or CSV
    Forecast(forecast::Args),
    /// Requests and limits of CPU and memory for a window: as a table, JSON, or the patch to apply
    Recommend(recommend::Args),
    /// Follow models and forecasts as they change
    Watch(watch::Args),
    /// What every series will do next, and whether that can be trusted: the whole fleet on one screen
    Top(top::Args),
    /// What is served, and why
    #[command(subcommand)]
    Models(models::Command),
    /// What KEDA's triggers would be told
    #[command(subcommand)]
    Keda(keda::Command),
    /// Register a model that lies on disk, and serve it
    Push(push::Args),
    /// Print what a shell completes this command by
    Completions(completions::Args),
}

/// Parses, runs, and tells how it went. Usage errors end in clap with status 2.
pub(crate) async fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    let mut out = std::io::stdout().lock();
    let outcome = run(cli, &Terminal::from_env(), &mut out).await;
    match outcome.and_then(|()| out.flush().map_err(Failure::from)) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader had enough, as `head` does.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

async fn run(cli: Cli, terminal: &Terminal, out: &mut impl Write) -> Result<(), Failure> {
    let client = || Client::new(&cli.addr);
    match cli.command {
        Command::Forecast(args) => forecast::run(args, &client()?, terminal, out).await,
        Command::Recommend(args) => recommend::run(args, &client()?, terminal, out).await,
        Command::Keda(command) => keda::run(command, &client()?, terminal, out).await,
        Command::Watch(args) => watch::run(args, &client()?, terminal, out).await,
        Command::Top(args) => top::run(args, &client()?, terminal, out).await,
        Command::Models(command) => models::run(command, &client()?, out).await,
        Command::Push(args) => push::run(args, &client()?, out).await,
        Command::Completions(args) => completions::run(&args, Cli::command(), out),
    }
}

/// Warnings and worse on stderr; more with LOADCAST_LOG, such as `loadcast_client=debug`.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("LOADCAST_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // NO_COLOR it knows by itself.
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.with_ansi(false).init();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_environment_variable() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments() {
                let Some(flag) = arg.get_long() else { continue };
                if ["help", "version"].contains(&flag) {
                    continue;
                }
                let expected = format!("LOADCAST_{}", flag.to_uppercase().replace('-', "_"));
                assert_eq!(
                    arg.get_env().and_then(|name| name.to_str()),
                    Some(expected.as_str()),
                    "--{flag}"
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
