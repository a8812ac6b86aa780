//! What strangers log to a real MLflow, as we see it; and what we register, as Python sees it.

use std::sync::Arc;

use loadcast_model::{
    artifact::decode_model_pr,
    forecaster::{Forecaster, Question},
    series::Unit,
};
use loadcast_registry::{
    environment::Environment,
    error::Error,
    mlflow::{Limits, MlflowRegistry},
    registry::{Aspired, Registry, Rule},
};
use reqwest::Method;
use serde_json::json;

use crate::{
    mlflow::{Mlflow, mlflow, open_at},
    sample::{new_version, series},
};
use loadcast_components::proxy::Proxy;

/// What MLflow says of one series.
async fn aspired(registry: &dyn Registry, name: &str) -> Option<(u64, Rule)> {
    let listed = registry.poll("champion").await.unwrap().aspired;
    let listed = listed.into_iter().find(|line| line.series.as_ref() == name);
    listed.map(|Aspired { version, rule, .. }| (version, rule))
}

#[tokio::test]
async fn python_logs_and_we_follow_we_register_and_python_loads() {
    let Some(mlflow) = mlflow() else { return };
    mlflow.python("stranger.py", &["log"]).await;
    let registry = mlflow.open();
    assert_eq!(
        aspired(&*registry, "py.prophet").await,
        Some((1, Rule::Alias))
    );
    assert_eq!(
        aspired(&*registry, "py.runs").await,
        Some((1, Rule::Staging))
    );

    let stored = registry.fetch(&series("py.prophet"), 1).await.unwrap();
    let metadata = &stored.manifest.metadata;
    assert_eq!(metadata.series.step_seconds, 3600);
    assert_eq!(metadata.series.unit, None);
    assert_eq!(metadata.rows, 390);
    assert_eq!(metadata.cutoff.to_string(), "2026-01-21T15:00:00Z");
    assert_eq!(metadata.trainer_version, "prophet 1.5.0");

    let by_run = registry.fetch(&series("py.runs"), 1).await.unwrap();
    let described = &by_run.manifest.metadata.series;
    assert_eq!(described.step_seconds, 1800, "the tag counts");
    assert_eq!(described.unit, Some(Unit::Cores));
    assert_eq!(described.labels["namespace"], "shop");

    let pickle = registry.fetch(&series("py.pickle"), 1).await.unwrap_err();
    assert!(matches!(pickle, Error::Unsupported { .. }), "{pickle}");
    let said = pickle.to_string();
    assert!(
        said.contains("sklearn") && said.contains("mlflow.prophet.log_model"),
        "{said}"
    );

    // Theirs, registered anew by us: Python loads it and predicts the same, and so do we.
    let mut ours = new_version("ours.prophet", "k", "");
    ours.metadata = metadata.clone();
    ours.metadata.series.name = series("ours.prophet");
    ours.model_pr = stored.model_pr.clone();
    registry.register(ours).await.unwrap();
    registry
        .set_alias(&series("ours.prophet"), "champion", 1, Some(0))
        .await
        .unwrap();
    let names = ["load", "py.prophet", "ours.prophet"];
    let printed = mlflow.python("stranger.py", &names).await;
    let (theirs, ours) = printed.trim().split_once('\n').unwrap();
    assert_eq!(theirs, ours);
    let forecaster = Forecaster::new(decode_model_pr(&stored.model_pr).unwrap()).unwrap();
    let hours: Vec<i64> = (0..24).map(|hour| 1_769_904_000 + hour * 3600).collect();
    let forecast = forecaster.forecast(&Question::at(&hours)).unwrap();
    let python: Vec<f64> = theirs.split(' ').map(|y| y.parse().unwrap()).collect();
    for (ours, python) in forecast.yhat.iter().zip(&python) {
        assert!((ours - python).abs() < 1e-9 * 25.0, "{ours} {python}");
    }
}

/// Three versions of `name`, put into `stages`.
async fn three_versions(mlflow: &Mlflow, name: &str, stages: &[(&str, &str)]) -> Arc<dyn Registry> {
    let registry = mlflow.open();
    for key in ["k1", "k2", "k3"] {
        let version = new_version(name, key, key);
        registry.register(version).await.unwrap();
    }
    for (version, stage) in stages {
        put_in_stage(mlflow, name, version, stage).await;
    }
    registry
}

async fn put_in_stage(mlflow: &Mlflow, name: &str, version: &str, stage: &str) {
    let body = json!({"name": name, "version": version, "stage": stage, "archive_existing_versions": true});
    mlflow.post("model-versions/transition-stage", &body).await;
}

async fn delete(mlflow: &Mlflow, path: &str, body: serde_json::Value) {
    mlflow.call(Method::DELETE, path, &body).await;
}

#[tokio::test]
async fn stages_are_followed_and_an_alias_counts_before_them() {
    let Some(mlflow) = mlflow() else { return };
    let name = "moves.stages";
    let registry = three_versions(mlflow, name, &[]).await;
    assert_eq!(aspired(&*registry, name).await, None);
    for (version, stage, rule) in [
        (1, "Staging", Rule::Staging),
        (2, "Production", Rule::Production),
        (3, "Production", Rule::Production),
    ] {
        put_in_stage(mlflow, name, &version.to_string(), stage).await;
        assert_eq!(aspired(&*registry, name).await, Some((version, rule)));
    }
    let a = series(name);
    let set = registry.set_alias(&a, "champion", 1, Some(0)).await;
    set.unwrap();
    assert_eq!(aspired(&*registry, name).await, Some((1, Rule::Alias)));
}

#[tokio::test]
async fn a_deleted_alias_leaves_what_the_stages_say_and_says_by_which_rule() {
    let Some(mlflow) = mlflow() else { return };
    let name = "moves.alias";
    let registry = three_versions(mlflow, name, &[("3", "Production")]).await;
    let a = series(name);
    registry.set_alias(&a, "champion", 1, None).await.unwrap();
    let body = json!({"name": name, "alias": "champion"});
    delete(mlflow, "registered-models/alias", body).await;
    assert_eq!(aspired(&*registry, name).await, Some((3, Rule::Production)));
    assert_eq!(registry.alias(&a, "champion").await.unwrap(), None);
}

#[tokio::test]
async fn a_version_that_is_deleted_while_its_alias_names_it_is_not_found_and_the_others_are() {
    let Some(mlflow) = mlflow() else { return };
    let name = "moves.deleted";
    let registry = three_versions(mlflow, name, &[]).await;
    let a = series(name);
    registry.set_alias(&a, "champion", 1, None).await.unwrap();
    let body = json!({"name": name, "version": "1"});
    delete(mlflow, "model-versions/delete", body).await;
    let gone = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    assert_eq!(registry.versions(&a).await.unwrap(), [2, 3]);
    registry.fetch(&a, 2).await.unwrap();
}

#[tokio::test]
async fn a_model_that_is_renamed_is_the_series_it_now_is() {
    let Some(mlflow) = mlflow() else { return };
    let registry = three_versions(mlflow, "moves.before", &[]).await;
    let (before, after) = (series("moves.before"), series("moves.after"));
    registry
        .set_alias(&before, "champion", 2, None)
        .await
        .unwrap();
    let body = json!({"name": before, "new_name": after});
    mlflow.post("registered-models/rename", &body).await;
    assert_eq!(aspired(&*registry, before.as_ref()).await, None);
    assert_eq!(
        aspired(&*registry, after.as_ref()).await,
        Some((2, Rule::Alias))
    );
    let stored = registry.fetch(&after, 2).await.unwrap();
    assert_eq!(stored.manifest.metadata.series.name, after);
}

/// A registry on `mlflow` behind `proxy`, with pages of two.
fn paged(proxy: &Proxy) -> MlflowRegistry {
    let limits = Limits {
        page: 2,
        ..Limits::default()
    };
    let url = format!("mlflow+{}", proxy.url).parse().unwrap();
    MlflowRegistry::new(&url, &Environment::default(), limits).unwrap()
}

async fn proxied(mlflow: &Mlflow) -> (Proxy, Arc<dyn Registry>) {
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = open_at(&proxy.url, &Environment::default());
    (proxy, registry)
}

#[tokio::test]
async fn a_poll_is_pages_of_one_listing_and_a_move_is_found_on_any_of_them() {
    let Some(mlflow) = mlflow() else { return };
    let direct = mlflow.open();
    let names: Vec<String> = (0..5).map(|i| format!("paged.{i}")).collect();
    for name in &names {
        direct.register(new_version(name, "k", name)).await.unwrap();
        let name = series(name);
        let set = direct.set_alias(&name, "champion", 1, None);
        set.await.unwrap();
    }
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = paged(&proxy);
    let listed = registry.poll("champion").await.unwrap().aspired;
    let pages = proxy.requests();
    for name in &names {
        assert!(listed.iter().any(|line| line.series.as_ref() == name));
    }
    assert!(pages > names.len() / 2, "{pages} pages of two");
    let (proxy, registry) = proxied(mlflow).await;
    assert_eq!(registry.poll("champion").await.unwrap().aspired.len(), {
        direct.poll("champion").await.unwrap().aspired.len()
    });
    assert_eq!(proxy.requests(), 1, "one page holds 200");
}

#[tokio::test]
async fn credentials_and_workspace_are_sent_and_not_to_where_a_redirect_leads() {
    let Some(mlflow) = mlflow() else { return };
    let elsewhere = Proxy::start(&mlflow.url).await;
    let proxy = Proxy::start(&mlflow.url).await;
    let basic = Environment::from([
        ("MLFLOW_TRACKING_USERNAME", "me"),
        ("MLFLOW_TRACKING_PASSWORD", "s3cret"),
        ("MLFLOW_WORKSPACE", "team-a"),
    ]);
    let bearer = Environment::from([("MLFLOW_TRACKING_TOKEN", "s3cret")]);
    for (environment, sent) in [
        (
            basic,
            "authorization: Basic bWU6czNjcmV0 x-mlflow-workspace: team-a",
        ),
        (bearer, "authorization: Bearer s3cret"),
    ] {
        let registry = open_at(&proxy.url, &environment);
        // Without workspaces MLflow answers 500 to one who names one; that it was named is what counts here.
        registry.poll("champion").await.ok();
        assert!(
            proxy.log().last().unwrap().ends_with(sent),
            "{:?}",
            proxy.log()
        );
        let target = format!("{}/elsewhere", elsewhere.url);
        let redirect =
            loadcast_components::proxy::Fault::Answer(302, vec![("location", target)], "".into());
        proxy.fail("registered-models", redirect);
        let error = registry.poll("champion").await.unwrap_err();
        proxy.heal();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(!format!("{registry:?}").contains("s3cret"));
        let followed = elsewhere.log();
        assert!(
            !followed.is_empty() && !followed.iter().any(|name| name.contains("authorization"))
        );
    }
}
