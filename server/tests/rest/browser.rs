//! Browsers: gRPC-web by hand over HTTP/1.1, and whom a preflight is answered for.

use loadcast_proto::v1::{
    self as pb, forecast_update, watch_forecasts_response::Message as Watched,
};
use prost::Message;
use reqwest::{Client, Method, RequestBuilder, Response};

use crate::support::{TestServer, push};

const FORECAST: &str = "loadcast.v1.ForecastService";

/// The flag of a frame that holds trailers.
const TRAILERS: u8 = 0x80;

fn client() -> Client {
    Client::builder().no_proxy().http1_only().build().unwrap()
}

/// A call of gRPC-web: one frame, no end but the body's.
fn call(server: &TestServer, method: &str, message: &impl Message) -> RequestBuilder {
    let message = message.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    client()
        .post(format!("http://{}/{FORECAST}/{method}", server.grpc))
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(body)
}

/// Frames as they arrive.
struct Frames {
    answer: Response,
    buffered: Vec<u8>,
}

impl Frames {
    async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.version(), reqwest::Version::HTTP_11);
        assert_eq!(
            answer.headers()["content-type"],
            "application/grpc-web+proto"
        );
        Self {
            answer,
            buffered: Vec::new(),
        }
    }

    /// Flag and content of the next frame; `None` at the end.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let [flag, a, b, c, d, rest @ ..] = &self.buffered[..] {
                let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
                if rest.len() >= length {
                    let frame = (*flag, rest[..length].to_vec());
                    self.buffered.drain(..5 + length);
                    return Some(frame);
                }
            }
            self.buffered.extend(self.answer.chunk().await.unwrap()?);
        }
    }
}

#[tokio::test]
async fn a_forecast_is_asked_for_by_grpc_web_over_http_1() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut asked = pb::GetForecastRequest {
        series: "web.cpu".to_owned(),
        range: Some(pb::get_forecast_request::Range::Horizon(
            prost_types::Duration {
                seconds: 900,
                nanos: 0,
            },
        )),
        ..pb::GetForecastRequest::default()
    };
    let mut frames = Frames::of(call(&server, "GetForecast", &asked)).await;
    let (flag, message) = frames.next().await.unwrap();
    assert_eq!(flag, 0);
    let answer = pb::GetForecastResponse::decode(&message[..]).unwrap();
    let forecast = answer.forecast.unwrap().into_message().unwrap();
    assert_eq!(forecast.yhat, [2.5; 3]);
    let (flag, trailers) = frames.next().await.unwrap();
    assert_eq!(flag, TRAILERS);
    let trailers = String::from_utf8(trailers).unwrap();
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    assert_eq!(frames.next().await, None);
    // A refusal keeps its status and its details.
    asked.series = "nobody".to_owned();
    let refused = call(&server, "GetForecast", &asked).send().await.unwrap();
    assert_eq!(refused.headers()["grpc-status"], "5");
    assert!(refused.headers().contains_key("grpc-status-details-bin"));
}

#[tokio::test]
async fn a_watch_over_grpc_web_tells_a_new_version_while_the_stream_is_open() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let asked = pb::WatchForecastsRequest {
        horizon: Some(prost_types::Duration {
            seconds: 900,
            nanos: 0,
        }),
        ..pb::WatchForecastsRequest::default()
    };
    let mut frames = Frames::of(call(&server, "WatchForecasts", &asked)).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let (flag, message) = frames.next().await.unwrap();
        assert_eq!(flag, 0);
        let message = pb::WatchForecastsResponse::decode(&message[..]).unwrap();
        match message.message.unwrap() {
            Watched::SnapshotEnd(_) => {
                server.client().push(push("web.cpu", 3.5)).await.unwrap();
            }
            Watched::Update(update) => {
                let update = update.into_message().unwrap();
                if let Some(forecast_update::Result::Forecast(forecast)) = update.result {
                    told.push(forecast.yhat[0]);
                }
            }
            _ => {}
        }
    }
    assert_eq!(told, [2.5, 3.5]);
}

/// What a preflight from `origin` is told of who may ask.
async fn preflight(addr: std::net::SocketAddr, origin: &str) -> (Option<String>, String) {
    let asked = client()
        .request(
            Method::OPTIONS,
            format!("http://{addr}/{FORECAST}/GetForecast"),
        )
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-grpc-web");
    let answer = asked.send().await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let allowed = header("access-control-allow-headers").unwrap_or_default();
    (header("access-control-allow-origin"), allowed)
}

#[tokio::test]
async fn a_preflight_is_answered_for_allowed_origins_only() {
    const DASH: &str = "https://dash.example";
    let flags = ["--cors-allow-origin=https://dash.example,http://localhost:3000"];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    for origin in [DASH, "http://localhost:3000"] {
        let (allowed, headers) = preflight(server.grpc, origin).await;
        assert_eq!(allowed.as_deref(), Some(origin));
        assert!(
            headers.contains("x-grpc-web") && headers.contains("content-type"),
            "{headers}"
        );
    }
    for origin in ["https://evil.example", "http://dash.example", "null"] {
        assert_eq!(preflight(server.grpc, origin).await.0, None, "{origin}");
    }
    // The answer itself says the same, once, on both ports.
    for addr in [server.grpc, server.http] {
        let asked = client()
            .get(format!("http://{addr}/livez"))
            .header("origin", DASH);
        let answer = asked.send().await.unwrap();
        let told = answer.headers().get_all("access-control-allow-origin");
        assert_eq!(told.iter().collect::<Vec<_>>(), [DASH], "{addr}");
    }
}

#[tokio::test]
async fn without_settings_no_other_origin_may_ask_and_plain_http_1_is_still_answered() {
    let server = TestServer::start().await;
    for addr in [server.grpc, server.http] {
        let (allowed, _) = preflight(addr, "https://dash.example").await;
        assert_eq!(allowed, None, "{addr}");
        let answer = client().get(format!("http://{addr}/readyz")).send();
        assert_eq!(answer.await.unwrap().status(), 200, "{addr}");
    }
}

#[tokio::test]
async fn what_a_page_may_post_without_asking_retires_nothing() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let retire = pb::RetireSeriesRequest {
        series: "web.cpu".to_owned(),
        reason: "the service is gone".to_owned(),
    };
    let path = "loadcast.v1.ModelService/RetireSeries";
    let mut body = vec![0];
    let message = retire.encode_to_vec();
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let post = |kind: &str| {
        client()
            .post(format!("http://{}/{path}", server.grpc))
            .header("content-type", kind)
            .body(body.clone())
            .send()
    };
    for kind in [
        "text/plain",
        "text/plain;application/grpc",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ] {
        let answer = post(kind).await.unwrap();
        assert_eq!(answer.status(), 415, "{kind}");
        assert_eq!(answer.headers()["accept"], "application/grpc");
    }
    let got = client().get(format!("http://{}/{path}", server.grpc));
    let got = got.send().await.unwrap();
    assert_eq!(got.status(), 405);
    assert_eq!(got.headers()["allow"], "POST");
    let name = "web.cpu".parse().unwrap();
    let is_served = || server.cache.get(&name).is_some();
    assert!(is_served(), "it was retired");
    // The same bytes as a call do what they say.
    let answer = post("application/grpc-web+proto").await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!is_served(), "{:?}", answer.headers());
}
