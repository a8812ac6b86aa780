//! One suite for every registry: what `Registry` promises, kept by each.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::{
    artifact::{METADATA_SCHEMA, Metadata, sha256_hex},
    series::{Series, SeriesName},
};
use loadcast_registry::{
    error::Error,
    open::open,
    registry::{Aspired, Attachment, Made, NewVersion, Registry, Tombstone},
};
use url::Url;

fn series(name: &str) -> SeriesName {
    name.parse().unwrap()
}

fn new_version(name: &str, key: &str, bytes: &str) -> NewVersion {
    let model_pr = Bytes::from(bytes.to_owned());
    NewVersion {
        metadata: Metadata {
            schema: METADATA_SCHEMA,
            sha256: sha256_hex(&model_pr),
            size_bytes: model_pr.len() as u64,
            series: Series::new(series(name)),
            cutoff: Timestamp::UNIX_EPOCH,
            trained_at: Timestamp::UNIX_EPOCH,
            rows: 2,
            scores: None,
            trainer_version: "test".to_owned(),
            data_sha256: String::new(),
            spec: None,
            verdict: None,
            clamps: None,
            band_calibration: None,
        },
        key: key.to_owned(),
        model_pr,
        attachments: vec![Attachment {
            name: "report.html".to_owned(),
            media_type: "text/html".to_owned(),
            bytes: Bytes::from_static(b"<p>"),
        }],
        registered_at: Timestamp::UNIX_EPOCH,
    }
}

/// Every promise of [`Registry`], on an empty one.
async fn conforms(registry: &dyn Registry) {
    versions_count_up_and_come_back_whole(registry).await;
    keys_are_idempotent(registry).await;
    aliases_are_listed_moved_and_compared(registry).await;
    what_is_not_there_is_not_found(registry).await;
    tombstones_hide_a_series_and_keep_what_it_had(registry).await;
}

async fn versions_count_up_and_come_back_whole(registry: &dyn Registry) {
    let a = series("a");
    assert!(registry.versions(&a).await.unwrap().is_empty());
    for (key, bytes, version) in [("k1", "one", 1), ("k2", "two", 2)] {
        let made = registry
            .register(new_version("a", key, bytes))
            .await
            .unwrap();
        assert_eq!((made.version, made.already_registered), (version, false));
    }
    assert_eq!(registry.versions(&a).await.unwrap(), [1, 2]);
    let stored = registry.fetch(&a, 2).await.unwrap();
    assert_eq!(stored.model_pr, "two");
    assert_eq!(stored.manifest.metadata.series.name, a);
    assert_eq!(stored.manifest.attachments[0].sha256, sha256_hex(b"<p>"));
}

async fn keys_are_idempotent(registry: &dyn Registry) {
    let again = registry
        .register(new_version("a", "k1", "one"))
        .await
        .unwrap();
    assert_eq!((again.version, again.already_registered), (1, true));
    let error = registry
        .register(new_version("a", "k1", "other"))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::KeyReused { version: 1, .. }),
        "{error}"
    );
    let a = series("a");
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
    assert_eq!(registry.made_by(&series("z"), "k1").await.unwrap(), None);
}

async fn aliases_are_listed_moved_and_compared(registry: &dyn Registry) {
    let (a, b) = (series("a"), series("b"));
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
    registry.register(new_version("b", "k", "b")).await.unwrap();
    registry.set_alias(&b, "champion", 1, None).await.unwrap();
    let expected = [
        Aspired {
            series: a.clone(),
            version: 2,
        },
        Aspired {
            series: b,
            version: 1,
        },
    ];
    assert_eq!(registry.aspired("champion").await.unwrap(), expected);
    assert_eq!(
        registry.aspired("candidate").await.unwrap(),
        [Aspired {
            series: a,
            version: 1
        }]
    );
    assert!(registry.aspired("nobody").await.unwrap().is_empty());
}

async fn what_is_not_there_is_not_found(registry: &dyn Registry) {
    let a = series("a");
    assert!(matches!(
        registry.fetch(&a, 9).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        registry.fetch(&series("z"), 1).await,
        Err(Error::NotFound { .. })
    ));
    let error = registry
        .set_alias(&a, "champion", 9, None)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert_eq!(registry.alias(&a, "champion").await.unwrap(), Some(2));
}

async fn tombstones_hide_a_series_and_keep_what_it_had(registry: &dyn Registry) {
    let (a, b) = (series("a"), series("b"));
    let tombstone = |reason: &str| Tombstone {
        reason: reason.to_owned(),
        at: Timestamp::UNIX_EPOCH,
    };
    let aspired = async || -> Vec<SeriesName> {
        let listed = registry.aspired("champion").await.unwrap();
        listed.into_iter().map(|line| line.series).collect()
    };
    assert!(registry.retired().await.unwrap().is_empty());
    assert_eq!(registry.tombstone(&a).await.unwrap(), None);
    let error = registry
        .retire(&series("z"), tombstone("never was"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    registry.retire(&a, tombstone("old")).await.unwrap();
    registry.retire(&a, tombstone("older")).await.unwrap();
    assert_eq!(aspired().await, std::slice::from_ref(&b));
    assert_eq!(registry.retired().await.unwrap(), std::slice::from_ref(&a));
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

#[tokio::test]
async fn memory_conforms() {
    conforms(&*open("memory:").unwrap()).await;
}

#[tokio::test]
async fn a_folder_conforms() {
    let folder = tempfile::tempdir().unwrap();
    conforms(&*open(Url::from_directory_path(folder.path()).unwrap().as_str()).unwrap()).await;
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
