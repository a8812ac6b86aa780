//! Prometheus itself: promtool reads what is told, a Prometheus scrapes it, and takes it by remote write.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use jiff::Timestamp;
use loadcast_components::{
    process::Process,
    tools::{free_port, tool},
};
use serde_json::Value;

use crate::support::{TestServer, noisy};

/// A first start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs; `None` where they are not installed.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let prometheus = tool("Prometheus and forecasts", "bin/prometheus", "apt-get")?;
    Some((prometheus.with_file_name("promtool"), prometheus))
}

/// A running Prometheus that takes remote writes.
struct Prometheus {
    port: u16,
    _process: Process,
}

impl Prometheus {
    /// One that scrapes `targets`: HOST:PORT and path of each.
    async fn start(targets: &[(String, &str)]) -> Option<Self> {
        let (_, prometheus) = installed()?;
        let mut config =
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n".to_owned();
        for (i, (target, path)) in targets.iter().enumerate() {
            config += &format!(
                "- job_name: job{i}\n  metrics_path: {path}\n  static_configs:\n  - targets: ['{target}']\n"
            );
        }
        let port = free_port();
        let start = move || {
            let mut process = Process::start("prometheus", &[], |folder| {
                let file = folder.join("prometheus.yml");
                std::fs::write(&file, config).unwrap();
                vec![
                    prometheus.into_os_string(),
                    format!("--config.file={}", file.display()).into(),
                    format!("--storage.tsdb.path={}", folder.join("data").display()).into(),
                    format!("--web.listen-address=127.0.0.1:{port}").into(),
                    "--web.enable-remote-write-receiver".into(),
                    "--log.level=warn".into(),
                ]
            });
            process.wait_for(port, "/-/ready", PATIENCE);
            process
        };
        let process = tokio::task::spawn_blocking(start).await.unwrap();
        Some(Self {
            port,
            _process: process,
        })
    }

    /// Waits until `expression` is of something, and says of what.
    async fn sees(&self, expression: &str) -> Vec<Value> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let mut url = url::Url::parse(&base).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let seen = async {
            let mut every = tokio::time::interval(Duration::from_millis(200));
            loop {
                every.tick().await;
                let answer = client.get(url.clone()).send().await.unwrap();
                let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                match answer["data"]["result"].as_array() {
                    Some(result) if !result.is_empty() => return result.clone(),
                    _ => {}
                }
            }
        };
        let seen = tokio::time::timeout(PATIENCE, seen).await;
        seen.unwrap_or_else(|_| panic!("`{expression}` was never seen"))
    }
}

/// A server whose clock shows the present, as Prometheus's does, with a series.
async fn serving(flags: &[&str]) -> TestServer {
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), flags).await;
    push(&server).await;
    server
}

async fn push(server: &TestServer) {
    server.clock.set(Timestamp::now());
    let mut push = noisy("web.cpu");
    (push.cutoff, push.trained_at) = (Timestamp::now(), Timestamp::now());
    server.client().push(push).await.unwrap();
}

#[tokio::test]
async fn promtool_accepts_what_both_paths_tell() {
    let Some((promtool, _)) = installed() else {
        return;
    };
    // With a counter: one of the remote write that has nowhere to write to.
    let server = serving(&["--remote-write=http://127.0.0.1:9/write"]).await;
    for path in [
        "/metrics",
        "/metrics/forecasts",
        "/metrics/forecasts?lead=1h&level=0.01,0.5,0.99",
    ] {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}{path}", server.http)).send();
        let text = answer.await.unwrap().text().await.unwrap();
        assert!(text.contains("loadcast_"), "{text}");
        let mut check = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        check
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let output = check.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.is_empty(),
            "{path}: {told}\n{text}"
        );
    }
}

#[tokio::test]
async fn a_prometheus_scrapes_forecasts_and_the_servers_own_metrics() {
    if installed().is_none() {
        return;
    }
    let server = serving(&[]).await;
    let target = server.http.to_string();
    let targets = [(target.clone(), "/metrics/forecasts"), (target, "/metrics")];
    let prometheus = Prometheus::start(&targets).await.unwrap();
    let upper = r#"loadcast_forecast{series="web.cpu",lead="1h",ml_forecast="yhat_upper"}"#;
    let yhat = r#"loadcast_forecast{series="web.cpu",lead="1h",ml_forecast="yhat"}"#;
    // As a query would use it: the band lies above the point.
    let above = format!("{upper} > ignoring(ml_forecast, level) {yhat}");
    let seen = prometheus.sees(&above).await;
    assert_eq!(seen[0]["metric"]["namespace"], "test", "{seen:?}");
    prometheus.sees("loadcast_series_served == 1").await;
    prometheus.sees("up{job=\"job0\"} == 1").await;
}

#[tokio::test]
async fn a_prometheus_takes_forecasts_by_remote_write_and_what_is_stale_as_unavailable() {
    let Some(prometheus) = Prometheus::start(&[]).await else {
        return;
    };
    let url = format!(
        "--remote-write=http://127.0.0.1:{}/api/v1/write",
        prometheus.port
    );
    let server = serving(&[&url, "--remote-write-interval=500ms"]).await;
    let told = async {
        let yhat = r#"loadcast_forecast{series="web.cpu",ml_forecast="yhat"}"#;
        let seen = prometheus.sees(yhat).await;
        assert_eq!(seen.len(), 3, "one for each lead: {seen:?}");
        prometheus.sees("loadcast_forecast_available == 1").await;
        assert!(counted(&server, "samples_sent").await > 0.0);
        // A version that was trained too long ago: its forecasts end at once, not when Prometheus looks back no further.
        let mut old = noisy("web.cpu");
        old.idempotency_key = "old".to_owned();
        old.cutoff = Timestamp::now();
        old.trained_at = Timestamp::now() - Duration::from_secs(50 * 3_600);
        server.client().push(old).await.unwrap();
        let unavailable = r#"loadcast_forecast_available{reason="STALE_MODEL"} == 0"#;
        prometheus.sees(unavailable).await;
        prometheus.sees(&format!("absent({yhat})")).await;
        prometheus
            .sees("count(loadcast_forecast_available) == 1")
            .await;
    };
    // Two values of one instant are one too many: the server's clock goes as Prometheus's does.
    let ticking = async {
        loop {
            server.clock.set(Timestamp::now());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = told => {}
        () = ticking => {}
    }
}

pub(crate) async fn counted(server: &TestServer, what: &str) -> f64 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}/metrics", server.http)).send();
    let text = answer.await.unwrap().text().await.unwrap();
    let name = format!("loadcast_remote_write_{what}_total ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap()
}
