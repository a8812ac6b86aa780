//! Every call ends in time, and one too many is told so.

use std::convert::Infallible;

use http_body_util::BodyExt as _;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tonic::{Code, body::Body};
use tower::{ServiceExt as _, service_fn};

use super::*;

fn bounds() -> Bounds {
    Bounds::new(EdgeMetrics::default())
}

fn call(path: &str, timeout: Option<&str>) -> Request<()> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("content-type", "application/grpc");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request.body(()).unwrap()
}

/// A body that says nothing and stays open.
fn silent() -> Body {
    Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
        Result<Frame<Bytes>, Status>,
    >()))
}

async fn never(_: Request<()>) -> Result<Response<Body>, Infallible> {
    std::future::pending().await
}

async fn open(_: Request<()>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(silent()))
}

fn code(headers: &HeaderMap) -> Code {
    Status::from_header_map(headers).unwrap().code()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_answered_ends_by_its_deadline_or_by_the_cap() {
    for (path, timeout, expected) in [
        (
            "/loadcast.v1.ForecastService/GetForecast",
            Some("250m"),
            Duration::from_millis(250),
        ),
        ("/loadcast.v1.ForecastService/GetForecast", None, ANSWER_CAP),
        (
            "/loadcast.v1.ForecastService/GetForecast",
            Some("9H"),
            ANSWER_CAP,
        ),
        (
            "/loadcast.v1.ForecastService/GetForecast",
            Some("soon"),
            ANSWER_CAP,
        ),
        ("/loadcast.v1.ModelService/PushModel", None, UPLOAD_CAP),
        (
            "/loadcast.v1.ModelService/PushModel",
            Some("3S"),
            Duration::from_secs(3),
        ),
        ("/loadcast.v1.ModelService/WatchModels", None, ANSWER_CAP),
        (
            "/externalscaler.ExternalScaler/GetMetrics",
            None,
            SCALER_CAP,
        ),
        (
            "/externalscaler.ExternalScaler/IsActive",
            Some("9H"),
            SCALER_CAP,
        ),
    ] {
        let begin = Instant::now();
        let service = bounds().layer(service_fn(never));
        let response = service.oneshot(call(path, timeout)).await.unwrap();
        assert_eq!(code(response.headers()), Code::DeadlineExceeded);
        let took = begin.elapsed();
        assert!(
            took >= expected && took < expected + Duration::from_millis(5),
            "{took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_stream_ends_by_its_deadline_and_without_one_it_stays() {
    let watch = "/loadcast.v1.ModelService/WatchModels";
    let service = bounds().layer(service_fn(open));
    let response = service
        .clone()
        .oneshot(call(watch, Some("2S")))
        .await
        .unwrap();
    let begin = Instant::now();
    let mut body = response.into_body();
    let trailers = body
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_trailers()
        .unwrap();
    assert_eq!(code(&trailers), Code::DeadlineExceeded);
    assert!(body.frame().await.is_none());
    assert!(begin.elapsed() >= Duration::from_secs(2));
    let mut body = service
        .oneshot(call(watch, None))
        .await
        .unwrap()
        .into_body();
    let day = Duration::from_secs(86_400);
    assert!(tokio::time::timeout(day, body.frame()).await.is_err());
}

#[tokio::test]
async fn a_stream_holds_its_permit_as_long_as_its_body_and_the_one_too_many_is_told_when_to_return()
{
    use tonic_types::StatusExt as _;
    let watch = "/loadcast.v1.ForecastService/WatchForecasts";
    let places = Places::new(EdgeMetrics::default()).with_one(Shape::Stream);
    let service = Bounds::of(places).layer(service_fn(open));
    let first = service.clone().oneshot(call(watch, None)).await.unwrap();
    let second = service.clone().oneshot(call(watch, None)).await.unwrap();
    let status = Status::from_header_map(second.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = status.get_error_details();
    assert!(details.quota_failure().is_some() && details.retry_info().is_some());
    let unary = "/loadcast.v1.ModelService/GetModel";
    let other = service.clone().oneshot(call(unary, None)).await.unwrap();
    assert!(Status::from_header_map(other.headers()).is_none());
    drop(first);
    let third = service.oneshot(call(watch, None)).await.unwrap();
    assert!(Status::from_header_map(third.headers()).is_none());
}

#[tokio::test]
async fn one_call_too_many_at_once_is_told_so_and_counted() {
    use tonic_types::StatusExt as _;
    let metrics = EdgeMetrics::default();
    let unary = "/loadcast.v1.ForecastService/GetForecast";
    let places = Places::new(metrics.clone()).with_one(Shape::Unary);
    let service = Bounds::of(places).layer(service_fn(never));
    let mut first = service.clone();
    let at_work = first.call(call(unary, None));
    let second = service.clone().oneshot(call(unary, None)).await.unwrap();
    let status = Status::from_header_map(second.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = status.get_error_details();
    let violation = &details.quota_failure().unwrap().violations[0];
    assert_eq!(violation.subject, "calls");
    assert!(violation.description.contains("ask fewer at once"));
    assert!(details.retry_info().is_some());
    assert_eq!(metrics.calls().get(), 1);
    drop(at_work);
    assert_eq!(metrics.calls().get(), 0);
    let mut registry = Registry::default();
    metrics.enter(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(
        text.contains("edge_shed_total{subject=\"calls\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn whoever_takes_every_place_of_its_kind_leaves_those_of_the_others() {
    let paths = [
        ("/loadcast.v1.ModelService/ObserveActuals", "uploads"),
        ("/loadcast.v1.ForecastService/GetForecast", "calls"),
        ("/externalscaler.ExternalScaler/GetMetrics", "scaler_calls"),
        (
            "/loadcast.v1.ForecastService/BatchGetForecasts",
            "bulk_calls",
        ),
        ("/loadcast.v1.ForecastService/WatchForecasts", "streams"),
    ];
    for (path, subject) in paths {
        let metrics = EdgeMetrics::default();
        let places = Places::new(metrics.clone()).with_one(Shape::of(path));
        let service = Bounds::of(places).layer(service_fn(open));
        let held = service.clone().oneshot(call(path, None)).await.unwrap();
        for (other, _) in paths {
            let answer = service.clone().oneshot(call(other, None)).await.unwrap();
            let status = Status::from_header_map(answer.headers());
            let told = status.map(|status| tonic_types::StatusExt::get_error_details(&status));
            let told = told.map(|told| told.quota_failure().unwrap().violations[0].subject.clone());
            let expected = (other == path).then_some(subject);
            assert_eq!(told.as_deref(), expected, "{other} beside {path}");
        }
        drop(held);
        assert_eq!(metrics.calls().get() + metrics.streams().get(), 0);
    }
}

#[tokio::test]
async fn one_request_of_http_too_many_comes_again_and_a_probe_is_always_answered() {
    let metrics = EdgeMetrics::default();
    let places = Places::new(metrics.clone()).with_one(Shape::Plain);
    let service = Bounds::of(places).layer(service_fn(open));
    let ask = |path: &str| {
        let request = Request::builder().uri(path).body(()).unwrap();
        service.clone().oneshot(request)
    };
    let held = ask("/metrics/forecasts").await.unwrap();
    let refused = ask("/metrics").await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(ask("/livez").await.unwrap().status(), 200);
    assert_eq!(metrics.requests().get(), 1);
    drop(held);
    assert_eq!(ask("/metrics").await.unwrap().status(), 200);
}

#[tokio::test]
async fn what_is_no_call_never_reaches_a_service_of_grpc() {
    let service = bounds().layer(service_fn(never));
    let retire = "/loadcast.v1.ModelService/RetireSeries";
    for (method, kind, code) in [
        ("POST", "text/plain", 415),
        ("POST", "application/json", 415),
        ("GET", "application/grpc", 405),
        ("PUT", "text/plain", 405),
    ] {
        let request = Request::builder().method(method).uri(retire);
        let request = request.header("content-type", kind).body(()).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), code, "{method} {kind}");
    }
}

#[test]
fn timeouts_are_read_as_the_protocol_writes_them() {
    let read = |text: &str| timeout(call("/", Some(text)).headers());
    assert_eq!(read("1H"), Some(Duration::from_secs(3_600)));
    assert_eq!(
        read("99999999M"),
        Some(Duration::from_secs(99_999_999 * 60))
    );
    assert_eq!(read("5S"), Some(Duration::from_secs(5)));
    assert_eq!(read("7u"), Some(Duration::from_micros(7)));
    assert_eq!(read("0n"), Some(Duration::ZERO));
    for wrong in ["", "S", "5", "-5S", "999999999S", "5s", "5 S"] {
        assert_eq!(read(wrong), None, "{wrong:?}");
    }
}
