//! P15: every unary call ends by its deadline, with a cap of the server's where the client sets none; streams honour
//! `grpc-timeout` too, and are reset where the window is closed.

use std::time::Duration;

use loadcast_proto::{FILE_DESCRIPTOR_SET, v1 as pb};
use prost::Message as _;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tokio::{
    io::{AsyncWriteExt as _, DuplexStream},
    time::Instant,
};

use crate::{
    frames::{self, Came},
    house::{House, selector},
    observe::seconds,
};

/// Where the server ends a call that sets no deadline.
const CAP: Duration = Duration::from_secs(30);
const UPLOAD_CAP: Duration = Duration::from_secs(300);
const SCALER_CAP: Duration = Duration::from_secs(1);

/// Timers tick in milliseconds.
const TICK: Duration = Duration::from_millis(5);

/// The paths of all methods that `are`.
fn methods(are: impl Fn(&MethodDescriptorProto) -> bool) -> Vec<String> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let mut paths = Vec::new();
    for file in &files {
        for service in &file.service {
            for method in service.method.iter().filter(|method| are(method)) {
                let name = format!("{}.{}", file.package(), service.name());
                paths.push(format!("/{name}/{}", method.name()));
            }
        }
    }
    paths
}

/// Calls `path` with `timeout` and never says what is asked; answers with how long it took until it was told off.
async fn ask_nothing(house: &House, path: &str, timeout: Option<&str>) -> Duration {
    let mut pipe = house.pipe().await;
    pipe.write_all(&frames::hello(65_535)).await.unwrap();
    let timeout: Vec<_> = timeout.map(|t| ("grpc-timeout", t)).into_iter().collect();
    let headers = frames::headers(path, &timeout);
    let begun = Instant::now();
    let head = frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &headers);
    pipe.write_all(&head).await.unwrap();
    let came = until(&mut pipe, |came| came.kind == frames::HEADERS).await;
    // A status and nothing else.
    assert_ne!(came.flags & frames::END_STREAM, 0, "{path}");
    begun.elapsed()
}

/// Answers pings until a frame is `wanted`.
async fn until(pipe: &mut DuplexStream, wanted: impl Fn(&Came) -> bool) -> Came {
    loop {
        let came = frames::next(pipe).await.unwrap().expect("more");
        if wanted(&came) {
            return came;
        }
        if came.kind == frames::PING && came.flags == 0 {
            let pong = frames::frame(frames::PING, frames::ACK, 0, &came.payload);
            pipe.write_all(&pong).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p15_every_call_with_one_answer_ends_by_its_deadline_or_by_the_cap() {
    let house = House::in_memory().await;
    let unary = methods(|method| !method.server_streaming());
    assert!(unary.len() >= 10, "{unary:?}");
    for path in &unary {
        let cap = match path.rsplit('/').next().unwrap() {
            "PushModel" | "ObserveActuals" => UPLOAD_CAP,
            // KEDA holds a lock while it waits.
            _ if path.starts_with("/externalscaler.") => SCALER_CAP,
            _ => CAP,
        };
        for (timeout, expected) in [
            (None, cap),
            (Some("250m"), Duration::from_millis(250)),
            (Some("9H"), cap),
        ] {
            let took = ask_nothing(&house, path, timeout).await;
            // An upload that says nothing is given up before its cap, and one that is not taken yet at once.
            let is_upload = cap == UPLOAD_CAP;
            assert!(
                (is_upload || took >= expected) && took <= expected + TICK,
                "{path} with {timeout:?}: {took:?}"
            );
        }
    }
    assert_eq!(house.metric("loadcast_edge_calls_open", "").await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn p15_each_watch_ends_with_deadline_exceeded_by_its_timeout() {
    use loadcast_proto::{
        externalscaler::{ScaledObjectRef, external_scaler_client::ExternalScalerClient},
        health::{HealthCheckRequest, health_client::HealthClient},
        v1::{
            forecast_service_client::ForecastServiceClient,
            model_service_client::ModelServiceClient,
        },
    };
    async fn ended<T>(mut stream: tonic::Streaming<T>) -> tonic::Code {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a status"),
                Err(status) => return status.code(),
            }
        }
    }
    fn timed<T>(message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(Duration::from_secs(2));
        request
    }
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let channel = house.channel().await;
    for which in ["models", "forecasts", "health", "scaler"] {
        let begun = Instant::now();
        let channel = channel.clone();
        let code = match which {
            "models" => {
                let request = timed(pb::WatchModelsRequest::default());
                let answer = ModelServiceClient::new(channel).watch_models(request).await;
                ended(answer.unwrap().into_inner()).await
            }
            "forecasts" => {
                let request = timed(pb::WatchForecastsRequest {
                    selector: selector(&["a"], ""),
                    horizon: seconds(3_600),
                    ..Default::default()
                });
                let mut client = ForecastServiceClient::new(channel);
                let answer = client.watch_forecasts(request).await;
                ended(answer.unwrap().into_inner()).await
            }
            "health" => {
                let request = timed(HealthCheckRequest::default());
                let answer = HealthClient::new(channel).watch(request).await;
                ended(answer.unwrap().into_inner()).await
            }
            _ => {
                let metadata = [("series", "a"), ("target", "10")];
                let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
                let request = timed(ScaledObjectRef {
                    name: "web".to_owned(),
                    namespace: "shop".to_owned(),
                    scaler_metadata: metadata.into(),
                });
                let mut client = ExternalScalerClient::new(channel);
                let answer = client.stream_is_active(request).await;
                ended(answer.unwrap().into_inner()).await
            }
        };
        assert_eq!(code, tonic::Code::DeadlineExceeded, "{which}");
        let took = begun.elapsed();
        let expected = Duration::from_secs(2);
        assert!(took >= expected && took <= expected + TICK, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p15_where_the_window_is_closed_the_deadline_resets_the_stream() {
    use pb::batch_get_forecasts_request::Range;
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let horizon = seconds(60 * 86_400);
    let watch = pb::WatchForecastsRequest {
        selector: selector(&["a"], ""),
        horizon,
        ..Default::default()
    };
    let batch = pb::BatchGetForecastsRequest {
        selector: selector(&["a"], ""),
        range: horizon.map(Range::Horizon),
        ..Default::default()
    };
    for (times, method, question) in [
        (1.0, "WatchForecasts", watch.encode_to_vec()),
        (2.0, "BatchGetForecasts", batch.encode_to_vec()),
    ] {
        let mut pipe = house.pipe().await;
        pipe.write_all(&frames::hello(1_000)).await.unwrap();
        let path = format!("/loadcast.v1.ForecastService/{method}");
        let headers = frames::headers(&path, &[("grpc-timeout", "5S")]);
        let message = frames::envelope(&question);
        let call = [
            frames::frame(frames::HEADERS, frames::END_HEADERS, 1, &headers),
            frames::frame(frames::DATA, frames::END_STREAM, 1, &message),
        ];
        let begun = Instant::now();
        pipe.write_all(&call.concat()).await.unwrap();
        until(&mut pipe, |came| came.kind == frames::RST_STREAM).await;
        let (took, expected) = (begun.elapsed(), Duration::from_secs(5));
        assert!(
            took >= expected && took <= expected + TICK,
            "{method}: {took:?}"
        );
        let deadline = "reason=\"deadline\"";
        let resets = house.metric("loadcast_edge_streams_reset_total", deadline);
        assert_eq!(resets.await, times, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn p15_an_answer_that_is_not_taken_by_the_cap_is_reset_though_a_byte_is_taken_now_and_then() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let question = pb::GetForecastRequest {
        series: "a".to_owned(),
        range: Some(pb::get_forecast_request::Range::Horizon(
            seconds(60 * 86_400).unwrap(),
        )),
        ..Default::default()
    };
    let mut pipe = house.pipe().await;
    pipe.write_all(&frames::hello(1_000)).await.unwrap();
    let message = question.encode_to_vec();
    let path = "/loadcast.v1.ForecastService/GetForecast";
    let begun = Instant::now();
    pipe.write_all(&frames::call(1, path, &message))
        .await
        .unwrap();
    // Now and then the next piece is taken, long before the peer would be overdue with one.
    let more = frames::frame(frames::WINDOW_UPDATE, 0, 1, &17_000_u32.to_be_bytes());
    let mut next = begun + Duration::from_secs(8);
    let reset = |came: &Came| came.kind == frames::RST_STREAM;
    while tokio::time::timeout_at(next, until(&mut pipe, reset))
        .await
        .is_err()
    {
        pipe.write_all(&more).await.unwrap();
        next += Duration::from_secs(8);
    }
    let took = begun.elapsed();
    assert!(took >= CAP && took <= CAP + TICK, "{took:?}");
    let deadline = "reason=\"deadline\"";
    let resets = house.metric("loadcast_edge_streams_reset_total", deadline);
    assert_eq!(resets.await, 1.0);
}
