//! Python's Prophet and MLflow, as processes with none of our code: they load what we write, we load what they log.
//!
//! They are installed under .tools/python by .ci/tools.sh; where they are absent these tests say so and pass, unless
//! LOADCAST_REQUIRE_ALL=1.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use loadcast_components::tools::python;
use loadcast_model::artifact::{decode_model_pr, encode_model_pr};

/// What log_models.py logs.
const KINDS: [&str; 6] = [
    "additive_regressors",
    "conditional",
    "flat",
    "holidays",
    "logistic",
    "multiplicative",
];

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    output
}

fn script(python: &Path, name: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new(python);
    command.arg(script.join(name));
    command
}

fn trainer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_loadcast-trainer"))
}

type Columns = BTreeMap<String, Vec<String>>;

fn columns(csv: &str) -> Columns {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut columns = Columns::new();
    for line in lines {
        for (name, value) in names.iter().zip(line.split(',')) {
            let column = columns.entry((*name).to_owned()).or_default();
            column.push(value.to_owned());
        }
    }
    columns
}

fn read_columns(path: &Path) -> Columns {
    columns(&fs::read_to_string(path).unwrap())
}

/// What the command line forecasts from `model` at the times of `future`.
fn forecast(model: &Path, future: &Path) -> Columns {
    let mut command = trainer();
    command.arg("forecast").arg("--model").arg(model);
    command.arg("--times").arg(future).arg("--components");
    columns(&String::from_utf8(succeed(&mut command).stdout).unwrap())
}

/// Equal within 1e-9 of the largest forecast.
fn assert_same(what: &str, have: &[String], want: &[String], largest: f64) {
    assert_eq!(have.len(), want.len(), "{what}");
    for (row, (have, want)) in have.iter().zip(want).enumerate() {
        let (have, want): (f64, f64) = (have.parse().unwrap(), want.parse().unwrap());
        assert!(
            (have - want).abs() <= 1e-9 * largest,
            "{what}, row {row}: {have} is not {want}"
        );
    }
}

fn largest(column: &[String]) -> f64 {
    let values = column.iter().map(|value| value.parse::<f64>().unwrap());
    values.fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The MLflow folder of a dry run over generated rows.
fn trained(folder: &Path) -> PathBuf {
    let (data, models) = (folder.join("metrics.csv"), folder.join("models"));
    let mut generate = trainer();
    generate.args(["generate", "--weeks", "2", "--output"]);
    succeed(generate.arg(&data));
    let mut run = trainer();
    run.args(["run", "--dry-run", "--series", "a=cpu_mean_5m:cores"]);
    run.arg("--data")
        .arg(&data)
        .arg("--output-dir")
        .arg(&models);
    succeed(&mut run);
    models.join("a")
}

#[test]
fn python_loads_what_we_write_and_we_load_what_python_logs() {
    let Some(python) = python("Python's Prophet and MLflow") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let logged = folder.path().join("logged");
    fs::create_dir(&logged).unwrap();
    succeed(script(&python, "log_models.py").arg(&logged));

    // What the trainer trained, and what Python logged, written again by us; for all of them one Python.
    let trained = trained(folder.path());
    let future = folder.path().join("future.csv");
    let hours = (0..200).map(|i| {
        format!(
            "2026-{:02}-{:02} {:02}:30:00\n",
            1 + i / 28,
            1 + i % 28,
            i % 24
        )
    });
    fs::write(&future, format!("ds\n{}", hours.collect::<String>())).unwrap();
    let mut written = vec![(trained.clone(), future)];
    for kind in KINDS {
        let theirs = fs::read_to_string(logged.join(kind).join("folder.txt")).unwrap();
        let theirs = Path::new(theirs.trim());
        assert_logged(kind, theirs, &logged.join(kind));
        let ours = folder.path().join(kind);
        fs::create_dir(&ours).unwrap();
        let model = decode_model_pr(&fs::read(theirs.join("model.pr")).unwrap()).unwrap();
        fs::write(ours.join("model.pr"), encode_model_pr(&model).unwrap()).unwrap();
        fs::copy(trained.join("MLmodel"), ours.join("MLmodel")).unwrap();
        written.push((ours, logged.join(kind).join("future.csv")));
    }
    let mut predict = script(&python, "predict.py");
    for (model, future) in &written {
        predict
            .arg(model)
            .arg(future)
            .arg(model.join("predicted.csv"));
    }
    succeed(&mut predict);
    for (model, future) in &written {
        let what = model.file_name().unwrap().to_string_lossy();
        let ours = forecast(model, future);
        let pythons = read_columns(&model.join("predicted.csv"));
        let largest = largest(&pythons["yhat"]);
        for (column, of_ours) in [
            ("yhat", "yhat"),
            ("pyfunc_yhat", "yhat"),
            ("trend", "trend"),
        ] {
            let what = format!("{what} {column}");
            assert_same(&what, &ours[of_ours], &pythons[column], largest);
        }
    }
}

/// The folder that mlflow.prophet.log_model wrote, forecast by us: every column of Python's predict().
fn assert_logged(kind: &str, folder: &Path, files: &Path) {
    let ours = forecast(folder, &files.join("future.csv"));
    let pythons = read_columns(&files.join("predict.csv"));
    let largest = largest(&pythons["yhat"]);
    assert_eq!(ours["ds"], pythons["ds"], "{kind}");
    for (name, values) in pythons.iter().filter(|(name, _)| *name != "ds") {
        assert_same(&format!("{kind} {name}"), &ours[name], values, largest);
    }
    let (lower, upper) = if kind == "flat" {
        ("q0.025", "q0.975")
    } else {
        ("q0.1", "q0.9")
    };
    assert!(
        ours.contains_key(lower) && ours.contains_key(upper),
        "{kind}"
    );
}
