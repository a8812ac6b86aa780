//! `loadcast`: forecasts, models and their changes on the command line. Everything is in [`cli`].

mod cli;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    cli::main().await
}
