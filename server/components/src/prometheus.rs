//! Prometheus and promtool, as Debian packages them, with history that promtool wrote.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::Process;
use crate::tools::{free_port, tool};

/// A first start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    /// Its root.
    pub url: String,
    _process: Process,
}

/// What is scraped, and how it is served.
#[derive(Debug, Default)]
pub struct Setting<'a> {
    /// OpenMetrics text that promtool makes blocks of.
    pub history: Option<&'a Path>,
    /// HOST:PORT whose /metrics is scraped every second.
    pub scrape: Option<String>,
    /// A web configuration: TLS and users.
    pub web: Option<&'a Path>,
}

/// Prometheus and promtool; `None` where they are not installed.
pub fn installed() -> Option<(PathBuf, PathBuf)> {
    let prometheus = tool("Prometheus", "bin/prometheus", "apt-get")?;
    Some((prometheus.with_file_name("promtool"), prometheus))
}

impl Prometheus {
    /// Starts one; `None` where it is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    pub fn start(setting: &Setting<'_>) -> Option<Self> {
        let (promtool, prometheus) = installed()?;
        let port = free_port();
        let mut process = Process::start("prometheus", &[], |folder| {
            let data = folder.join("data");
            if let Some(history) = setting.history {
                backfill(&promtool, history, &data);
            }
            let config = folder.join("prometheus.yml");
            std::fs::write(&config, config_of(setting)).unwrap();
            let mut command = vec![
                prometheus.into_os_string(),
                format!("--config.file={}", config.display()).into(),
                format!("--storage.tsdb.path={}", data.display()).into(),
                "--storage.tsdb.retention.time=90d".into(),
                format!("--web.listen-address=127.0.0.1:{port}").into(),
                "--log.level=warn".into(),
            ];
            if let Some(web) = setting.web {
                command.push(format!("--web.config.file={}", web.display()).into());
            }
            command
        });
        if setting.web.is_none() {
            process.wait_for(port, "/-/ready", PATIENCE);
        }
        let scheme = if setting.web.is_some() {
            "https"
        } else {
            "http"
        };
        Some(Self {
            url: format!("{scheme}://127.0.0.1:{port}"),
            _process: process,
        })
    }

    /// Waits until `expression` is true of something.
    ///
    /// # Panics
    /// When that does not happen for two minutes.
    pub async fn sees(&self, expression: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut url = url::Url::parse(&self.url)
            .unwrap()
            .join("api/v1/query")
            .unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let seen = async {
            let mut every = tokio::time::interval(Duration::from_millis(200));
            loop {
                every.tick().await;
                let answer = client.get(url.clone()).send().await.unwrap();
                let answer: serde_json::Value =
                    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                if answer["data"]["result"][0].is_object() {
                    return;
                }
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| panic!("`{expression}` was never seen"));
    }
}

fn config_of(setting: &Setting<'_>) -> String {
    let mut config = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n".to_owned();
    if let Some(target) = &setting.scrape {
        config += &format!(
            "scrape_configs:\n- job_name: live\n  static_configs:\n  - targets: ['{target}']\n"
        );
    }
    config
}

fn backfill(promtool: &Path, history: &Path, data: &Path) {
    let output = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "--quiet", "openmetrics"])
        .arg(history)
        .arg(data)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool: {told}");
}
