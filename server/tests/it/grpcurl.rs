//! grpcurl, a stranger with no proto file: lists, describes, asks and watches.

use std::{process::Output, time::Duration};

use futures::StreamExt as _;
use tonic_reflection::pb::v1alpha::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use loadcast_components::tools::tool;

use crate::support::{TestServer, push};

/// Runs the pinned grpcurl; `None` where it could not be installed.
async fn grpcurl(server: &TestServer, flags: &[&str], call: &[&str]) -> Option<Output> {
    let path = tool("grpcurl", "bin/grpcurl", "Go")?;
    let output = tokio::process::Command::new(path)
        .arg("-plaintext")
        .args(flags)
        .arg(server.grpc.to_string())
        .args(call)
        .output();
    Some(
        tokio::time::timeout(Duration::from_secs(30), output)
            .await
            .unwrap()
            .unwrap(),
    )
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn grpcurl_lists_describes_asks_and_watches_without_a_proto_file() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let Some(list) = grpcurl(&server, &[], &["list"]).await else {
        return;
    };
    for service in [
        "loadcast.v1.ForecastService",
        "loadcast.v1.ModelService",
        "loadcast.v1.ScalerService",
        "externalscaler.ExternalScaler",
        "grpc.health.v1.Health",
        "arrow.flight.protocol.FlightService",
    ] {
        assert!(
            stdout(&list).contains(service),
            "{service}: {}",
            stdout(&list)
        );
    }
    let described = grpcurl(
        &server,
        &[],
        &["describe", "loadcast.v1.GetForecastRequest"],
    )
    .await
    .unwrap();
    assert!(
        stdout(&described).contains("Quantile levels in (0, 1)"),
        "{}",
        stdout(&described)
    );
    let ask = ["-d", r#"{"series":"web.cpu","horizon":"900s"}"#];
    let answer = grpcurl(&server, &ask, &["loadcast.v1.ForecastService/GetForecast"])
        .await
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&stdout(&answer)).unwrap();
    assert_eq!(
        answer["forecast"]["yhat"],
        serde_json::json!([2.5, 2.5, 2.5])
    );
    assert_eq!(answer["forecast"]["provenance"]["version"], "1");
    let path = ["-d", r#"{"type":"PATH","path":["web.cpu"]}"#];
    let flight = "arrow.flight.protocol.FlightService/GetFlightInfo";
    let flight = grpcurl(&server, &path, &[flight]).await.unwrap();
    let flight: serde_json::Value = serde_json::from_str(&stdout(&flight)).unwrap();
    assert_eq!(flight["totalRecords"], "288");
    let watch = ["-max-time", "3", "-d", "{}"];
    let watched = grpcurl(&server, &watch, &["loadcast.v1.ModelService/WatchModels"])
        .await
        .unwrap();
    assert!(
        stdout(&watched).contains("snapshotEnd") && stdout(&watched).contains("web.cpu"),
        "{}",
        stdout(&watched)
    );
}

#[tokio::test]
async fn grpcurl_asks_for_a_metric_by_the_names_that_keda_has() {
    let server = TestServer::start().await;
    let ask = [
        "-d",
        r#"{"name":"web","namespace":"shop","scalerMetadata":{"series":"web.cpu","target":"0.7"}}"#,
    ];
    let method = "externalscaler.ExternalScaler/GetMetricSpec";
    let Some(answer) = grpcurl(&server, &ask, &[method]).await else {
        return;
    };
    let answer: serde_json::Value = serde_json::from_str(&stdout(&answer)).unwrap();
    let spec = &answer["metricSpecs"][0];
    assert_eq!(spec["targetSizeFloat"], 0.7, "{answer}");
    assert_eq!(spec["targetSize"], "1");
}

#[tokio::test]
async fn grpcurl_is_shown_the_details_of_an_error() {
    let server = TestServer::start().await;
    let ask = ["-d", r#"{"series":"web.cpu"}"#];
    let Some(output) = grpcurl(&server, &ask, &["loadcast.v1.ForecastService/GetForecast"]).await
    else {
        return;
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("google.rpc.BadRequest") && stderr.contains("fieldViolations"),
        "{stderr}"
    );
}

#[tokio::test]
async fn the_older_reflection_v1alpha_answers_too() {
    let server = TestServer::start().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.channel().await);
    let mut answers = client
        .server_reflection_info(futures::stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers
        .next()
        .await
        .unwrap()
        .unwrap()
        .message_response
        .unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert!(
        names.contains(&"loadcast.v1.ForecastService".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn http_1_and_http_2_are_accepted_on_both_ports() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = TestServer::start().await;
    for addr in [server.grpc, server.http] {
        let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        socket
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{addr}: {answer}");
        let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        socket
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        let mut frame = [0; 9];
        socket.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "{addr}: the first frame is SETTINGS");
    }
}
