//! A server in this process, which several test binaries share: each uses a part.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser as _;
use loadcast_client::Client;
use loadcast_server::app::App;
use loadcast_server::clock::Clock;
use loadcast_server::config::Config;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server on free ports and its folder; it stops when it is dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// One that goes by `clock`, with `flags` beside its own.
    pub(crate) async fn start(clock: Clock, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = format!("--state-dir={}", folder.path().join("state").display());
        let own = [
            "loadcast-server",
            "--grpc-addr=127.0.0.1:0",
            "--http-addr=127.0.0.1:0",
            &state,
        ];
        let config = Config::parse_from(own.iter().chain(flags));
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

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url()).unwrap()
    }

    /// How many versions there are in its registry.
    pub(crate) fn versions(&self) -> usize {
        let series = fs::read_dir(self.models()).unwrap();
        let versions = series.flat_map(|series| {
            let versions = series.unwrap().path().join("versions");
            fs::read_dir(versions).unwrap()
        });
        versions.count()
    }

    /// The MLflow folder of a registered version.
    pub(crate) fn artifact(&self, series: &str, version: u64) -> PathBuf {
        let versions = self.models().join(series).join("versions");
        versions.join(version.to_string())
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("state/registry/models")
    }
}
