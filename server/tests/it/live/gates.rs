//! Gates that live scores close and open.

use std::{fs, time::Duration};

use futures::StreamExt as _;
use loadcast_client::{
    ForecastQuery, ModelEvent, ModelEventKind, ModelState, ModelUpdate, Range, Selector, Update,
};

use loadcast_proto::v1::{
    self as pb, forecast_service_client::ForecastServiceClient, watch_forecasts_response as wf,
};

use crate::support::{TestServer, push};

const SERIES: &str = "shop.web.cpu";

/// A server whose catalog asks for skill, by a template.
async fn start() -> TestServer {
    start_in(tempfile::tempdir().unwrap()).await
}

async fn start_in(folder: tempfile::TempDir) -> TestServer {
    let catalog = folder.path().join("catalog.toml");
    let text = r#"
        [[series]]
        name = "{namespace}.web.cpu"
        promql = "x"
        gates = { min_skill = 0.1, min_coverage = 0.0 }
    "#;
    fs::write(&catalog, text).unwrap();
    let flag = format!("--catalog={}", catalog.display());
    TestServer::start_with(folder, &["--poll-interval=1h", &flag]).await
}

fn model() -> loadcast_client::Push {
    let mut push = push(SERIES, 10.0);
    push.series.labels = [("namespace".to_owned(), "shop".to_owned())].into();
    push
}

/// Observations of a day: the same shape every day, nearly.
fn shape(i: i64) -> f64 {
    20.0 + (i % 7) as f64 + f64::from(u8::from(i % 5 == 0)) * 0.01 * (i / 288) as f64
}

async fn gated(server: &TestServer) -> Option<String> {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let query = ForecastQuery::new(SERIES, hour);
    let answer = server.client().forecast(&query).await.unwrap();
    answer.provenance.reason
}

async fn metrics(server: &TestServer) -> String {
    let url = format!("http://{}/metrics", server.http);
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

async fn next_gate_event(watch: &mut loadcast_client::Watch<ModelUpdate>) -> ModelEvent {
    loop {
        if let Update::Message(ModelUpdate::Event(event)) = watch.next().await.unwrap().unwrap()
            && matches!(
                event.kind,
                ModelEventKind::GateClosed | ModelEventKind::GateOpened
            )
        {
            return *event;
        }
    }
}

#[tokio::test]
async fn a_series_whose_skill_falls_below_its_gate_is_gated_with_the_reason_and_recovers() {
    let server = start().await;
    let pushed = server.client().push(model()).await.unwrap();
    let mut events = server.client().watch_models(Selector::names([SERIES]));
    while !matches!(
        events.next().await.unwrap().unwrap(),
        Update::Message(ModelUpdate::Model(_))
    ) {}
    // A day without a day before it says nothing.
    server
        .observe(SERIES, 0, (0..288).map(shape).collect())
        .await;
    assert_eq!(gated(&server).await, None);
    // What repeats itself is forecast badly by a model that says 10, and well by the day before.
    let mut i = 288;
    while gated(&server).await.is_none() {
        server.observe(SERIES, i, vec![shape(i)]).await;
        i += 1;
        assert!(i < 600, "it never closes");
    }
    assert!(i - 288 >= 36, "closed on {} forecasts", i - 288);

    assert_eq!(gated(&server).await.as_deref(), Some("SKILL"));
    let model = server.client().model(SERIES).await.unwrap();
    assert_eq!(model.state, ModelState::Serving);
    assert_eq!(model.reason.as_deref(), Some("SKILL"));
    let message = model.message.unwrap();
    assert!(message.contains("3600 s ahead, at least 0.1"), "{message}");
    let live = model.live.unwrap();
    assert_eq!(live.gate.unwrap().code, "SKILL");
    assert!(model.live_scores.unwrap().skill.unwrap() < 0.1);
    let closed = next_gate_event(&mut events).await;
    assert_eq!(closed.kind, ModelEventKind::GateClosed);
    assert_eq!(closed.version, Some(pushed.version));
    assert_eq!(closed.reasons[0].code, "SKILL");
    assert_eq!(closed.labels["namespace"], "shop");
    let text = metrics(&server).await;
    assert!(
        text.contains("loadcast_live_gate_closed{series=\"shop.web.cpu\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("loadcast_live_skill{series=\"shop.web.cpu\",lead_seconds=\"3600\"} -"),
        "{text}"
    );

    // The load is what the model says from now on, and unlike the day before.
    while gated(&server).await.is_some() {
        server.observe(SERIES, i, vec![10.0]).await;
        i += 1;
        assert!(i < 2_000, "it never opens");
    }
    let opened = next_gate_event(&mut events).await;
    assert_eq!(opened.kind, ModelEventKind::GateOpened);
    assert!(opened.revision > closed.revision);
    let model = server.client().model(SERIES).await.unwrap();
    assert_eq!((model.reason, model.live.unwrap().gate), (None, None));
    assert!(model.live_scores.unwrap().skill.unwrap() >= 0.12);
    let text = metrics(&server).await;
    assert!(
        text.contains("loadcast_live_gate_closed{series=\"shop.web.cpu\"} 0"),
        "{text}"
    );
}

#[tokio::test]
async fn a_watch_with_a_condition_is_told_that_its_answer_is_gated_and_open_again() {
    let server = start().await;
    server.client().push(model()).await.unwrap();
    let request = pb::WatchForecastsRequest {
        horizon: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        // Nothing moves so far.
        condition: Some(pb::WatchCondition {
            level: 0.0,
            lead: None,
            moved_percent: 1e6,
        }),
        ..Default::default()
    };
    let mut client = ForecastServiceClient::new(server.channel().await);
    let mut stream = client.watch_forecasts(request).await.unwrap().into_inner();
    let mut next_reason = async || {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(20), stream.message());
            let message = message.await.expect("it is told in time").unwrap().unwrap();
            if let Some(wf::Message::Update(update)) = message.message {
                match update.into_message().unwrap().result.unwrap() {
                    pb::forecast_update::Result::Forecast(forecast) => {
                        return forecast.provenance.unwrap().reason;
                    }
                    pb::forecast_update::Result::Error(error) => panic!("{error:?}"),
                }
            }
        }
    };
    assert_eq!(next_reason().await, "");
    server
        .observe(SERIES, 0, (0..400).map(shape).collect())
        .await;
    assert_eq!(gated(&server).await.as_deref(), Some("SKILL"));
    assert_eq!(next_reason().await, "SKILL");
    let mut i = 400;
    while gated(&server).await.is_some() {
        server.observe(SERIES, i, vec![10.0]).await;
        i += 1;
        assert!(i < 570, "it does not open before the model is stale");
    }
    assert_eq!(next_reason().await, "");
}

/// A server on which the gate is closed, and the next step.
async fn closed() -> (TestServer, i64) {
    let server = start().await;
    server.client().push(model()).await.unwrap();
    server
        .observe(SERIES, 0, (0..400).map(shape).collect())
        .await;
    assert_eq!(gated(&server).await.as_deref(), Some("SKILL"));
    (server, 400)
}

#[tokio::test]
async fn a_gate_stays_closed_across_a_restart_even_when_the_scores_are_lost() {
    for lose in [false, true] {
        let (server, next) = closed().await;
        let folder = server.stop().await;
        if lose {
            fs::remove_file(folder.path().join("state/live.bin")).unwrap();
        }
        let server = start_in(folder).await;
        assert_eq!(gated(&server).await.as_deref(), Some("SKILL"), "{lose}");
        server.observe(SERIES, next, vec![shape(next)]).await;
        assert_eq!(gated(&server).await.as_deref(), Some("SKILL"), "{lose}");
        let text = metrics(&server).await;
        assert!(
            text.contains("loadcast_live_gate_closed{series=\"shop.web.cpu\"} 1"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn another_version_begins_with_its_gate_open() {
    let (server, _) = closed().await;
    let other = loadcast_client::Push {
        idempotency_key: "other".to_owned(),
        series: model().series,
        ..push(SERIES, 20.0)
    };
    server.client().push(other).await.unwrap();
    assert_eq!(gated(&server).await, None);
    let model = server.client().model(SERIES).await.unwrap();
    assert_eq!(model.reason, None);
}
