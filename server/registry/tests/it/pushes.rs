//! Pushes to a real MLflow that break, race, are forbidden, or die: whole or nothing, and one version of one key.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use jiff::Timestamp;
use loadcast_model::{
    artifact::{Metadata, sha256_hex},
    score::Scores,
    series::SeriesName,
    spec::Spec,
};
use loadcast_registry::{
    environment::Environment,
    error::Error,
    registry::{NewVersion, Registry},
};
use serde_json::{Value, json};

use crate::{
    mlflow::{Mlflow, mlflow, mlflow_2, open_at},
    sample::{new_version, series},
};
use loadcast_components::proxy::{Fault, Proxy};

/// A proxy in front of `mlflow` and a registry behind it.
async fn proxied(mlflow: &Mlflow) -> (Proxy, Arc<dyn Registry>) {
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = open_at(&proxy.url, &Environment::default());
    (proxy, registry)
}

/// How many calls one push of `name` makes, and the first version.
async fn calls_of_a_push(proxy: &Proxy, registry: &dyn Registry, name: &str) -> usize {
    // The first of all makes the experiment too.
    for key in ["k0", "k1"] {
        let before = proxy.requests();
        let push = registry.register(new_version(name, key, key));
        push.await.unwrap();
        if key == "k1" {
            return proxy.requests() - before;
        }
    }
    unreachable!()
}

/// The runs of `name` that are there, and their status.
async fn runs(mlflow: &Mlflow, name: &str) -> Vec<(String, String)> {
    let body = json!({
        "experiment_ids": (0..4).map(|id| id.to_string()).collect::<Vec<_>>(),
        "filter": format!("tags.`loadcast.series` = '{name}'"),
        "max_results": 1000,
    });
    let found = mlflow.post("runs/search", &body).await;
    let runs = found["runs"].as_array().cloned().unwrap_or_default();
    runs.iter()
        .map(|run| {
            let field = |name: &str| run["info"][name].as_str().unwrap().to_owned();
            (field("run_id"), field("status"))
        })
        .collect()
}

/// Every run of `name` is finished, and is one of its versions.
async fn assert_nothing_is_left(mlflow: &Mlflow, registry: &dyn Registry, name: &str) {
    let runs = runs(mlflow, name).await;
    let unfinished: Vec<_> = runs.iter().filter(|run| run.1 != "FINISHED").collect();
    assert_eq!(unfinished, [] as [&(String, String); 0]);
    let versions = registry.versions(&series(name)).await.unwrap();
    assert_eq!(runs.len(), versions.len());
}

#[tokio::test]
async fn a_push_that_breaks_at_any_call_leaves_nothing_to_see_and_its_retry_makes_one_version() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = proxied(mlflow).await;
    let name = "pushes.break";
    let calls = calls_of_a_push(&proxy, &*registry, name).await;
    let a = series(name);
    for lost in 1..=calls {
        for fault in [Fault::Drop, Fault::status(503), Fault::CutAfter(0)] {
            let before = registry.versions(&a).await.unwrap();
            let key = format!("k{lost}{fault:?}");
            let mut count = 0;
            let this = fault.clone();
            proxy.set(move |_| {
                count += 1;
                (count == lost).then(|| this.clone())
            });
            let pushed = registry.register(new_version(name, &key, &key)).await;
            proxy.heal();
            let after = registry.versions(&a).await.unwrap();
            if pushed.is_err() && !matches!(fault, Fault::CutAfter(_)) {
                assert_eq!(after, before, "call {lost}, {fault:?}");
            }
            let retried = registry.register(new_version(name, &key, &key)).await;
            let version = retried.unwrap().version;
            if let Ok(pushed) = pushed {
                assert_eq!(pushed.version, version, "acknowledged is durable");
            }
            let after = registry.versions(&a).await.unwrap();
            assert_eq!(after.len(), before.len() + 1, "call {lost}, {fault:?}");
            assert_eq!(registry.fetch(&a, version).await.unwrap().model_pr, key);
        }
    }
    // Of the runs that broke none is left once another push has looked after them.
    let last = registry.register(new_version(name, "last", "last"));
    last.await.unwrap();
    assert_nothing_is_left(mlflow, &*registry, name).await;
}

#[tokio::test]
async fn a_push_whose_caller_goes_away_at_any_call_is_finished_or_cleared_by_the_next() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = proxied(mlflow).await;
    let name = "pushes.gone";
    let calls = calls_of_a_push(&proxy, &*registry, name).await;
    for reached in 1..=calls {
        let key = format!("k-{reached}");
        let before = proxy.requests();
        let pushing = tokio::spawn({
            let registry = Arc::clone(&registry);
            let version = new_version(name, &key, &key);
            async move { registry.register(version).await }
        });
        while proxy.requests() < before + reached && !pushing.is_finished() {
            tokio::task::yield_now().await;
        }
        pushing.abort();
        pushing.await.ok();
        let retried = registry.register(new_version(name, &key, &key)).await;
        let version = retried.unwrap().version;
        let stored = registry.fetch(&series(name), version).await;
        assert_eq!(stored.unwrap().model_pr, key);
    }
    let last = registry.register(new_version(name, "last", "last"));
    last.await.unwrap();
    assert_nothing_is_left(mlflow, &*registry, name).await;
    let versions = registry.versions(&series(name)).await.unwrap();
    assert_eq!(versions.len(), calls + 3, "one of each key");
}

#[tokio::test]
async fn a_push_that_is_forbidden_in_the_middle_is_denied_and_leaves_nothing() {
    for (place, mlflow) in [("3", mlflow()), ("2", mlflow_2())] {
        let Some(mlflow) = mlflow else { continue };
        let (proxy, registry) = proxied(mlflow).await;
        let name = format!("pushes.forbidden.{place}");
        for part in [
            "runs/log-batch",
            "artifacts/model.pr",
            "registered-models/create",
            "model-versions/create",
        ] {
            // MLflow 2 keeps the files in a folder of the run.
            let part = match (part, place) {
                ("artifacts/model.pr", "2") => "model/model.pr",
                _ => part,
            };
            proxy.fail(part, Fault::status(403));
            let pushed = registry.register(new_version(&name, part, part)).await;
            proxy.heal();
            let error = pushed.unwrap_err();
            assert!(matches!(error, Error::Denied { .. }), "{part}: {error}");
            assert_eq!(runs(mlflow, &name).await, [], "{part}");
            let found = registry.versions(&series(&name)).await.unwrap();
            assert_eq!(found, [0; 0], "{part}");
        }
        let pushed = registry.register(new_version(&name, "k", "k")).await;
        assert_eq!(pushed.unwrap().version, 1);
    }
}

#[tokio::test]
async fn what_mlflow_will_never_take_is_refused_and_not_called_unreachable() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = proxied(mlflow).await;
    let name = "pushes.refused";
    proxy.fail("artifacts/model.pr", Fault::status(413));
    let pushed = registry.register(new_version(name, "k", "k")).await;
    let error = pushed.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    proxy.heal();
    let pushed = registry.register(new_version(name, "k", "k")).await;
    pushed.unwrap();
    // MLflow keeps this name for itself.
    let set = registry.set_alias(&series(name), "latest", 1, None).await;
    let error = set.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
}

#[tokio::test]
async fn two_servers_that_push_one_key_make_one_version_and_the_alias_is_where_the_later_put_it() {
    let Some(mlflow) = mlflow() else { return };
    let servers = [mlflow.open(), mlflow.open()];
    let a = series("pushes.two");
    for round in 0..5 {
        let key = format!("k{round}");
        let version = || new_version(a.as_ref(), &key, &key);
        let made = join_all(servers.iter().map(|server| server.register(version()))).await;
        let made: Vec<u64> = made.into_iter().map(|one| one.unwrap().version).collect();
        assert_eq!(made[0], made[1], "round {round}");
        let versions = servers[0].versions(&a).await.unwrap();
        assert_eq!(versions.len(), round + 1, "round {round}: {versions:?}");
        let stored = servers[1].fetch(&a, made[0]).await.unwrap();
        assert_eq!(stored.model_pr, key);
    }
    let versions = servers[0].versions(&a).await.unwrap();
    let moves = servers
        .iter()
        .zip(&versions)
        .map(|(server, version)| server.set_alias(&a, "champion", *version, Some(0)));
    let moved = join_all(moves).await;
    let seen = servers[0].alias(&a, "champion").await.unwrap().unwrap();
    // MLflow has no compare-and-set: both may be told that they moved it, never neither.
    let won = moved
        .iter()
        .zip(&versions)
        .filter(|(moved, _)| moved.is_ok());
    let won: Vec<u64> = won.map(|(_, version)| *version).collect();
    assert!(won.contains(&seen), "{won:?} {seen}");
    for (server, moved) in servers.iter().zip(moved) {
        assert_eq!(server.alias(&a, "champion").await.unwrap(), Some(seen));
        if let Err(error) = moved {
            assert!(matches!(error, Error::AliasMoved { .. }), "{error}");
        }
    }
    // Whoever believes what is no longer so is told where it is.
    let stale = servers[0].set_alias(&a, "champion", versions[2], Some(0));
    let error = stale.await.unwrap_err();
    assert!(
        matches!(error, Error::AliasMoved { actual, .. } if actual == seen),
        "{error}"
    );
}

#[tokio::test]
async fn a_push_of_another_server_is_left_alone_while_it_may_be_under_way_and_cleared_when_it_died()
{
    let Some(mlflow) = mlflow() else { return };
    let registry = mlflow.open();
    let name = "pushes.orphan";
    let now: Timestamp = "2026-11-25T06:00:00Z".parse().unwrap();
    let at = |key: &str| NewVersion {
        registered_at: now,
        ..new_version(name, key, key)
    };
    registry.register(at("k0")).await.unwrap();
    let experiment = json!({"name": "strangers"});
    let experiment = mlflow.post("experiments/create", &experiment).await;
    assert!(experiment["experiment_id"].is_string());
    let ours = experiment_of(mlflow, &runs(mlflow, name).await[0].0).await;
    for (writer, minutes) in [("young", 5), ("died", 30)] {
        let started = now.as_millisecond() - minutes * 60_000;
        let body = json!({
            "experiment_id": ours,
            "start_time": started,
            "tags": [
                {"key": "loadcast.series", "value": name},
                {"key": "loadcast.writer", "value": writer},
            ],
        });
        mlflow.post("runs/create", &body).await;
    }
    assert_eq!(runs(mlflow, name).await.len(), 3);
    registry.register(at("k1")).await.unwrap();
    let mut left: Vec<String> = runs(mlflow, name)
        .await
        .into_iter()
        .map(|(_, status)| status)
        .collect();
    left.sort();
    assert_eq!(left, ["FINISHED", "FINISHED", "RUNNING"]);
}

async fn experiment_of(mlflow: &Mlflow, run_id: &str) -> String {
    let found = get(mlflow, &format!("runs/get?run_id={run_id}")).await;
    let id = found["run"]["info"]["experiment_id"].as_str();
    id.unwrap().to_owned()
}

async fn get(mlflow: &Mlflow, path: &str) -> Value {
    mlflow.call(reqwest::Method::GET, path, &Value::Null).await
}

/// The values of a list of `{key, value}`.
fn pair<'a>(list: &'a Value, key: &str) -> &'a Value {
    let entries = list.as_array().unwrap();
    let found = entries.iter().find(|entry| entry["key"] == key);
    &found.unwrap_or_else(|| panic!("no {key} in {list}"))["value"]
}

#[tokio::test]
async fn the_run_of_a_version_shows_parameters_metrics_dataset_and_report() {
    let data_sha256 = sha256_hex(b"rows");
    for (place, mlflow) in [("3", mlflow()), ("2", mlflow_2())] {
        let Some(mlflow) = mlflow else { continue };
        let registry = mlflow.open();
        let name: SeriesName = series(&format!("pushes.shown.{place}"));
        let plain = new_version(name.as_ref(), "k", "k");
        let version = NewVersion {
            metadata: Metadata {
                spec: Some(Spec::default()),
                scores: Some(Scores {
                    mase: Some(0.75),
                    ..Scores::default()
                }),
                data_sha256: data_sha256.clone(),
                ..plain.metadata
            },
            model_pr: Bytes::from_static(b"k"),
            ..plain
        };
        registry.register(version).await.unwrap();
        let got = get(mlflow, &format!("model-versions/get?name={name}&version=1")).await;
        let tags = &got["model_version"]["tags"];
        assert_eq!(pair(tags, "loadcast.score.mase"), "0.75");
        assert_eq!(pair(tags, "loadcast.size_bytes"), "1");
        assert_eq!(pair(tags, "loadcast.sha256"), &sha256_hex(b"k"));
        assert_eq!(pair(tags, "loadcast.cutoff"), "1970-01-01T00:00:00Z");
        let run_id = got["model_version"]["run_id"].as_str().unwrap();
        let run = get(mlflow, &format!("runs/get?run_id={run_id}")).await;
        let run = &run["run"];
        assert_eq!(run["info"]["status"], "FINISHED");
        assert_eq!(pair(&run["data"]["params"], "n_changepoints"), "25");
        assert_eq!(pair(&run["data"]["metrics"], "mase"), 0.75);
        let tag = pair(&run["data"]["tags"], "loadcast.data_sha256");
        assert_eq!(tag, &data_sha256);
        let dataset = &run["inputs"]["dataset_inputs"][0]["dataset"];
        assert_eq!(dataset["name"], name.as_ref());
        assert_eq!(dataset["digest"], data_sha256[..36]);
        let path = format!("artifacts/list?run_id={run_id}&path=attachments");
        let listed = get(mlflow, &path).await;
        assert_eq!(listed["files"][0]["path"], "attachments/report.html");
    }
}
