//! MLflow 3: a real server from PyPI, on SQLite and a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use loadcast_components::{
    process::Process,
    tools::{free_port, tool},
};
use loadcast_registry::{environment::Environment, open::open_with, registry::Registry};
use reqwest::Method;
use serde_json::Value;
use tempfile::TempDir;

/// First start on a busy machine: imports and sixty migrations.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running MLflow.
pub(crate) struct Mlflow {
    /// `http://HOST:PORT`
    pub(crate) url: String,
    port: u16,
    /// Of one whose files outlive its process.
    folder: Option<Arc<TempDir>>,
    _process: Process,
}

/// The MLflow of this test binary; `None`, with the reason said, where it is not installed. Nothing drops it, so its files
/// are in the folder of its process, which goes with that.
pub(crate) fn mlflow() -> Option<&'static Mlflow> {
    static MLFLOW: OnceLock<Option<Mlflow>> = OnceLock::new();
    MLFLOW
        .get_or_init(|| installed().then(|| Mlflow::run(None, free_port())))
        .as_ref()
}

impl Mlflow {
    /// One of its own, which may be killed and started again; `None` as [`mlflow`].
    pub(crate) fn start() -> Option<Self> {
        let folder = || Some(Arc::new(tempfile::tempdir().unwrap()));
        installed().then(|| Self::run(folder(), free_port()))
    }

    fn run(folder: Option<Arc<TempDir>>, port: u16) -> Self {
        let environment = [
            ("MLFLOW_DISABLE_TELEMETRY", "true"),
            ("DO_NOT_TRACK", "true"),
            // Its webhooks may come to us, unencrypted and on this machine.
            ("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http"),
            ("_MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http"),
            ("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true"),
            ("_MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true"),
            ("MLFLOW_WEBHOOK_CACHE_TTL", "0"),
        ];
        let mut process = Process::start("mlflow", &environment, |own| {
            let root = folder.as_ref().map_or(own, |folder| folder.path());
            fs::create_dir_all(root.join("artifacts")).unwrap();
            let root = root.display();
            vec![
                tools().join("mlflow").into_os_string(),
                "server".into(),
                "--host=127.0.0.1".into(),
                format!("--port={port}").into(),
                "--workers=1".into(),
                format!("--backend-store-uri=sqlite:///{root}/mlflow.db").into(),
                format!("--artifacts-destination={root}/artifacts").into(),
            ]
        });
        process.wait_for(port, "/health", PATIENCE);
        Self {
            url: format!("http://127.0.0.1:{port}"),
            port,
            folder,
            _process: process,
        }
    }

    /// Kills it; what is returned starts it again, with the same files on the same port.
    pub(crate) fn kill(self) -> impl FnOnce() -> Self {
        let Self { port, folder, .. } = self;
        move || Self::run(folder, port)
    }

    /// The folder that it serves artifacts from; of one that may be started again.
    pub(crate) fn artifacts(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("its files outlive it");
        folder.path().join("artifacts")
    }

    /// A registry on it.
    pub(crate) fn open(&self) -> Arc<dyn Registry> {
        open_with(&format!("mlflow+{}", self.url), &Environment::default()).unwrap()
    }

    /// One REST call, which must succeed.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/2.0/mlflow/{path}", self.url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, url).body(body.to_string());
        let sent = request.header("content-type", "application/json").send();
        let answered = sent.await.unwrap();
        let status = answered.status();
        let text = answered.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Runs Python with MLflow's own client and none of our code; returns what it printed.
    pub(crate) async fn python(&self, arguments: &[&str]) -> String {
        self.python_at(&self.url, arguments).await
    }

    /// The same by way of `url`.
    pub(crate) async fn python_at(&self, url: &str, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mlflow/stranger.py");
        let mut command = tokio::process::Command::new(tools().join("python"));
        command
            .arg(script)
            .args(arguments)
            .env("MLFLOW_TRACKING_URI", url)
            .env("MLFLOW_DISABLE_TELEMETRY", "true");
        let output = tokio::time::timeout(PATIENCE, command.output());
        let output = output.await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn installed() -> bool {
    tool("MLflow 3", "python/bin/mlflow", "Python").is_some()
}

/// The folder of the pinned Python's programs.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python/bin")
}
