//! Fits where augurs-prophet or a plain reading of Prophet goes wrong: each a named case, each as Python does it.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use loadcast_model::{
    artifact::{decode_model_pr, encode_model_pr},
    error::Error,
    features::{Mode, Standardize},
    fit::{Fitted, fit, fit_exactly, log_posterior},
    forecaster::{Forecaster, Question},
    history::History,
    holiday::Holiday,
    inputs::Inputs,
    spec::{Auto, ExtraRegressor, Growth, Scaling, SeasonalityChoice, Spec},
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn noise(i: i64) -> f64 {
    ((i * i * 7_919 + i * 104_729) % 1_009) as f64 / 1_009.0 - 0.5
}

fn value(i: i64) -> f64 {
    let day = i as f64 * std::f64::consts::TAU / 24.0;
    10.0 + 0.004 * i as f64 + 2.0 * day.sin() + (2.0 * day).cos() + 0.5 * noise(i)
}

fn rows(n: i64) -> (Vec<i64>, Vec<f64>) {
    (
        (0..n).map(|i| i * HOUR).collect(),
        (0..n).map(value).collect(),
    )
}

fn hourly(n: i64) -> History {
    let (ds, y) = rows(n);
    History::new(ds, y).unwrap()
}

fn ahead(fitted: &Fitted, inputs: &Inputs) -> Vec<f64> {
    let last = fitted.model.ends.last.0;
    let ds: Vec<i64> = (1..=48).map(|i| last + i * HOUR).collect();
    let question = Question::at(&ds).with_inputs(inputs);
    let forecaster = Forecaster::new(fitted.model.clone()).unwrap();
    forecaster.forecast(&question).unwrap().yhat
}

fn regressor(name: &str, standardize: Standardize) -> ExtraRegressor {
    ExtraRegressor {
        name: name.to_owned(),
        prior_scale: None,
        standardize,
        mode: None,
    }
}

fn with_columns(columns: &[(&str, Vec<f64>)]) -> History {
    let regressors = columns
        .iter()
        .map(|(name, values)| ((*name).to_owned(), values.clone()));
    let inputs = Inputs {
        regressors: BTreeMap::from_iter(regressors),
        ..Inputs::default()
    };
    hourly(columns[0].1.len() as i64)
        .with_inputs(inputs)
        .unwrap()
}

#[test]
fn standardize_yes_is_heard_and_auto_takes_every_row_and_spares_zeros_and_ones() {
    // Mean 2.5 over the rows, 3 over the distinct values.
    let skewed: Vec<f64> = (0..400)
        .map(|i| if i % 4 == 0 { 4.0 } else { 2.0 })
        .collect();
    let binary: Vec<f64> = (0..400).map(|i| f64::from(i % 5 == 0)).collect();
    let history = with_columns(&[("skewed", skewed), ("binary", binary)]);
    let spec = |standardize| Spec {
        extra_regressors: ["skewed", "binary"]
            .map(|name| regressor(name, standardize))
            .to_vec(),
        ..Spec::default()
    };
    let scales = |standardize| -> Vec<(f64, f64)> {
        let model = fit(&spec(standardize), &history).unwrap().model;
        let regressors = model.features.regressors.iter();
        regressors.map(|r| (r.mu, r.std)).collect()
    };
    // pandas: pd.Series([4, 2, 2, 2] * 100).std(), and of [1, 0, 0, 0, 0] * 80.
    let (skewed, binary) = ((2.5, 0.867_109_969_5), (0.2, 0.400_500_939_2));
    let close = |have: (f64, f64), want: (f64, f64)| {
        assert!(
            (have.0 - want.0).abs() < 1e-9 && (have.1 - want.1).abs() < 1e-9,
            "{have:?} {want:?}"
        );
    };
    let auto = scales(Standardize::Auto(Auto::Auto));
    close(auto[0], skewed);
    assert_eq!(auto[1], (0.0, 1.0));
    let yes = scales(Standardize::Always(true));
    close(yes[0], skewed);
    close(yes[1], binary);
    assert_eq!(scales(Standardize::Always(false)), [(0.0, 1.0); 2]);
}

#[test]
fn a_constant_regressor_and_two_equal_ones_fit() {
    let wave: Vec<f64> = (0..400).map(|i| noise(i * 31)).collect();
    let history = with_columns(&[
        ("constant", vec![7.0; 400]),
        ("one", wave.clone()),
        ("two", wave),
    ]);
    let spec = Spec {
        extra_regressors: ["constant", "one", "two"]
            .map(|name| regressor(name, Standardize::default()))
            .to_vec(),
        ..Spec::default()
    };
    let fitted = fit(&spec, &history).unwrap();
    assert!(fitted.report.converged);
    let beta = &fitted.model.beta[fitted.model.beta.len() - 2..];
    assert!(
        (beta[0] - beta[1]).abs() < 1e-9,
        "the prior shares equally: {beta:?}"
    );
}

#[test]
fn holidays_and_regressors_have_pythons_prior_of_ten() {
    let holiday = Holiday {
        holiday: "launch".to_owned(),
        ds: "1970-01-05".parse().unwrap(),
        lower_window: 0,
        upper_window: 0,
        prior_scale: None,
    };
    let spec = Spec {
        holidays: vec![holiday],
        extra_regressors: vec![regressor("load", Standardize::default())],
        ..Spec::default()
    };
    let history = with_columns(&[("load", (0..400).map(noise).collect())]);
    let features = fit(&spec, &history).unwrap().model.features;
    assert_eq!(features.holidays[0].prior_scale, 10.0);
    assert_eq!(features.regressors[0].prior_scale, 10.0);
}

#[test]
fn a_holiday_of_several_days_has_a_coefficient_for_each() {
    let n = 24 * 30;
    let (ds, mut y) = rows(n);
    for (day, lift) in [(9, 5.0), (10, 20.0), (11, -5.0)] {
        for value in &mut y[day * 24..(day + 1) * 24] {
            *value += lift;
        }
    }
    let occurrence = |date: &str| Holiday {
        holiday: "launch".to_owned(),
        ds: date.parse().unwrap(),
        lower_window: -1,
        upper_window: 1,
        prior_scale: None,
    };
    let spec = Spec {
        holidays: vec![occurrence("1970-01-11"), occurrence("1970-02-02")],
        ..Spec::default()
    };
    let fitted = fit(&spec, &History::new(ds, y).unwrap()).unwrap();
    let holidays = &fitted.model.features.holidays;
    let offsets: Vec<i32> = holidays.iter().map(|h| h.offset).collect();
    assert_eq!(offsets, [0, 1, -1], "by name, as Prophet sorts them");
    let width = fitted.model.beta.len();
    let lifts = &fitted.model.beta[width - 3..];
    for (lift, want) in lifts.iter().zip([20.0, -5.0, 5.0]) {
        let lift = lift * fitted.model.y_scale;
        assert!((lift - want).abs() < 1.5, "{lift} is not {want}");
    }
}

#[test]
fn auto_yearly_begins_at_730_days_as_in_python() {
    let daily = |days: i64| {
        let ds = (0..=days).map(|i| i * DAY).collect();
        History::new(ds, (0..=days).map(value).collect()).unwrap()
    };
    let has_yearly = |history: &History| {
        let model = fit(&Spec::default(), history).unwrap().model;
        model
            .features
            .seasonalities
            .iter()
            .any(|s| s.name == "yearly")
    };
    assert!(!has_yearly(&daily(729)));
    assert!(has_yearly(&daily(730)));
}

#[test]
fn unsorted_logistic_rows_are_the_sorted_ones() {
    let (ds, y) = rows(500);
    let cap: Vec<f64> = (0..500).map(|i| 25.0 + f64::from(i) * 0.01).collect();
    let order: Vec<usize> = (0..500).map(|i| (i * 211) % 500).collect();
    let pick = |values: &[f64]| -> Vec<f64> { order.iter().map(|&i| values[i]).collect() };
    let capped = |cap| Inputs {
        cap,
        ..Inputs::default()
    };
    let spec = Spec {
        growth: Growth::Logistic,
        ..Spec::default()
    };
    let sorted = History::from_rows(&ds, &y, &capped(cap.clone())).unwrap();
    let shuffled: Vec<i64> = order.iter().map(|&i| ds[i]).collect();
    let shuffled = History::from_rows(&shuffled, &pick(&y), &capped(pick(&cap))).unwrap();
    assert_eq!(sorted, shuffled);
    let fitted = fit(&spec, &shuffled).unwrap();
    assert_eq!(fitted, fit(&spec, &sorted).unwrap());
    let future = ahead(&fitted, &capped(vec![30.0]));
    assert!(future.iter().all(|y| (8.0..20.0).contains(y)), "{future:?}");
}

#[test]
fn a_spec_with_everything_on_fits_again_and_again() {
    let on = SeasonalityChoice::Enabled(true);
    let spec = Spec {
        yearly_seasonality: on,
        weekly_seasonality: on,
        daily_seasonality: on,
        ..Spec::default()
    };
    let history = hourly(500);
    let first = fit_exactly(&spec, &history).unwrap();
    assert_eq!(fit_exactly(&spec, &history).unwrap(), first);
    let read = decode_model_pr(&encode_model_pr(&first.model).unwrap()).unwrap();
    let again = fit_exactly(&read.spec, &history).unwrap();
    assert_eq!(again.model.beta, first.model.beta);
}

#[test]
fn changepoints_given_twice_are_one_and_those_outside_are_refused() {
    let with = |given: &[&str]| Spec {
        changepoints: Some(given.iter().map(|text| (*text).to_owned()).collect()),
        ..Spec::default()
    };
    let history = hourly(500);
    let once = fit(&with(&["1970-01-08"]), &history).unwrap();
    let twice = fit(&with(&["1970-01-08", "1970-01-08"]), &history).unwrap();
    assert_eq!(once.model.delta, twice.model.delta);
    for outside in ["1969-12-31", "1970-02-01"] {
        let error = fit(&with(&[outside]), &history).unwrap_err().to_string();
        assert!(error.starts_with("changepoints: "), "{error}");
    }
}

#[test]
fn columns_that_are_not_finite_are_refused_before_the_fit() {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut column = vec![1.0; 100];
        column[3] = bad;
        for inputs in [
            Inputs {
                cap: column.clone(),
                ..Inputs::default()
            },
            Inputs {
                floor: column.clone(),
                ..Inputs::default()
            },
            Inputs {
                regressors: BTreeMap::from([("load".to_owned(), column.clone())]),
                ..Inputs::default()
            },
        ] {
            let error = hourly(100).with_inputs(inputs).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{error}");
        }
    }
}

/// A bend, growth to a cap, and factors, on few rows and many, in every scale: finite, converged, reported as reached.
#[test]
fn every_shape_fits_at_every_size() {
    for growth in [Growth::Linear, Growth::Logistic, Growth::Flat] {
        for mode in [Mode::Additive, Mode::Multiplicative] {
            for scaling in [Scaling::Absmax, Scaling::Minmax] {
                for n in [2, 3, 63, 64, 65, 300] {
                    for scale in [1e-9, 1.0, 1e12] {
                        let (ds, y) = rows(n);
                        let y: Vec<f64> = y.iter().map(|y| y * scale).collect();
                        let spec = Spec {
                            growth,
                            seasonality_mode: mode,
                            scaling,
                            cap: (growth == Growth::Logistic).then_some(30.0 * scale),
                            ..Spec::default()
                        };
                        let what = format!("{growth:?} {mode:?} {scaling:?} {n} {scale}");
                        let history = History::new(ds, y).unwrap();
                        let fitted = fit(&spec, &history).unwrap();
                        let inputs = spec.complete(Inputs::NONE);
                        let future = ahead(&fitted, &inputs);
                        assert!(future.iter().all(|y| y.is_finite()), "{what}");
                        let reached = fitted.report.log_posterior.unwrap();
                        if fitted.model.changepoints.is_empty() {
                            continue;
                        }
                        let again = log_posterior(&fitted.model, &history).unwrap();
                        assert!(
                            (reached - again).abs() <= 1e-9 * (1.0 + reached.abs()),
                            "{what}: {reached} {again}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn constant_and_all_zero_histories_fit_in_every_shape() {
    for growth in [Growth::Linear, Growth::Logistic, Growth::Flat] {
        for mode in [Mode::Additive, Mode::Multiplicative] {
            for level in [0.0, 4.0] {
                let spec = Spec {
                    growth,
                    seasonality_mode: mode,
                    cap: (growth == Growth::Logistic).then_some(10.0),
                    ..Spec::default()
                };
                let ds = (0..300).map(|i| i * HOUR).collect();
                let history = History::new(ds, vec![level; 300]).unwrap();
                let fitted = fit(&spec, &history).unwrap();
                for y in ahead(&fitted, &spec.complete(Inputs::NONE)) {
                    assert!((y - level).abs() < 0.2, "{growth:?} {mode:?} {level}: {y}");
                }
            }
        }
    }
}

#[test]
fn a_noise_free_product_is_continued() {
    let wave = |i: i64| 1.0 + 0.2 * (i as f64 * std::f64::consts::TAU / 24.0).sin();
    let truth = |i: i64| (5.0 + 0.01 * i as f64) * wave(i);
    let ds = (0..500).map(|i| i * HOUR).collect();
    let history = History::new(ds, (0..500).map(truth).collect()).unwrap();
    let spec = Spec {
        seasonality_mode: Mode::Multiplicative,
        ..Spec::default()
    };
    let future = ahead(&fit(&spec, &history).unwrap(), Inputs::NONE);
    for (i, y) in (500..).zip(future) {
        assert!((y - truth(i)).abs() < 0.02, "{y} is not {}", truth(i));
    }
}

#[test]
fn a_yearly_season_on_a_short_history_is_held_and_said_unless_exactness_is_asked_for() {
    let spec = Spec {
        yearly_seasonality: SeasonalityChoice::Enabled(true),
        ..Spec::default()
    };
    let history = hourly(28 * 24);
    let (held, exact) = (
        fit(&spec, &history).unwrap(),
        fit_exactly(&spec, &history).unwrap(),
    );
    let says = |fitted: &Fitted| {
        fitted
            .report
            .warnings
            .iter()
            .any(|w| w.contains("a prior of 0.01"))
    };
    assert!(says(&held) && !says(&exact));
    let swing = |fitted: &Fitted| {
        fitted.model.beta[..20]
            .iter()
            .map(|b| b.abs())
            .fold(0.0, f64::max)
    };
    assert!(swing(&held) < 0.05 && swing(&exact) > 2.0 * swing(&held));
    // Both are measured by the same posterior, the spec's own.
    assert!(held.report.log_posterior < exact.report.log_posterior);
    let again = log_posterior(&held.model, &history).unwrap();
    assert!((held.report.log_posterior.unwrap() - again).abs() < 1e-6);
}
