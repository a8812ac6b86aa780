//! A copy on a real MinIO of a real MLflow: what it says while MLflow does not answer.

use std::sync::Arc;

use jiff::Timestamp;
use loadcast_registry::{
    environment::Environment,
    error::Error,
    open::open_with,
    registry::{Aspired, Poll, Registry, Rule, Tombstone},
};
use serde_json::json;

use crate::{
    mlflow::mlflow,
    sample::{new_version, series},
};
use loadcast_components::{
    minio::{BUCKET, Minio, minio},
    proxy::{Fault, Proxy},
};

/// A server's registry: MLflow behind `proxy`, and its copy on `minio`.
fn mirrored(proxy: &Proxy, minio: &Minio, bucket: &str) -> Arc<dyn Registry> {
    let url = format!("mlflow+{},s3://{bucket}/copy", proxy.url);
    open_with(&url, &minio.variables().into()).unwrap()
}

/// What `poll` says of the series that begin with `place`.
fn of(poll: &Poll, place: &str) -> Vec<(String, u64, Rule)> {
    let lines = poll.aspired.iter().map(
        |Aspired {
             series,
             version,
             rule,
         }| (series.to_string(), *version, *rule),
    );
    lines.filter(|(name, ..)| name.starts_with(place)).collect()
}

#[tokio::test]
async fn a_copy_answers_while_mlflow_does_not_says_so_and_takes_no_writes() {
    let (Some(mlflow), Some(minio)) = (mlflow(), minio()) else {
        return;
    };
    let direct = mlflow.open();
    let [a, b, c, d] = ["mirror.a", "mirror.b", "mirror.c", "mirror.d"].map(series);
    for name in [&a, &b, &c, &d] {
        for key in ["k1", "k2"] {
            let version = new_version(name.as_ref(), key, &format!("{name} {key}"));
            direct.register(version).await.unwrap();
        }
    }
    direct.set_alias(&a, "champion", 1, None).await.unwrap();
    let stage = json!({"name": b, "version": "2", "stage": "Production"});
    mlflow.post("model-versions/transition-stage", &stage).await;
    direct.set_alias(&c, "champion", 1, None).await.unwrap();
    direct.set_alias(&d, "champion", 2, None).await.unwrap();

    let proxy = Proxy::start(&mlflow.url).await;
    let server = mirrored(&proxy, minio, BUCKET);
    server.poll("champion").await.unwrap();
    for (name, version) in [(&a, 1), (&a, 2), (&b, 2), (&c, 1), (&d, 2)] {
        server.fetch(name, version).await.unwrap();
    }
    // It moves to what the copy has, to what it has not, and away.
    direct.set_alias(&a, "champion", 2, None).await.unwrap();
    direct.set_alias(&c, "champion", 2, None).await.unwrap();
    let tombstone = Tombstone {
        reason: "gone".to_owned(),
        at: Timestamp::UNIX_EPOCH,
    };
    direct.retire(&d, tombstone).await.unwrap();
    let poll = server.poll("champion").await.unwrap();
    assert_eq!(poll.copy, None);
    assert_eq!(of(&poll, "mirror.")[2], (c.to_string(), 2, Rule::Alias));

    proxy.fail("", Fault::Drop);
    for server in [server, mirrored(&proxy, minio, BUCKET)] {
        let poll = server.poll("champion").await.unwrap();
        assert!(poll.copy.as_ref().unwrap().contains("unreachable"));
        let expected = [
            (a.to_string(), 2, Rule::Alias),
            (b.to_string(), 2, Rule::Production),
            (c.to_string(), 1, Rule::Alias),
        ];
        assert_eq!(of(&poll, "mirror."), expected);
        assert!(poll.retired.contains(&d));
        let stored = server.fetch(&a, 2).await.unwrap();
        assert_eq!(stored.model_pr, "mirror.a k2");
        assert_eq!(stored.manifest.key, "k2");
        // What the copy has not got is as unreachable as before.
        for error in [
            server.fetch(&c, 2).await.unwrap_err(),
            server.alias(&a, "champion").await.unwrap_err(),
            server.set_alias(&a, "champion", 1, None).await.unwrap_err(),
            server
                .register(new_version("mirror.a", "k3", "x"))
                .await
                .unwrap_err(),
        ] {
            assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        }
    }

    // Refused access is for a human, and not papered over.
    let server = mirrored(&proxy, minio, BUCKET);
    proxy.fail("", Fault::status(401));
    let error = server.poll("champion").await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    proxy.heal();
    direct.revive(&d).await.unwrap();
    assert_eq!(
        of(&server.poll("champion").await.unwrap(), "mirror.").len(),
        4
    );
    assert_eq!(server.prune(&a, 1, &[]).await.unwrap(), [1]);
    proxy.fail("", Fault::Drop);
    let poll = server.poll("champion").await.unwrap();
    assert_eq!(of(&poll, "mirror.d"), [(d.to_string(), 2, Rule::Alias)]);
    server.fetch(&a, 1).await.unwrap_err();
}

#[tokio::test]
async fn a_copy_that_cannot_be_written_or_read_costs_nothing_but_itself() {
    let (Some(mlflow), Some(minio)) = (mlflow(), minio()) else {
        return;
    };
    let direct = mlflow.open();
    let a = series("mirrorless.a");
    let version = new_version(a.as_ref(), "k", "whole");
    direct.register(version).await.unwrap();
    direct.set_alias(&a, "champion", 1, None).await.unwrap();
    let proxy = Proxy::start(&mlflow.url).await;
    let server = mirrored(&proxy, minio, "no-such-bucket");
    let poll = server.poll("champion").await.unwrap();
    assert_eq!(of(&poll, "mirrorless.").len(), 1);
    assert_eq!(server.fetch(&a, 1).await.unwrap().model_pr, "whole");
    proxy.fail("", Fault::Drop);
    for (error, call) in [
        (
            server.poll("champion").await.unwrap_err(),
            "registered-models/search",
        ),
        (server.fetch(&a, 1).await.unwrap_err(), "model-versions/get"),
    ] {
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(call), "MLflow's own: {error}");
    }
}

#[test]
fn a_copy_lies_on_an_object_store_and_on_nothing_else() {
    let url = "mlflow+http://one,mlflow+http://two";
    let error = open_with(url, &Environment::default()).unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("mlflow+http://two") && said.contains("s3://"),
        "{said}"
    );
}
