//! Many models on a real MLflow: 50 in `make test`, 1,000 in `make soak`.

use std::time::Instant;

use crate::{
    real::Mlflow,
    scene::{make, until},
    support::TestServer,
};
use loadcast_components::{proxy::Proxy, soak};

/// MLflow is asked for pages of so many models.
const PAGE: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn soak_many_models_are_served_from_cold_and_a_poll_is_the_pages_of_one_search() {
    let Some(mlflow) = tokio::task::spawn_blocking(Mlflow::start).await.unwrap() else {
        return;
    };
    let count: usize = if soak::wanted() { 1_000 } else { 50 };
    let names: Vec<String> = (0..count).map(|i| format!("many.{i:04}")).collect();
    let registry = mlflow.open();
    for name in &names {
        make(&*registry, name, 1).await;
    }
    let proxy = Proxy::start(&mlflow.url).await;
    let begun = Instant::now();
    let url = format!("--registry=mlflow+{}", proxy.url);
    let flags = ["--poll-interval=1h", &url];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    for name in &names {
        until(&server, name, 1).await;
    }
    println!(
        "{count} models served {:?} after the start, by {} requests",
        begun.elapsed(),
        proxy.requests()
    );

    let client = server.client();
    let before = proxy.requests();
    let begun = Instant::now();
    let report = client.refresh_models().await.unwrap();
    let took = begun.elapsed();
    let requests = proxy.requests() - before;
    println!("a poll of {count} models: {requests} requests, {took:?}");
    assert_eq!(report.aspired, count as u64);
    assert_eq!(report.loaded, 0);
    assert_eq!(requests, count.div_ceil(PAGE));

    let moved = &names[count / 2];
    make(&*registry, moved, 2).await;
    let begun = Instant::now();
    let report = client.refresh_models().await.unwrap();
    println!(
        "one alias moved: noticed and served {:?} after the poll began",
        begun.elapsed()
    );
    assert_eq!(report.loaded, 1);
    until(&server, moved, 2).await;

    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let before = proxy.requests();
    let arguments = [&["poll"], &names[..]].concat();
    let seconds = mlflow.python_at(&proxy.url, &arguments).await;
    println!(
        "Python's client, every alias once: {} requests, {} s",
        proxy.requests() - before,
        seconds.trim()
    );
    let before = proxy.requests();
    let seconds = mlflow.python_at(&proxy.url, &["load", moved]).await;
    println!(
        "Python's client, to load one model: {} requests, {} s",
        proxy.requests() - before,
        seconds.trim()
    );
    server.stop().await;
}
