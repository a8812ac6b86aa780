//! A server in this process, rows to train on, and the trainer as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_server::clock::Clock;
use loadcast_trainer::console::Console;
use loadcast_trainer::error::Error;
use loadcast_trainer::fleet;
use loadcast_trainer::pipeline::Plan;
use loadcast_trainer::report::RunReport;

use crate::server::Server;

/// The last generated row, and the instant at which the server's clock stands.
pub(crate) const NOW: &str = "2026-01-31T12:00:00Z";

/// A server whose clock stands at [`NOW`].
pub(crate) async fn server() -> Server {
    let (clock, _) = Clock::set_at(NOW.parse().unwrap());
    Server::start(clock, &[]).await
}

/// Two weeks of generated rows that end at [`NOW`].
pub(crate) fn generated(folder: &Path) -> PathBuf {
    let path = folder.join("metrics.csv");
    let output = trainer(&[
        "generate",
        "--weeks",
        "2",
        "--end",
        NOW,
        "--output",
        path.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    path
}

/// A plan for the generated cpu column as series `web.cpu`.
pub(crate) fn plan(data: &Path) -> Plan {
    let mut plan = Plan::new(data.to_str().unwrap(), NOW.parse::<Timestamp>().unwrap());
    plan.series = vec!["web.cpu=cpu_mean_5m:cores".parse().unwrap()];
    plan
}

pub(crate) async fn try_run(plan: &Plan, client: Option<&Client>) -> (RunReport, Vec<Error>) {
    fleet::run(plan, client, &mut Console::new(&mut std::io::sink()))
        .await
        .unwrap()
}

pub(crate) async fn run(plan: &Plan, client: &Client) -> RunReport {
    let (report, failures) = try_run(plan, Some(client)).await;
    assert!(failures.is_empty(), "{failures:?}");
    report
}

/// Runs the binary; its environment is this process's.
pub(crate) fn trainer(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"))
        .args(args)
        .output()
        .unwrap()
}
