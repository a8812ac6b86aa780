//! A server in this process, rows to train on, and the trainer as a process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser as _;
use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_server::app::App;
use loadcast_server::clock::Clock;
use loadcast_server::config::Config;
use loadcast_trainer::console::Console;
use loadcast_trainer::error::Error;
use loadcast_trainer::fleet;
use loadcast_trainer::pipeline::Plan;
use loadcast_trainer::report::RunReport;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The last generated row, and the instant at which the server's clock stands.
pub(crate) const NOW: &str = "2026-01-31T12:00:00Z";

/// A server that stops when it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse_from([
            "loadcast-server",
            "--grpc-addr=127.0.0.1:0",
            "--http-addr=127.0.0.1:0",
            &format!("--state-dir={}", folder.path().join("state").display()),
        ]);
        let (clock, _) = Clock::set_at(NOW.parse().unwrap());
        let app = App::bind(config, clock).await.unwrap();
        let addr = app.grpc_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move { app.serve(async { drop(stopped.await) }).await.unwrap() });
        Self {
            addr,
            folder,
            _stop: stop,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.addr)).unwrap()
    }

    /// The MLflow folder of a registered version.
    pub(crate) fn artifact(&self, series: &str, version: u64) -> PathBuf {
        let models = self.folder.path().join("state/registry/models");
        models
            .join(series)
            .join("versions")
            .join(version.to_string())
    }
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
