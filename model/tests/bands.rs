//! Bands through the forecaster: of every kind of model, at any level, each value its point's own.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use loadcast_model::{
    artifact::decode_model_pr,
    error::Error,
    forecaster::{Forecast, Forecaster, Question},
    inputs::Inputs,
};

const LEVELS: [f64; 5] = [0.9, 0.025, 0.5, 0.1, 0.7];

fn forecaster(name: &str) -> Forecaster {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prophet");
    let bytes = fs::read(path.join(format!("{name}.model.json"))).unwrap();
    Forecaster::new(decode_model_pr(&bytes).unwrap()).unwrap()
}

/// One value for all times of everything that any sample needs.
fn inputs() -> Inputs {
    let mut inputs = Inputs {
        cap: vec![50.0],
        floor: vec![1.0],
        ..Inputs::default()
    };
    for name in ["temp", "promo", "price", "queue"] {
        inputs.regressors.insert(name.to_owned(), vec![0.5]);
    }
    inputs
}

fn ask(forecaster: &Forecaster, ds: &[i64], levels: &[f64]) -> Result<Forecast, Error> {
    forecaster.forecast(&Question::at(ds).with_inputs(&inputs()).with_levels(levels))
}

/// From within the history to twice its length.
fn times(forecaster: &Forecaster) -> Vec<i64> {
    let ends = &forecaster.model().ends;
    let length = ends.last.0 - ends.first.0;
    (0..60)
        .map(|i| ends.last.0 + (i - 10) * length / 40)
        .collect()
}

const MODELS: [&str; 5] = [
    "logistic_floor_absmax",
    "many_changepoints_minmax",
    "mixed_modes_flat",
    "nothing_but_trend",
    "regressors_multiplicative",
];

#[test]
fn a_value_is_the_same_alone_in_company_and_backwards() {
    for name in MODELS {
        let forecaster = forecaster(name);
        let mut ds = times(&forecaster);
        let together = ask(&forecaster, &ds, &LEVELS).unwrap();
        assert_eq!(ask(&forecaster, &ds, &LEVELS).unwrap(), together, "{name}");
        for (i, time) in ds.iter().enumerate().step_by(7) {
            for quantile in &together.quantiles {
                let alone = ask(&forecaster, &[*time], &[quantile.level]).unwrap();
                let alone = alone.quantiles[0].values[0];
                assert_eq!(alone.to_bits(), quantile.values[i].to_bits(), "{name} {i}");
            }
        }
        ds.reverse();
        let backwards = ask(&forecaster, &ds, &LEVELS).unwrap();
        for (have, want) in backwards.quantiles.iter().zip(together.quantiles) {
            let want: Vec<f64> = want.values.into_iter().rev().collect();
            assert_eq!(have.values, want, "{name}");
        }
    }
}

#[test]
fn levels_come_in_the_questions_order_and_their_values_in_theirs() {
    for name in MODELS {
        let forecaster = forecaster(name);
        let forecast = ask(&forecaster, &times(&forecaster), &LEVELS).unwrap();
        let levels: Vec<f64> = forecast.quantiles.iter().map(|q| q.level).collect();
        assert_eq!(levels, LEVELS, "{name}");
        for i in 0..forecast.yhat.len() {
            let mut at: Vec<(f64, f64)> = forecast
                .quantiles
                .iter()
                .map(|q| (q.level, q.values[i]))
                .collect();
            at.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(
                at.is_sorted_by_key(|(_, value)| *value),
                "{name} {i}: {at:?}"
            );
        }
    }
}

#[test]
fn the_models_own_interval_is_what_its_width_leaves_on_either_side() {
    assert_eq!(
        forecaster("nothing_but_trend").interval_levels(),
        [0.1, 0.9]
    );
    let mut model = forecaster("nothing_but_trend").model().clone();
    model.spec.interval_width = 0.95;
    let levels = Forecaster::new(model).unwrap().interval_levels();
    assert_eq!(levels, [0.025, 0.975]);
}

#[test]
fn a_level_outside_is_refused_by_its_value() {
    let forecaster = forecaster("nothing_but_trend");
    let error = ask(&forecaster, &times(&forecaster), &[0.5, 1.0]).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("levels: 1 is not"), "{error}");
}

/// Sampling takes time in proportion to how far it reaches in histories, so it does not reach any distance.
#[test]
fn a_sampled_band_says_how_far_it_reaches() {
    let forecaster = forecaster("logistic_floor_absmax");
    let ends = &forecaster.model().ends;
    let length = ends.last.0 - ends.first.0;
    let far = [ends.last.0 + 100_000 * length];
    let error = ask(&forecaster, &far, &[0.9]).unwrap_err().to_string();
    assert!(
        error.starts_with("levels: ") && error.contains("nearer"),
        "{error}"
    );
    assert!(ask(&forecaster, &far, &[]).is_ok());
}

#[test]
fn a_negative_noise_is_refused() {
    let mut model = forecaster("nothing_but_trend").model().clone();
    model.sigma_obs = -0.1;
    let error = Forecaster::new(model).unwrap_err().to_string();
    assert!(error.contains("sigma_obs"), "{error}");
}
