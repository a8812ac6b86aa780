//! What is imported says what Python said of the pickle: in MLflow, in a folder, and on a server.

use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use loadcast_client::{Client, ForecastQuery, Range};
use loadcast_server::{app::App, clock::Clock, config::Config};
use tokio::sync::oneshot;

use crate::original::{Original, original, rows, succeeded};

/// The largest difference, in parts of the largest forecast.
const TOLERANCE: f64 = 1e-9;

/// Column `column` of `have` against column `original` of what predict() said of the pickle `name`.
fn assert_same(it: &Original, name: &str, have: &[Vec<String>], columns: [(usize, usize); 2]) {
    let want = rows(Path::new(&it.file(&format!("{name}.csv"))));
    assert_eq!(have.len(), want.len());
    let number = |text: &String| text.parse::<f64>().unwrap();
    let largest = want
        .iter()
        .map(|row| number(&row[2]).abs())
        .fold(0.0, f64::max);
    for (have, want) in have.iter().zip(&want) {
        for (column, of_original) in columns {
            let apart = (number(&have[column]) - number(&want[of_original])).abs();
            assert!(
                apart <= TOLERANCE * largest,
                "{name}: {have:?} is not {want:?}"
            );
        }
    }
}

/// Rows of what `loadcast-trainer forecast` says of the model: ds, trend, yhat first.
fn forecast(it: &Original, model: &Path, further: &[&str]) -> Vec<Vec<String>> {
    let out = Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"))
        .args(["forecast", "--times", &it.file("future.csv"), "--model"])
        .arg(model)
        .args(further)
        .output()
        .unwrap();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    succeeded(&out).lines().skip(1).map(cells).collect()
}

fn aliases(it: &Original, name: &str) -> Vec<(String, String)> {
    let answer = it.mlflow(&format!("registered-models/get?name={name}"));
    let aliases = answer["registered_model"]["aliases"].as_array();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut aliases: Vec<_> = aliases
        .into_iter()
        .flatten()
        .map(|alias| (text(&alias["alias"]), text(&alias["version"])))
        .collect();
    aliases.sort();
    aliases
}

#[test]
fn what_the_original_logged_by_sklearn_becomes_a_prophet_version_with_the_same_numbers_once() {
    let Some(it) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let args = [
        "--model=models:/CPU_Prophet_Model@production",
        "--tracking-uri",
        &it.uri,
        "--trust-pickle",
        "--register",
        "--alias=champion",
        "--output",
        model.to_str().unwrap(),
    ];
    let said = succeeded(&it.import(&args));
    assert!(
        said.contains("model.pkl of models:/CPU_Prophet_Model/1 (sklearn)"),
        "{said}"
    );
    assert!(
        said.contains("version 2") && said.contains("champion is new"),
        "{said}"
    );
    let again = succeeded(&it.import(&args));
    assert!(again.contains("version 2 (registered before"), "{again}");
    assert!(again.contains("champion is there already"), "{again}");

    let versions = "model-versions/search?filter=name%3D%27CPU_Prophet_Model%27";
    let versions = it.mlflow(versions)["model_versions"].clone();
    assert_eq!(versions.as_array().unwrap().len(), 2);
    let at = |alias: &str, version: &str| (alias.to_owned(), version.to_owned());
    assert_eq!(
        aliases(it, "CPU_Prophet_Model"),
        [at("champion", "2"), at("production", "1")]
    );
    let imported = it.mlflow("model-versions/get?name=CPU_Prophet_Model&version=2");
    let tags = imported["model_version"]["tags"].to_string();
    assert!(tags.contains("models:/CPU_Prophet_Model/1"), "{tags}");

    let models = [
        "models:/CPU_Prophet_Model@champion",
        model.to_str().unwrap(),
    ];
    for predicted in it.predict(&models) {
        // ds, yhat, trend, pyfunc_yhat against ds, trend, yhat.
        assert_same(it, "plain", &predicted, [(1, 2), (2, 1)]);
        assert_same(it, "plain", &predicted, [(3, 2), (2, 1)]);
    }
    assert_same(it, "plain", &forecast(it, &model, &[]), [(1, 1), (2, 2)]);
}

#[test]
fn a_pyfunc_that_wraps_a_prophet_is_registered_and_no_alias_moves_unasked() {
    let Some(it) = original() else { return };
    let place = format!("runs:/{}/wrapped", it.run);
    let said = succeeded(&it.import(&[
        "--model",
        &place,
        "--series=wrapped.cpu",
        "--tracking-uri",
        &it.uri,
        "--trust-pickle",
        "--register",
    ]));
    assert!(
        said.contains("python_model.pkl") && said.contains("Wrapped of 800 rows"),
        "{said}"
    );
    assert!(said.contains("version 1"), "{said}");
    assert_eq!(aliases(it, "wrapped.cpu"), []);
    assert_same(
        it,
        "plain",
        &it.predict(&["models:/wrapped.cpu/1"])[0],
        [(3, 2), (2, 1)],
    );
}

#[test]
fn a_joblib_file_keeps_capacities_regressors_conditions_and_holidays() {
    let Some(it) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let said = succeeded(&it.import(&[
        "--model",
        &it.file("inputs.joblib"),
        "--series=shop.cpu",
        "--trust-pickle",
        "--output",
        model.to_str().unwrap(),
    ]));
    for need in [
        "cap",
        "floor",
        "regressors.temperature",
        "conditions.busy",
        "holidays",
    ] {
        let warned = format!("every question must bring {need}\n");
        assert!(said.contains(&warned), "{need} not in: {said}");
    }
    // The days of the future.csv, by their names in Python's holidays package.
    let days = folder.path().join("days.csv");
    let presidents = "Washington's Birthday,2026-02-16";
    std::fs::write(&days, format!("holiday,ds\n{presidents}\n")).unwrap();
    let ours = forecast(it, &model, &["--holidays", days.to_str().unwrap()]);
    assert_same(it, "inputs", &ours, [(1, 1), (2, 2)]);
}

#[test]
fn a_pickle_of_a_prophet_before_1_1_5_is_read_as_prophet_reads_its_json() {
    let Some(it) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = it.import(&[
        "--model",
        &it.file("before_1_1_5.pkl"),
        "--series=old.cpu",
        "--trust-pickle",
        "--output",
        folder.path().to_str().unwrap(),
    ]);
    succeeded(&output);
    assert_same(
        it,
        "plain",
        &forecast(it, folder.path(), &[]),
        [(1, 1), (2, 2)],
    );
}

#[tokio::test]
async fn an_import_is_pushed_once_and_served_with_pythons_numbers() {
    let Some(it) = original() else { return };
    let folder = tempfile::tempdir().unwrap();
    let config = <Config as clap::Parser>::parse_from([
        "loadcast-server",
        "--grpc-addr=127.0.0.1:0",
        "--http-addr=127.0.0.1:0",
        &format!("--state-dir={}", folder.path().display()),
    ]);
    let (clock, _) = Clock::set_at("2026-02-07T12:00:00Z".parse().unwrap());
    let app = App::bind(config, clock).await.unwrap();
    let addr = format!("http://{}", app.grpc_addr());
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move { app.serve(async { drop(stopped.await) }).await.unwrap() });

    let model = it.file("plain.pkl");
    let args = [
        "--model",
        &model,
        "--series=shop.cpu",
        "--unit=cores",
        "--trust-pickle",
        "--server",
        &addr,
        "--alias=champion",
    ]
    .map(str::to_owned);
    for (time, told) in [(1, "version 1, served at revision 1"), (2, "pushed before")] {
        let args = args.clone();
        let import = move || it.import(&args.each_ref().map(String::as_str));
        let said = succeeded(&tokio::task::spawn_blocking(import).await.unwrap());
        assert!(said.contains(told), "time {time}: {said}");
    }
    // The rows of future.csv, from the 770th hour on.
    let start: Timestamp = "2026-02-06T02:00:00Z".parse().unwrap();
    let end = start + jiff::SignedDuration::from_hours(200);
    let query = ForecastQuery::new("shop.cpu", Range::Between { start, end });
    let served = Client::new(&addr).unwrap().forecast(&query).await.unwrap();
    let served: Vec<_> = served.yhat.iter().map(|y| vec![y.to_string()]).collect();
    assert_same(it, "plain", &served, [(0, 2), (0, 2)]);
}
