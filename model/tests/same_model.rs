//! The same data and spec are the same model: in every process, through augurs and through our own forecaster.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use augurs_prophet::{
    FeatureMode, GrowthType, PredictionData, Prophet, ProphetOptions, SeasonalityOption,
    TrainingData, optimizer::OptimizeOpts,
};
use loadcast_model::{
    artifact::{encode_model_pr, sha256_hex},
    features::Mode,
    fit::fit,
    forecaster::{Forecaster, Question},
    history::History,
    inputs::Inputs,
    optimizer::MapOptimizer,
    spec::{Growth, SeasonalityChoice, Spec},
};
use proptest::prelude::*;

const STEP: i64 = 900;
const WEEK: i64 = 7 * 86_400;

fn history(scale: f64, shift: i64) -> History {
    let ds: Vec<i64> = (0..2_500).map(|i| shift + i * STEP).collect();
    let y = (0..2_500_i64)
        .map(|i| {
            let day = (i * STEP) as f64 / 86_400.0 * std::f64::consts::TAU;
            let noise = ((i * i * 7_919 + i * 104_729) % 1_009) as f64 / 1_009.0 - 0.5;
            let bend = if i > 1_200 {
                (i - 1_200) as f64 * 0.001
            } else {
                0.0
            };
            scale * (10.0 + bend + 2.0 * day.sin() + (2.0 * day).cos() + (day / 7.0).sin() + noise)
        })
        .collect();
    History::new(ds, y).unwrap()
}

fn ahead(history: &History) -> Vec<i64> {
    (1..=500).map(|i| history.last() + i * STEP).collect()
}

fn digest() -> String {
    let fitted = fit(&Spec::default(), &history(1.0, 0)).unwrap();
    sha256_hex(&encode_model_pr(&fitted.model).unwrap())
}

/// Not a test of its own: what the one below runs in processes of their own.
#[test]
fn print_digest() {
    println!("digest={}", digest());
}

#[test]
fn the_same_data_and_spec_give_the_same_bytes_in_every_process() {
    let here = digest();
    for _ in 0..4 {
        assert_eq!(digest(), here);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "print_digest", "--nocapture"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("digest={here}")), "{text}");
    }
}

/// The same options twice: fitted directly and forecast by ours, and fitted and forecast by augurs with our optimizer.
#[test]
fn both_ways_to_fit_and_both_ways_to_forecast_say_the_same() {
    let history = history(1.0, 0);
    let cap = 25.0;
    for (theirs, growth) in [
        (GrowthType::Linear, Growth::Linear),
        (GrowthType::Flat, Growth::Flat),
        (GrowthType::Logistic, Growth::Logistic),
    ] {
        for (their_mode, mode) in [
            (FeatureMode::Additive, Mode::Additive),
            (FeatureMode::Multiplicative, Mode::Multiplicative),
        ] {
            let spec = Spec {
                growth,
                seasonality_mode: mode,
                cap: (growth == Growth::Logistic).then_some(cap),
                changepoints: Some(
                    ["1970-01-20", "1970-01-06", "1970-01-13"]
                        .map(str::to_owned)
                        .to_vec(),
                ),
                yearly_seasonality: SeasonalityChoice::Enabled(false),
                ..Spec::default()
            };
            let options = ProphetOptions {
                growth: theirs,
                seasonality_mode: their_mode,
                changepoints: Some([5, 12, 19].map(|day| day * 86_400).to_vec()),
                yearly_seasonality: SeasonalityOption::Manual(false),
                uncertainty_samples: 0,
                ..ProphetOptions::default()
            };
            let mut augurs = Prophet::new(options, MapOptimizer);
            let mut training =
                TrainingData::new(history.ds().to_vec(), history.y().to_vec()).unwrap();
            let ds = ahead(&history);
            let mut question = PredictionData::new(ds.clone());
            if growth == Growth::Logistic {
                training = training.with_cap(vec![cap; history.len()]).unwrap();
                question = question.with_cap(vec![cap; ds.len()]).unwrap();
            }
            augurs.fit(training, OptimizeOpts::default()).unwrap();
            let theirs = augurs.predict(question).unwrap();
            let inputs = spec.complete(Inputs::NONE);
            let forecaster = Forecaster::new(fit(&spec, &history).unwrap().model).unwrap();
            let ours = forecaster
                .forecast(&Question::at(&ds).with_inputs(&inputs))
                .unwrap();
            let scale = ours.yhat.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
            for (ours, theirs) in ours.yhat.iter().zip(&theirs.yhat.point) {
                assert!(
                    (ours - theirs).abs() <= 1e-9 * scale,
                    "{growth:?} {mode:?}: {ours} {theirs}"
                );
            }
        }
    }
}

#[test]
fn each_point_depends_on_its_own_time_alone() {
    let history = history(1.0, 0);
    let forecaster = Forecaster::new(fit(&Spec::default(), &history).unwrap().model).unwrap();
    let ds = ahead(&history);
    let grid = forecaster.forecast(&Question::at(&ds)).unwrap();
    let mut backwards = ds.clone();
    backwards.reverse();
    let mut alone = forecaster.forecast(&Question::at(&backwards)).unwrap().yhat;
    alone.reverse();
    assert_eq!(grid.yhat, alone);
    for (ds, yhat) in ds.iter().zip(&grid.yhat).step_by(50) {
        assert_eq!(
            forecaster.forecast(&Question::at(&[*ds])).unwrap().yhat,
            [*yhat]
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Scaling values scales the forecast; moving time by whole weeks moves it.
    #[test]
    fn scale_and_shift_come_through(scale in 1e-3..1e6_f64, weeks in 0..3_000_i64) {
        let base = history(1.0, 0);
        let moved = history(scale, weeks * WEEK);
        let ask = |history: &History| {
            let forecaster = Forecaster::new(fit(&Spec::default(), history).unwrap().model).unwrap();
            forecaster.forecast(&Question::at(&ahead(history))).unwrap().yhat
        };
        for (a, b) in ask(&base).into_iter().zip(ask(&moved)) {
            prop_assert!((a * scale - b).abs() <= 1e-5 * scale * a.abs(), "{a} {b}");
        }
    }
}
