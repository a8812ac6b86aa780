//! P12: a bad candidate changes nothing but an event.

use std::{fs, time::Duration};

use loadcast_client::{Code, Error, Push, Reason, RejectionReport};

use crate::{
    storm::{SERIES, question, until_served},
    support::{TestServer, constant_model, push},
};

/// What a candidate must leave as it is.
async fn standing(server: &TestServer) -> (u64, u64, String, f64) {
    let forecast = server.client().forecast(&question(12)).await.unwrap();
    let provenance = forecast.provenance;
    (
        provenance.version,
        provenance.revision,
        provenance.artifact_sha256,
        forecast.yhat[0],
    )
}

fn model_pr(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let text: String = serde_json::from_slice(&constant_model(2.0)).unwrap();
    let mut model = serde_json::from_str(&text).unwrap();
    change(&mut model);
    serde_json::to_vec(&serde_json::to_string(&model).unwrap()).unwrap()
}

fn candidate(name: &str, model_pr: Vec<u8>) -> Push {
    Push {
        idempotency_key: name.to_owned(),
        model_pr: model_pr.into(),
        ..push(SERIES, 2.0)
    }
}

#[tokio::test]
async fn p12_a_bad_candidate_changes_nothing_but_a_rejection_with_its_reason() {
    let server = TestServer::start().await;
    server.client().push(push(SERIES, 1.0)).await.unwrap();
    until_served(&server.cache, 1).await;
    let before = standing(&server).await;
    let whole = constant_model(2.0);
    let candidates = [
        ("truncated", "CORRUPT", whole[..whole.len() / 2].to_vec()),
        (
            "bent",
            "CORRUPT",
            model_pr(|model| model["params"] = "x".into()),
        ),
        // What another flavor logs under the same name: a pickle.
        (
            "foreign",
            "UNSUPPORTED",
            b"\x80\x05\x95sklearn.linear_model".to_vec(),
        ),
        (
            "infinite",
            "NON_FINITE",
            model_pr(|model| {
                model["y_scale"] = 1e300.into();
                model["params"]["m"][0][0] = 1e300.into();
            }),
        ),
        (
            "sampled",
            "UNSUPPORTED",
            model_pr(|model| {
                let k = model["params"]["k"][0].clone();
                model["params"]["k"] = vec![k.clone(), k].into();
            }),
        ),
    ];
    let mut revision = server.cache.state().revision;
    for (name, reason, bytes) in candidates {
        let error = server
            .client()
            .push(candidate(name, bytes))
            .await
            .unwrap_err();
        assert!(
            matches!(
                &error,
                Error::Refused {
                    code: Code::InvalidArgument,
                    ..
                }
            ),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(reason), "{name}: {error}");
        assert_eq!(standing(&server).await, before, "{name}");
        revision += 1;
        assert_rejected(&server, revision, reason).await;
    }
    let report = RejectionReport {
        series: SERIES.to_owned(),
        reasons: vec![Reason {
            code: "SKILL".to_owned(),
            message: "worse than yesterday".to_owned(),
        }],
        scores: None,
        artifact_sha256: None,
        trainer_version: "test".to_owned(),
    };
    server.client().report_rejection(report).await.unwrap();
    assert_eq!(standing(&server).await, before);
    assert_rejected(&server, revision + 1, "SKILL").await;
    // None of them became a version.
    let versions = server
        .folder
        .path()
        .join("state/registry/models/web.cpu/versions");
    assert_eq!(fs::read_dir(versions).unwrap().count(), 1);
}

/// The one event at `revision`, the newest, is a rejection for `reason`.
async fn assert_rejected(server: &TestServer, revision: u64, reason: &str) {
    assert_eq!(server.cache.state().revision, revision);
    let events = server.cache.events_after(revision - 1, 10).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind.name(), "REJECTED");
    let model = server.client().model(SERIES).await.unwrap();
    assert_eq!(model.last_rejection.unwrap().reasons[0].code, reason);
    assert_eq!(model.served.unwrap().version, 1);
}

#[tokio::test]
async fn p12_a_damaged_version_in_the_registry_is_refused_and_other_series_go_on_refreshing() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push(SERIES, 1.0)).await.unwrap();
    client.push(push("other", 1.0)).await.unwrap();
    until_served(&server.cache, 1).await;
    for series in [SERIES, "other"] {
        let unpromoted = Push {
            alias: None,
            ..push(series, 2.0)
        };
        assert_eq!(client.push(unpromoted).await.unwrap().version, 2);
    }
    let mut changed = server.cache.subscribe();
    let before = *changed.borrow();
    // Behind this server's back: a version goes bad on the disk, and both aliases move.
    let registry = server.folder.path().join("state/registry");
    let file = registry.join("models/web.cpu/versions/2/model.pr");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    for series in [SERIES, "other"] {
        let alias = registry.join("aliases/champion").join(series);
        fs::write(alias, r#"{"version":2}"#).unwrap();
    }
    let both = changed.wait_for(|revision| *revision >= before + 2);
    let both = tokio::time::timeout(Duration::from_secs(60), both);
    both.await.unwrap().unwrap();
    let events = server.cache.events_after(before, usize::MAX).unwrap();
    let mut seen: Vec<(&str, &str)> = events
        .iter()
        .filter_map(|event| Some((event.kind.series()?.0.as_ref(), event.kind.name())))
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [("other", "SERVED"), (SERIES, "REJECTED")]);
    let (version, .., level) = standing(&server).await;
    assert_eq!((version, level), (1, 1.0));
    let rejection = client.model(SERIES).await.unwrap().last_rejection.unwrap();
    assert_eq!(
        (rejection.version, rejection.reasons[0].code.as_str()),
        (Some(2), "CORRUPT")
    );
}
