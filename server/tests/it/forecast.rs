//! Questions: right ones, and wrong ones that must be told so.

use std::time::Duration;

use loadcast_client::{Clamps, Code, Error, ForecastQuery, Range, Window};
use loadcast_proto::v1::{self as pb, forecast_service_client::ForecastServiceClient};

use crate::support::{TestServer, noisy, now, push};

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
async fn a_band_has_a_column_for_each_level_in_the_questions_order() {
    let server = TestServer::start().await;
    server.client().push(noisy("web.cpu")).await.unwrap();
    let mut banded = query(HOUR);
    banded.levels = vec![0.9, 0.1, 0.5];
    let forecast = server.client().forecast(&banded).await.unwrap();
    assert_eq!(server.client().forecast(&banded).await.unwrap(), forecast);
    let levels: Vec<f64> = forecast.quantiles.iter().map(|q| q.level).collect();
    assert_eq!(levels, banded.levels);
    let [upper, lower, median] = forecast.quantiles.as_slice() else {
        panic!("{forecast:?}");
    };
    assert_eq!(median.values, forecast.yhat);
    // The history swings by 1 around 10, which is its noise.
    for (i, yhat) in forecast.yhat.iter().enumerate() {
        let (above, below) = (upper.values[i] - yhat, yhat - lower.values[i]);
        assert!((0.5..2.0).contains(&above), "{i}: {above}");
        assert!((above - below).abs() < 1e-12, "{i}: {above} {below}");
    }
}

#[tokio::test]
async fn bounds_hold_for_a_band_too() {
    let server = TestServer::start().await;
    server.client().push(noisy("web.cpu")).await.unwrap();
    let mut bounded = query(HOUR);
    bounded.levels = vec![0.01, 0.99];
    bounded.clamps = Some(Clamps {
        min: Some(9.9),
        max: Some(10.1),
    });
    let forecast = server.client().forecast(&bounded).await.unwrap();
    assert_eq!(forecast.quantiles[0].values, [9.9; 12]);
    assert_eq!(forecast.quantiles[1].values, [10.1; 12]);
}

#[tokio::test]
async fn a_level_outside_is_refused_by_its_place() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut banded = query(HOUR);
    banded.levels = vec![0.1, 1.0];
    let (code, field, _) = refused(server.client().forecast(&banded).await.unwrap_err());
    assert_eq!((code, field.as_str()), (Code::InvalidArgument, "levels[1]"));
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
async fn a_long_answer_is_computed_off_the_serving_threads_and_is_the_same() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut month = query(Range::Horizon(Duration::from_secs(30 * 86_400)));
    month.step = Some(Duration::from_secs(60));
    let forecast = server.client().forecast(&month).await.unwrap();
    assert_eq!(forecast.yhat.len(), 43_200);
    assert!(forecast.yhat.iter().all(|yhat| *yhat == 2.5));
}

/// A push of a model of Python's Prophet that the model crate keeps for its tests.
fn push_of_python(series: &str, sample: &str) -> loadcast_client::Push {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/prophet");
    let bytes = std::fs::read(folder.join(format!("{sample}.model.json"))).unwrap();
    let mut push = push(series, 1.0);
    push.model_pr = bytes.into();
    push
}

fn hour_with(series: &str, future: Option<pb::FutureInputs>) -> pb::GetForecastRequest {
    pb::GetForecastRequest {
        series: series.to_owned(),
        range: Some(pb::get_forecast_request::Range::Horizon(
            prost_types::Duration {
                seconds: 3_600,
                nanos: 0,
            },
        )),
        components: true,
        future,
        ..Default::default()
    }
}

#[tokio::test]
async fn a_model_that_needs_inputs_is_served_and_asks_for_them_by_name() {
    let server = TestServer::start().await;
    for (series, sample, field) in [
        ("a.cap", "logistic_holidays", "future.cap"),
        ("a.open", "conditional_weekly", "future.conditions.busy"),
        ("a.load", "regressors_additive", "future.regressors.temp"),
        ("a.day", "country_and_own_holidays", "future.holidays"),
    ] {
        let pushed = push_of_python(series, sample);
        server.client().push(pushed).await.unwrap();
        let query = ForecastQuery::new(series, HOUR);
        let (code, named, message) = refused(server.client().forecast(&query).await.unwrap_err());
        assert_eq!(
            (code, named.as_str()),
            (Code::FailedPrecondition, field),
            "{message}"
        );
        assert!(
            message.contains("INPUT_NEEDED") && message.contains("give"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn inputs_of_the_request_reach_the_model() {
    let server = TestServer::start().await;
    for (series, sample) in [
        ("a.cap", "logistic_holidays"),
        ("a.day", "country_and_own_holidays"),
    ] {
        server
            .client()
            .push(push_of_python(series, sample))
            .await
            .unwrap();
    }
    let mut client = ForecastServiceClient::new(server.channel().await);
    let mut yhat = async |series: &str, future: pb::FutureInputs| {
        let answer = client.get_forecast(hour_with(series, Some(future))).await;
        answer.map(|answer| {
            let forecast = answer.into_inner().forecast.unwrap();
            forecast.into_message().unwrap()
        })
    };
    let cap = |values: &[f64]| pb::FutureInputs {
        cap: values.to_vec(),
        ..Default::default()
    };
    let low = yhat("a.cap", cap(&[50.0])).await.unwrap();
    let high = yhat("a.cap", cap(&[100.0; 12])).await.unwrap();
    assert_eq!(high.trend[0], 2.0 * low.trend[0]);
    let today = now().strftime("%Y-%m-%d").to_string();
    let holiday = |date: &str| pb::FutureInputs {
        holidays: vec![pb::Holiday {
            name: "Independence Day".to_owned(),
            date: date.to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let effect = |forecast: &pb::Forecast| {
        let columns = forecast.components.iter();
        let mut named = columns.filter(|c| c.name == "Independence Day");
        named.next().unwrap().values[0]
    };
    assert!(effect(&yhat("a.day", holiday(&today)).await.unwrap()) != 0.0);
    assert_eq!(
        effect(&yhat("a.day", holiday("2020-01-01")).await.unwrap()),
        0.0
    );
    for (series, future, says) in [
        (
            "a.cap",
            cap(&[1.0, 2.0]),
            "future.cap: 2 values for 12 times",
        ),
        ("a.cap", cap(&[f64::NAN]), "future.cap: value 0 is NaN"),
        ("a.day", holiday("soon"), "future.holidays[0].date"),
    ] {
        let status = yhat(series, future).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains(says), "{status}");
    }
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
    let candidate = ask(&["a"], "", "candidate").await.unwrap();
    assert_eq!(candidate, [item("a", Err("NO_CANDIDATE"))]);
    // Whoever has a candidate, with a champion or without.
    for name in ["b", "only.candidate"] {
        let candidate = loadcast_client::Push {
            alias: Some("candidate".to_owned()),
            ..push(name, 7.0)
        };
        server.client().push(candidate).await.unwrap();
    }
    let tried = [item("b", Ok(7.0)), item("only.candidate", Ok(7.0))];
    assert_eq!(
        ask(&[], "namespace=test", "candidate").await.unwrap(),
        tried
    );
    let none = ask(&[], "namespace=elsewhere", "candidate").await.unwrap();
    assert_eq!(none, []);
    assert_eq!(ask(&[], "", "").await.unwrap(), all);
    let other_alias = ask(&["a"], "", "challenger").await.unwrap();
    assert_eq!(other_alias, [item("a", Err("INVALID_FIELD"))]);
    let status = raw
        .batch_get_forecasts(pb::BatchGetForecastsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("range"), "{status:?}");
}
