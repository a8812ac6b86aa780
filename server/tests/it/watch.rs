//! Streams: snapshot, then every event in order; forecasts that follow versions and time.

use std::time::Duration;

use futures::StreamExt as _;
use loadcast_client::Code;
use loadcast_proto::v1::{
    self as pb, forecast_service_client::ForecastServiceClient,
    model_service_client::ModelServiceClient, watch_forecasts_response as wf,
    watch_models_response as wm,
};
use tonic::Streaming;

use crate::support::{TestServer, now, push};

/// Longer than any message takes; a message that does not come fails the test.
const PATIENCE: Duration = Duration::from_secs(20);

async fn next<T>(stream: &mut Streaming<T>) -> T {
    tokio::time::timeout(PATIENCE, stream.next())
        .await
        .expect("a message in time")
        .expect("the stream goes on")
        .expect("no status")
}

async fn watch_models(
    server: &TestServer,
    request: pb::WatchModelsRequest,
) -> Result<Streaming<pb::WatchModelsResponse>, tonic::Status> {
    let mut client = ModelServiceClient::new(server.channel().await);
    client
        .watch_models(request)
        .await
        .map(tonic::Response::into_inner)
}

/// Reads up to the end of the snapshot; returns the names in it and the last token.
async fn snapshot(stream: &mut Streaming<pb::WatchModelsResponse>) -> (Vec<String>, String) {
    let mut names = Vec::new();
    loop {
        let message = next(stream).await;
        match message.message.unwrap() {
            wm::Message::SnapshotBegin(_) => {}
            wm::Message::Model(model) => names.push(model.series.unwrap().name),
            wm::Message::SnapshotEnd(_) => return (names, message.token),
            other => panic!("in a snapshot: {other:?}"),
        }
    }
}

fn event(message: pb::WatchModelsResponse) -> pb::ModelEvent {
    match message.message.unwrap() {
        wm::Message::Event(event) => event.into_message().unwrap(),
        other => panic!("not an event: {other:?}"),
    }
}

#[tokio::test]
async fn a_snapshot_then_every_event_in_order() {
    let server = TestServer::start().await;
    server.client().push(push("a", 1.0)).await.unwrap();
    server.client().push(push("b", 1.0)).await.unwrap();
    let mut stream = watch_models(&server, pb::WatchModelsRequest::default())
        .await
        .unwrap();
    assert_eq!(snapshot(&mut stream).await.0, ["a", "b"]);
    for (i, level) in [2.0, 3.0, 4.0].into_iter().enumerate() {
        let pushed = server.client().push(push("a", level)).await.unwrap();
        let event = event(next(&mut stream).await);
        assert_eq!(Some(event.revision), pushed.revision);
        assert_eq!(event.revision, 3 + i as u64);
        assert_eq!(
            (event.version, event.previous_version),
            (2 + i as u64, 1 + i as u64)
        );
        assert_eq!(event.kind(), pb::ModelEventKind::Served);
        assert_eq!(event.artifact_sha256, pushed.artifact_sha256);
    }
}

#[tokio::test]
async fn a_token_resumes_without_gap_or_duplicate() {
    let server = TestServer::start().await;
    let mut stream = watch_models(&server, pb::WatchModelsRequest::default())
        .await
        .unwrap();
    let (_, mut token) = snapshot(&mut stream).await;
    for level in 1..=6 {
        server
            .client()
            .push(push("a", f64::from(level)))
            .await
            .unwrap();
    }
    for revision in 1..=6 {
        let request = pb::WatchModelsRequest {
            token,
            ..Default::default()
        };
        let mut stream = watch_models(&server, request).await.unwrap();
        let message = next(&mut stream).await;
        token = message.token.clone();
        assert_eq!(event(message).revision, revision);
    }
}

#[tokio::test]
async fn a_filter_lets_through_what_is_meant() {
    let server = TestServer::start().await;
    let selector = pb::SeriesSelector {
        names: vec!["b".to_owned()],
        ..Default::default()
    };
    let request = pb::WatchModelsRequest {
        selector: Some(selector),
        ..Default::default()
    };
    let mut stream = watch_models(&server, request).await.unwrap();
    snapshot(&mut stream).await;
    for name in ["a", "b", "a", "b"] {
        let level = server
            .client()
            .models(&loadcast_client::Selector::all())
            .await
            .unwrap()
            .len() as f64;
        let mut push = push(name, level + 1.0);
        push.idempotency_key = format!("{name}-{level}-{}", rand_key());
        server.client().push(push).await.unwrap();
    }
    assert_eq!(event(next(&mut stream).await).series, "b");
    assert_eq!(event(next(&mut stream).await).series, "b");
}

fn rand_key() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

#[tokio::test]
async fn a_foreign_token_is_told_so_at_once_or_gets_a_snapshot() {
    let elsewhere = TestServer::start().await;
    elsewhere.client().push(push("a", 1.0)).await.unwrap();
    let mut stream = watch_models(&elsewhere, pb::WatchModelsRequest::default())
        .await
        .unwrap();
    let (_, token) = snapshot(&mut stream).await;
    let server = TestServer::start().await;
    let mut request = pb::WatchModelsRequest {
        token,
        ..Default::default()
    };
    let status = watch_models(&server, request.clone()).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    assert!(
        tonic_types::StatusExt::get_details_error_info(&status)
            .unwrap()
            .reason
            == "EPOCH_CHANGED"
    );
    request.snapshot_on_gap = true;
    let mut stream = watch_models(&server, request.clone()).await.unwrap();
    match next(&mut stream).await.message.unwrap() {
        wm::Message::SnapshotBegin(begin) => assert_eq!(begin.reason, "EPOCH_CHANGED"),
        other => panic!("{other:?}"),
    }
    request.token = "nonsense".to_owned();
    let status = watch_models(&server, request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

async fn watch_forecasts(
    server: &TestServer,
    names: &[&str],
) -> Streaming<pb::WatchForecastsResponse> {
    let request = pb::WatchForecastsRequest {
        selector: Some(pb::SeriesSelector {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        }),
        horizon: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        ..Default::default()
    };
    let mut client = ForecastServiceClient::new(server.channel().await);
    client.watch_forecasts(request).await.unwrap().into_inner()
}

/// The next update: cause, and the first value or the reason why there is none.
async fn update(
    stream: &mut Streaming<pb::WatchForecastsResponse>,
) -> (pb::UpdateCause, Result<(f64, i64), String>) {
    loop {
        if let wf::Message::Update(update) = next(stream).await.message.unwrap() {
            let update = update.into_message().unwrap();
            let cause = update.cause();
            return match update.result.unwrap() {
                pb::forecast_update::Result::Forecast(forecast) => (
                    cause,
                    Ok((forecast.yhat[0], forecast.start.unwrap().seconds)),
                ),
                pb::forecast_update::Result::Error(error) => (cause, Err(error.reason)),
            };
        }
    }
}

#[tokio::test]
async fn forecasts_follow_versions_and_time() {
    let server = TestServer::start().await;
    server.client().push(push("a", 1.0)).await.unwrap();
    let mut stream = watch_forecasts(&server, &["a"]).await;
    let start = now().as_second();
    assert_eq!(
        update(&mut stream).await,
        (pb::UpdateCause::Snapshot, Ok((1.0, start)))
    );
    server.client().push(push("a", 2.0)).await.unwrap();
    assert_eq!(
        update(&mut stream).await,
        (pb::UpdateCause::Version, Ok((2.0, start)))
    );
    server.clock.set(now() + Duration::from_secs(300));
    assert_eq!(
        update(&mut stream).await,
        (pb::UpdateCause::Step, Ok((2.0, start + 300)))
    );
}

#[tokio::test]
async fn a_series_that_is_not_served_yet_is_told_and_then_followed() {
    let server = TestServer::start().await;
    let mut stream = watch_forecasts(&server, &["a"]).await;
    let (cause, result) = update(&mut stream).await;
    assert_eq!(
        (cause, result),
        (pb::UpdateCause::Snapshot, Err("UNKNOWN_SERIES".to_owned()))
    );
    server.client().push(push("a", 1.0)).await.unwrap();
    let (cause, result) = update(&mut stream).await;
    assert_eq!(
        (cause, result),
        (pb::UpdateCause::Version, Ok((1.0, now().as_second())))
    );
}

#[tokio::test]
async fn a_server_that_leaves_says_so_with_a_token_and_then_unavailable() {
    let server = TestServer::start().await;
    server.client().push(push("a", 1.0)).await.unwrap();
    let mut stream = watch_models(&server, pb::WatchModelsRequest::default())
        .await
        .unwrap();
    snapshot(&mut stream).await;
    let stopping = tokio::spawn(server.stop());
    let message = next(&mut stream).await;
    assert!(
        matches!(message.message, Some(wm::Message::GoingAway(_))),
        "{message:?}"
    );
    assert!(!message.token.is_empty());
    let status = tokio::time::timeout(PATIENCE, stream.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    stopping.await.unwrap();
}

/// A watch of forecasts that asks what `change` makes of the plain question.
async fn watch_asking(
    server: &TestServer,
    change: impl FnOnce(&mut pb::WatchForecastsRequest),
) -> Result<Streaming<pb::WatchForecastsResponse>, tonic::Status> {
    let mut request = pb::WatchForecastsRequest {
        horizon: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        ..Default::default()
    };
    change(&mut request);
    let mut client = ForecastServiceClient::new(server.channel().await);
    let opened = client.watch_forecasts(request).await;
    opened.map(tonic::Response::into_inner)
}

fn labelled(name: &str, level: f64, team: &str) -> loadcast_client::Push {
    let mut push = push(name, level);
    push.series
        .labels
        .insert("team".to_owned(), team.to_owned());
    push.idempotency_key = format!("{name}-{level}-{team}");
    push
}

#[tokio::test]
async fn a_watch_by_label_finds_what_is_served_later_and_lets_go_of_what_is_labelled_anew() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(labelled("a", 1.0, "blue")).await.unwrap();
    client.push(labelled("b", 1.0, "red")).await.unwrap();
    let mut stream = watch_asking(&server, |request| {
        request.selector = Some(pb::SeriesSelector {
            label_selector: "team=blue".to_owned(),
            ..Default::default()
        });
    })
    .await
    .unwrap();
    let start = now().as_second();
    assert_eq!(
        update(&mut stream).await,
        (pb::UpdateCause::Snapshot, Ok((1.0, start)))
    );
    client.push(labelled("c", 3.0, "blue")).await.unwrap();
    assert_eq!(
        update(&mut stream).await,
        (pb::UpdateCause::Version, Ok((3.0, start)))
    );
    client.push(labelled("a", 2.0, "red")).await.unwrap();
    server.clock.set(now() + Duration::from_secs(300));
    loop {
        match next(&mut stream).await.message.unwrap() {
            wf::Message::Gone(gone) => {
                assert_eq!(
                    (gone.series.as_str(), gone.reason.as_str()),
                    ("a", "NOT_SELECTED")
                );
                break;
            }
            wf::Message::SnapshotEnd(_) => {}
            wf::Message::Update(update) => {
                assert_eq!(update.into_message().unwrap().series, "c");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_condition_holds_back_small_movements_and_no_large_ones() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push("a", 100.0)).await.unwrap();
    let mut stream = watch_asking(&server, |request| {
        request.condition = Some(pb::WatchCondition {
            level: 0.0,
            lead: None,
            moved_percent: 10.0,
        });
    })
    .await
    .unwrap();
    let value = async |stream: &mut _| update(stream).await.1.unwrap().0;
    assert_eq!(value(&mut stream).await, 100.0);
    // 109 and 91 are within 10 % of what was told, one after the other; 89 is not.
    for level in [109.0, 91.0, 89.0] {
        client.push(push("a", level)).await.unwrap();
    }
    assert_eq!(value(&mut stream).await, 89.0);
    // Steps of a constant move nothing; a model that becomes stale is told all the same.
    server.clock.set(now() + Duration::from_secs(300));
    server.clock.set(now() + Duration::from_secs(3 * 86_400));
    let (cause, result) = update(&mut stream).await;
    assert_eq!(
        (cause, result.unwrap().0),
        (pb::UpdateCause::Freshness, 89.0)
    );
}

#[tokio::test]
async fn a_condition_that_makes_no_sense_is_refused_by_field() {
    let server = TestServer::start().await;
    let lead = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    for (level, lead, moved_percent, field) in [
        (1.5, None, 1.0, "condition.level"),
        (-0.1, None, 1.0, "condition.level"),
        (f64::NAN, None, 1.0, "condition.level"),
        (0.0, lead(-1), 1.0, "condition.lead"),
        (0.0, lead(i64::MAX), 1.0, "condition.lead"),
        (0.0, None, -1.0, "condition.moved_percent"),
        (0.0, None, f64::INFINITY, "condition.moved_percent"),
    ] {
        let condition = pb::WatchCondition {
            level,
            lead,
            moved_percent,
        };
        let status = watch_asking(&server, |request| request.condition = Some(condition))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{status:?}");
    }
}

#[tokio::test]
async fn a_watch_of_forecasts_resumes_with_what_changed_and_nothing_else() {
    let server = TestServer::start().await;
    let client = server.client();
    for name in ["a", "b", "c"] {
        client.push(push(name, 1.0)).await.unwrap();
    }
    let mut stream = watch_asking(&server, |_| {}).await.unwrap();
    let token = loop {
        let message = next(&mut stream).await;
        if let Some(wf::Message::SnapshotEnd(_)) = message.message {
            break message.token;
        }
    };
    drop(stream);
    client.push(push("b", 2.0)).await.unwrap();
    let resume = |token: String| watch_asking(&server, move |request| request.token = token);
    let mut stream = resume(token.clone()).await.unwrap();
    let message = next(&mut stream).await;
    let Some(wf::Message::Update(first)) = message.message else {
        panic!("{message:?}");
    };
    let first = first.into_message().unwrap();
    assert_eq!(
        (first.series.as_str(), first.cause()),
        ("b", pb::UpdateCause::Version)
    );
    // Time has moved on while nobody listened: all have another answer.
    drop(stream);
    server.clock.set(now() + Duration::from_secs(600));
    let mut stream = resume(message.token).await.unwrap();
    let mut steps = Vec::new();
    while steps.len() < 3 {
        match next(&mut stream).await.message.unwrap() {
            wf::Message::Update(update) => {
                let update = update.into_message().unwrap();
                assert_eq!(update.cause(), pb::UpdateCause::Step);
                steps.push(update.series);
            }
            // Of two steps the first was never sent.
            wf::Message::Lagged(lagged) => assert_eq!(lagged.skipped, 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(steps, ["a", "b", "c"]);
    // The same token under another question is no place to go on from.
    let other = watch_asking(&server, |request| {
        request.token = token;
        request.components = true;
    });
    assert_eq!(other.await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn all_who_ask_the_same_get_the_same_bytes() {
    let server = TestServer::start().await;
    server.client().push(push("a", 1.0)).await.unwrap();
    let mut streams = Vec::new();
    for i in 0..20 {
        let change = |request: &mut pb::WatchForecastsRequest| request.components = i % 2 == 1;
        streams.push(watch_asking(&server, change).await.unwrap());
    }
    let mut answers = Vec::new();
    for stream in &mut streams {
        answers.push(loop {
            if let Some(wf::Message::Update(update)) = next(stream).await.message {
                break update.into_message().unwrap();
            }
        });
    }
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(*answer, answers[i % 2]);
    }
    assert_ne!(answers[0], answers[1]);
}

#[tokio::test]
async fn a_watch_ends_by_the_deadline_of_its_call() {
    let server = TestServer::start().await;
    let mut request = tonic::Request::new(pb::WatchModelsRequest::default());
    request.set_timeout(Duration::from_millis(300));
    let mut client = ModelServiceClient::new(server.channel().await);
    let mut messages = client.watch_models(request).await.unwrap().into_inner();
    let ended = async {
        loop {
            match messages.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a status"),
                Err(status) => return status,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), ended).await;
    assert_eq!(status.unwrap().code(), tonic::Code::DeadlineExceeded);
}
