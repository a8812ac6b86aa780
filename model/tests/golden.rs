//! Against Python's Prophet 1.5.0: its models read and evaluated, its data fitted.
//!
//! The golden files stand beside the project and are read in place; where they are absent these tests say so and pass,
//! unless LOADCAST_REQUIRE_ALL=1.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use loadcast_model::{
    artifact::{decode_model_pr, encode_model_pr},
    error::Error,
    fit::fit,
    forecaster::{Forecaster, Question},
    history::History,
    spec::parse_wall_time,
};

/// What this build evaluates, with the log posterior that Stan reached and the exact one where it is known.
const SUPPORTED: [(&str, f64); 10] = [
    ("g01_linear_5min_pipeline", 5_837.644_5),
    ("g02_linear_hourly_auto", 684.195_42),
    ("g03_linear_5min_auto", 4_680.487_2),
    ("g07_flat", 586.671_27),
    ("g13_minmax_linear", 3_223.208),
    ("g15_explicit_changepoints", 551.269_95),
    ("g16_no_changepoints", 793.456_8),
    ("g17_constant", f64::NAN),
    ("g18_daily_newton", 299.432_82),
    ("g19_gaps_and_nan", 965.737_3),
];

/// What it refuses, and what the refusal must name.
const REFUSED: [(&str, &str); 6] = [
    ("g04_logistic_cap", "logistic"),
    ("g06_logistic_minmax_multiplicative", "logistic"),
    ("g08_multiplicative_hourly", "multiplicative"),
    ("g09_holidays", "holidays"),
    ("g10_country_holidays", "holidays"),
    ("g12_conditional_seasonality", "conditional"),
];

fn golden() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    if folder.is_dir() {
        component("golden Prophet files: exercised");
        return Some(folder);
    }
    assert!(
        std::env::var_os("LOADCAST_REQUIRE_ALL").is_none(),
        "golden files are required and absent: {}",
        folder.display()
    );
    eprintln!("skipped: no golden files at {}", folder.display());
    component("golden Prophet files: skipped, not beside the project");
    None
}

/// A line for the list that ends `make test`.
fn component(line: &str) {
    use std::io::Write as _;
    if let Some(path) = std::env::var_os("LOADCAST_COMPONENTS") {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "{line}").unwrap();
    }
}

/// A CSV file as columns of text.
fn columns(path: &Path) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
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

fn times(column: &[String]) -> Vec<i64> {
    column
        .iter()
        .map(|text| parse_wall_time(text).unwrap())
        .collect()
}

fn assert_close(what: &str, have: &[f64], want: &[String], scale: f64) {
    assert_eq!(have.len(), want.len(), "{what}");
    for (i, (have, want)) in have.iter().zip(want).enumerate() {
        let want: f64 = want.parse().unwrap();
        assert!(
            (have - want).abs() <= 1e-9 * scale,
            "{what} row {i}: {have} is not {want}"
        );
    }
}

#[test]
fn pythons_models_forecast_as_python_does() {
    let Some(folder) = golden() else { return };
    for (name, _) in SUPPORTED {
        let bytes = fs::read(folder.join(format!("{name}.model.json"))).unwrap();
        let forecaster = Forecaster::new(decode_model_pr(&bytes).unwrap()).unwrap();
        let predicted = columns(&folder.join(format!("{name}.predict.csv")));
        let ds = times(&predicted["ds"]);
        let forecast = forecaster
            .forecast(&Question::at(&ds).with_components(true))
            .unwrap();
        let scale = predicted["yhat"]
            .iter()
            .map(|y| y.parse::<f64>().unwrap().abs())
            .fold(0.0, f64::max);
        assert_close(
            &format!("{name} trend"),
            &forecast.trend,
            &predicted["trend"],
            scale,
        );
        assert_close(
            &format!("{name} yhat"),
            &forecast.yhat,
            &predicted["yhat"],
            scale,
        );
        for component in &forecast.components {
            let what = format!("{name} {}", component.name);
            assert_close(&what, &component.values, &predicted[&component.name], scale);
        }
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused_by_name() {
    let Some(folder) = golden() else { return };
    for (name, feature) in REFUSED {
        let bytes = fs::read(folder.join(format!("{name}.model.json"))).unwrap();
        let error = decode_model_pr(&bytes).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(feature), "{name}: {error}");
    }
}

#[test]
fn fits_reach_at_least_the_log_posterior_of_stan() {
    let Some(folder) = golden() else { return };
    for (name, stan) in SUPPORTED {
        let bytes = fs::read(folder.join(format!("{name}.model.json"))).unwrap();
        let theirs = decode_model_pr(&bytes).unwrap();
        let train = columns(&folder.join(format!("{name}.train.csv")));
        let (ds, y): (Vec<i64>, Vec<f64>) = times(&train["ds"])
            .into_iter()
            .zip(&train["y"])
            .filter_map(|(ds, y)| Some((ds, y.parse::<f64>().ok().filter(|y| y.is_finite())?)))
            .unzip();
        let fitted = fit(&theirs.spec, &History::new(ds, y).unwrap()).unwrap();
        assert_eq!(fitted.model.changepoints, theirs.changepoints, "{name}");
        assert_eq!(fitted.model.features, theirs.features, "{name}");
        assert_eq!(fitted.model.y_scale, theirs.y_scale, "{name}");
        let Some(reached) = fitted.report.log_posterior else {
            assert_eq!(
                (fitted.model.k, fitted.model.m),
                (theirs.k, theirs.m),
                "{name}"
            );
            assert_eq!(fitted.model.sigma_obs, theirs.sigma_obs, "{name}");
            continue;
        };
        println!(
            "{name}: {reached} (Stan {stan}), {} rounds",
            fitted.report.iterations
        );
        assert!(fitted.report.converged, "{name}");
        assert!(
            reached >= stan - 1e-6 * stan.abs(),
            "{name}: {reached} is below Stan's {stan}"
        );
        let exact = folder.join(format!("{name}.exact.json"));
        let exact: serde_json::Value = serde_json::from_slice(&fs::read(exact).unwrap()).unwrap();
        let Some(exact) = exact.get("lp_exact").and_then(serde_json::Value::as_f64) else {
            panic!("{name}: no lp_exact in {exact}");
        };
        assert!(
            reached >= exact - 1e-6 * exact.abs(),
            "{name}: {reached} is below the maximum {exact}"
        );
    }
}

#[test]
fn what_is_written_forecasts_as_what_was_read() {
    let Some(folder) = golden() else { return };
    for (name, _) in SUPPORTED {
        let bytes = fs::read(folder.join(format!("{name}.model.json"))).unwrap();
        let model = decode_model_pr(&bytes).unwrap();
        let again = decode_model_pr(&encode_model_pr(&model).unwrap()).unwrap();
        let ds: Vec<i64> = (0..500).map(|i| model.ends.last.0 + i * 977).collect();
        let ask = |model| {
            let forecaster = Forecaster::new(model).unwrap();
            forecaster
                .forecast(&Question::at(&ds).with_components(true))
                .unwrap()
        };
        assert_eq!(ask(model), ask(again), "{name}");
    }
}
