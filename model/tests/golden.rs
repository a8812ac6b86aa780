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
    fit::{fit_exactly, log_posterior},
    forecaster::{Forecast, Forecaster, Question},
    history::History,
    holiday::Holiday,
    inputs::Inputs,
    prophet::ProphetModel,
    spec::{Growth, parse_wall_time},
};

/// Every model of the golden folder.
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

/// Models of Prophet 1.5.0 that the golden folder has not, made by `tests/prophet/make.py`.
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
    if let Some(path) = std::env::var_os("LOADCAST_TEST_COMPONENTS") {
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

/// A model, the times of its predict() and what stood beside them.
struct Sample {
    name: &'static str,
    folder: PathBuf,
    model: ProphetModel,
    ds: Vec<i64>,
    inputs: Inputs,
    predicted: BTreeMap<String, Vec<String>>,
}

impl Sample {
    fn read(folder: &Path, name: &'static str) -> Self {
        let file = |what: &str| folder.join(format!("{name}.{what}"));
        let model = decode_model_pr(&fs::read(file("model.json")).unwrap()).unwrap();
        let future = columns(&file("future.csv"));
        let numbers = |column: &str| -> Vec<f64> {
            let texts = future[column].iter();
            texts.map(|text| text.parse().unwrap()).collect()
        };
        let mut inputs = Inputs::default();
        for need in model.needs() {
            match need.split_once('.') {
                Some(("regressors", column)) => {
                    inputs.regressors.insert(column.to_owned(), numbers(column));
                }
                Some((_, column)) => {
                    let texts = future[column].iter();
                    let values = texts.map(|text| text == "True").collect();
                    inputs.conditions.insert(column.to_owned(), values);
                }
                None if need == "cap" => inputs.cap = numbers("cap"),
                None if need == "floor" => inputs.floor = numbers("floor"),
                None => inputs.holidays = holidays(&file("holidays.csv")),
            }
        }
        Self {
            name,
            folder: folder.to_owned(),
            ds: times(&future["ds"]),
            model,
            inputs,
            predicted: columns(&file("predict.csv")),
        }
    }

    fn forecast(&self, model: ProphetModel) -> Forecast {
        let question = Question::at(&self.ds)
            .with_inputs(&self.inputs)
            .with_components(true);
        Forecaster::new(model).unwrap().forecast(&question).unwrap()
    }
}

fn holidays(path: &Path) -> Vec<Holiday> {
    let columns = columns(path);
    let rows = columns["holiday"].iter().zip(&columns["ds"]);
    rows.map(|(holiday, ds)| Holiday {
        holiday: holiday.clone(),
        ds: ds.parse().unwrap(),
        lower_window: 0,
        upper_window: 0,
        prior_scale: None,
    })
    .collect()
}

/// Every sample that is at hand.
fn samples() -> Vec<Sample> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prophet");
    let ours = OURS.iter().map(|name| Sample::read(&ours, name));
    let golden = golden().into_iter();
    golden
        .flat_map(|folder| GOLDEN.map(|name| Sample::read(&folder, name)))
        .chain(ours)
        .collect()
}

#[test]
fn pythons_models_forecast_as_python_does() {
    for sample in samples() {
        let (name, predicted) = (sample.name, &sample.predicted);
        let forecast = sample.forecast(sample.model.clone());
        assert_eq!(times(&predicted["ds"]), sample.ds, "{name}");
        let scale = predicted["yhat"]
            .iter()
            .map(|y| y.parse::<f64>().unwrap().abs())
            .fold(0.0, f64::max);
        let close = |what: &str, have: &[f64]| {
            assert_close(&format!("{name} {what}"), have, &predicted[what], scale);
        };
        close("trend", &forecast.trend);
        close("yhat", &forecast.yhat);
        for component in &forecast.components {
            close(&component.name, &component.values);
        }
        let others = ["ds", "trend", "yhat", "cap", "floor"];
        let theirs = predicted.keys().map(String::as_str);
        let theirs = theirs.filter(|name| {
            !name.ends_with("_1k") && !name.ends_with("_100k") && !others.contains(name)
        });
        let mut ours: Vec<&str> = forecast
            .components
            .iter()
            .map(|c| c.name.as_str())
            .collect();
        ours.sort_unstable();
        assert_eq!(ours, Vec::from_iter(theirs), "{name}");
    }
}

#[test]
fn what_a_model_needs_and_is_not_given_is_named() {
    for sample in samples() {
        let needs = sample.model.needs();
        let forecaster = Forecaster::new(sample.model).unwrap();
        let answer = forecaster.forecast(&Question::at(&sample.ds));
        match needs.first() {
            None => assert!(answer.is_ok(), "{}", sample.name),
            Some(_) => {
                let Err(Error::MissingInput { input, reason }) = answer else {
                    panic!("{}: {answer:?}", sample.name);
                };
                assert!(needs.contains(&input), "{}: {input}: {reason}", sample.name);
                assert!(
                    reason.contains("give"),
                    "{}: {input}: {reason}",
                    sample.name
                );
            }
        }
    }
}

#[test]
fn a_countrys_holidays_are_refused_by_name_without_their_dates() {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prophet");
    let sample = Sample::read(&ours, "country_and_own_holidays");
    let forecaster = Forecaster::new(sample.model).unwrap();
    let error = forecaster
        .forecast(&Question::at(&sample.ds))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("holidays is needed"), "{error}");
    assert!(
        error.contains("of US") && error.contains("Labor Day"),
        "{error}"
    );
    assert!(
        !error.contains("patch day"),
        "its dates are in the model: {error}"
    );
}

#[test]
fn the_spec_of_a_model_read_would_resolve_to_its_features_again() {
    for sample in samples() {
        let Sample { name, model, .. } = &sample;
        // A country's dates are not in the model.
        if model.spec.country_holidays.is_some()
            || !sample.folder.join(format!("{name}.train.csv")).exists()
        {
            continue;
        }
        let history = training(&sample);
        let resolved = model.spec.resolve(&history).unwrap();
        assert_eq!(resolved.features, model.features, "{name}");
        assert_eq!(resolved.changepoints, model.changepoints, "{name}");
    }
}

/// The history that a sample was trained on, with the columns that it needs.
fn training(sample: &Sample) -> History {
    let train = columns(&sample.folder.join(format!("{}.train.csv", sample.name)));
    let y: Vec<f64> = train["y"]
        .iter()
        .map(|y| y.parse().unwrap_or(f64::NAN))
        .collect();
    let kept = |i: &usize| y[*i].is_finite();
    let rows: Vec<usize> = (0..y.len()).filter(kept).collect();
    let pick = |column: &str| {
        rows.iter()
            .map(|&i| train[column][i].clone())
            .collect::<Vec<_>>()
    };
    let numbers = |column: &str| {
        pick(column)
            .iter()
            .map(|text| text.parse().unwrap())
            .collect::<Vec<f64>>()
    };
    let mut inputs = Inputs::default();
    for need in sample.model.needs() {
        match need.split_once('.') {
            Some(("conditions", column)) => {
                let values = pick(column).iter().map(|text| text == "True").collect();
                inputs.conditions.insert(column.to_owned(), values);
            }
            Some((_, column)) => {
                inputs.regressors.insert(column.to_owned(), numbers(column));
            }
            None if need == "cap" => inputs.cap = numbers("cap"),
            None if need == "floor" => inputs.floor = numbers("floor"),
            None => {}
        }
    }
    let history = History::new(times(&pick("ds")), numbers("y")).unwrap();
    history.with_inputs(inputs).unwrap()
}

/// The golden models with their histories, a country's dates among the spec's holidays.
fn fitted_samples() -> Vec<(Sample, History)> {
    let Some(folder) = golden() else {
        return Vec::new();
    };
    let read = |name| {
        let mut sample = Sample::read(&folder, name);
        if sample.model.spec.country_holidays.is_some() {
            sample.model.spec.holidays = sample.inputs.holidays.clone();
        }
        let history = training(&sample);
        (sample, history)
    };
    GOLDEN.map(read).into()
}

/// The maximum that a golden file tells: the model with the parameters there, and the log posterior.
fn maximum(sample: &Sample) -> Option<(ProphetModel, f64)> {
    let file = sample.folder.join(format!("{}.exact.json", sample.name));
    let exact: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).unwrap();
    let numbers = |key: &str| -> Vec<f64> {
        let values = exact[key].as_array().unwrap().iter();
        values.map(|value| value.as_f64().unwrap()).collect()
    };
    let number = |key: &str| exact[key].as_f64().unwrap();
    let model = ProphetModel {
        k: number("k"),
        m: number("m"),
        delta: numbers("delta"),
        beta: numbers("beta"),
        sigma_obs: number("sigma_obs"),
        ..sample.model.clone()
    };
    Some((model, number("lp_exact")))
}

#[test]
fn the_log_posterior_of_given_parameters_is_stans() {
    for (sample, history) in fitted_samples() {
        let Sample { name, model, .. } = &sample;
        // Stan's own k and delta are not known where Prophet put them together.
        if model.changepoints.is_empty() {
            continue;
        }
        if let Some(stan) = model.log_posterior {
            let ours = log_posterior(model, &history).unwrap();
            // Stan writes eight digits, of the parameters too.
            assert!((ours - stan).abs() <= 5e-8 * stan, "{name}: {ours} {stan}");
        }
        if let Some((model, want)) = maximum(&sample) {
            let ours = log_posterior(&model, &history).unwrap();
            assert!((ours - want).abs() <= 1e-11 * want, "{name}: {ours} {want}");
        }
    }
}

#[test]
fn fits_reach_at_least_the_log_posterior_of_stan() {
    for (sample, history) in fitted_samples() {
        let Sample {
            name,
            model: theirs,
            ..
        } = &sample;
        let fitted = fit_exactly(&theirs.spec, &history).unwrap();
        assert_eq!(fitted.model.changepoints, theirs.changepoints, "{name}");
        assert_eq!(fitted.model.y_scale, theirs.y_scale, "{name}");
        assert_eq!(
            fitted.model.features.columns(),
            theirs.features.columns(),
            "{name}"
        );
        let Some(stan) = theirs.log_posterior else {
            let (ours, report) = (&fitted.model, &fitted.report);
            assert_eq!(report.log_posterior, None, "{name}");
            assert_eq!((ours.k, ours.m), (theirs.k, theirs.m), "{name}");
            assert_eq!(ours.sigma_obs, theirs.sigma_obs, "{name}");
            continue;
        };
        let reached = fitted.report.log_posterior.unwrap();
        println!(
            "{name}: {reached} (Stan {stan}) in {} rounds",
            fitted.report.iterations
        );
        assert!(fitted.report.converged, "{name}");
        assert!(
            reached >= stan - 1e-6 * stan.abs(),
            "{name}: {reached} is below Stan's {stan}"
        );
        let Some((_, exact)) = maximum(&sample) else {
            continue;
        };
        assert!(
            reached >= exact - 1e-6 * exact.abs(),
            "{name}: {reached} is below the maximum {exact}"
        );
    }
}

#[test]
fn what_is_written_forecasts_as_what_was_read() {
    for sample in samples() {
        let written = encode_model_pr(&sample.model).unwrap();
        let again = decode_model_pr(&written).unwrap();
        assert_eq!(again, sample.model, "{}", sample.name);
        assert_eq!(encode_model_pr(&again).unwrap(), written, "{}", sample.name);
        let (read, again) = (
            sample.forecast(sample.model.clone()),
            sample.forecast(again),
        );
        assert_eq!(read, again, "{}", sample.name);
    }
}

/// Half the width of the band that 100,000 of Python's draws gave, and of ours: root mean square and maximum of the
/// relative difference.
fn half_width_errors(sample: &Sample) -> (f64, f64) {
    let forecaster = Forecaster::new(sample.model.clone()).unwrap();
    let levels = forecaster.interval_levels();
    let question = Question::at(&sample.ds)
        .with_inputs(&sample.inputs)
        .with_levels(&levels);
    let forecast = forecaster.forecast(&question).unwrap();
    let again = forecaster.forecast(&question).unwrap();
    assert_eq!(forecast, again, "{}", sample.name);
    let [lower, upper] = forecast.quantiles.as_slice() else {
        panic!("{}: {levels:?}", sample.name);
    };
    let theirs = |column: &str, i: usize| sample.predicted[column][i].parse::<f64>().unwrap();
    let errors: Vec<f64> = (0..sample.ds.len())
        .map(|i| {
            let ours = upper.values[i] - lower.values[i];
            ours / (theirs("yhat_upper_100k", i) - theirs("yhat_lower_100k", i)) - 1.0
        })
        .collect();
    let mean_square = errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64;
    let max = errors.iter().fold(0.0, |max: f64, e| max.max(e.abs()));
    (mean_square.sqrt(), max)
}

#[test]
fn bands_are_as_wide_as_100_000_draws_of_python() {
    let Some(folder) = golden() else { return };
    for name in GOLDEN {
        let sample = Sample::read(&folder, name);
        let (rms, max) = half_width_errors(&sample);
        println!("{name}: rms {:.2} %, max {:.2} %", 100.0 * rms, 100.0 * max);
        // A logistic trend is sampled, by 2,000 paths; their own error is some 3 %.
        let (rms_allowed, max_allowed) = match sample.model.growth() {
            Growth::Logistic => (0.05, 0.12),
            Growth::Linear | Growth::Flat => (0.006, 0.02),
        };
        assert!(
            rms <= rms_allowed && max <= max_allowed,
            "{name}: {rms} {max}"
        );
    }
}
