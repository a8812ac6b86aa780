//! What every scene needs: the trainer as a process, a server in this one, free ports, tools.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};

use clap::Parser as _;
use loadcast_client::Client;
use loadcast_server::app::App;
use loadcast_server::clock::Clock;
use loadcast_server::config::Config;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server on the wall clock that stops when it is dropped.
pub(crate) struct Server {
    addr: SocketAddr,
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
        let app = App::bind(config, Clock::system()).await.unwrap();
        let addr = app.grpc_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(async move { app.serve(async { drop(stopped.await) }).await.unwrap() });
        Self {
            addr,
            folder,
            _stop: stop,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// How many versions there are in its registry.
    pub(crate) fn versions(&self) -> usize {
        let series = fs::read_dir(self.folder.path().join("state/registry/models"));
        let versions = series.unwrap().flat_map(|series| {
            let versions = series.unwrap().path().join("versions");
            fs::read_dir(versions).unwrap()
        });
        versions.count()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url()).unwrap()
    }
}

/// The trainer with these arguments and variables beside those of this process.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"));
    command.args(arguments).envs(variables.iter().copied());
    command
}

/// Runs it, off the threads that serve.
pub(crate) async fn trainer(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(arguments, variables);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// Runs it; it must end well. What it printed, shown with the command line.
pub(crate) async fn done(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = trainer(arguments, variables).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {told}");
    let printed = String::from_utf8(output.stdout).unwrap();
    println!(
        "$ loadcast-trainer {}\n{printed}{told}",
        arguments.join(" ")
    );
    printed
}

/// Runs it; it must be refused. What it said.
pub(crate) async fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = trainer(arguments, variables).await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
    told
}
