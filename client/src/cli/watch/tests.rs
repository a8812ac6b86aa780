//! What a watch tells, in which order, and in which words.

use std::time::Duration;

use loadcast_client::{
    Code, Error, Forecast, ForecastUpdate, ModelEvent, ModelEventKind, ModelUpdate, Update,
    UpdateCause,
};
use serde_json::Value;
use tokio::time::Instant;

use crate::cli::show::tests::forecast;
use crate::cli::terminal::Terminal;
use crate::cli::watch::print::Printer;
use crate::cli::watch::session::{Line, Said, Session};

const SERIES: &str = "demo.web.cpu";

fn served(revision: u64) -> Update<ModelUpdate> {
    Update::Message(ModelUpdate::Event(Box::new(ModelEvent {
        revision,
        at: "2026-10-08T14:03:22Z".parse().unwrap(),
        kind: ModelEventKind::Served,
        series: Some(SERIES.into()),
        labels: Default::default(),
        version: Some(3),
        previous_version: Some(2),
        artifact_sha256: Some("1a2b3c4d".repeat(8)),
        alias: Some("champion".into()),
        reasons: Vec::new(),
        scores: None,
        traceparent: None,
    })))
}

fn at_revision(revision: u64, yhat: Vec<f64>) -> Forecast {
    let mut forecast = forecast(yhat);
    forecast.provenance.revision = revision;
    forecast
}

fn changed(revision: u64, yhat: Vec<f64>) -> Update<ForecastUpdate> {
    Update::Message(ForecastUpdate::Forecast {
        cause: UpdateCause::Version,
        forecast: Box::new(at_revision(revision, yhat)),
    })
}

fn kinds(lines: &[Line]) -> Vec<&'static str> {
    lines
        .iter()
        .map(|line| match line.said {
            Said::Model(_) => "model",
            Said::Event(_) => "event",
            Said::Forecast { .. } => "forecast",
            Said::Failed { .. } => "failed",
            Said::Gone { .. } => "gone",
            Said::Stream { .. } => "stream",
        })
        .collect()
}

fn printed(lines: &[Line], json: bool) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let pipe = Terminal {
        columns: 80,
        colour: false,
        interactive: false,
    };
    let mut printer = Printer::new(json, Duration::from_secs(3_600), pipe, &mut out, &mut err);
    for line in lines {
        printer.print(line).unwrap();
    }
    (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_forecast_waits_for_the_event_that_announces_it() {
    let mut session = Session::new(true);
    session.model(Update::SnapshotEnd { revision: 11 }, Some("m0"));
    assert_eq!(
        kinds(&session.forecast(changed(11, vec![1.0]), Some("f0"))),
        ["forecast"]
    );
    assert!(
        session
            .forecast(changed(12, vec![2.0]), Some("f1"))
            .is_empty()
    );
    let lines = session.model(served(12), Some("m1"));
    assert_eq!(kinds(&lines), ["event", "forecast"]);
    assert_eq!(lines[0].token.as_deref(), Some("m1"));
    assert_eq!(lines[1].token.as_deref(), Some("f1"));
    assert!(session.has_told(1));
    assert!(!session.has_told(2));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_told_at_once_and_its_forecast_is_owed() {
    let mut session = Session::new(true);
    assert_eq!(kinds(&session.model(served(12), None)), ["event"]);
    assert!(!session.has_told(1), "the new forecast is still to come");
    let old = session.forecast(changed(11, vec![1.0]), None);
    assert_eq!(kinds(&old), ["forecast"]);
    assert!(!session.has_told(1), "that was the version before");
    session.forecast(changed(12, vec![2.0]), None);
    assert!(session.has_told(1));
}

#[tokio::test(start_paused = true)]
async fn without_forecasts_nothing_is_owed() {
    let mut session = Session::new(false);
    session.model(served(12), None);
    assert!(session.has_told(1));
}

#[tokio::test(start_paused = true)]
async fn a_series_that_fails_or_goes_owes_nothing() {
    let mut session = Session::new(true);
    session.model(served(12), None);
    let error = Error::Refused {
        code: Code::NotFound,
        reason: "RETIRED".into(),
        message: "retired".into(),
        violations: Vec::new(),
        retry_after: None,
    };
    let lines = session.forecast(
        Update::Message(ForecastUpdate::Failed {
            cause: UpdateCause::Version,
            series: SERIES.into(),
            error,
        }),
        None,
    );
    assert!(session.has_told(1));
    let (text, _) = printed(&lines, false);
    assert_eq!(
        text,
        "forecast demo.web.cpu: none: retired (NOT_FOUND, RETIRED)\n"
    );
}

#[tokio::test(start_paused = true)]
async fn a_forecast_whose_event_never_comes_is_told_in_the_end() {
    let mut session = Session::new(true);
    assert_eq!(session.overdue_at(), None);
    session.forecast(changed(12, vec![1.0]), None);
    let due = session.overdue_at().unwrap();
    assert_eq!(due - Instant::now(), Duration::from_secs(15));
    tokio::time::advance(Duration::from_secs(5)).await;
    session.forecast(changed(12, vec![2.0]), None);
    assert_eq!(
        session.overdue_at(),
        Some(due),
        "a later one does not start over"
    );
    assert!(session.release_overdue(Instant::now()).is_empty());
    tokio::time::advance(Duration::from_secs(10)).await;
    let lines = session.release_overdue(Instant::now());
    assert_eq!(kinds(&lines), ["forecast"]);
    assert_eq!(session.overdue_at(), None);
    session.model(served(12), None);
    assert!(session.has_told(1), "its forecast was told before it");
}

#[tokio::test(start_paused = true)]
async fn forecasts_wait_while_models_start_over() {
    let mut session = Session::new(true);
    session.model(Update::SnapshotEnd { revision: 40 }, None);
    let begin = Update::SnapshotBegin {
        revision: 2,
        reason: Some("EPOCH_CHANGED".into()),
    };
    let lines = session.model(begin, None);
    let (_, warning) = printed(&lines, false);
    assert_eq!(
        warning,
        "models: starting over from a snapshot: EPOCH_CHANGED\n"
    );
    assert!(session.forecast(changed(1, vec![1.0]), None).is_empty());
    let lines = session.model(Update::SnapshotEnd { revision: 2 }, None);
    assert_eq!(kinds(&lines), ["stream", "forecast"]);
    session.model(served(3), None);
    assert!(!session.has_told(1), "a new epoch owes its own forecasts");
}

#[tokio::test(start_paused = true)]
async fn lines_read_as_sentences() {
    let mut session = Session::new(true);
    session.model(Update::SnapshotEnd { revision: 11 }, None);
    session.forecast(changed(11, vec![1.75, 1.75]), None);
    let mut lines = session.model(served(12), None);
    lines.extend(session.forecast(changed(12, vec![1.33, 2.31]), None));
    let (text, warnings) = printed(&lines, false);
    assert_eq!(
        text,
        "14:03:22Z revision 12  SERVED  demo.web.cpu  version 3 (was 2)  sha256 1a2b3c4d\n\
         forecast demo.web.cpu version 3: next hour mean 1.82 cores (was 1.75, +4.0 %), \
         peak 2.31 at 00:05 UTC\n"
    );
    assert_eq!(warnings, "");
}

#[tokio::test(start_paused = true)]
async fn json_is_one_object_a_line_with_type_and_token() {
    let mut session = Session::new(true);
    let mut lines = session.model(Update::SnapshotEnd { revision: 11 }, Some("m0"));
    lines.extend(session.model(served(12), Some("m1")));
    lines.extend(session.forecast(changed(12, vec![1.5]), Some("f1")));
    let (text, _) = printed(&lines, true);
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&str> = objects
        .iter()
        .map(|object| object["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["snapshot_end", "event", "forecast"]);
    assert_eq!(objects[0]["stream"], "models");
    assert_eq!(objects[0]["token"], "m0");
    assert_eq!(objects[1]["event"]["revision"], "12");
    assert_eq!(objects[1]["event"]["version"], "3");
    assert_eq!(objects[2]["series"], SERIES);
    assert_eq!(objects[2]["cause"], "VERSION");
    assert_eq!(objects[2]["forecast"]["points"]["yhat"][0], 1.5);
}

#[tokio::test(start_paused = true)]
async fn a_disconnection_is_a_warning_and_its_remedy_comes_once() {
    let mut session = Session::new(true);
    let disconnected = || Update::<ModelUpdate>::Disconnected {
        error: Error::Unreachable {
            addr: "http://127.0.0.1:1".into(),
            reason: "connection refused".into(),
        },
        retry_in: Duration::from_millis(93),
    };
    let mut lines = session.model(disconnected(), None);
    lines.extend(session.model(disconnected(), None));
    lines.extend(session.model(Update::Reconnected, None));
    let (text, warnings) = printed(&lines, false);
    assert_eq!(text, "");
    let warnings: Vec<&str> = warnings.lines().collect();
    assert_eq!(warnings.len(), 4, "{warnings:?}");
    assert_eq!(
        warnings[0],
        "models: disconnected: cannot reach http://127.0.0.1:1: connection refused; \
         trying again in 93ms"
    );
    assert!(warnings[1].contains("--addr"));
    assert_eq!(warnings[3], "models: connected again");
}
