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
        wm::Message::Event(event) => event,
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
