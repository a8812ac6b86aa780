//! Pushes to servers on a real MLflow or a real bucket that are refused, race, or meet a registry that fails: answers with
//! a code and a reason, nothing half registered, and one version of one key.

use std::time::{Duration, Instant};

use futures::future::join_all;
use loadcast_client::{Client, Code, Error, ForecastQuery, Push, Pushed, Range};
use loadcast_model::series::SeriesName;
use reqwest::Method;
use serde_json::json;

use crate::{
    real::mlflow,
    scene::{PATIENCE, Scene, serve, until},
    support::{Process, TestServer, push},
};
use loadcast_components::{
    minio,
    proxy::{Fault, Proxy},
};

/// The code and the reason that a push was refused with, and the server's words.
pub(crate) fn refused(pushed: Result<Pushed, Error>) -> (Code, String, String) {
    match pushed {
        Err(Error::Refused {
            code,
            reason,
            message,
            retry_after,
            ..
        }) => {
            // Who may come back is told when.
            assert_eq!(
                retry_after.is_some(),
                code == Code::Unavailable,
                "{message}"
            );
            (code, reason, message)
        }
        other => panic!("not a refusal: {other:?}"),
    }
}

fn expecting(series: &str, level: f64, expected: u64) -> Push {
    Push {
        expected_version: Some(expected),
        ..push(series, level)
    }
}

async fn level(client: &Client, series: &str) -> f64 {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let query = ForecastQuery::new(series, hour);
    client.forecast(&query).await.unwrap().yhat[0]
}

impl Scene {
    async fn versions(&self, series: &str) -> Vec<u64> {
        let series: SeriesName = series.parse().unwrap();
        self.mlflow.open().versions(&series).await.unwrap()
    }

    async fn champion(&self, series: &str) -> Option<u64> {
        let series: SeriesName = series.parse().unwrap();
        let alias = self.mlflow.open();
        alias.alias(&series, "champion").await.unwrap()
    }
}

#[tokio::test]
async fn the_same_key_with_other_bytes_is_already_exists_and_changes_nothing() {
    let Some(scene) = Scene::start("reused").await else {
        return;
    };
    let client = scene.server.client();
    let first = push(&scene.a, 2.0);
    assert_eq!(client.push(first.clone()).await.unwrap().version, 2);
    let other = Push {
        idempotency_key: first.idempotency_key.clone(),
        ..push(&scene.a, 3.0)
    };
    let (code, reason, message) = refused(client.push(other).await);
    assert_eq!(code, Code::AlreadyExists, "{message}");
    assert_eq!(reason, "IDEMPOTENCY_KEY_REUSED");
    assert!(message.contains("version 2"), "{message}");
    let again = client.push(first).await.unwrap();
    assert_eq!((again.version, again.already_registered), (2, true));
    assert_eq!(scene.versions(&scene.a).await, [1, 2]);
    assert_eq!(scene.answer(&scene.a).await, 2);
    scene.end().await;
}

#[tokio::test]
async fn a_wrong_expected_version_is_aborted_with_the_one_that_is_there_and_registers_nothing() {
    let Some(scene) = Scene::start("expected").await else {
        return;
    };
    let client = scene.server.client();
    for expected in [0, 7] {
        let pushed = client.push(expecting(&scene.a, 2.0, expected)).await;
        let (code, reason, message) = refused(pushed);
        assert_eq!((code, reason.as_str()), (Code::Aborted, "ALIAS_MOVED"));
        assert!(message.contains("at version 1"), "{message}");
    }
    assert_eq!(scene.versions(&scene.a).await, [1]);
    assert_eq!(scene.answer(&scene.a).await, 1);
    let pushed = client.push(expecting(&scene.a, 2.0, 1)).await.unwrap();
    assert_eq!(pushed.version, 2);
    scene.end().await;
}

#[tokio::test]
async fn of_two_trainers_that_race_on_one_series_one_wins_and_the_other_is_told_who() {
    let Some(scene) = Scene::start("trainers").await else {
        return;
    };
    let (client, other) = (scene.server.client(), scene.server.client());
    let (one, two) = tokio::join!(
        client.push(expecting(&scene.a, 2.0, 1)),
        other.push(expecting(&scene.a, 3.0, 1)),
    );
    let (won, lost, served) = match (one, two) {
        (Ok(won), lost) => (won, lost, 2.0),
        (lost, Ok(won)) => (won, lost, 3.0),
        both => panic!("{both:?}"),
    };
    let (code, reason, message) = refused(lost);
    assert_eq!((code, reason.as_str()), (Code::Aborted, "ALIAS_MOVED"));
    let winner = format!("at version {}", won.version);
    assert!(message.contains(&winner), "{message}");
    assert_eq!(scene.versions(&scene.a).await, [1, 2]);
    assert_eq!(level(&client, &scene.a).await, served);
    scene.end().await;
}

/// Of MLflow no more is promised: it cannot compare and write in one step.
#[tokio::test]
async fn of_two_servers_on_one_mlflow_one_wins_both_serve_it_and_who_loses_is_aborted() {
    let Some(scene) = Scene::start("servers").await else {
        return;
    };
    let second = serve(&scene.proxy, tempfile::tempdir().unwrap()).await;
    until(&second, &scene.a, 1).await;
    let clients = [scene.server.client(), second.client()];
    let mut at = 1;
    for round in 1..=3 {
        let pushes = [0.25, 0.5].map(|half| expecting(&scene.a, f64::from(round) + half, at));
        let pushed = clients.iter().zip(pushes.clone());
        let pushed = join_all(pushed.map(|(client, push)| client.push(push))).await;
        let named = scene.champion(&scene.a).await.unwrap();
        let won = pushed.iter().flatten().any(|won| won.version == named);
        assert!(won, "{pushed:?}");
        for server in [&scene.server, &second] {
            until(server, &scene.a, named).await;
        }
        at = named;
        for ((pushed, client), push) in pushed.into_iter().zip(&clients).zip(pushes) {
            if pushed.is_ok() {
                continue;
            }
            let (code, reason, message) = refused(pushed);
            assert_eq!(code, Code::Aborted, "{message}");
            assert_eq!(reason, "ALIAS_MOVED");
            // Its trainer looks again, and pushes the same with what it saw.
            let expected_version = Some(at);
            let again = Push {
                expected_version,
                ..push
            };
            at = client.push(again).await.unwrap().version;
        }
        for server in [&scene.server, &second] {
            until(server, &scene.a, at).await;
        }
        let versions = scene.versions(&scene.a).await;
        assert_eq!(versions.len(), 1 + 2 * round as usize, "{versions:?}");
    }
    // What has long been moved is not taken for what it was.
    let (code, _, message) = refused(clients[1].push(expecting(&scene.a, 9.0, 1)).await);
    assert_eq!(code, Code::Aborted, "{message}");
    assert!(message.contains(&format!("at version {at}")), "{message}");
    second.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn of_two_servers_on_one_bucket_exactly_one_wins_and_the_other_is_aborted_with_its_version() {
    let Some(minio) = tokio::task::spawn_blocking(minio::minio).await.unwrap() else {
        return;
    };
    let registry = format!("--registry=s3://{}/servers", minio::BUCKET);
    let flags = ["--poll-interval=100ms", &registry];
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let servers = folders
        .each_ref()
        .map(|folder| Process::start_with(folder.path(), &flags, &minio.variables()));
    let clients = servers.each_ref().map(Process::client);
    let series = "servers.cpu";
    let mut at = 0;
    for round in 1..=5 {
        let pushes = [0.25, 0.5].map(|half| expecting(series, f64::from(round) + half, at));
        let pushed = clients.iter().zip(pushes.clone());
        let pushed = join_all(pushed.map(|(client, push)| client.push(push))).await;
        let [one, two] = <[_; 2]>::try_from(pushed).unwrap();
        let (won, lost, again, server) = match (one, two) {
            (Ok(won), lost) => (won, lost, &pushes[1], 1),
            (lost, Ok(won)) => (won, lost, &pushes[0], 0),
            both => panic!("{both:?}"),
        };
        let (code, reason, message) = refused(lost);
        assert_eq!((code, reason.as_str()), (Code::Aborted, "ALIAS_MOVED"));
        let winner = format!("at version {}", won.version);
        assert!(message.contains(&winner), "{message}");
        let again = Push {
            expected_version: Some(won.version),
            ..again.clone()
        };
        let expected = again.idempotency_key.clone();
        at = clients[server].push(again).await.unwrap().version;
        // Both serve what was moved there last.
        for client in &clients {
            let told = async {
                while !expected.ends_with(&level(client, series).await.to_string()) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, told).await.unwrap();
        }
    }
    let url = format!("s3://{}/servers", minio::BUCKET);
    let registry = loadcast_registry::open::open_with(&url, &minio.variables().into()).unwrap();
    let versions = registry.versions(&series.parse().unwrap()).await.unwrap();
    assert_eq!(versions.len(), 10, "{versions:?}");
}

#[tokio::test]
async fn a_403_in_the_middle_of_a_push_is_a_failed_precondition_and_its_retry_makes_one_version() {
    let Some(scene) = Scene::start("forbidden").await else {
        return;
    };
    let client = scene.server.client();
    let parts = [
        "runs/create",
        "runs/log-batch",
        "artifacts/model.pr",
        "model-versions/create",
        "registered-models/alias",
    ];
    for (part, version) in parts.into_iter().zip(2..) {
        scene.proxy.fail(part, Fault::status(403));
        let this = expecting(&scene.a, version as f64, version - 1);
        let (code, reason, message) = refused(client.push(this.clone()).await);
        assert_eq!(code, Code::FailedPrecondition, "{part}: {message}");
        assert_eq!(reason, "REGISTRY_DENIED");
        assert_eq!(scene.answer(&scene.a).await, version - 1, "{part}");
        assert_eq!(scene.champion(&scene.a).await, Some(version - 1), "{part}");
        scene.proxy.heal();
        let pushed = client.push(this).await.unwrap();
        assert_eq!(pushed.version, version, "{part}");
        assert_eq!(scene.answer(&scene.a).await, version, "{part}");
        let versions = scene.versions(&scene.a).await;
        assert_eq!(versions.len() as u64, version, "{part}: {versions:?}");
    }
    scene.the_other_series_moves().await;
    scene.end().await;
}

#[tokio::test]
async fn a_registry_that_goes_away_in_the_middle_of_a_push_is_unavailable_with_a_time_to_come_back()
{
    let Some(scene) = Scene::start("away").await else {
        return;
    };
    let client = scene.server.client();
    scene.proxy.fail("model-versions/create", Fault::Drop);
    let this = expecting(&scene.a, 2.0, 1);
    let (code, reason, message) = refused(client.push(this.clone()).await);
    assert_eq!(code, Code::Unavailable, "{message}");
    assert_eq!(reason, "REGISTRY_UNREACHABLE");
    assert_eq!(scene.versions(&scene.a).await, [1]);
    scene.proxy.heal();
    assert_eq!(client.push(this).await.unwrap().version, 2);
    assert_eq!(scene.versions(&scene.a).await, [1, 2]);
    scene.end().await;
}

#[tokio::test]
async fn a_rollback_on_mlflow_is_served_from_memory_and_the_next_two_polls_do_not_undo_it() {
    let Some(scene) = Scene::start("back").await else {
        return;
    };
    let client = scene.server.client();
    client.push(push(&scene.a, 2.0)).await.unwrap();
    assert_eq!(scene.answer(&scene.a).await, 2);
    let (before, begun) = (scene.proxy.log().len(), Instant::now());
    let back = client.rollback(&scene.a, None).await.unwrap();
    let took = begun.elapsed();
    assert_eq!(back.version, 1);
    assert_eq!(scene.answer(&scene.a).await, 1);
    assert_eq!(scene.champion(&scene.a).await, Some(1));
    let log = scene.proxy.log().split_off(before);
    let files = scene.files(&scene.a, 1).await;
    let downloads = log.iter().filter(|call| call.contains(&files));
    assert_eq!(downloads.count(), 0, "{log:?}");
    println!("rollback on MLflow: answered and served after {took:?}, without a download");
    let revision = scene.server.cache.state().revision;
    for _ in 0..2 {
        client.refresh_models().await.unwrap();
        assert_eq!(scene.answer(&scene.a).await, 1);
    }
    let events = scene.server.cache.events_after(revision, usize::MAX);
    let name: SeriesName = scene.a.parse().unwrap();
    let events = events.unwrap();
    let of_it = |(of, _): (&SeriesName, _)| *of == name;
    assert!(
        !events
            .iter()
            .any(|event| event.kind.series().is_some_and(of_it))
    );
    scene.end().await;
}

#[tokio::test]
async fn old_versions_are_pruned_in_mlflow_after_a_push_and_the_aliased_and_the_pinned_are_kept() {
    let Some(mlflow) = tokio::task::spawn_blocking(mlflow).await.unwrap() else {
        return;
    };
    let proxy = Proxy::start(&mlflow.url).await;
    let flags = [
        "--poll-interval=1h",
        "--keep-registry-versions=2",
        "--keep-versions=1",
        &format!("--registry=mlflow+{}", proxy.url),
    ];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    let client = server.client();
    let name = "pruned.cpu";
    for level in 1..=2 {
        client.push(push(name, f64::from(level))).await.unwrap();
    }
    client.set_alias(name, "candidate", 1, None).await.unwrap();
    let pin = json!({"name": name, "version": "2", "key": "loadcast.pinned", "value": "true"});
    let path = "model-versions/set-tag";
    mlflow.call(Method::POST, path, &pin).await;
    // A prune that fails costs the push nothing, and is made up for by the next one.
    proxy.fail("model-versions/delete", Fault::status(500));
    for level in 3..=6 {
        client.push(push(name, f64::from(level))).await.unwrap();
    }
    proxy.heal();
    client.push(push(name, 7.0)).await.unwrap();
    let series: SeriesName = name.parse().unwrap();
    let registry = mlflow.open();
    let pruned = async {
        while registry.versions(&series).await.unwrap() != [1, 2, 6, 7] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, pruned).await.is_ok();
    assert!(in_time, "{:?}", registry.versions(&series).await);
    for version in [1, 2, 6, 7] {
        registry.fetch(&series, version).await.unwrap();
    }
    let back = client.rollback(name, None).await.unwrap();
    assert_eq!(back.version, 6);
    server.stop().await;
    let body = json!({"name": name});
    let path = "registered-models/delete";
    mlflow.call(Method::DELETE, path, &body).await;
}

#[tokio::test]
async fn a_candidate_in_mlflow_is_found_by_the_same_listing_and_promoted_without_a_download() {
    let Some(scene) = Scene::start("tried").await else {
        return;
    };
    let client = scene.server.client();
    let candidate = Push {
        alias: Some("candidate".to_owned()),
        ..push(&scene.a, 2.0)
    };
    // Pushed elsewhere: to a server that this one does not know.
    let other = serve(&scene.proxy, tempfile::tempdir().unwrap()).await;
    other.client().push(candidate).await.unwrap();
    other.stop().await;
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let asked = ForecastQuery {
        alias: Some("candidate".to_owned()),
        ..ForecastQuery::new(&scene.a, hour)
    };
    let tried = async {
        loop {
            match client.forecast(&asked).await {
                Ok(forecast) => return forecast,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let tried = tokio::time::timeout(PATIENCE, tried).await.unwrap();
    assert_eq!((tried.yhat[0], tried.provenance.version), (2.0, 2));
    assert_eq!(scene.answer(&scene.a).await, 1);
    let files = scene.files(&scene.a, 2).await;
    let before = scene.proxy.log().len();
    let promoted = client.set_alias(&scene.a, "champion", 2, Some(1)).await;
    promoted.unwrap();
    assert_eq!(scene.answer(&scene.a).await, 2);
    client.refresh_models().await.unwrap();
    assert_eq!(scene.answer(&scene.a).await, 2);
    let log = scene.proxy.log().split_off(before);
    assert!(!log.iter().any(|call| call.contains(&files)), "{log:?}");
    let listings = log.iter().filter(|call| call.contains("/search?"));
    let listings: Vec<_> = listings.collect();
    let of_models = |call: &&&String| call.contains("registered-models/search");
    assert_eq!(
        listings.iter().filter(of_models).count(),
        listings.len(),
        "{listings:?}"
    );
    scene.end().await;
}
