//! `loadcast-trainer forecast` against Python's own numbers, and its refusals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use loadcast_components::tools::shared;

use crate::support::{generated, trainer};

/// Python's models of the golden folder.
const GOLDEN: [&str; 16] = [
    "g01_linear_5min_pipeline",
    "g02_linear_hourly_auto",
    "g03_linear_5min_auto",
    "g04_logistic_cap",
    "g06_logistic_minmax_multiplicative",
    "g07_flat",
    "g08_multiplicative_hourly",
    "g09_holidays",
    "g10_country_holidays",
    "g12_conditional_seasonality",
    "g13_minmax_linear",
    "g15_explicit_changepoints",
    "g16_no_changepoints",
    "g17_constant",
    "g18_daily_newton",
    "g19_gaps_and_nan",
];

/// Python's models that the golden folder has not; they stand beside the tests of the model crate.
const OURS: [&str; 9] = [
    "conditional_weekly",
    "country_and_own_holidays",
    "logistic_floor_absmax",
    "logistic_holidays",
    "many_changepoints_minmax",
    "mixed_modes_flat",
    "nothing_but_trend",
    "regressors_additive",
    "regressors_multiplicative",
];

fn columns(csv: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        for (name, value) in names.iter().zip(line.split(',')) {
            columns
                .entry((*name).to_owned())
                .or_default()
                .push(value.to_owned());
        }
    }
    columns
}

/// Forecasts the sample `name` of `folder` through the command line and compares every column with Python's.
fn assert_as_python(folder: &Path, name: &str) {
    let path = |what: &str| folder.join(format!("{name}.{what}"));
    let file = |what: &str| path(what).to_str().unwrap().to_owned();
    let (model, times, holidays) = (file("model.json"), file("future.csv"), file("holidays.csv"));
    let mut args = vec!["forecast", "--model", &model, "--times", &times];
    args.extend(["--components", "--output", "csv"]);
    if Path::new(&holidays).exists() {
        args.extend(["--holidays", &holidays]);
    }
    let output = trainer(&args);
    assert!(output.status.success(), "{name}: {output:?}");
    let ours = columns(std::str::from_utf8(&output.stdout).unwrap());
    let pythons = columns(&std::fs::read_to_string(path("predict.csv")).unwrap());
    let number = |text: &String| text.parse::<f64>().unwrap();
    let numbers = pythons["yhat"].iter().map(number);
    let scale = numbers.fold(0.0, |most: f64, y| most.max(y.abs()));
    assert_eq!(ours["ds"], pythons["ds"], "{name}");
    assert!(ours.contains_key("additive_terms"), "{name}");
    let (lower, upper) = if name == "g08_multiplicative_hourly" {
        ("q0.025", "q0.975")
    } else {
        ("q0.1", "q0.9")
    };
    for ((y, lower), upper) in ours["yhat"].iter().zip(&ours[lower]).zip(&ours[upper]) {
        let (y, lower, upper) = (number(y), number(lower), number(upper));
        assert!(lower <= y && y <= upper, "{name}: {lower} {y} {upper}");
    }
    let quantile = |column: &str| column.starts_with('q') && column[1..].parse::<f64>().is_ok();
    for (column, values) in ours
        .iter()
        .filter(|(name, _)| *name != "ds" && !quantile(name))
    {
        let pairs = values
            .iter()
            .map(number)
            .zip(pythons[column].iter().map(number));
        for (have, want) in pairs {
            assert!(
                (have - want).abs() <= 1e-9 * scale,
                "{name} {column}: {have} is not {want}"
            );
        }
    }
}

#[test]
fn the_command_line_forecasts_pythons_models_as_python_does() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/prophet");
    for name in OURS {
        assert_as_python(&ours, name);
    }
    let Some(golden) = shared("golden Prophet files", "golden") else {
        return;
    };
    for name in GOLDEN {
        assert_as_python(&golden, name);
    }
}

#[test]
fn a_model_that_is_not_given_what_it_needs_says_what_and_how() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/prophet");
    let folder = tempfile::tempdir().unwrap();
    let times = folder.path().join("times.csv");
    std::fs::write(&times, "ds\n2026-02-01 09:00:00\n").unwrap();
    for (name, says, remedy) in [
        (
            "logistic_holidays",
            "cap is needed",
            "add the column `cap` to",
        ),
        (
            "conditional_weekly",
            "conditions.busy is needed",
            "add the column `busy` to",
        ),
        (
            "regressors_additive",
            "regressors.temp is needed",
            "add the column `temp` to",
        ),
        (
            "country_and_own_holidays",
            "holidays of US",
            "--holidays FILE.csv",
        ),
    ] {
        let model = samples.join(format!("{name}.model.json"));
        let output = trainer(&[
            "forecast",
            "--model",
            model.to_str().unwrap(),
            "--times",
            times.to_str().unwrap(),
        ]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {stderr}");
        assert!(
            stderr.contains(says) && stderr.contains(remedy),
            "{name}: {stderr}"
        );
    }
}

#[test]
fn a_folder_of_another_flavor_says_how_to_log_it_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("MLmodel"),
        "flavors:\n  sklearn:\n    pickled_model: model.pkl\n",
    )
    .unwrap();
    let times = folder.path().join("times.csv");
    std::fs::write(&times, "ds\n2026-02-01\n").unwrap();
    let output = trainer(&[
        "forecast",
        "--model",
        folder.path().to_str().unwrap(),
        "--times",
        times.to_str().unwrap(),
    ]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("flavor sklearn") && stderr.contains("mlflow.prophet.log_model"),
        "{stderr}"
    );
}

/// The MLflow folder of a dry run over generated rows.
fn model_folder(folder: &Path, extra: &[&str]) -> PathBuf {
    let (data, models) = (generated(folder), folder.join("models"));
    let series = ["--series", "a=cpu_mean_5m:cores"];
    let paths = [
        "--data",
        data.to_str().unwrap(),
        "--output-dir",
        models.to_str().unwrap(),
    ];
    let output = trainer(&[&["run", "--dry-run"][..], &series, &paths, extra].concat());
    assert!(output.status.success(), "{output:?}");
    models.join("a")
}

#[test]
fn the_same_rows_and_spec_give_the_same_bytes_in_every_process() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let bytes = folders
        .each_ref()
        .map(|folder| std::fs::read(model_folder(folder.path(), &[]).join("model.pr")).unwrap());
    assert!(bytes[0] == bytes[1]);
}

#[test]
fn csv_and_json_say_the_same_and_times_follow_the_zone_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_folder(folder.path(), &["--time-zone", "Europe/Berlin"]);
    let times = folder.path().join("times.csv");
    std::fs::write(&times, "ds\n2026-02-01 09:00:00\n2026-02-01T08:00:00Z\n").unwrap();
    let forecast = |format: &str| {
        let model = model.to_str().unwrap();
        let output = trainer(&[
            "forecast",
            "--model",
            model,
            "--times",
            times.to_str().unwrap(),
            "--output",
            format,
        ]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let csv = columns(&forecast("csv"));
    let json: Vec<BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(&forecast("json")).unwrap();
    assert_eq!(csv["ds"], ["2026-02-01 09:00:00", "2026-02-01 09:00:00"]);
    for (row, object) in json.iter().enumerate() {
        assert_eq!(object["ds"], csv["ds"][row]);
        assert_eq!(object["yhat"].as_f64(), csv["yhat"][row].parse().ok());
    }
    assert_eq!(csv["yhat"][0], csv["yhat"][1]);
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let model = model_folder(folder.path(), &[]);
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = file("good.csv", "ds\n2026-02-01 09:00:00\n");
    let cut = file(
        "cut.pr",
        &std::fs::read_to_string(model.join("model.pr")).unwrap()[..4000],
    );
    let model = model.to_str().unwrap();
    for (args, says) in [
        (&["--model", "no/such", "--times", &good][..], "no/such"),
        (&["--model", &cut, "--times", &good], "cut.pr: model.pr"),
        (
            &["--model", folder.path().to_str().unwrap(), "--times", &good],
            "model.pr: no such file",
        ),
        (
            &["--model", model, "--times", "no.csv"],
            "no.csv: no such file",
        ),
        (
            &["--model", model, "--times", &file("when.csv", "when\n1\n")],
            "must be called ds",
        ),
        (
            &["--model", model, "--times", &file("bad.csv", "ds\nsoon\n")],
            "line 2: column `ds` says `soon`",
        ),
        (
            &["--model", model, "--times", &good, "--levels", "0.1,1.5"],
            "levels: 1.5",
        ),
    ] {
        let output = trainer(&[&["forecast"], args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains(says),
            "{args:?}: {stderr}"
        );
        assert!(stderr.contains("\nremedy: "), "{args:?}: {stderr}");
    }
}
