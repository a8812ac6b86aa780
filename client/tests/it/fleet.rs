//! The command over many series, and what it takes from disk: top, diff, push, completions.

use std::fs;

use loadcast_proto::v1 as pb;
use loadcast_proto::v1::push_model_request::Part;
use serde_json::{Value, json};

use crate::answers::{SERIES, digest, forecast, model};
use crate::binary::{err, loadcast, out};
use crate::server::Mock;

async fn fleet() -> String {
    use pb::batch_get_forecasts_response::Result as Item;
    let mock = Mock::default();
    mock.state().pages = [pb::ListModelsResponse {
        models: vec![model(SERIES)],
        ..pb::ListModelsResponse::default()
    }]
    .into();
    mock.state().batch = vec![pb::BatchGetForecastsResponse {
        series: SERIES.into(),
        result: Some(Item::Forecast(forecast(3, 12, 1.5))),
    }];
    mock.serve().await
}

#[tokio::test(flavor = "multi_thread")]
async fn top_looks_once_where_there_is_no_terminal_and_has_no_escape() {
    for args in [&["top"][..], &["top", "--once"]] {
        let addr = fleet().await;
        let output = loadcast(args, &[("LOADCAST_ADDR", &addr)]).await;
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let text = out(&output);
        assert!(text.starts_with("1 series · next hour · "), "{text}");
        assert!(text.contains("\ndemo.web.cpu 1.50 cores 2.50 "), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
    let addr = fleet().await;
    let args = ["top", "--once", "-o", "json"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    let json: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(json["series"][0]["series"], SERIES);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_are_compared_at_the_same_now() {
    let mock = Mock::default();
    mock.state().forecast = Some(Ok(forecast(3, 12, 1.5)));
    mock.state().model = Some(model(SERIES));
    let addr = mock.serve().await;
    let args = ["models", "diff", SERIES, "2", "candidate"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(
        text.starts_with("demo.web.cpu · Thu 2026-10-08 00:00 to 24:00 UTC\n"),
        "{text}"
    );
    assert!(text.ends_with("both say the same, to the bit\n"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    let asked = mock.state().forecast_requests.clone();
    use pb::get_forecast_request::Model;
    assert_eq!(asked[0].model, Some(Model::Version(2)));
    assert_eq!(asked[1].model, Some(Model::Alias("candidate".into())));
    assert_eq!((&asked[0].as_of, asked[0].components), (&None, true));
    assert_eq!(asked[1].as_of, forecast(3, 12, 1.5).as_of);
}

fn pushed() -> Mock {
    let mock = Mock::default();
    mock.state().push = Some(Ok(pb::PushModelResponse {
        version: 4,
        revision: 9,
        epoch: "e1".into(),
        artifact_sha256: digest(),
        ..pb::PushModelResponse::default()
    }));
    mock
}

fn header(mock: &Mock) -> pb::PushHeader {
    let parts = mock.state().push_parts.clone();
    match parts.into_iter().next() {
        Some(Part::Header(header)) => header,
        other => panic!("{other:?}"),
    }
}

/// As Prophet's model_to_json writes it, as far as a client looks.
const MODEL: &str = r#"{"start": 1791417600.0, "t_scale": 86400.0, "params": {"k": [[0.1]]}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_python_is_pushed_with_what_the_flags_say() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.json");
    fs::write(&file, MODEL).unwrap();
    let file = file.to_str().unwrap();
    let mock = pushed();
    let addr = mock.serve().await;
    let env = [("LOADCAST_ADDR", addr.as_str())];
    let output = loadcast(&["push", file], &env).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).ends_with("give --series NAME\n"),
        "{}",
        err(&output)
    );
    let output = loadcast(&["push", file, "--series", SERIES], &env).await;
    assert!(
        err(&output).ends_with("give --step 5m\n"),
        "{}",
        err(&output)
    );
    let args = [
        "push",
        file,
        "--series",
        SERIES,
        "--step",
        "5m",
        "--label",
        "namespace=demo",
        "--time-zone",
        "Europe/Berlin",
        "--unit",
        "cores",
        "--expect",
        "3",
    ];
    let output = loadcast(&args, &env).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let told = format!("{SERIES}: version 4 is champion and served (revision 9)\n");
    assert_eq!(out(&output), told);
    let header = header(&mock);
    assert_eq!(
        (header.alias.as_str(), header.expected_version),
        ("champion", Some(3))
    );
    let series = header.series.unwrap();
    assert_eq!(series.labels["namespace"], "demo");
    assert_eq!(series.step.unwrap().seconds, 300);
    // Midnight on the wall in Berlin.
    assert_eq!(
        header.cutoff.unwrap().seconds,
        1_791_417_600 + 86_400 - 7_200
    );
    // The string that MLflow has around the model.
    let wrapped = Value::String(MODEL.to_owned()).to_string();
    assert_eq!(header.size_bytes, wrapped.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_ours_says_everything_itself_and_another_model_in_it_is_refused() {
    use sha2::Digest as _;
    let folder = tempfile::tempdir().unwrap();
    let model_pr = Value::String(MODEL.to_owned()).to_string();
    let declared = json!({
        "schema": 1,
        "sha256": hex::encode(sha2::Sha256::digest(&model_pr)),
        "series": { "name": SERIES, "labels": { "namespace": "demo" }, "unit": "cores", "step_seconds": 300, "time_zone": "UTC", "zero_means": "missing" },
        "cutoff": "2026-10-08T00:00:00Z",
        "trained_at": "2026-10-08T00:10:00Z",
        "rows": 8064,
        "scores": { "mase": 0.71, "skill": 0.2, "origins": 6, "horizon_seconds": 86400 },
        "trainer_version": "loadcast-trainer 0.1.0",
        "data_sha256": digest(),
        "spec": { "growth": "flat" },
        "clamps": { "min": 0.0, "max": null },
        "peak": null,
    });
    fs::write(folder.path().join("model.pr"), &model_pr).unwrap();
    fs::write(folder.path().join("loadcast.json"), declared.to_string()).unwrap();
    let path = folder.path().to_str().unwrap();
    let mock = pushed();
    let addr = mock.serve().await;
    let env = [("LOADCAST_ADDR", addr.as_str())];
    let args = ["push", path, "--alias", "none", "-o", "json"];
    let output = loadcast(&args, &env).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let json: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(
        (&json["version"], &json["alias"]),
        (&"4".into(), &().into())
    );
    let header = header(&mock);
    assert_eq!((header.rows, header.alias.as_str()), (8_064, ""));
    assert_eq!(header.scores.unwrap().skill, Some(0.2));
    assert_eq!(header.spec_json, r#"{"growth":"flat"}"#);
    assert_eq!(header.clamps.unwrap().min, Some(0.0));
    assert_eq!(
        header.series.unwrap().zero_means,
        pb::ZeroMeans::Missing as i32
    );
    assert_eq!(header.trained_at.unwrap().seconds, 1_791_417_600 + 600);

    let other = MODEL.replace("0.1", "0.2");
    fs::write(folder.path().join("model.pr"), other).unwrap();
    let output = loadcast(&args, &env).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("loadcast.json is of another model.pr"),
        "{}",
        err(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_model_is_refused_with_the_remedy_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let file = folder.path().join("x.json");
    fs::write(&file, "[1, 2]").unwrap();
    for (path, expected) in [
        ("/no/such/place", "cannot be read"),
        (empty, "there is no model.pr in it"),
        (file.to_str().unwrap(), "not a Prophet model"),
    ] {
        let output = loadcast(&["push", path, "--series", SERIES], &[]).await;
        assert_eq!(output.status.code(), Some(1));
        let err = err(&output);
        let (what, remedy) = err.split_once('\n').unwrap();
        assert!(what.contains(expected) && remedy.len() > 20, "{err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = loadcast(&["completions", shell], &[]).await;
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let script = out(&output);
        for word in ["forecast", "top", "rollback", "label-selector"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let output = loadcast(&["completions", "cmd.exe"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
}
