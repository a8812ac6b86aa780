//! What remote write does when the receiver does not take what it is sent.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    prometheus::counted,
    support::{TestServer, push},
};

/// What was posted, and how it was answered.
type Posted = (HeaderMap, Bytes, StatusCode);

/// A receiver that answers as `answers` says, then 204; and what it was sent.
async fn receiver(answers: Vec<StatusCode>) -> (String, mpsc::Receiver<Posted>) {
    let (tell, posted) = mpsc::channel(64);
    let answers = Arc::new(std::sync::Mutex::new(answers.into_iter()));
    let app = Router::new().route(
        "/write",
        post(move |headers: HeaderMap, body: Bytes| {
            let (tell, answers) = (tell.clone(), Arc::clone(&answers));
            async move {
                let status = answers.lock().unwrap().next();
                let status = status.unwrap_or(StatusCode::NO_CONTENT);
                let _ = tell.try_send((headers, body, status));
                status
            }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/write", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, posted)
}

async fn serving(url: &str) -> TestServer {
    let flags = [
        &format!("--remote-write={url}")[..],
        "--remote-write-interval=300ms",
    ];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    server
}

/// The next that has a sample in it: before the push there was none.
async fn next(posted: &mut mpsc::Receiver<Posted>) -> Posted {
    let next = tokio::time::timeout(Duration::from_secs(60), posted.recv());
    next.await.unwrap().unwrap()
}

#[tokio::test]
async fn what_is_not_taken_now_is_sent_again_with_the_same_bytes() {
    let (url, mut posted) = receiver(vec![
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ])
    .await;
    let server = serving(&url).await;
    let (headers, first, status) = next(&mut posted).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["content-encoding"], "snappy");
    assert_eq!(headers["x-prometheus-remote-write-version"], "0.1.0");
    for expected in [StatusCode::TOO_MANY_REQUESTS, StatusCode::NO_CONTENT] {
        let (_, again, status) = next(&mut posted).await;
        assert_eq!(status, expected);
        assert_eq!(again, first);
    }
    // What was told meanwhile comes after it.
    let (_, later, _) = next(&mut posted).await;
    assert!(!later.is_empty());
    assert_eq!(counted(&server, "retries").await, 2.0);
    assert_eq!(counted(&server, "samples_refused").await, 0.0);
}

#[tokio::test]
async fn what_will_never_be_taken_is_given_up_at_once_and_the_next_is_sent() {
    let (url, mut posted) = receiver(vec![StatusCode::BAD_REQUEST]).await;
    let server = serving(&url).await;
    assert_eq!(next(&mut posted).await.2, StatusCode::BAD_REQUEST);
    assert_eq!(next(&mut posted).await.2, StatusCode::NO_CONTENT);
    // 3 leads of a point and two levels, and four gauges.
    assert_eq!(counted(&server, "samples_refused").await, 13.0);
    assert_eq!(counted(&server, "retries").await, 0.0);
}
