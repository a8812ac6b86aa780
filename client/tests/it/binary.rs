//! The command as a process: what it prints where, and how it ends.

use std::process::{Command, Output};

use loadcast_proto::v1 as pb;
use loadcast_proto::v1::watch_models_response::Message;
use serde_json::Value;
use tonic::Status;

use crate::answers::{SERIES, about_models, changed, forecast, model, served};
use crate::server::{Mock, Script};

/// Runs the command with nothing of this environment but what a test gives it.
pub(crate) async fn loadcast(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadcast"));
    command.args(args).env_clear().envs(env.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn mock() -> Mock {
    let mock = Mock::default();
    mock.state().forecast = Some(Ok(forecast(3, 12, 1.5)));
    mock
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_status_1_with_the_remedy() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let addr = format!("http://{addr}");
    for args in [
        &["forecast", SERIES][..],
        &["models", "list"],
        &["models", "show", SERIES],
    ] {
        let output = loadcast(args, &[("LOADCAST_ADDR", &addr)]).await;
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(out(&output), "");
        let err = err(&output);
        let (what, remedy) = err.split_once('\n').unwrap();
        assert!(
            what.starts_with(&format!("error: cannot reach {addr}: ")),
            "{err}"
        );
        assert!(remedy.contains("--addr or LOADCAST_ADDR"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_mistyped_is_status_2() {
    for args in [
        &["forecast"][..],
        &["forecast", SERIES, "--no-such-flag"],
        &["forecast", SERIES, "--horizon", "soon"],
        &["forecast", SERIES, "--levels", "1.5"],
        &["forecast", SERIES, "--output", "png"],
        &[
            "forecast",
            SERIES,
            "--window",
            "next-day",
            "--horizon",
            "6h",
        ],
        &["--addr", "nonsense", "models", "list"],
        &["models", "promote", SERIES, "0"],
        &["models", "retire", SERIES],
        &["no-such-command"],
        &[],
    ] {
        let output = loadcast(args, &[]).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{args:?}");
        assert_ne!(err(&output), "", "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_has_help_with_defaults_and_a_version() {
    for command in [
        &[][..],
        &["forecast"],
        &["watch"],
        &["top"],
        &["push"],
        &["completions"],
        &["models", "list"],
        &["models", "show"],
        &["models", "diff"],
        &["models", "promote"],
        &["models", "rollback"],
        &["models", "retire"],
    ] {
        let help = loadcast(&[command, &["--help"]].concat(), &[]).await;
        assert_eq!(help.status.code(), Some(0));
        assert!(out(&help).contains("[default: http://127.0.0.1:50051]"));
        let version = loadcast(&[command, &["--version"]].concat(), &[]).await;
        assert_eq!(version.status.code(), Some(0));
        assert!(out(&version).contains(env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_lists_what_is_wrong() {
    use tonic_types::{ErrorDetails, StatusExt};
    let mock = Mock::default();
    let details = ErrorDetails::with_bad_request_violation("step", "must be at least 1s");
    mock.state().forecast = Some(Err(Status::with_error_details(
        tonic::Code::InvalidArgument,
        "invalid request",
        details,
    )));
    let addr = mock.serve().await;
    let output = loadcast(&["forecast", SERIES, "--addr", &addr], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        "error: invalid request (INVALID_ARGUMENT)\nstep: must be at least 1s\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_is_a_chart_without_colours_in_a_pipe() {
    let addr = mock().serve().await;
    let output = loadcast(&["--addr", &addr, "forecast", SERIES], &[("COLUMNS", "72")]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("demo.web.cpu · cores · Thu 2026-10-08 00:00 to 24:00 UTC"));
    assert!(!text.contains('\u{1b}'));
    assert!(
        text.lines().all(|line| line.chars().count() <= 72),
        "{text}"
    );
    assert_eq!(err(&output), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_csv_carry_the_same_numbers() {
    let addr = mock().serve().await;
    let json = loadcast(&["--addr", &addr, "forecast", SERIES, "-o", "json"], &[]).await;
    let json: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(json["provenance"]["version"], "3");
    assert_eq!(json["age_seconds"], 3600.0);
    let expected = forecast(3, 12, 1.5).yhat;
    let yhat: Vec<f64> = serde_json::from_value(json["points"]["yhat"].clone()).unwrap();
    assert_eq!(yhat, expected);

    let csv = loadcast(&["--addr", &addr, "forecast", SERIES, "-o", "csv"], &[]).await;
    let csv = out(&csv);
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("ds,yhat,q0.1,q0.9"));
    for (line, expected) in lines.zip(&expected) {
        let yhat: f64 = line.split(',').nth(1).unwrap().parse().unwrap();
        assert_eq!(yhat, *expected);
    }
    assert_eq!(csv.lines().count(), 289);

    let table = loadcast(&["--addr", &addr, "forecast", SERIES, "-o", "table"], &[]).await;
    assert_eq!(out(&table).lines().count(), 289);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_and_shown() {
    let mock = mock();
    mock.state().pages = [pb::ListModelsResponse {
        models: vec![model(SERIES)],
        ..pb::ListModelsResponse::default()
    }]
    .into();
    mock.state().model = Some(model(SERIES));
    let addr = mock.serve().await;
    let list = out(&loadcast(&["--addr", &addr, "models", "list"], &[]).await);
    assert!(
        list.contains("demo.web.cpu  SERVING  2        FRESH"),
        "{list}"
    );
    let show = out(&loadcast(&["--addr", &addr, "models", "show", SERIES], &[]).await);
    assert!(show.contains("served        version 2\n"), "{show}");
    let args = ["--addr", &addr, "models", "show", SERIES, "-o", "json"];
    let json: Value = serde_json::from_str(&out(&loadcast(&args, &[]).await)).unwrap();
    assert_eq!(json["served"]["version"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_promoted_rolled_back_and_retired() {
    let mock = mock();
    let addr = mock.serve().await;
    let run = async |args: &[&str]| {
        let output = loadcast(&[&["--addr", &addr, "models"], args].concat(), &[]).await;
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output)
    };
    assert_eq!(
        run(&["promote", SERIES, "3", "--expect", "2"]).await,
        format!("{SERIES}: version 3 is champion and served (revision 8)\n")
    );
    assert_eq!(
        run(&["promote", SERIES, "3", "--alias", "candidate"]).await,
        format!("{SERIES}: version 3 is candidate, which this server does not serve\n")
    );
    assert_eq!(
        run(&["rollback", SERIES]).await,
        format!("{SERIES}: version 2 is served (revision 9)\n")
    );
    run(&["rollback", SERIES, "--to", "2"]).await;
    assert_eq!(
        run(&["retire", SERIES, "--reason", "decommissioned"]).await,
        format!("{SERIES}: retired (revision 10)\n")
    );
    let state = mock.state();
    let moved: Vec<_> = state
        .alias_requests
        .iter()
        .map(|request| (request.version, request.expected_version))
        .collect();
    assert_eq!(moved, [(3, Some(2)), (3, None)]);
    let back: Vec<u64> = state
        .rollback_requests
        .iter()
        .map(|request| request.version)
        .collect();
    assert_eq!(back, [0, 2]);
    assert_eq!(state.retire_requests[0].reason, "decommissioned");
}

/// A server that announces version 3 once the forecast of it is on its way already.
async fn announcing() -> String {
    let mock = mock();
    mock.state().model_scripts = [Script {
        says: vec![
            about_models(
                "m1",
                Message::SnapshotBegin(pb::SnapshotBegin {
                    revision: 2,
                    reason: String::new(),
                }),
            ),
            about_models("m2", Message::Model(model(SERIES))),
            about_models("m3", Message::SnapshotEnd(pb::SnapshotEnd { revision: 2 })),
            about_models("m4", served(3)),
        ],
        end: None,
    }]
    .into();
    mock.state().forecast_scripts = [Script {
        says: vec![
            changed("f1", forecast(2, 2, 1.5)),
            changed("f2", forecast(3, 3, 3.0)),
        ],
        end: None,
    }]
    .into();
    mock.serve().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_the_event_and_then_the_new_forecast() {
    let addr = announcing().await;
    let args = ["watch", "--until-events", "1", "--timeout", "30s"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "model demo.web.cpu  SERVING  version 2  sha256 1a2b3c4d  FRESH"
    );
    let event = lines.iter().position(|line| {
        *line == "00:00:00Z revision 3  SERVED  demo.web.cpu  version 3 (was 2)  sha256 1a2b3c4d"
    });
    let forecast = lines
        .iter()
        .position(|line| line.starts_with("forecast demo.web.cpu version 3: next hour mean "));
    assert!(event.unwrap() < forecast.unwrap(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_in_json_has_one_object_a_line() {
    let addr = announcing().await;
    let args = ["watch", SERIES, "--until-events", "1", "-o", "json"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let types: Vec<String> = out(&output)
        .lines()
        .map(|line| {
            let object: Value = serde_json::from_str(line).unwrap();
            object["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types.first().map(String::as_str), Some("snapshot_begin"));
    assert_eq!(types.last().map(String::as_str), Some("forecast"));
    assert!(types.iter().any(|kind| kind == "event"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_sees_too_little_in_time_fails() {
    let addr = announcing().await;
    let args = ["watch", "--until-events", "2", "--timeout", "300ms"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).starts_with("error: saw 1 of 2 events in time"),
        "{}",
        err(&output)
    );

    let args = ["watch", "--forecasts=false", "--timeout", "300ms"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_says_on_stderr_that_nobody_is_there_and_goes_on() {
    let addr = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let addr = format!("http://{addr}");
    let args = ["watch", "--timeout", "400ms"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(0));
    let err = err(&output);
    assert!(err.contains("disconnected: cannot reach"), "{err}");
    assert_eq!(err.matches("LOADCAST_ADDR").count(), 1, "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_leaves_is_no_failure() {
    let addr = mock().serve().await;
    let status = tokio::task::spawn_blocking(move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_loadcast"))
            .args(["forecast", SERIES, "-o", "csv"])
            .env_clear()
            .env("LOADCAST_ADDR", addr)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait().unwrap()
    })
    .await
    .unwrap();
    assert_eq!(status.code(), Some(0));
}
