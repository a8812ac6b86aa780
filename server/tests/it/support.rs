//! A server in this process, models to push at it, and the binary as a process.

// Shared by two test binaries, each of which uses a part.
#![allow(dead_code)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::Parser as _;
use jiff::Timestamp;
use loadcast_client::{Client, Push, SeriesInfo, Verdict};
use loadcast_model::{
    artifact::{METADATA_SCHEMA, Metadata, encode_model_pr, sha256_hex},
    fit::fit,
    history::History,
    series::{Series, SeriesName},
    spec::Spec,
};
use loadcast_server::{
    app::App,
    cache::Cache,
    clock::{Clock, ClockSetter},
    config::Config,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// The instant at which test clocks stand.
pub(crate) const NOW: &str = "2026-11-24T12:00:00Z";

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A server that stops when it is dropped.
pub(crate) struct TestServer {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) clock: ClockSetter,
    pub(crate) folder: TempDir,
    pub(crate) cache: Arc<Cache>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl TestServer {
    /// A server with everything of its own.
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// The same with its files in memory, where an fsync takes no time, for a test that swaps behind the registry's back:
    /// it is not asked within any test's time.
    pub(crate) async fn start_quick() -> Self {
        Self::start_polling(quick_folder(), "1h").await
    }

    /// A server whose state and registry lie in `folder`.
    pub(crate) async fn start_in(folder: TempDir) -> Self {
        Self::start_polling(folder, "100ms").await
    }

    pub(crate) async fn start_polling(folder: TempDir, poll_interval: &str) -> Self {
        Self::start_with(folder, &[&format!("--poll-interval={poll_interval}")]).await
    }

    /// A server whose state lies in `folder`, with `flags`.
    pub(crate) async fn start_with(folder: TempDir, flags: &[&str]) -> Self {
        let state = folder.path().join("state");
        let own = [
            "loadcast-server",
            "--grpc-addr=127.0.0.1:0",
            "--http-addr=127.0.0.1:0",
            "--drain-deadline=2s",
            &format!("--state-dir={}", state.display()),
        ];
        let config = Config::parse_from(own.iter().chain(flags));
        let (clock, setter) = Clock::set_at(now());
        let app = App::bind(config, clock).await.unwrap();
        let (grpc, http) = (app.grpc_addr(), app.http_addr());
        let cache = Arc::clone(app.cache());
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(async move {
            app.serve(async { drop(stopped.await) }).await.unwrap();
        });
        Self {
            grpc,
            http,
            clock: setter,
            folder,
            cache,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// The count that /metrics has under `name`, labels and all.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let url = format!("http://{}/metrics", self.http);
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        let value = value.unwrap_or_else(|| panic!("no {name} in {text}"));
        value.trim().parse().unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.grpc)).unwrap()
    }

    pub(crate) async fn channel(&self) -> tonic::transport::Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.grpc));
        endpoint.unwrap().connect().await.unwrap()
    }

    /// Stops it and gives its folder back.
    pub(crate) async fn stop(mut self) -> TempDir {
        drop(self.stop.take());
        self.serving.take().unwrap().await.unwrap();
        let Self { folder, cache, .. } = self;
        // The last of the server: with it goes the lock on the folder.
        drop(cache);
        folder
    }
}

/// A temporary folder in memory, where the system has such.
pub(crate) fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The bytes of a model whose forecast is `level`, everywhere.
pub(crate) fn constant_model(level: f64) -> Vec<u8> {
    let end = now().as_second();
    let ds: Vec<i64> = (0..600).map(|i| end - (600 - i) * 300).collect();
    let history = History::new(ds, vec![level; 600]).unwrap();
    encode_model_pr(&fit(&Spec::default(), &history).unwrap().model).unwrap()
}

/// What loadcast.json says of a constant model with these bytes.
pub(crate) fn metadata(series: &SeriesName, model_pr: &[u8]) -> Metadata {
    Metadata {
        schema: METADATA_SCHEMA,
        sha256: sha256_hex(model_pr),
        size_bytes: model_pr.len() as u64,
        series: Series {
            step_seconds: 300,
            ..Series::new(series.clone())
        },
        cutoff: now(),
        trained_at: now(),
        rows: 600,
        scores: None,
        trainer_version: "test".to_owned(),
        data_sha256: String::new(),
        spec: None,
        verdict: None,
        clamps: None,
        band_calibration: None,
        correction: None,
        peak: None,
    }
}

/// A push of a model of values that swing around 10 without a pattern, as champion.
pub(crate) fn noisy(series: &str) -> Push {
    let end = now().as_second();
    let ds: Vec<i64> = (0..600).map(|i| end - (600 - i) * 300).collect();
    let y = (1..=600).map(|i| 10.0 + (f64::from(i * i) * 0.618_034).sin());
    let history = History::new(ds, y.collect()).unwrap();
    Push {
        model_pr: encode_model_pr(&fit(&Spec::default(), &history).unwrap().model)
            .unwrap()
            .into(),
        ..push(series, 10.0)
    }
}

/// A push of [`constant_model`] as champion.
pub(crate) fn push(series: &str, level: f64) -> Push {
    Push {
        series: SeriesInfo {
            name: series.to_owned(),
            labels: [("namespace".to_owned(), "test".to_owned())].into(),
            unit: Some("cores".to_owned()),
            step: Duration::from_secs(300),
            time_zone: "UTC".to_owned(),
            zero_means: None,
            predecessor: None,
        },
        model_pr: constant_model(level).into(),
        idempotency_key: format!("{series}-{level}"),
        alias: Some("champion".to_owned()),
        expected_version: None,
        verdict: Verdict::Promote,
        scores: None,
        cutoff: now(),
        trained_at: now(),
        rows: 600,
        trainer_version: "test".to_owned(),
        data_sha256: "0".repeat(64),
        spec_json: String::new(),
        clamps: None,
        activate_at: None,
        tags: Default::default(),
        band_calibration_json: None,
        correction_json: None,
        peak_json: None,
        attachments: Vec::new(),
    }
}

/// The release of the server as a process of its own; killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) grpc: String,
}

impl Process {
    /// Starts the binary on port 0, with a registry in its memory, and waits until it listens.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::spawn(command(folder))
    }

    /// The same at `grpc`, where another one has been.
    pub(crate) fn start_at(folder: &Path, grpc: &str) -> Self {
        let mut command = command_at(folder, grpc);
        command.arg("--registry=memory:");
        Self::spawn(command)
    }

    /// The same with a registry in `folder`, which outlives it.
    pub(crate) fn start_durable(folder: &Path) -> Self {
        Self::spawn(durable_command(folder))
    }

    /// The same with `flags` and environment `variables`; its registry is among the flags.
    pub(crate) fn start_with(folder: &Path, flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = durable_command(folder);
        command.args(flags).envs(variables.iter().copied());
        Self::spawn(command)
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let grpc = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("grpc="))
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        assert!(
            line.starts_with("loadcast-server listening grpc="),
            "{line}"
        );
        Self { child, grpc }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.grpc)).unwrap()
    }

    /// SIGTERM, and waits until it has drained, which must be well.
    pub(crate) fn terminate(mut self) {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").arg(pid).status().unwrap();
        assert!(kill.success());
        assert!(self.child.wait().unwrap().success());
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, with a registry that is gone with the process: what it serves after a restart it has from its state.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = durable_command(folder);
    command.arg("--registry=memory:");
    command
}

/// An address of its own: no connection of another test leaves from it, and so none takes a port that a server comes back
/// to.
const LOOPBACK: &str = "127.0.0.77:0";

/// The binary, with its registry inside its state directory.
fn durable_command(folder: &Path) -> Command {
    command_at(folder, LOOPBACK)
}

/// The same on a port of its gRPC that is found again after a restart.
pub(crate) fn command_at(folder: &Path, grpc: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadcast-server"));
    command.arg(format!("--grpc-addr={grpc}"));
    command.arg("--http-addr=127.0.0.1:0");
    command.arg(format!("--state-dir={}", folder.join("state").display()));
    command
}

/// Every file below `folder` that a killed writer would leave half-written.
pub(crate) fn staged_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(staged_files(&path));
        } else if path.to_string_lossy().contains('#')
            || path.extension().is_some_and(|e| e == "new")
        {
            found.push(path.display().to_string());
        }
    }
    found
}
