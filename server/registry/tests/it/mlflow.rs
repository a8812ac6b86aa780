//! MLflow: real servers from PyPI, on SQLite and a folder.

use std::{fs, path::PathBuf, sync::OnceLock, time::Duration};

use loadcast_components::{
    minio::{self, Minio},
    process::Process,
    tools::{free_port, tool},
};
use loadcast_registry::{environment::Environment, open::open_with, registry::Registry};

/// First start on a busy machine: imports and sixty migrations.
const PATIENCE: Duration = Duration::from_secs(240);

/// A running MLflow.
#[derive(Debug)]
pub(crate) struct Mlflow {
    /// `http://HOST:PORT`
    pub(crate) url: String,
    process: Process,
}

/// The MLflow 3 of this test binary; `None` where it is not installed.
pub(crate) fn mlflow() -> Option<&'static Mlflow> {
    static MLFLOW: OnceLock<Option<Mlflow>> = OnceLock::new();
    MLFLOW
        .get_or_init(|| start(tool("MLflow 3", "python/bin/mlflow", "Python")?))
        .as_ref()
}

/// The MLflow 2 of this test binary; `None` where it is not installed.
pub(crate) fn mlflow_2() -> Option<&'static Mlflow> {
    static MLFLOW: OnceLock<Option<Mlflow>> = OnceLock::new();
    MLFLOW
        .get_or_init(|| start(tool("MLflow 2", "python-mlflow2/bin/mlflow", "Python")?))
        .as_ref()
}

fn start(program: PathBuf) -> Option<Mlflow> {
    let port = free_port();
    let environment = [
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
        ("DO_NOT_TRACK", "true"),
    ];
    let mut process = Process::start("mlflow", &environment, |folder| {
        let artifacts = folder.join("artifacts");
        fs::create_dir(&artifacts).unwrap();
        vec![
            program.into_os_string(),
            "server".into(),
            "--host=127.0.0.1".into(),
            format!("--port={port}").into(),
            "--workers=1".into(),
            format!(
                "--backend-store-uri=sqlite:///{}/mlflow.db",
                folder.display()
            )
            .into(),
            format!("--artifacts-destination={}", artifacts.display()).into(),
        ]
    });
    process.wait_for(port, "/health", PATIENCE);
    Some(Mlflow {
        url: format!("http://127.0.0.1:{port}"),
        process,
    })
}

impl Mlflow {
    /// A registry on it.
    pub(crate) fn open(&self) -> std::sync::Arc<dyn Registry> {
        open_at(&self.url, &Environment::default())
    }

    /// Runs Python with MLflow's own client and none of our code; returns what it printed.
    pub(crate) async fn python(&self, script: &str, arguments: &[&str]) -> String {
        let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut command = tokio::process::Command::new(here.join("../../.tools/python/bin/python"));
        command
            .arg(here.join("tests/it").join(script))
            .args(arguments)
            .env("MLFLOW_TRACKING_URI", &self.url)
            .env("MLFLOW_DISABLE_TELEMETRY", "true");
        let output = tokio::time::timeout(PATIENCE, command.output());
        let output = output.await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A registry on it that writes to an experiment of its own, whose artifacts lie directly on `minio`.
    pub(crate) async fn open_on(&self, minio: &Minio) -> std::sync::Arc<dyn Registry> {
        let location = format!("s3://{}/mlflow", minio::BUCKET);
        let experiment = serde_json::json!({"name": "on-minio", "artifact_location": location});
        self.post("experiments/create", &experiment).await;
        let variables = minio.variables().into_iter();
        let variables = variables.chain([("MLFLOW_EXPERIMENT_NAME", "on-minio")]);
        let environment = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        open_at(&self.url, &environment)
    }

    /// What a person or Python would do: one REST call, which must succeed.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        self.call(reqwest::Method::POST, path, body).await
    }

    pub(crate) async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        body: &serde_json::Value,
    ) -> serde_json::Value {
        let url = format!("{}/api/2.0/mlflow/{path}", self.url);
        let request = client().request(method, url).body(body.to_string());
        let sent = request.header("content-type", "application/json").send();
        let answered = sent.await.unwrap();
        let status = answered.status();
        let text = answered.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The folder that MLflow serves artifacts from.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.process.folder.join("artifacts")
    }
}

/// A registry on the MLflow at `url`.
pub(crate) fn open_at(url: &str, environment: &Environment) -> std::sync::Arc<dyn Registry> {
    open_with(&format!("mlflow+{url}"), environment).unwrap()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}
