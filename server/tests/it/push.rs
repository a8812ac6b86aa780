//! Pushes: served when they should be, and without a trace when they should not.

use std::time::Duration;

use futures::StreamExt as _;
use loadcast_client::{
    Code, Error, ForecastQuery, ModelUpdate, Range, Reason, RejectionReport, Selector, Update,
};
use loadcast_proto::v1::{
    self as pb, model_service_client::ModelServiceClient, push_model_request::Part,
};

use crate::support::{Process, TestServer, constant_model, push, staged_files};

async fn level(server: &TestServer) -> f64 {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let forecast = server
        .client()
        .forecast(&ForecastQuery::new("web.cpu", hour))
        .await
        .unwrap();
    forecast.yhat[0]
}

fn code(error: &Error) -> Code {
    match error {
        Error::Refused { code, .. } => *code,
        other => panic!("not a refusal: {other}"),
    }
}

/// A header for `bytes`, for tests that send what the client would not.
fn header(bytes: &[u8]) -> pb::PushHeader {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    pb::PushHeader {
        series: Some(pb::Series {
            name: "web.cpu".to_owned(),
            step: Some(prost_types::Duration {
                seconds: 300,
                nanos: 0,
            }),
            ..Default::default()
        }),
        size_bytes: bytes.len() as u64,
        sha256: loadcast_model::artifact::sha256_hex(bytes),
        idempotency_key: "raw".to_owned(),
        alias: "champion".to_owned(),
        cutoff: at(1_790_000_000),
        trained_at: at(1_790_000_000),
        ..Default::default()
    }
}

async fn raw_push(
    server: &TestServer,
    parts: Vec<Part>,
) -> Result<pb::PushModelResponse, tonic::Status> {
    let messages = parts
        .into_iter()
        .map(|part| pb::PushModelRequest { part: Some(part) });
    let mut client = ModelServiceClient::new(server.channel().await);
    client
        .push_model(futures::stream::iter(messages.collect::<Vec<_>>()))
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_push_is_durable_and_served_when_it_is_answered() {
    let server = TestServer::start().await;
    let first = server.client().push(push("web.cpu", 1.0)).await.unwrap();
    assert_eq!((first.version, first.revision), (1, Some(1)));
    assert_eq!(level(&server).await, 1.0);
    let second = server.client().push(push("web.cpu", 2.0)).await.unwrap();
    assert_eq!((second.version, second.revision), (2, Some(2)));
    assert_eq!(level(&server).await, 2.0);
    let versions = server
        .folder
        .path()
        .join("state/registry/models/web.cpu/versions");
    for file in [
        "MLmodel",
        "model.pr",
        "loadcast.json",
        "requirements.txt",
        "manifest.json",
    ] {
        assert!(versions.join("2").join(file).is_file(), "{file}");
    }
    assert_eq!(
        std::fs::read(versions.join("2/model.pr")).unwrap(),
        constant_model(2.0)
    );
}

#[tokio::test]
async fn the_same_key_and_bytes_are_the_same_version_again() {
    let server = TestServer::start().await;
    let first = server.client().push(push("web.cpu", 1.0)).await.unwrap();
    let again = server.client().push(push("web.cpu", 1.0)).await.unwrap();
    assert_eq!(
        (again.version, again.revision),
        (first.version, first.revision)
    );
    assert!(again.already_registered);
    let mut other = push("web.cpu", 2.0);
    other.idempotency_key = push("web.cpu", 1.0).idempotency_key;
    let error = server.client().push(other).await.unwrap_err();
    assert_eq!(code(&error), Code::AlreadyExists, "{error}");
    assert_eq!(level(&server).await, 1.0);
}

#[tokio::test]
async fn a_wrong_expected_version_is_aborted_and_a_retry_is_not() {
    let server = TestServer::start().await;
    let mut first = push("web.cpu", 1.0);
    first.expected_version = Some(0);
    server.client().push(first.clone()).await.unwrap();
    // The answer was lost; the trainer asks again, with what it believed then.
    assert!(
        server
            .client()
            .push(first)
            .await
            .unwrap()
            .already_registered
    );
    let mut stale = push("web.cpu", 2.0);
    stale.expected_version = Some(0);
    let error = server.client().push(stale).await.unwrap_err();
    assert_eq!(code(&error), Code::Aborted, "{error}");
    assert_eq!(level(&server).await, 1.0);
}

#[tokio::test]
async fn a_corrupt_artifact_changes_nothing_but_an_event() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 1.0)).await.unwrap();
    let mut corrupt = push("web.cpu", 2.0);
    corrupt.model_pr = corrupt.model_pr.slice(..corrupt.model_pr.len() / 2);
    let error = server.client().push(corrupt).await.unwrap_err();
    assert_eq!(code(&error), Code::InvalidArgument, "{error}");
    assert!(error.to_string().contains("CORRUPT"), "{error}");
    assert_eq!(level(&server).await, 1.0);
    let model = server.client().model("web.cpu").await.unwrap();
    let rejection = model.last_rejection.unwrap();
    assert_eq!(rejection.reasons[0].code, "CORRUPT");
    assert_eq!(model.served.unwrap().version, 1);
    let versions = server
        .folder
        .path()
        .join("state/registry/models/web.cpu/versions");
    assert_eq!(std::fs::read_dir(versions).unwrap().count(), 1);
}

#[tokio::test]
async fn a_wrong_digest_is_refused_by_name() {
    let server = TestServer::start().await;
    let bytes = constant_model(1.0);
    let mut wrong = header(&bytes);
    wrong.sha256 = "0".repeat(64);
    let parts = vec![Part::Header(wrong), Part::ModelChunk(bytes.into())];
    let status = raw_push(&server, parts).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("DIGEST_MISMATCH"), "{status}");
    assert_nothing_served(&server).await;
}

#[tokio::test]
async fn a_truncated_push_leaves_nothing() {
    let server = TestServer::start().await;
    let bytes = constant_model(1.0);
    let half = bytes[..bytes.len() / 2].to_vec();
    let parts = vec![Part::Header(header(&bytes)), Part::ModelChunk(half.into())];
    let status = raw_push(&server, parts).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("header.size_bytes") && status.message().contains("again"),
        "{status}"
    );
    assert_nothing_served(&server).await;
    assert!(
        server
            .client()
            .models(&Selector::all())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(staged_files(server.folder.path()), [] as [String; 0]);
}

#[tokio::test]
async fn a_push_out_of_shape_is_refused_by_name() {
    let server = TestServer::start().await;
    let bytes = constant_model(1.0);
    let chunk = || Part::ModelChunk(bytes.clone().into());
    let with = |change: fn(&mut pb::PushHeader)| {
        let mut header = header(&bytes);
        change(&mut header);
        Part::Header(header)
    };
    let cases: Vec<(&str, Vec<Part>)> = vec![
        ("header", vec![chunk()]),
        ("header", vec![with(|_| ()), with(|_| ())]),
        ("model_chunk", vec![with(|_| ()), chunk(), chunk()]),
        (
            "attachment_chunk",
            vec![with(|_| ()), chunk(), Part::AttachmentChunk(vec![1].into())],
        ),
        (
            "header.series.name",
            vec![
                with(|h| h.series.as_mut().unwrap().name = "a/b".into()),
                chunk(),
            ],
        ),
        (
            "header.series.unit",
            vec![
                with(|h| h.series.as_mut().unwrap().unit = "gigs".into()),
                chunk(),
            ],
        ),
        (
            "header.series.step",
            vec![with(|h| h.series.as_mut().unwrap().step = None), chunk()],
        ),
        (
            "header.series.time_zone",
            vec![
                with(|h| h.series.as_mut().unwrap().time_zone = "Mars".into()),
                chunk(),
            ],
        ),
        (
            "header.idempotency_key",
            vec![with(|h| h.idempotency_key.clear()), chunk()],
        ),
        (
            "header.sha256",
            vec![with(|h| h.sha256 = "ABC".into()), chunk()],
        ),
        (
            "header.size_bytes",
            vec![with(|h| h.size_bytes = u64::MAX), chunk()],
        ),
        ("header.cutoff", vec![with(|h| h.cutoff = None), chunk()]),
        (
            "header.spec_json",
            vec![with(|h| h.spec_json = "{".into()), chunk()],
        ),
        (
            "header.verdict",
            vec![with(|h| h.set_verdict(pb::Verdict::Reject)), chunk()],
        ),
    ];
    for (field, parts) in cases {
        let status = raw_push(&server, parts).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status}");
        assert!(
            status.message().starts_with(&format!("{field}: ")),
            "{field}: {status}"
        );
    }
    assert_nothing_served(&server).await;
}

async fn assert_nothing_served(server: &TestServer) {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let error = server
        .client()
        .forecast(&ForecastQuery::new("web.cpu", hour))
        .await
        .unwrap_err();
    assert_eq!(code(&error), Code::NotFound, "{error}");
}

#[tokio::test]
async fn a_reported_rejection_is_shown_and_the_champion_goes_on() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 1.0)).await.unwrap();
    let report = RejectionReport {
        series: "web.cpu".to_owned(),
        reasons: vec![Reason {
            code: "SKILL".to_owned(),
            message: "worse than yesterday".to_owned(),
        }],
        scores: None,
        artifact_sha256: None,
        trainer_version: "test".to_owned(),
    };
    let revision = server.client().report_rejection(report).await.unwrap();
    assert_eq!(revision, 2);
    let model = server.client().model("web.cpu").await.unwrap();
    assert_eq!(
        model.last_rejection.unwrap().reasons[0].message,
        "worse than yesterday"
    );
    assert_eq!(level(&server).await, 1.0);
}

#[tokio::test]
async fn the_trace_of_a_push_is_carried_into_its_event() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let mut events = server.client().watch_models(Selector::all());
    let mut next = async || loop {
        match events.next().await.expect("the watch goes on").unwrap() {
            Update::Message(ModelUpdate::Event(event)) => return Some(event),
            Update::SnapshotEnd { .. } => return None,
            _ => {}
        }
    };
    assert!(next().await.is_none(), "nothing is served yet");
    let bytes = constant_model(1.0);
    let parts = [Part::Header(header(&bytes)), Part::ModelChunk(bytes.into())];
    let messages = parts.map(|part| pb::PushModelRequest { part: Some(part) });
    let mut request = tonic::Request::new(futures::stream::iter(messages));
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace_id}-b7ad6b7169203331-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.grpc));
    let channel = endpoint.unwrap().connect().await.unwrap();
    ModelServiceClient::new(channel)
        .push_model(request)
        .await
        .unwrap();
    let carried = next().await.unwrap().traceparent.unwrap();
    assert!(carried.contains(trace_id), "{carried}");
}

#[tokio::test]
async fn a_server_that_only_follows_serves_what_another_pushed_and_refuses_pushes() {
    let writer = TestServer::start().await;
    writer.client().push(push("web.cpu", 1.0)).await.unwrap();
    let folder = writer.folder.path().join("state/registry");
    let registry = format!("--registry=file://{}", folder.display());
    let flags = ["--poll-interval=100ms", "--read-only-registry", &registry];
    let follower = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    until_served(&follower.cache, 1).await;
    let error = follower.client().push(push("web.cpu", 2.0)).await;
    let error = error.unwrap_err();
    assert_eq!(code(&error), Code::FailedPrecondition);
    assert!(error.to_string().contains("READ_ONLY_REGISTRY"), "{error}");
    writer.client().push(push("web.cpu", 2.0)).await.unwrap();
    until_served(&follower.cache, 2).await;
    assert_eq!(level(&follower).await, 2.0);
    follower.stop().await;
    writer.stop().await;
}

/// Waits until `version` of web.cpu is what the cache serves.
async fn until_served(cache: &loadcast_server::cache::Cache, version: u64) {
    let series = "web.cpu".parse().unwrap();
    let mut changed = cache.subscribe();
    let served = changed.wait_for(|_| cache.get(&series).is_some_and(|s| s.version == version));
    tokio::time::timeout(Duration::from_secs(20), served)
        .await
        .expect("it is served in time")
        .unwrap();
}
