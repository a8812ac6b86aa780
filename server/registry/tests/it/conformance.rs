//! One suite for every registry: what `Registry` promises, kept by each.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_model::{artifact::sha256_hex, series::SeriesName};
use loadcast_registry::{
    environment::Environment,
    error::Error,
    open::{open, open_with},
    read_only::ReadOnly,
    registry::{Aspired, Made, NewVersion, Registered, Registry, Rule, Tombstone},
};
use url::Url;

use crate::{
    mlflow::{mlflow, mlflow_2},
    sample::{new_version, series},
};
use loadcast_components::minio::{BUCKET, minio};

/// A registry, and the beginning of the names that are this suite's own: a real one may hold other series.
struct Suite<'a> {
    registry: &'a Arc<dyn Registry>,
    place: &'a str,
}

impl Suite<'_> {
    fn series(&self, name: &str) -> SeriesName {
        series(&format!("{}.{name}", self.place))
    }

    fn new_version(&self, name: &str, key: &str, bytes: &str) -> NewVersion {
        new_version(self.series(name).as_ref(), key, bytes)
    }

    async fn register(&self, name: &str, key: &str, bytes: &str) -> Registered {
        let version = self.new_version(name, key, bytes);
        self.registry.register(version).await.unwrap()
    }

    fn aspired(&self, name: &str, version: u64) -> Aspired {
        Aspired {
            series: self.series(name),
            version,
            rule: Rule::Alias,
        }
    }

    /// What the listing says is to be tried beside.
    async fn candidates(&self, alias: &str) -> Vec<(SeriesName, u64)> {
        let mut listed = self.registry.poll(alias).await.unwrap().candidates;
        assert!(listed.is_sorted());
        listed.retain(|(series, _)| series.as_ref().starts_with(self.place));
        listed
    }

    /// What the listing says of this suite's series.
    async fn listed(&self, alias: &str) -> Vec<Aspired> {
        let mut listed = self.registry.poll(alias).await.unwrap().aspired;
        assert!(listed.is_sorted_by_key(|line| line.series.clone()));
        listed.retain(|line| line.series.as_ref().starts_with(self.place));
        listed
    }
}

/// Every promise of [`Registry`], on one that has no series whose name begins with `place`.
pub(crate) async fn conforms(registry: &Arc<dyn Registry>, place: &str) {
    let suite = Suite { registry, place };
    versions_count_up_and_come_back_whole(&suite).await;
    keys_are_idempotent(&suite).await;
    aliases_are_listed_moved_and_compared(&suite).await;
    what_is_not_there_is_not_found(&suite).await;
    tombstones_hide_a_series_and_keep_what_it_had(&suite).await;
    old_versions_are_pruned_and_the_aliased_the_pinned_and_the_served_are_kept(&suite).await;
    who_may_only_read_reads_the_same_and_writes_nothing(&suite).await;
}

async fn versions_count_up_and_come_back_whole(suite: &Suite<'_>) {
    let registry = suite.registry;
    let a = suite.series("a");
    assert!(registry.versions(&a).await.unwrap().is_empty());
    let first = suite.register("a", "k1", "one").await;
    assert_eq!((first.version, first.already_registered), (1, false));
    let activate_at = Some("2026-11-25T06:00:00Z".parse().unwrap());
    let later = NewVersion {
        activate_at,
        ..suite.new_version("a", "k2", "two")
    };
    assert_eq!(registry.register(later).await.unwrap().version, 2);
    assert_eq!(registry.versions(&a).await.unwrap(), [1, 2]);
    let stored = registry.fetch(&a, 2).await.unwrap();
    assert_eq!(stored.model_pr, "two");
    assert_eq!(stored.manifest.activate_at, activate_at);
    assert_eq!(stored.manifest.metadata.series.name, a);
    assert_eq!(stored.manifest.attachments[0].sha256, sha256_hex(b"<p>"));
}

async fn keys_are_idempotent(suite: &Suite<'_>) {
    let registry = suite.registry;
    let again = suite.register("a", "k1", "one").await;
    assert_eq!((again.version, again.already_registered), (1, true));
    let error = registry
        .register(suite.new_version("a", "k1", "other"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::KeyReused { version: 1, .. }),
        "{error}"
    );
    let a = suite.series("a");
    assert_eq!(registry.versions(&a).await.unwrap(), [1, 2]);
    let mut made = Made {
        version: 1,
        sha256: sha256_hex(b"one"),
        completed: false,
    };
    assert_eq!(
        registry.made_by(&a, "k1").await.unwrap(),
        Some(made.clone())
    );
    registry.complete(&a, 1).await.unwrap();
    made.completed = true;
    assert_eq!(registry.made_by(&a, "k1").await.unwrap(), Some(made));
    assert_eq!(registry.made_by(&a, "k9").await.unwrap(), None);
    assert_eq!(
        registry.made_by(&suite.series("z"), "k1").await.unwrap(),
        None
    );
}

async fn aliases_are_listed_moved_and_compared(suite: &Suite<'_>) {
    let registry = suite.registry;
    let (a, b) = (suite.series("a"), suite.series("b"));
    assert_eq!(registry.alias(&a, "champion").await.unwrap(), None);
    registry
        .set_alias(&a, "champion", 1, Some(0))
        .await
        .unwrap();
    let error = registry
        .set_alias(&a, "champion", 2, Some(0))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::AliasMoved {
                expected: 0,
                actual: 1,
                ..
            }
        ),
        "{error}"
    );
    registry
        .set_alias(&a, "champion", 2, Some(1))
        .await
        .unwrap();
    registry.set_alias(&a, "candidate", 1, None).await.unwrap();
    suite.register("b", "k", "b").await;
    registry.set_alias(&b, "champion", 1, None).await.unwrap();
    let champions = [suite.aspired("a", 2), suite.aspired("b", 1)];
    assert_eq!(suite.listed("champion").await, champions);
    assert_eq!(suite.listed("candidate").await, [suite.aspired("a", 1)]);
    assert_eq!(suite.candidates("champion").await, [(a, 1)]);
    assert_eq!(suite.candidates("candidate").await, []);
    assert!(suite.listed("nobody").await.is_empty());
}

async fn what_is_not_there_is_not_found(suite: &Suite<'_>) {
    let registry = suite.registry;
    let a = suite.series("a");
    assert!(matches!(
        registry.fetch(&a, 9).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        registry.fetch(&suite.series("z"), 1).await,
        Err(Error::NotFound { .. })
    ));
    let error = registry
        .set_alias(&a, "champion", 9, None)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(registry.alias(&a, "champion").await.unwrap(), Some(2));
}

async fn tombstones_hide_a_series_and_keep_what_it_had(suite: &Suite<'_>) {
    let registry = suite.registry;
    let (a, b) = (suite.series("a"), suite.series("b"));
    let tombstone = |reason: &str| Tombstone {
        reason: reason.to_owned(),
        at: Timestamp::UNIX_EPOCH,
    };
    let aspired = async || -> Vec<SeriesName> {
        let listed = suite.listed("champion").await;
        listed.into_iter().map(|line| line.series).collect()
    };
    let retired = async || -> Vec<SeriesName> {
        let mut retired = registry.poll("champion").await.unwrap().retired;
        retired.retain(|series| series.as_ref().starts_with(suite.place));
        retired
    };
    assert_eq!(retired().await, []);
    assert_eq!(registry.tombstone(&a).await.unwrap(), None);
    let error = registry
        .retire(&suite.series("z"), tombstone("never was"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    registry.retire(&a, tombstone("old")).await.unwrap();
    registry.retire(&a, tombstone("older")).await.unwrap();
    assert_eq!(aspired().await, std::slice::from_ref(&b));
    assert_eq!(retired().await, std::slice::from_ref(&a));
    assert_eq!(
        registry.tombstone(&a).await.unwrap(),
        Some(tombstone("older"))
    );
    assert_eq!(registry.alias(&a, "champion").await.unwrap(), Some(2));
    assert_eq!(registry.versions(&a).await.unwrap(), [1, 2]);
    for _ in 0..2 {
        registry.revive(&a).await.unwrap();
        assert_eq!(registry.tombstone(&a).await.unwrap(), None);
    }
    assert_eq!(aspired().await, [a, b]);
}

async fn old_versions_are_pruned_and_the_aliased_the_pinned_and_the_served_are_kept(
    suite: &Suite<'_>,
) {
    let registry = suite.registry;
    let p = suite.series("p");
    assert_eq!(registry.prune(&p, 1, &[]).await.unwrap(), [0; 0]);
    for key in ["k1", "k2", "k3", "k4", "k5", "k6"] {
        suite.register("p", key, key).await;
    }
    registry.set_alias(&p, "candidate", 1, None).await.unwrap();
    let error = registry.pin(&p, 9, true).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    for pinned in [true, true] {
        registry.pin(&p, 2, pinned).await.unwrap();
    }
    assert_eq!(registry.prune(&p, 2, &[3]).await.unwrap(), [4]);
    assert_eq!(registry.prune(&p, 2, &[3]).await.unwrap(), [0; 0]);
    registry.pin(&p, 2, false).await.unwrap();
    assert_eq!(registry.prune(&p, 2, &[]).await.unwrap(), [2, 3]);
    assert_eq!(registry.versions(&p).await.unwrap(), [1, 5, 6]);
    let error = registry.fetch(&p, 4).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    for version in [1, 5, 6] {
        let stored = registry.fetch(&p, version).await.unwrap();
        assert_eq!(stored.model_pr, format!("k{version}"));
    }
    // A key that is forgotten makes a new version; the number does not come back.
    assert_eq!(registry.made_by(&p, "k4").await.unwrap(), None);
    let again = suite.register("p", "k4", "other bytes").await;
    assert_eq!((again.version, again.already_registered), (7, false));
    assert_eq!(registry.prune(&p, 0, &[]).await.unwrap(), [5, 6]);
    assert_eq!(registry.versions(&p).await.unwrap(), [1, 7]);
}

async fn who_may_only_read_reads_the_same_and_writes_nothing(suite: &Suite<'_>) {
    let (registry, a) = (suite.registry, suite.series("a"));
    let reader = ReadOnly(Arc::clone(registry));
    let refused = |error: Error| matches!(error, Error::ReadOnly { .. });
    let version = suite.new_version("a", "k9", "nine");
    assert!(refused(reader.register(version).await.unwrap_err()));
    let moved = reader.set_alias(&a, "champion", 1, None).await;
    assert!(refused(moved.unwrap_err()));
    let tombstone = Tombstone {
        reason: "never".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    };
    assert!(refused(reader.retire(&a, tombstone).await.unwrap_err()));
    assert!(refused(reader.revive(&a).await.unwrap_err()));
    assert!(refused(reader.complete(&a, 1).await.unwrap_err()));
    assert!(refused(reader.prune(&a, 1, &[]).await.unwrap_err()));
    assert!(refused(reader.pin(&a, 1, true).await.unwrap_err()));
    let mut seen = reader.poll("champion").await.unwrap().aspired;
    seen.retain(|line| line.series.as_ref().starts_with(suite.place));
    assert_eq!(seen, suite.listed("champion").await);
    assert_eq!(reader.versions(&a).await.unwrap(), [1, 2]);
    assert_eq!(reader.fetch(&a, 1).await.unwrap().model_pr, "one");
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&open("memory:").unwrap(), "memory").await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::from_directory_path(folder.path()).unwrap();
    conforms(&open(url.as_str()).unwrap(), "file").await;
}

#[tokio::test]
async fn minio_conforms() {
    let Some(minio) = minio() else { return };
    let registry = open_with(
        &format!("s3://{BUCKET}/deep/down"),
        &minio.variables().into(),
    )
    .unwrap();
    conforms(&registry, "minio").await;
}

#[tokio::test]
async fn mlflow_with_its_own_artifacts_conforms() {
    let Some(mlflow) = mlflow() else { return };
    conforms(&mlflow.open(), "local").await;
}

#[tokio::test]
async fn mlflow_with_artifacts_on_minio_conforms() {
    let (Some(mlflow), Some(minio)) = (mlflow(), minio()) else {
        return;
    };
    conforms(&mlflow.open_on(minio).await, "minio").await;
}

#[tokio::test]
async fn mlflow_2_conforms() {
    let Some(mlflow) = mlflow_2() else { return };
    conforms(&mlflow.open(), "local").await;
}

#[tokio::test]
async fn a_folder_keeps_what_it_was_told_and_notices_damage() {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::from_directory_path(folder.path()).unwrap();
    let a = series("a");
    {
        let registry = open(url.as_str()).unwrap();
        registry
            .register(new_version("a", "k", "whole"))
            .await
            .unwrap();
        registry.set_alias(&a, "champion", 1, None).await.unwrap();
    }
    let registry = open(url.as_str()).unwrap();
    assert_eq!(registry.alias(&a, "champion").await.unwrap(), Some(1));
    let file = folder.path().join("models/a/versions/1/model.pr");
    for (bytes, said) in [("bent!", "sha256"), ("cut", "3 bytes")] {
        std::fs::write(&file, bytes).unwrap();
        let error = registry.fetch(&a, 1).await.unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { .. }) && error.to_string().contains(said),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_push_that_died_before_its_manifest_is_invisible_and_finished_by_its_retry() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(Url::from_directory_path(folder.path()).unwrap().as_str()).unwrap();
    registry
        .register(new_version("a", "k1", "one"))
        .await
        .unwrap();
    registry
        .register(new_version("a", "k2", "two"))
        .await
        .unwrap();
    // As a kill would leave it: everything is there but the manifest.
    std::fs::remove_file(folder.path().join("models/a/versions/2/manifest.json")).unwrap();
    let a = series("a");
    assert_eq!(registry.versions(&a).await.unwrap(), [1]);
    assert!(matches!(
        registry.fetch(&a, 2).await,
        Err(Error::NotFound { .. })
    ));
    // Another push does not take its number; its own retry does.
    assert_eq!(
        registry
            .register(new_version("a", "k3", "three"))
            .await
            .unwrap()
            .version,
        3
    );
    let retried = registry
        .register(new_version("a", "k2", "two"))
        .await
        .unwrap();
    assert_eq!((retried.version, retried.already_registered), (2, false));
    assert_eq!(registry.versions(&a).await.unwrap(), [1, 2, 3]);
}

#[tokio::test]
async fn two_servers_on_one_bucket_make_one_version_of_one_key_and_one_of_them_moves_the_alias() {
    let Some(minio) = minio() else { return };
    let url = format!("s3://{BUCKET}/two");
    let servers = [(); 2].map(|()| open_with(&url, &minio.variables().into()).unwrap());
    let a = series("a");
    for round in 0..20 {
        let key = format!("k{round}");
        let pushes = servers
            .iter()
            .map(|server| server.register(new_version("a", &key, &key)));
        let made = futures::future::try_join_all(pushes).await.unwrap();
        assert_eq!(made[0].version, made[1].version, "round {round}");
        let other = servers[0].register(new_version("a", &format!("other{round}"), "other"));
        let versions = [made[0].version, other.await.unwrap().version];
        let expected = servers[0].alias(&a, "champion").await.unwrap().unwrap_or(0);
        let moves = servers
            .iter()
            .zip(versions)
            .map(|(server, version)| server.set_alias(&a, "champion", version, Some(expected)));
        let moved = futures::future::join_all(moves).await;
        let winners = moved.iter().filter(|moved| moved.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {moved:?}");
        let lost = moved.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(lost, Error::AliasMoved { .. }), "{lost}");
    }
}

#[tokio::test]
async fn a_poll_of_a_bucket_reads_only_what_changed() {
    let Some(minio) = minio() else { return };
    let url = format!("s3://{BUCKET}/poll");
    let proxy = loadcast_components::proxy::Proxy::start(&minio.endpoint).await;
    let mut variables: Vec<_> = minio.variables().into();
    variables[0].1 = &proxy.url;
    let environment: Environment = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let registry = open_with(&url, &environment).unwrap();
    for name in ["a", "b", "c"] {
        for key in ["k1", "k2"] {
            registry
                .register(new_version(name, key, key))
                .await
                .unwrap();
        }
        registry
            .set_alias(&series(name), "champion", 1, None)
            .await
            .unwrap();
    }
    registry.poll("champion").await.unwrap();
    registry
        .set_alias(&series("b"), "champion", 2, None)
        .await
        .unwrap();
    let before = proxy.requests();
    let listed = registry.poll("champion").await.unwrap().aspired;
    assert_eq!(listed[1].version, 2);
    assert_eq!(proxy.requests() - before, 4, "three listings and one alias");
}

#[tokio::test]
async fn an_unknown_key_and_a_missing_bucket_are_told_apart_from_an_empty_registry() {
    let Some(minio) = minio() else { return };
    let mut variables = minio.variables();
    variables[3].1 = "wrong";
    let registry = open_with(&format!("s3://{BUCKET}/x"), &variables.into()).unwrap();
    let error = registry.poll("champion").await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    let registry = open_with("s3://no-such-bucket/x", &minio.variables().into()).unwrap();
    let error = registry.poll("champion").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_unreachable_within_bounds_and_its_credentials_are_not_shown()
 {
    let environment = Environment::from([
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "anyone"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
    ]);
    let registry = open_with("s3://bucket/x", &environment).unwrap();
    let asked = tokio::time::timeout(
        std::time::Duration::from_secs(30),
        registry.poll("champion"),
    );
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("s3cret") && !format!("{registry:?}").contains("s3cret"));
}
