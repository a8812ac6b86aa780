//! Champion, the version before it within its age limits, what onUnavailable says.

use std::time::Duration;

use loadcast_client::Push;
use tonic::Code;

use crate::{
    house::{Keda, SERIES, after, serve},
    support::{TestServer, now, push},
};

/// A model that cannot answer by itself: it needs a capacity.
fn needs_input() -> Push {
    use loadcast_model::{
        artifact::encode_model_pr, fit::fit, history::History, inputs::Inputs, spec::Spec,
    };
    let end = now().as_second();
    let ds: Vec<i64> = (0..600).map(|i| end - (600 - i) * 300).collect();
    let inputs = Inputs {
        cap: vec![9.0; 600],
        ..Inputs::default()
    };
    let history = History::new(ds, vec![4.0; 600])
        .unwrap()
        .with_inputs(inputs)
        .unwrap();
    let spec: Spec = serde_json::from_str(r#"{"growth":"logistic"}"#).unwrap();
    let model = fit(&spec, &history).unwrap().model;
    Push {
        model_pr: encode_model_pr(&model).unwrap().into(),
        idempotency_key: "needs-input".to_owned(),
        ..push(SERIES, 4.0)
    }
}

#[tokio::test]
async fn a_champion_that_cannot_answer_is_stood_in_for_by_the_version_before_it() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    serve(&server, needs_input()).await;
    let keda = Keda::at(&server, &[]).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    // Within its age limits only.
    server.clock.set(after(48 * 60 + 5));
    assert_eq!(keda.refusal().await.0, Code::FailedPrecondition);
    // A rollback turns away from the newer version: it does not stand in for the older one.
    server.client().rollback(SERIES, None).await.unwrap();
    assert_eq!(keda.refusal().await.1, "STALE_MODEL");
}

#[tokio::test]
async fn a_version_before_the_champion_in_another_unit_step_or_zone_does_not_stand_in_for_it() {
    type Change = fn(&mut loadcast_client::SeriesInfo);
    let changes: [Change; 3] = [
        |series| series.unit = Some("percent".to_owned()),
        |series| series.step = Duration::from_secs(60),
        |series| series.time_zone = "Europe/Berlin".to_owned(),
    ];
    for change in changes {
        let server = TestServer::start().await;
        let mut before = push(SERIES, 2.0);
        change(&mut before.series);
        serve(&server, before).await;
        let keda = Keda::at(&server, &[]).await;
        assert_eq!(keda.value().await.unwrap(), 2.0);
        serve(&server, needs_input()).await;
        assert_eq!(keda.refusal().await.0, Code::FailedPrecondition);
    }
}

#[tokio::test]
async fn a_closed_live_gate_is_an_error_or_on_unavailable_and_never_the_version_before() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.toml");
    let text = format!(
        "[[series]]\nname = \"{SERIES}\"\npromql = \"x\"\ngates = {{ min_skill = 0.1, min_coverage = 0.0 }}\n"
    );
    std::fs::write(&catalog, text).unwrap();
    let flag = format!("--catalog={}", catalog.display());
    let server = TestServer::start_with(folder, &[&flag]).await;
    serve(&server, push(SERIES, 2.0)).await;
    serve(&server, push(SERIES, 3.0)).await;
    // Nearly the same every day, and never what the model says.
    let shape = |i: i32| 20.0 + f64::from(i % 7) + 0.01 * f64::from(i / 288 * (i % 5));
    server.clock.set(after(400 * 5));
    let run = loadcast_client::Observations {
        series: SERIES.to_owned(),
        start: now(),
        step: None,
        values: (0..400).map(shape).collect(),
    };
    server.client().observe_actuals(vec![run]).await.unwrap();
    let keda = Keda::at(&server, &[]).await;
    let expected = (Code::FailedPrecondition, "LIVE_GATE".to_owned());
    assert_eq!(keda.refusal().await, expected);
    let keda = Keda::at(&server, &[("onUnavailable", "7")]).await;
    assert_eq!(keda.value().await.unwrap(), 7.0);
    let metadata = keda.reference.scaler_metadata.clone();
    let explained = server.client().explain_trigger(metadata).await.unwrap();
    assert_eq!(explained.meaning.unwrap().rungs.len(), 1);
}

#[tokio::test]
async fn a_last_good_answer_is_told_for_its_time_and_then_an_error() {
    let server = TestServer::start().await;
    server.client().refresh_models().await.unwrap();
    let settings = [("onUnavailable", "lastGood:30m"), ("maxModelAge", "10m")];
    let keda = Keda::at(&server, &settings).await;
    assert_eq!(
        keda.refusal().await.0,
        Code::NotFound,
        "nothing good was ever told"
    );
    serve(&server, push(SERIES, 2.0)).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    server.clock.set(after(20));
    assert_eq!(keda.value().await.unwrap(), 2.0);
    assert!(keda.is_active().await.unwrap());
    server.clock.set(after(31));
    let expected = (Code::FailedPrecondition, "STALE_MODEL".to_owned());
    assert_eq!(keda.refusal().await, expected);
}

#[tokio::test]
async fn a_number_that_the_trigger_gives_is_told_where_nothing_is_known() {
    let server = TestServer::start().await;
    let keda = Keda::at(
        &server,
        &[("onUnavailable", "3.5"), ("activationTarget", "3")],
    )
    .await;
    assert_eq!(keda.value().await.unwrap(), 3.5);
    assert!(keda.is_active().await.unwrap());
    serve(&server, push(SERIES, 2.0)).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    assert!(!keda.is_active().await.unwrap());
}
