//! `loadcast-trainer fit` on Python's own training data, and its refusals.

use std::path::Path;

use serde_json::Value;

use loadcast_components::tools::shared;

use crate::support::trainer;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Refits `NAME.train.csv` of `folder` with the settings of `NAME.model.json`: the report, and what was written.
fn refit(folder: &Path, name: &str, output: &Path) -> Value {
    let file = |what: &str| folder.join(format!("{name}.{what}"));
    let (data, like, holidays) = (file("train.csv"), file("model.json"), file("holidays.csv"));
    let report = output.join("report.json");
    let mut args = vec!["fit", "--data", text(&data), "--like", text(&like)];
    args.extend(["--output", text(output), "--report", text(&report)]);
    if holidays.exists() {
        args.extend(["--holidays", text(&holidays)]);
    }
    let run = trainer(&args);
    assert!(run.status.success(), "{name}: {run:?}");
    json(&report)
}

#[test]
fn refits_of_golden_models_reach_the_log_posterior_of_stan_and_the_known_maximum() {
    let Some(golden) = shared("golden Prophet files", "golden") else {
        return;
    };
    let mut fitted = 0;
    for entry in std::fs::read_dir(&golden).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".model.json") else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let report = refit(&golden, name, folder.path());
        for file in ["MLmodel", "model.pr", "loadcast.json", "requirements.txt"] {
            assert!(folder.path().join(file).exists(), "{name}: {file}");
        }
        assert_eq!(report["converged"], true, "{name}");
        let theirs = json(&golden.join(&file))["params"].clone();
        for vector in ["delta", "beta"] {
            let length = |value: &Value| value.as_array().unwrap().len();
            assert_eq!(
                length(&report[vector]),
                length(&theirs[vector][0]),
                "{name} {vector}"
            );
        }
        fitted += 1;
        let Some(stan) = theirs["lp__"][0][0].as_f64() else {
            assert_eq!(report["log_posterior"], Value::Null, "{name}");
            assert_eq!(report["sigma_obs"], 1e-9, "{name}");
            continue;
        };
        let reached = report["log_posterior"].as_f64().unwrap();
        let enough = |want: f64| reached >= want - 1e-6 * want.abs();
        assert!(enough(stan), "{name}: {reached} is below Stan's {stan}");
        let exact = golden.join(format!("{name}.exact.json"));
        if exact.exists() {
            let exact = json(&exact)["lp_exact"].as_f64().unwrap();
            assert!(
                enough(exact),
                "{name}: {reached} is below the maximum {exact}"
            );
        }
    }
    assert!(fitted >= 16, "{fitted} golden models");
}

/// Rows of a daily wave, last row first, with two values missing.
fn rows(folder: &Path) -> std::path::PathBuf {
    let mut csv = "when,load\n".to_owned();
    for hour in (0..24 * 30).rev() {
        let (day, of_day) = (1 + hour / 24, hour % 24);
        let value = match hour {
            7 => "NaN".to_owned(),
            8 => String::new(),
            _ => format!("{}", 10 + (of_day - 12_i32).abs() + hour * 7919 % 3),
        };
        csv += &format!("2026-01-{day:02} {of_day:02}:00:00,{value}\n");
    }
    let path = folder.join("rows.csv");
    std::fs::write(&path, csv).unwrap();
    path
}

#[test]
fn a_fit_of_a_spec_is_a_folder_that_can_be_refitted_and_forecast() {
    let folder = tempfile::tempdir().unwrap();
    let data = rows(folder.path());
    let spec = folder.path().join("spec.toml");
    std::fs::write(
        &spec,
        "growth = \"logistic\"\ncap = 60\nyearly_seasonality = true\n",
    )
    .unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let (first, second) = (
        folder.path().join("first.json"),
        folder.path().join("second.json"),
    );
    let fit = |settings: &str, path: &Path, output: &Path, report: &Path| {
        let run = trainer(&[
            "fit",
            "--data",
            text(&data),
            "--ds",
            "when",
            "--y",
            "load",
            settings,
            text(path),
            "--output",
            text(output),
            "--report",
            text(report),
        ]);
        assert!(run.status.success(), "{run:?}");
        json(report)
    };
    let held = fit("--spec", &spec, &one, &first);
    let warnings = held["warnings"].to_string();
    assert!(
        warnings.contains("29 days") && warnings.contains("prior of 0.01"),
        "{warnings}"
    );
    let exact = fit("--like", &one, &two, &second);
    assert!(!exact["warnings"].to_string().contains("prior of"));
    let value = |report: &Value| report["log_posterior"].as_f64().unwrap();
    assert!(value(&exact) > value(&held), "{exact} {held}");
    let times = folder.path().join("times.csv");
    std::fs::write(&times, "ds\n2026-02-01 09:00:00\n").unwrap();
    let forecast = trainer(&["forecast", "--model", text(&one), "--times", text(&times)]);
    assert!(forecast.status.success(), "{forecast:?}");
}

#[test]
fn a_fit_that_lacks_what_it_needs_says_what_and_how() {
    let folder = tempfile::tempdir().unwrap();
    let data = rows(folder.path());
    let spec = folder.path().join("spec.toml");
    for (settings, says, remedy) in [
        (
            "growth = \"logistic\"",
            "cap is needed",
            "add the column `cap` to",
        ),
        (
            "country_holidays = \"US\"",
            "holidays is needed",
            "--holidays FILE.csv",
        ),
        (
            "extra_regressors = [{name = \"temp\"}]",
            "temp is needed",
            "add the column `temp` to",
        ),
    ] {
        std::fs::write(&spec, settings).unwrap();
        let run = trainer(&[
            "fit",
            "--data",
            text(&data),
            "--ds",
            "when",
            "--y",
            "load",
            "--spec",
            text(&spec),
            "--output",
            text(&folder.path().join("out")),
        ]);
        let stderr = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{settings}: {stderr}");
        assert!(
            stderr.contains(says) && stderr.contains(remedy),
            "{settings}: {stderr}"
        );
    }
    let neither = trainer(&["fit", "--data", text(&data), "--output", "x"]);
    assert_eq!(neither.status.code(), Some(2), "{neither:?}");
}
