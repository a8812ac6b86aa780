//! The trainer's command line. Exit code 0: done; 1: refused or failed; 2: wrong usage.

use std::process::ExitCode;

use clap::Parser;
use jiff::Timestamp;
use loadcast_trainer::command::Cli;
use loadcast_trainer::telemetry;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init();
    match cli.run(Timestamp::now(), &mut std::io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failures) => {
            eprintln!("{failures}");
            ExitCode::FAILURE
        }
    }
}
