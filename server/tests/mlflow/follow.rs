//! A Python process with none of our code logs, registers and moves; a running server follows.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use loadcast_client::{ForecastQuery, Range};

use crate::{
    real::{Mlflow, mlflow},
    scene::{Load, make, until},
    support::TestServer,
};

async fn shared() -> Option<&'static Mlflow> {
    tokio::task::spawn_blocking(mlflow).await.unwrap()
}

async fn follow(mlflow: &Mlflow, flags: &[&str]) -> TestServer {
    let registry = format!("--registry=mlflow+{}", mlflow.url);
    let flags = [flags, &[&registry]].concat();
    TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await
}

async fn level(server: &TestServer, series: &str) -> f64 {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let query = ForecastQuery::new(series, hour);
    server.client().forecast(&query).await.unwrap().yhat[0]
}

/// How long ago it was when Python printed VERSION TIME, after what MLflow prints.
fn since(printed: &str) -> (u64, Duration) {
    let line = printed.lines().last().unwrap_or_default();
    let (version, time) = line.split_once(' ').unwrap();
    let then = Duration::from_secs_f64(time.parse().unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    (version.parse().unwrap(), now.saturating_sub(then))
}

/// Python makes version 1 and, under load, version 2 by `how`; each is served, and how long after is told.
async fn a_stranger_moves(how: &str, name: &str) {
    let Some(mlflow) = shared().await else { return };
    mlflow.python(&[how, name, "3"]).await;
    let server = follow(mlflow, &["--poll-interval=1s"]).await;
    until(&server, name, 1).await;
    assert!((level(&server, name).await - 3.0).abs() < 0.01);
    let load = Load::start(&server, &[name]);
    let printed = mlflow.python(&[how, name, "7"]).await;
    until(&server, name, 2).await;
    let (version, took) = since(&printed);
    assert_eq!(version, 2);
    assert!((level(&server, name).await - 7.0).abs() < 0.01);
    let asked = load.end().await;
    assert!(asked > 100, "{asked}");
    println!(
        "{how}: served {took:?} after Python moved it, polling every second; {asked} forecasts, none failed"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_model_that_python_logs_and_aliases_is_served_and_no_forecast_fails() {
    a_stranger_moves("champion", "stranger.alias").await;
}

#[tokio::test]
async fn a_model_that_python_moves_to_production_is_served_and_no_forecast_fails() {
    a_stranger_moves("production", "stranger.stage").await;
}

#[tokio::test]
async fn mlflow_s_own_webhook_is_followed_though_the_next_poll_is_an_hour_away_and_others_are_refused()
 {
    let Some(mlflow) = shared().await else { return };
    let registry = mlflow.open();
    let name = "stranger.hook";
    for version in 1..=2 {
        make(&*registry, name, version).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "between us\n").unwrap();
    let flag = format!("--webhook-secret-file={}", secret.display());
    let server = follow(mlflow, &["--poll-interval=1h", &flag]).await;
    until(&server, name, 2).await;
    // The clock of a test server stands; MLflow's does not.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = jiff::Timestamp::from_second(now.as_secs() as i64).unwrap();
    server.clock.set(now);
    let url = format!("http://{}/webhooks/mlflow", server.http);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let refused = client.post(&url).body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let long = client
        .post(&url)
        .body(vec![b' '; 100_000])
        .send()
        .await
        .unwrap();
    assert_eq!(long.status(), 413);
    mlflow.python(&["webhook", &url, "between us"]).await;
    let printed = mlflow.python(&["move", name, "1"]).await;
    until(&server, name, 1).await;
    let (_, took) = since(&printed);
    println!("webhook: served {took:?} after Python moved the alias, polling every hour");
    server.stop().await;
}

#[tokio::test]
async fn without_a_secret_there_is_no_webhook() {
    let server = TestServer::start().await;
    let url = format!("http://{}/webhooks/mlflow", server.http);
    let answer = reqwest::Client::new().post(&url).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    server.stop().await;
}
