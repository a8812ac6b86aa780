//! One question, one answer, one error.

use std::time::Duration;

use futures::StreamExt;
use loadcast_client::{
    BatchQuery, Client, Code, Error, ForecastQuery, Range, Reason, RejectionReport, Selector,
    Violation, Window,
};
use loadcast_proto::v1 as pb;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use crate::answers::{SERIES, forecast, model};
use crate::server::Mock;

fn tomorrow() -> ForecastQuery {
    ForecastQuery::new(SERIES, Range::Window(Window::NextDay))
}

#[tokio::test]
async fn a_forecast_arrives_as_it_was_sent() {
    let mock = Mock::default();
    mock.state().forecast = Some(Ok(forecast(3, 12, 1.5)));
    let client = Client::new(&mock.serve().await).unwrap();
    let query = ForecastQuery {
        levels: vec![0.1, 0.9],
        ..tomorrow()
    };
    let answer = client.forecast(&query).await.unwrap();
    assert_eq!(answer.provenance.version, 3);
    assert_eq!(answer.len(), 288);
    assert_eq!(answer.yhat, forecast(3, 12, 1.5).yhat);
    assert_eq!(
        answer.times().nth(1).unwrap().to_string(),
        "2026-10-08T00:05:00Z"
    );
    let state = mock.state();
    assert_eq!(state.forecast_requests[0].levels, [0.1, 0.9]);
    assert!(
        state.metadata[0].contains_key("grpc-timeout"),
        "the deadline goes with the call"
    );
}

#[tokio::test]
async fn of_many_series_each_is_an_item_and_one_that_fails_breaks_nothing() {
    use pb::batch_get_forecasts_response::Result as Item;
    let mock = Mock::default();
    let gone = pb::ItemError {
        code: 5,
        reason: "SERIES_UNKNOWN".into(),
        message: "nobody pushed it".into(),
    };
    mock.state().batch = [
        (SERIES, Item::Forecast(forecast(3, 12, 1.5))),
        ("nobody.knows", Item::Error(gone)),
    ]
    .map(|(series, result)| pb::BatchGetForecastsResponse {
        series: series.into(),
        result: Some(result),
    })
    .into();
    let client = Client::new(&mock.serve().await).unwrap();
    let query = BatchQuery {
        levels: vec![0.9],
        alias: Some("candidate".into()),
        ..BatchQuery::new(
            Selector::labels("signal=cpu"),
            Range::Window(Window::NextDay),
        )
    };
    let items = client.batch_get_forecasts(query).await.unwrap();
    let items: Vec<_> = items.map(Result::unwrap).collect().await;
    assert_eq!(items[0].series, SERIES);
    assert_eq!(items[0].forecast.as_ref().unwrap().len(), 288);
    let error = items[1].forecast.as_ref().unwrap_err();
    assert_eq!(error.reason_code(), Some("SERIES_UNKNOWN"));
    let asked = mock.state().batch_requests[0].clone();
    assert_eq!(
        (asked.alias.as_str(), asked.levels),
        ("candidate", vec![0.9])
    );
    assert_eq!(asked.selector.unwrap().label_selector, "signal=cpu");
}

#[tokio::test]
async fn an_item_under_another_name_is_refused() {
    use pb::batch_get_forecasts_response::Result as Item;
    let mock = Mock::default();
    mock.state().batch = vec![pb::BatchGetForecastsResponse {
        series: "other".into(),
        result: Some(Item::Forecast(forecast(3, 12, 1.5))),
    }];
    let client = Client::new(&mock.serve().await).unwrap();
    let query = BatchQuery::new(Selector::all(), Range::Window(Window::NextDay));
    let items = client.batch_get_forecasts(query).await.unwrap();
    let items: Vec<_> = items.collect().await;
    assert!(
        matches!(&items[..], [Err(Error::Protocol { field, .. })] if field == "forecast.provenance.series"),
        "{items:?}"
    );
}

#[tokio::test]
async fn a_refusal_brings_reason_and_violations() {
    let mock = Mock::default();
    let mut details = ErrorDetails::new();
    details
        .set_error_info("BAD_STEP", "loadcast", std::collections::HashMap::new())
        .add_bad_request_violation("step", "must be at least 1s");
    mock.state().forecast = Some(Err(Status::with_error_details(
        Code::InvalidArgument,
        "invalid request",
        details,
    )));
    let client = Client::new(&mock.serve().await).unwrap();
    let error = client.forecast(&tomorrow()).await.unwrap_err();
    assert_eq!(
        error,
        Error::Refused {
            code: Code::InvalidArgument,
            reason: "BAD_STEP".into(),
            message: "invalid request".into(),
            violations: vec![Violation {
                field: "step".into(),
                description: "must be at least 1s".into(),
            }],
            retry_after: None,
        }
    );
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_refused_by_name() {
    let mock = Mock::default();
    let mut broken = forecast(3, 12, 1.5);
    broken.quantiles[1].values.pop();
    mock.state().forecast = Some(Ok(broken));
    let client = Client::new(&mock.serve().await).unwrap();
    let error = client.forecast(&tomorrow()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Protocol { field, .. } if field == "forecast.quantiles[1].values"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    // A port that was free a moment ago.
    let addr = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::new(&format!("http://{addr}")).unwrap();
    let error = client.forecast(&tomorrow()).await.unwrap_err();
    assert!(error.is_transient());
    let Error::Unreachable {
        addr: named,
        reason,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(*named, format!("http://{addr}"));
    assert!(reason.to_lowercase().contains("refused"), "{reason}");
    assert!(error.to_string().contains("--addr or LOADCAST_ADDR"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up_at_the_deadline() {
    let mock = Mock::default();
    mock.state().hangs = true;
    let deadline = Duration::from_millis(100);
    let client = Client::new(&mock.serve().await)
        .unwrap()
        .with_call_deadline(deadline);
    let error = client.forecast(&tomorrow()).await.unwrap_err();
    assert_eq!(error, Error::Timeout { after: deadline });
}

#[tokio::test]
async fn a_server_that_takes_connections_and_says_nothing_is_given_up_too() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let deadline = Duration::from_millis(100);
    let client = Client::new(&format!("http://{addr}"))
        .unwrap()
        .with_call_deadline(deadline);
    let error = client.forecast(&tomorrow()).await.unwrap_err();
    assert_eq!(error, Error::Timeout { after: deadline });
}

#[tokio::test]
async fn every_page_of_models_is_read() {
    let mock = Mock::default();
    mock.state().pages = [("a", "next"), ("b", "")]
        .map(|(name, next)| pb::ListModelsResponse {
            models: vec![model(name)],
            next_page_token: next.into(),
            ..pb::ListModelsResponse::default()
        })
        .into();
    let client = Client::new(&mock.serve().await).unwrap();
    let models = client
        .models(&Selector::labels("signal=cpu"))
        .await
        .unwrap();
    let names: Vec<&str> = models.iter().map(|m| m.series.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let state = mock.state();
    let tokens: Vec<&str> = state
        .list_requests
        .iter()
        .map(|request| request.page_token.as_str())
        .collect();
    assert_eq!(tokens, ["", "next"]);
    assert!(
        state
            .list_requests
            .iter()
            .all(|request| { request.selector.as_ref().unwrap().label_selector == "signal=cpu" })
    );
}

#[tokio::test]
async fn pages_that_do_not_end_are_not_followed_for_ever() {
    let mock = Mock::default();
    let page = pb::ListModelsResponse {
        next_page_token: "same".into(),
        ..pb::ListModelsResponse::default()
    };
    mock.state().pages = [page.clone(), page].into();
    let client = Client::new(&mock.serve().await).unwrap();
    let error = client.models(&Selector::all()).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { field, .. } if field == "next_page_token"));
}

#[tokio::test]
async fn one_model_is_asked_for_by_name() {
    let mock = Mock::default();
    mock.state().model = Some(model(SERIES));
    let client = Client::new(&mock.serve().await).unwrap();
    let model = client.model(SERIES).await.unwrap();
    assert_eq!(model.served.unwrap().version, 2);
}

#[tokio::test]
async fn a_rejection_is_reported_with_its_reasons() {
    let mock = Mock::default();
    let client = Client::new(&mock.serve().await).unwrap();
    let revision = client
        .report_rejection(RejectionReport {
            series: SERIES.into(),
            reasons: vec![Reason {
                code: "SKILL".into(),
                message: "worse than yesterday".into(),
            }],
            scores: None,
            artifact_sha256: None,
            trainer_version: "t1".into(),
        })
        .await
        .unwrap();
    assert_eq!(revision, 7);
    assert_eq!(mock.state().rejections[0].reasons[0].code, "SKILL");
}
