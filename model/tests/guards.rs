//! Histories and settings on which a fit might fall over.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use loadcast_model::{
    artifact::{decode_model_pr, encode_model_pr},
    error::Error,
    fit::{Fitted, fit},
    forecaster::{Forecaster, Question},
    history::History,
    spec::{Growth, Scaling, SeasonalityChoice, Spec},
};

const HOUR: i64 = 3_600;

fn hourly(n: i64, y: impl Fn(i64) -> f64) -> History {
    History::new((0..n).map(|i| i * HOUR).collect(), (0..n).map(y).collect()).unwrap()
}

fn daily_wave(i: i64) -> f64 {
    5.0 + (i as f64 * std::f64::consts::TAU / 24.0).sin()
}

/// Noise that needs no generator: the digits of a quadratic residue.
fn noise(i: i64) -> f64 {
    ((i * i * 7_919 + i * 104_729) % 1_009) as f64 / 1_009.0 - 0.5
}

fn ahead(fitted: &Fitted, hours: i64) -> Vec<f64> {
    let last = fitted.model.ends.last.0;
    let ds: Vec<i64> = (1..=hours).map(|i| last + i * HOUR).collect();
    let forecaster = Forecaster::new(fitted.model.clone()).unwrap();
    forecaster.forecast(&Question::at(&ds)).unwrap().yhat
}

#[test]
fn a_constant_history_forecasts_its_constant() {
    for scaling in [Scaling::Absmax, Scaling::Minmax] {
        let spec = Spec {
            scaling,
            ..Spec::default()
        };
        let fitted = fit(&spec, &hourly(500, |_| 3.5)).unwrap();
        assert_eq!(ahead(&fitted, 48), [3.5; 48]);
        assert!(fitted.report.warnings[0].contains("constant"));
        assert_eq!(fitted.report.log_posterior, None);
    }
}

#[test]
fn all_zero_forecasts_zero() {
    for growth in [Growth::Linear, Growth::Flat] {
        let spec = Spec {
            growth,
            ..Spec::default()
        };
        assert_eq!(
            ahead(&fit(&spec, &hourly(500, |_| 0.0)).unwrap(), 48),
            [0.0; 48]
        );
    }
}

#[test]
fn two_rows_are_a_line_and_three_rows_fit() {
    let two = fit(&Spec::default(), &hourly(2, |i| 1.0 + i as f64)).unwrap();
    assert!(
        (ahead(&two, 1)[0] - 3.0).abs() < 0.5,
        "{:?}",
        ahead(&two, 1)
    );
    let three = fit(&Spec::default(), &hourly(3, |i| 1.0 + i as f64)).unwrap();
    assert!(ahead(&three, 3).iter().all(|y| y.is_finite()));
}

#[test]
fn a_noise_free_line_is_continued() {
    let fitted = fit(&Spec::default(), &hourly(500, |i| 10.0 + 0.01 * i as f64)).unwrap();
    for (i, y) in ahead(&fitted, 24).into_iter().enumerate() {
        let want = 10.0 + 0.01 * (500 + i) as f64;
        assert!((y - want).abs() < 1e-3 * want, "{y} is not {want}");
    }
}

#[test]
fn a_noise_free_wave_is_continued() {
    let fitted = fit(&Spec::default(), &hourly(500, daily_wave)).unwrap();
    for (i, y) in (500..).zip(ahead(&fitted, 24)) {
        assert!(
            (y - daily_wave(i)).abs() < 1e-2,
            "{y} is not {}",
            daily_wave(i)
        );
    }
}

#[test]
fn no_changepoints_are_no_problem() {
    let spec = Spec {
        n_changepoints: 0,
        ..Spec::default()
    };
    let fitted = fit(&spec, &hourly(500, |i| daily_wave(i) + noise(i))).unwrap();
    assert_eq!(
        (fitted.model.changepoints_t, fitted.model.delta),
        (vec![0.0], vec![0.0])
    );
}

#[test]
fn no_seasonality_at_all_is_no_problem() {
    let off = SeasonalityChoice::Enabled(false);
    let spec = Spec {
        weekly_seasonality: off,
        daily_seasonality: off,
        yearly_seasonality: off,
        ..Spec::default()
    };
    let fitted = fit(&spec, &hourly(500, |i| daily_wave(i) + noise(i))).unwrap();
    let again = decode_model_pr(&encode_model_pr(&fitted.model).unwrap()).unwrap();
    assert_eq!(again, fitted.model);
    assert!(ahead(&fitted, 24).iter().all(|y| (4.0..6.0).contains(y)));
}

#[test]
fn huge_and_tiny_values_scale() {
    let small = fit(&Spec::default(), &hourly(500, |i| daily_wave(i) + noise(i))).unwrap();
    for scale in [1e-12, 1e15] {
        let scaled = fit(
            &Spec::default(),
            &hourly(500, |i| scale * (daily_wave(i) + noise(i))),
        )
        .unwrap();
        for (a, b) in ahead(&small, 24).into_iter().zip(ahead(&scaled, 24)) {
            assert!((a * scale - b).abs() <= 1e-6 * scale, "{a} {b}");
        }
    }
}

#[test]
fn given_changepoints_may_come_unsorted() {
    let with = |given: [&str; 2]| Spec {
        changepoints: Some(given.map(str::to_owned).to_vec()),
        ..Spec::default()
    };
    let history = hourly(500, |i| daily_wave(i) + noise(i));
    let sorted = fit(&with(["1970-01-05", "1970-01-12"]), &history).unwrap();
    let unsorted = fit(&with(["1970-01-12", "1970-01-05"]), &history).unwrap();
    assert_eq!(ahead(&sorted, 24), ahead(&unsorted, 24));
}

#[test]
fn settings_out_of_range_are_errors_and_no_panics() {
    let history = hourly(100, daily_wave);
    for spec in [
        Spec {
            changepoint_range: 1.5,
            ..Spec::default()
        },
        Spec {
            interval_width: 1.5,
            ..Spec::default()
        },
        Spec {
            changepoint_prior_scale: -1.0,
            ..Spec::default()
        },
    ] {
        assert!(
            matches!(fit(&spec, &history), Err(Error::Invalid { .. })),
            "{spec:?}"
        );
    }
    let logistic = Spec {
        growth: Growth::Logistic,
        ..Spec::default()
    };
    assert!(matches!(
        fit(&logistic, &history),
        Err(Error::MissingInput { .. })
    ));
}
