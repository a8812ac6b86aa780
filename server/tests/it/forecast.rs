//! Questions: right ones, and wrong ones that must be told so.

use std::time::Duration;

use loadcast_client::{Code, Error, ForecastQuery, Range, Window};
use loadcast_proto::v1::{self as pb, forecast_service_client::ForecastServiceClient};

use crate::support::{TestServer, now, push};

fn refused(error: Error) -> (Code, String, String) {
    match error {
        Error::Refused {
            code,
            reason,
            violations,
            message,
            ..
        } => {
            let field = violations
                .first()
                .map_or(String::new(), |v| v.field.clone());
            (code, field, format!("{reason:?} {message}"))
        }
        other => panic!("not a refusal: {other}"),
    }
}

fn query(range: Range) -> ForecastQuery {
    ForecastQuery::new("web.cpu", range)
}

const HOUR: Range = Range::Horizon(Duration::from_secs(3_600));

#[tokio::test]
async fn an_answer_says_where_it_comes_from() {
    let server = TestServer::start().await;
    let pushed = server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let forecast = server.client().forecast(&query(HOUR)).await.unwrap();
    assert_eq!(forecast.yhat, [2.5; 12]);
    assert_eq!(forecast.start, now());
    assert_eq!(forecast.step, Duration::from_secs(300));
    assert_eq!(forecast.unit.as_deref(), Some("cores"));
    let provenance = &forecast.provenance;
    assert_eq!(provenance.version, pushed.version);
    assert_eq!(provenance.artifact_sha256, pushed.artifact_sha256);
    assert_eq!(Some(provenance.revision), pushed.revision);
    assert_eq!(provenance.epoch, pushed.epoch);
    assert_eq!(provenance.alias.as_deref(), Some("champion"));
    assert_eq!(forecast.lead.as_secs(), 11 * 300);
    assert_eq!(forecast.age.as_secs(), 0);
}

#[tokio::test]
async fn within_a_step_the_same_question_has_the_same_answer() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let first = server.client().forecast(&query(HOUR)).await.unwrap();
    server.clock.set(now() + Duration::from_secs(299));
    assert_eq!(server.client().forecast(&query(HOUR)).await.unwrap(), first);
    server.clock.set(now() + Duration::from_secs(300));
    let moved = server.client().forecast(&query(HOUR)).await.unwrap();
    assert_eq!(moved.start, now() + Duration::from_secs(300));
}

#[tokio::test]
async fn a_window_is_tomorrow_in_the_series_zone() {
    let server = TestServer::start().await;
    let mut berlin = push("web.cpu", 2.5);
    berlin.series.time_zone = "Europe/Berlin".to_owned();
    server.client().push(berlin).await.unwrap();
    let forecast = server
        .client()
        .forecast(&query(Range::Window(Window::NextDay)))
        .await
        .unwrap();
    assert_eq!(forecast.start.to_string(), "2026-11-24T23:00:00Z");
    assert_eq!(forecast.yhat.len(), 288);
    assert_eq!(forecast.time_zone, "Europe/Berlin");
}

#[tokio::test]
async fn staleness_is_said_and_not_hidden() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let ask = async || {
        let forecast = server.client().forecast(&query(HOUR)).await.unwrap();
        format!("{:?}", forecast.provenance.freshness)
    };
    assert_eq!(ask().await, "Fresh");
    server.clock.set(now() + Duration::from_secs(49 * 3_600));
    assert_eq!(ask().await, "StaleModel");
    server.clock.set(now() + Duration::from_secs(8 * 86_400));
    assert_eq!(ask().await, "StaleData");
}

#[tokio::test]
async fn an_unknown_series_is_not_found_with_the_remedy() {
    let server = TestServer::start().await;
    let (code, _, text) = refused(server.client().forecast(&query(HOUR)).await.unwrap_err());
    assert_eq!(code, Code::NotFound);
    assert!(
        text.contains("UNKNOWN_SERIES") && text.contains("ListModels"),
        "{text}"
    );
}

#[tokio::test]
async fn an_end_before_its_start_is_refused_by_name() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let backwards = Range::Between {
        start: now(),
        end: now() - Duration::from_secs(60),
    };
    let (code, field, text) = refused(
        server
            .client()
            .forecast(&query(backwards))
            .await
            .unwrap_err(),
    );
    assert_eq!(
        (code, field.as_str()),
        (Code::InvalidArgument, "time_range.end")
    );
    assert!(text.contains("swap"), "{text}");
}

#[tokio::test]
async fn a_step_of_zero_is_refused_by_name() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let request = pb::GetForecastRequest {
        series: "web.cpu".to_owned(),
        range: Some(pb::get_forecast_request::Range::Horizon(
            prost_types::Duration {
                seconds: 3_600,
                nanos: 0,
            },
        )),
        step: Some(prost_types::Duration {
            seconds: 0,
            nanos: 0,
        }),
        ..Default::default()
    };
    let mut raw = ForecastServiceClient::new(server.channel().await);
    let status = raw.get_forecast(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with("step: ") && status.message().contains("300s"),
        "{status}"
    );
}

#[tokio::test]
async fn a_horizon_of_a_century_is_refused_by_name() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let century = Range::Horizon(Duration::from_secs(100 * 365 * 86_400));
    let (code, field, text) = refused(server.client().forecast(&query(century)).await.unwrap_err());
    assert_eq!((code, field.as_str()), (Code::InvalidArgument, "horizon"));
    assert!(text.contains("5 years"), "{text}");
}

#[tokio::test]
async fn a_band_is_refused_and_not_made_up() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut banded = query(HOUR);
    banded.levels = vec![0.1, 0.9];
    let (code, _, text) = refused(server.client().forecast(&banded).await.unwrap_err());
    assert_eq!(code, Code::Unimplemented);
    assert!(text.contains("levels"), "{text}");
}

#[tokio::test]
async fn a_version_that_is_not_in_memory_is_not_answered_by_another() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut old = query(HOUR);
    old.version = Some(7);
    let (code, _, text) = refused(server.client().forecast(&old).await.unwrap_err());
    assert_eq!(code, Code::NotFound);
    assert!(text.contains("UNKNOWN_VERSION"), "{text}");
}

#[tokio::test]
async fn methods_that_are_not_there_yet_say_so() {
    let server = TestServer::start().await;
    let mut raw = ForecastServiceClient::new(server.channel().await);
    let status = raw
        .get_recommendation(pb::GetRecommendationRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_long_answer_is_computed_off_the_serving_threads_and_is_the_same() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut month = query(Range::Horizon(Duration::from_secs(30 * 86_400)));
    month.step = Some(Duration::from_secs(60));
    let forecast = server.client().forecast(&month).await.unwrap();
    assert_eq!(forecast.yhat.len(), 43_200);
    assert!(forecast.yhat.iter().all(|yhat| *yhat == 2.5));
}

#[tokio::test]
async fn a_batch_has_one_item_a_series_in_the_order_of_names_and_an_error_breaks_none() {
    let server = TestServer::start().await;
    for (name, level) in [("c", 3.0), ("a", 1.0), ("b", 2.0)] {
        server.client().push(push(name, level)).await.unwrap();
    }
    let mut raw = ForecastServiceClient::new(server.channel().await);
    let mut ask = async |names: &[&str], labels: &str, alias: &str| {
        let request = pb::BatchGetForecastsRequest {
            selector: Some(pb::SeriesSelector {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                label_selector: labels.to_owned(),
            }),
            range: Some(pb::batch_get_forecasts_request::Range::Horizon(
                prost_types::Duration {
                    seconds: 3_600,
                    nanos: 0,
                },
            )),
            alias: alias.to_owned(),
            ..Default::default()
        };
        let mut stream = raw.batch_get_forecasts(request).await?.into_inner();
        let mut items = Vec::new();
        while let Some(item) = stream.message().await? {
            use pb::batch_get_forecasts_response::Result as Wire;
            let said = match item.result.unwrap() {
                Wire::Forecast(forecast) => Ok(forecast.yhat[0]),
                Wire::Error(error) => Err(error.reason),
            };
            items.push((item.series, said));
        }
        Ok::<_, tonic::Status>(items)
    };
    let item =
        |name: &str, value: Result<f64, &str>| (name.to_owned(), value.map_err(ToOwned::to_owned));
    let all = [item("a", Ok(1.0)), item("b", Ok(2.0)), item("c", Ok(3.0))];
    assert_eq!(ask(&[], "", "").await.unwrap(), all);
    assert_eq!(ask(&[], "namespace=test", "champion").await.unwrap(), all);
    assert_eq!(ask(&[], "namespace=elsewhere", "").await.unwrap(), []);
    let some = [item("b", Ok(2.0)), item("x", Err("UNKNOWN_SERIES"))];
    assert_eq!(ask(&["x", "b"], "", "").await.unwrap(), some);
    let other_alias = ask(&["a"], "", "candidate").await.unwrap();
    assert_eq!(other_alias, [item("a", Err("INVALID_FIELD"))]);
    let status = raw
        .batch_get_forecasts(pb::BatchGetForecastsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("range"), "{status:?}");
}
