//! What goes wrong in other implementations when a model is read and asked (panics and wrong numbers of
//! augurs-prophet and of Prophet itself), one named test each; and what Prophet does in corners, which we do too.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use loadcast_model::{
    artifact::decode_model_pr,
    error::Error,
    features::{Features, Regressor, Standardize},
    forecaster::{Forecast, Forecaster, MAX_POINTS, Question},
    history::History,
    holiday::Holiday,
    inputs::Inputs,
    prophet::ProphetModel,
    spec::{ExtraRegressor, Scaling, Spec},
};
use serde_json::{Value, json};

fn json_of(name: &str) -> Value {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/prophet/{name}.model.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn decode(value: &Value) -> ProphetModel {
    decode_model_pr(value.to_string().as_bytes()).unwrap()
}

fn forecaster(name: &str) -> Forecaster {
    Forecaster::new(decode(&json_of(name))).unwrap()
}

fn ahead(forecaster: &Forecaster, points: i64) -> Vec<i64> {
    let last = forecaster.model().ends.last.0;
    (1..=points).map(|i| last + i * 3_600).collect()
}

fn ask(forecaster: &Forecaster, ds: &[i64], inputs: &Inputs) -> Result<Forecast, Error> {
    forecaster.forecast(&Question::at(ds).with_inputs(inputs).with_components(true))
}

fn component<'a>(forecast: &'a Forecast, name: &str) -> &'a [f64] {
    let found = forecast.components.iter().find(|c| c.name == name);
    &found.unwrap().values
}

fn holiday(name: &str, ds: &str, window: (i32, i32)) -> Holiday {
    Holiday {
        holiday: name.to_owned(),
        ds: ds.parse().unwrap(),
        lower_window: window.0,
        upper_window: window.1,
        prior_scale: None,
    }
}

/// What `regressors_additive` needs.
fn regressors(temp: &[f64]) -> Inputs {
    Inputs {
        regressors: [
            ("temp".to_owned(), temp.to_vec()),
            ("promo".to_owned(), vec![0.0]),
            ("price".to_owned(), vec![0.05]),
            ("queue".to_owned(), vec![100.0]),
        ]
        .into(),
        ..Inputs::default()
    }
}

#[test]
fn a_regressor_that_is_not_finite_is_refused_and_no_panic() {
    let forecaster = forecaster("regressors_additive");
    let ds = ahead(&forecaster, 2);
    for bad in [f64::NAN, f64::INFINITY] {
        let error = ask(&forecaster, &ds, &regressors(&[1.0, bad])).unwrap_err();
        assert!(
            error.to_string().starts_with("regressors.temp: value 1"),
            "{error}"
        );
    }
}

#[test]
fn a_cap_that_is_not_finite_or_below_the_floor_is_refused_and_no_panic() {
    let forecaster = forecaster("logistic_floor_absmax");
    let ds = ahead(&forecaster, 2);
    for (cap, says) in [
        (vec![60.0, f64::NAN], "cap: value 1 is NaN"),
        (vec![f64::INFINITY], "cap: value 0 is inf"),
        (vec![60.0, 1.5], "cap: value 1 is not above the floor"),
    ] {
        let inputs = Inputs {
            cap,
            floor: vec![1.5],
            ..Inputs::default()
        };
        let error = ask(&forecaster, &ds, &inputs).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn a_column_that_is_too_short_is_refused_and_no_panic() {
    let forecaster = forecaster("regressors_additive");
    let ds = ahead(&forecaster, 3);
    let error = ask(&forecaster, &ds, &regressors(&[1.0, 2.0])).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("regressors.temp: 2 values for 3 times"),
        "{error}"
    );
}

#[test]
fn a_logistic_question_in_any_order_has_the_same_answers() {
    let forecaster = forecaster("logistic_floor_absmax");
    let mut ds = ahead(&forecaster, 50);
    let inputs = |caps: Vec<f64>| Inputs {
        cap: caps,
        floor: vec![1.5],
        ..Inputs::default()
    };
    let mut caps: Vec<f64> = (0..50).map(|i| 60.0 + f64::from(i)).collect();
    let sorted = ask(&forecaster, &ds, &inputs(caps.clone())).unwrap();
    ds.reverse();
    caps.reverse();
    let mut reversed = ask(&forecaster, &ds, &inputs(caps)).unwrap().yhat;
    reversed.reverse();
    assert_eq!(sorted.yhat, reversed);
}

#[test]
fn the_same_time_twice_is_answered_twice() {
    let forecaster = forecaster("nothing_but_trend");
    let time = ahead(&forecaster, 1)[0];
    let forecast = ask(&forecaster, &[time, time, 0, time], Inputs::NONE).unwrap();
    assert_eq!(forecast.yhat[0], forecast.yhat[1]);
    assert_eq!(forecast.yhat[0], forecast.yhat[3]);
}

#[test]
fn no_times_at_all_are_an_empty_answer() {
    let forecast = ask(&forecaster("nothing_but_trend"), &[], Inputs::NONE).unwrap();
    assert!(forecast.yhat.is_empty());
}

#[test]
fn too_many_points_are_refused() {
    let ds = vec![0; MAX_POINTS + 1];
    let error = ask(&forecaster("nothing_but_trend"), &ds, Inputs::NONE).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

#[test]
fn the_same_question_has_the_same_bits_and_may_be_asked_from_many_threads() {
    let forecaster = forecaster("mixed_modes_flat");
    let ds = ahead(&forecaster, 500);
    let first = ask(&forecaster, &ds, Inputs::NONE).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(ask(&forecaster, &ds, Inputs::NONE).unwrap(), first));
        }
    });
}

#[test]
fn columns_that_no_model_needs_are_ignored() {
    let forecaster = forecaster("nothing_but_trend");
    let ds = ahead(&forecaster, 5);
    let mut inputs = regressors(&[1.0]);
    inputs
        .holidays
        .push(holiday("unheard of", "2025-04-05", (-1, 1)));
    assert_eq!(
        ask(&forecaster, &ds, &inputs),
        ask(&forecaster, &ds, Inputs::NONE)
    );
}

#[test]
fn a_floor_that_training_did_not_have_is_ignored_as_prophet_ignores_it() {
    let forecaster = forecaster("logistic_holidays");
    let ds = ahead(&forecaster, 5);
    let with = |floor: Vec<f64>| Inputs {
        cap: vec![70.0],
        floor,
        ..Inputs::default()
    };
    assert_eq!(
        ask(&forecaster, &ds, &with(vec![3.0])),
        ask(&forecaster, &ds, &with(vec![]))
    );
}

#[test]
fn a_holiday_without_a_date_ahead_is_a_column_of_zeros() {
    let forecaster = forecaster("logistic_holidays");
    let ds = ahead(&forecaster, 5);
    let inputs = Inputs {
        cap: vec![70.0],
        ..Inputs::default()
    };
    let forecast = ask(&forecaster, &ds, &inputs).unwrap();
    assert_eq!(component(&forecast, "freeze"), [0.0; 5]);
}

#[test]
fn a_further_date_of_a_trained_holiday_acts_and_other_names_do_not() {
    let forecaster = forecaster("mixed_modes_flat");
    // 2026-05-03 12:00 and the day before.
    let ds = [1_777_809_600, 1_777_723_200];
    let with = |row| Inputs {
        holidays: vec![row],
        ..Inputs::default()
    };
    let plain = ask(&forecaster, &ds, Inputs::NONE).unwrap();
    let other = ask(
        &forecaster,
        &ds,
        &with(holiday("unheard of", "2026-05-03", (0, 0))),
    )
    .unwrap();
    assert_eq!(other, plain);
    let patched = ask(
        &forecaster,
        &ds,
        &with(holiday("patch day", "2026-05-03", (-1, 0))),
    )
    .unwrap();
    let effect = component(&patched, "patch day");
    assert!(
        effect[0] != 0.0 && effect[1] != 0.0 && effect[0] != effect[1],
        "{effect:?}"
    );
    let only = ask(
        &forecaster,
        &ds,
        &with(holiday("patch day", "2026-05-03", (0, 0))),
    )
    .unwrap();
    assert_eq!(component(&only, "patch day"), [effect[0], 0.0]);
}

#[test]
fn a_countrys_holidays_whose_dates_are_all_given_need_no_more_of_them() {
    let mut model = decode(&json_of("mixed_modes_flat"));
    model.spec.country_holidays = Some("US".to_owned());
    assert_eq!(model.dateless_country(), None);
    assert_eq!(model.needs(), [] as [&str; 0]);
    let written = loadcast_model::artifact::encode_model_pr(&model).unwrap();
    assert_eq!(
        decode_model_pr(&written).unwrap().spec.country_holidays,
        None
    );
    assert_eq!(
        decode(&json_of("country_and_own_holidays")).dateless_country(),
        Some("US")
    );
}

#[test]
fn a_window_that_training_did_not_see_is_refused() {
    let forecaster = forecaster("mixed_modes_flat");
    let inputs = Inputs {
        holidays: vec![holiday("patch day", "2026-05-03", (0, 9))],
        ..Inputs::default()
    };
    let error = ask(&forecaster, &[0], &inputs).unwrap_err().to_string();
    assert!(
        error.contains("\"patch day\"") && error.contains("day +3"),
        "{error}"
    );
}

#[test]
fn a_multi_day_holiday_has_a_column_for_each_day() {
    let model = decode(&json_of("mixed_modes_flat"));
    let columns = model
        .features
        .holidays
        .iter()
        .filter(|h| h.name == "patch day");
    let offsets: Vec<i32> = columns.map(|h| h.offset).collect();
    assert_eq!(offsets, [0, 1, 2, -1]);
}

#[test]
fn prior_scales_of_holidays_and_regressors_default_to_ten() {
    let spec = Spec {
        holidays: vec![holiday("x", "1970-01-02", (0, 0))],
        extra_regressors: vec![ExtraRegressor {
            name: "r".to_owned(),
            prior_scale: None,
            standardize: Standardize::default(),
            mode: None,
        }],
        ..Spec::default()
    };
    let inputs = Inputs {
        regressors: [("r".to_owned(), vec![1.0, 2.0, 6.0])].into(),
        ..Inputs::default()
    };
    let history = History::new(vec![0, 3_600, 7_200], vec![1.0, 2.0, 3.0]).unwrap();
    let features = spec
        .resolve(&history.with_inputs(inputs).unwrap())
        .unwrap()
        .features;
    assert_eq!(features.holidays[0].prior_scale, 10.0);
    assert_eq!(features.regressors[0].prior_scale, 10.0);
}

/// The regressor `r` over `values`, as a spec with this `standardize` resolves it.
fn resolved(standardize: Standardize, values: &[f64]) -> Regressor {
    let spec = Spec {
        extra_regressors: vec![ExtraRegressor {
            name: "r".to_owned(),
            prior_scale: None,
            standardize,
            mode: None,
        }],
        ..Spec::default()
    };
    let inputs = Inputs {
        regressors: [("r".to_owned(), values.to_vec())].into(),
        ..Inputs::default()
    };
    let ds = (0..values.len() as i64).map(|i| i * 3_600).collect();
    let history = History::new(ds, vec![1.0; values.len()]).unwrap();
    let history = history.with_inputs(inputs).unwrap();
    spec.resolve(&history)
        .unwrap()
        .features
        .regressors
        .remove(0)
}

#[test]
fn regressors_are_standardized_over_all_rows_as_asked() {
    let (auto, yes, no) = (
        Standardize::default(),
        Standardize::Always(true),
        Standardize::Always(false),
    );
    let scale = |standardize, values: &[f64]| {
        let regressor = resolved(standardize, values);
        (regressor.mu, regressor.std)
    };
    // Mean and sample deviation of all rows, not of the distinct values.
    assert_eq!(scale(auto, &[1.0, 1.0, 1.0, 5.0]), (2.0, 2.0));
    assert_eq!(scale(auto, &[0.0, 1.0, 1.0]), (0.0, 1.0));
    assert_eq!(scale(yes, &[0.0, 0.0, 1.0, 1.0]).0, 0.5);
    assert_eq!(scale(no, &[1.0, 1.0, 1.0, 5.0]), (0.0, 1.0));
    for standardize in [auto, yes, no] {
        assert_eq!(scale(standardize, &[7.0, 7.0]), (0.0, 1.0));
    }
}

#[test]
fn a_model_of_prophet_1_0_reads_as_the_same_model_of_1_5() {
    let mut new = json_of("mixed_modes_flat");
    new["holidays_mode"] = json!("additive");
    for component in new["component_modes"].as_object_mut().unwrap().values_mut() {
        component.as_array_mut().unwrap().clear();
    }
    let text = new["train_component_cols"].as_str().unwrap();
    let mut table: Value = serde_json::from_str(text).unwrap();
    for row in table["data"].as_array_mut().unwrap() {
        if row["holidays"] == 1 {
            row["additive_terms"] = json!(1);
            row["multiplicative_terms"] = json!(0);
        }
    }
    new["train_component_cols"] = json!(table.to_string());
    let mut old = new.clone();
    let fields = old.as_object_mut().unwrap();
    for name in ["scaling", "y_min", "holidays_mode", "__prophet_version"] {
        fields.remove(name).unwrap();
    }
    // Old versions wrote changepoints_t as a string, and times with a zone.
    fields["changepoints_t"] = json!(fields["changepoints_t"].to_string());
    for name in ["changepoints", "history", "history_dates", "holidays"] {
        let text = fields[name].as_str().unwrap().replace(".000\"", ".000Z\"");
        fields[name] = json!(text);
    }
    assert_eq!(decode(&old), decode(&new));
}

#[test]
fn half_a_window_is_no_window_as_in_prophet() {
    let mut value = json_of("mixed_modes_flat");
    let text = value["holidays"].as_str().unwrap();
    let mut table: Value = serde_json::from_str(text).unwrap();
    let rows = table["data"].as_array_mut().unwrap();
    let freeze = rows
        .iter_mut()
        .find(|row| row["holiday"] == "freeze")
        .unwrap();
    freeze["lower_window"] = json!(null);
    freeze["upper_window"] = json!(5.0);
    value["holidays"] = json!(table.to_string());
    assert_eq!(
        decode(&value).features,
        decode(&json_of("mixed_modes_flat")).features
    );
}

#[test]
fn a_holiday_that_was_added_after_training_is_ignored_as_in_prophet() {
    let mut value = json_of("mixed_modes_flat");
    let text = value["holidays"].as_str().unwrap();
    let mut table: Value = serde_json::from_str(text).unwrap();
    let rows = table["data"].as_array_mut().unwrap();
    rows.push(json!({"holiday": "new", "ds": "2025-09-01T00:00:00.000", "lower_window": 0, "upper_window": 0, "prior_scale": null}));
    value["holidays"] = json!(table.to_string());
    assert_eq!(
        decode(&value).features,
        decode(&json_of("mixed_modes_flat")).features
    );
}

#[test]
fn minmax_scaling_without_its_minimum_is_corrupt() {
    let mut value = json_of("many_changepoints_minmax");
    value.as_object_mut().unwrap().remove("y_min").unwrap();
    let error = decode_model_pr(value.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("y_min is missing"), "{error}");
    assert_eq!(
        decode(&json_of("many_changepoints_minmax")).spec.scaling,
        Scaling::Minmax
    );
}

#[test]
fn a_model_without_features_has_one_column_that_is_neither_added_nor_multiplied() {
    let matrix = Features::default().matrix(&[0, 1], Inputs::NONE).unwrap();
    assert_eq!((matrix.width, matrix.values), (1, vec![0.0, 0.0]));
    assert_eq!(
        (matrix.additive, matrix.multiplicative),
        (vec![false], vec![false])
    );
}

#[test]
fn a_served_model_holds_parameters_and_no_history() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden");
    let Ok(bytes) = fs::read(folder.join("g01_linear_5min_pipeline.model.json")) else {
        assert!(std::env::var_os("LOADCAST_REQUIRE_ALL").is_none());
        eprintln!("skipped: no golden files at {}", folder.display());
        return;
    };
    let forecaster = Forecaster::new(decode_model_pr(&bytes).unwrap()).unwrap();
    println!("{} bytes", forecaster.size_bytes());
    assert!(
        forecaster.size_bytes() < 8_192,
        "{}",
        forecaster.size_bytes()
    );
}
