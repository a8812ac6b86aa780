//! Bytes that claim to be a model: cut, bent, swollen, or made to harm. Each is refused, or is a model that forecasts
//! finite numbers; none is a panic. The fuzz targets under `model/fuzz` search for more.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use loadcast_model::{
    artifact::{MAX_ARTIFACT_BYTES, decode_model_pr, encode_model_pr},
    error::Error,
    forecaster::{Forecaster, Question},
    inputs::Inputs,
};
use serde_json::{Value, json};

/// Models of Python's Prophet, as `model_to_json` wrote them.
fn sound() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prophet");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(".model.json"));
    paths.sort();
    assert!(paths.len() > 5);
    let read = |path: &std::path::PathBuf| {
        let value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        (path.display().to_string(), value)
    };
    paths.iter().map(read).collect()
}

fn model(name: &str) -> Value {
    let samples = sound();
    samples
        .into_iter()
        .find(|(path, _)| path.contains(name))
        .unwrap()
        .1
}

/// Decodes `bytes` and, where they are a model, asks it; whatever comes is finite or refused.
fn survive(bytes: &[u8]) {
    let Ok(forecaster) = decode_model_pr(bytes).and_then(Forecaster::new) else {
        return;
    };
    let mut inputs = Inputs {
        cap: vec![1e9],
        floor: vec![-1.0],
        ..Inputs::default()
    };
    for need in forecaster.needs() {
        match need.split_once('.') {
            Some(("regressors", name)) => {
                inputs.regressors.insert(name.to_owned(), vec![1.0]);
            }
            Some((_, name)) => {
                inputs.conditions.insert(name.to_owned(), vec![true]);
            }
            None => {}
        }
    }
    let ds = [1_744_000_000, 0, i64::MAX, i64::MIN, 1_744_000_000];
    let question = Question::at(&ds).with_inputs(&inputs).with_components(true);
    if let Ok(forecast) = forecaster.forecast(&question) {
        let columns = forecast.components.iter().flat_map(|c| &c.values);
        let all = forecast.yhat.iter().chain(&forecast.trend).chain(columns);
        assert!(all.into_iter().all(|value| value.is_finite()));
    }
    let _ = encode_model_pr(forecaster.model());
}

fn refusal(bytes: &[u8]) -> String {
    let error = decode_model_pr(bytes).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Corrupt {
                what: "model.pr",
                ..
            }
        ),
        "{error}"
    );
    error.to_string()
}

#[test]
fn a_truncated_model_is_corrupt_at_every_byte() {
    let bytes = serde_json::to_vec(&model("logistic_floor").to_string()).unwrap();
    for cut in 0..bytes.len() {
        refusal(&bytes[..cut]);
    }
}

#[test]
fn a_flipped_byte_is_refused_or_still_a_finite_model() {
    for (name, value) in sound() {
        let bytes = value.to_string().into_bytes();
        let step = if name.contains("conditional") { 5 } else { 97 };
        for at in (0..bytes.len()).step_by(step) {
            for mask in [0x01, 0x11, 0x80] {
                let mut bent = bytes.clone();
                bent[at] ^= mask;
                survive(&bent);
            }
        }
    }
}

/// Every place in `value` is replaced by each of `wrong` in turn, also within strings that hold JSON.
fn replace_each(value: &Value, wrong: &[Value], try_one: &mut dyn FnMut(Value)) {
    for other in wrong {
        try_one(other.clone());
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                replace_each(field, wrong, &mut |new| {
                    let mut all = fields.clone();
                    all.insert(name.clone(), new);
                    try_one(Value::Object(all));
                });
                let mut all = fields.clone();
                all.remove(name);
                try_one(Value::Object(all));
            }
        }
        Value::Array(elements) => {
            // The first place stands for all.
            for place in 0..elements.len().min(1) {
                replace_each(&elements[place], wrong, &mut |new| {
                    let mut all = elements.clone();
                    all[place] = new;
                    try_one(Value::Array(all));
                });
            }
            let more = elements.iter().chain(elements).cloned().collect();
            try_one(Value::Array(more));
        }
        Value::String(text) if text.starts_with('{') => {
            let inner = serde_json::from_str(text).unwrap();
            replace_each(&inner, wrong, &mut |new| {
                try_one(Value::String(new.to_string()))
            });
        }
        _ => {}
    }
}

#[test]
fn a_wrong_value_anywhere_is_refused_or_still_a_finite_model() {
    let wrong = [
        json!(null),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!("9999-12-31T23:59:59.999"),
        json!([]),
        json!({"data": []}),
        json!("{\"data\":[]}"),
    ];
    for name in ["regressors_multi", "mixed_modes"] {
        let mut tried = 0;
        replace_each(&model(name), &wrong, &mut |bent| {
            survive(bent.to_string().as_bytes());
            tried += 1;
        });
        assert!(tried > 500, "{name}: {tried}");
    }
}

#[test]
fn what_is_no_model_at_all_is_corrupt() {
    let string_in_string = serde_json::to_string(&serde_json::to_string("x").unwrap()).unwrap();
    for hostile in [
        "",
        " ",
        "null",
        "0",
        "[]",
        "{}",
        "\"\"",
        "\"{}\"",
        "\"",
        "{",
        "\u{0}",
        "NaN",
        "{\"params\":{}}",
        &string_in_string,
    ] {
        refusal(hostile.as_bytes());
    }
    refusal(&[0xff, 0xfe, 0x00]);
}

#[test]
fn a_pickle_is_refused_by_name_and_not_read() {
    // Protocol 4 of an object whose loading would run a command.
    let pickle = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.";
    let error = decode_model_pr(pickle).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(
        error.to_string().contains("loadcast-trainer import"),
        "{error}"
    );
}

#[test]
fn deep_nesting_is_refused_without_a_stack_overflow() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let depth = 1_000_000;
        let deep = format!("{}0{}", open.repeat(depth), close.repeat(depth));
        refusal(deep.as_bytes());
        refusal(open.repeat(depth).as_bytes());
        for field in ["growth", "params", "seasonalities", "fit_kwargs", "history"] {
            let mut value = model("nothing_but_trend");
            value[field] = json!("@");
            survive(value.to_string().replace("\"@\"", &deep).as_bytes());
            value[field] = json!(deep.replace('"', ""));
            survive(value.to_string().as_bytes());
        }
    }
}

#[test]
fn an_oversized_artifact_is_refused_before_it_is_read() {
    let error = refusal(&vec![b' '; MAX_ARTIFACT_BYTES + 1]);
    assert!(error.contains("at most"), "{error}");
}

#[test]
fn lists_that_are_too_long_are_refused_by_name() {
    let long = |count: usize| Value::Array(vec![json!(0.5); count]);
    let table = |row: Value, count: usize| json!(json!({"data": vec![row; count]}).to_string());
    for (field, value) in [
        ("changepoints_t", long(1_001)),
        (
            "changepoints",
            table(json!("2025-03-05T00:00:00.000"), 1_001),
        ),
        (
            "train_component_cols",
            table(
                json!({"additive_terms": 1, "multiplicative_terms": 0}),
                2_001,
            ),
        ),
        (
            "holidays",
            table(json!({"holiday": "x", "ds": "2025-03-05"}), 10_001),
        ),
        ("train_holiday_names", table(json!("x"), 2_001)),
        ("seasonalities", json!([vec!["s"; 257], {}])),
        ("extra_regressors", json!([vec!["r"; 257], {}])),
    ] {
        let mut bent = model("nothing_but_trend");
        bent[field] = value;
        let error = refusal(bent.to_string().as_bytes());
        assert!(error.contains(&format!("{field}: more than")), "{error}");
    }
    for parameter in ["delta", "beta"] {
        let mut bent = model("nothing_but_trend");
        bent["params"][parameter] = json!([long(2_001)]);
        let error = refusal(bent.to_string().as_bytes());
        assert!(
            error.contains(&format!("params.{parameter}: more than")),
            "{error}"
        );
    }
}

#[test]
fn holidays_that_swell_when_unfolded_are_refused() {
    let rows = |lower: i64, upper: i64, count: usize| {
        let row = json!({"holiday": "x", "ds": "2025-03-05", "lower_window": lower, "upper_window": upper});
        json!(json!({"data": vec![row; count]}).to_string())
    };
    for (lower, upper, count) in [
        (0, 1_000_000_000, 1),
        (-366, 366, 10_000),
        (5, -5, 1),
        (i64::MIN, 0, 1),
    ] {
        let mut bent = model("mixed_modes");
        bent["holidays"] = rows(lower, upper, count);
        bent["train_holiday_names"] = json!(json!({"data": ["x"]}).to_string());
        refusal(bent.to_string().as_bytes());
    }
}

#[test]
fn a_fourier_order_or_period_of_absurd_size_is_refused() {
    for (property, value) in [
        ("fourier_order", json!(1e9)),
        ("fourier_order", json!(0)),
        ("fourier_order", json!(1.5)),
        ("period", json!(0)),
        ("period", json!(-7)),
        ("prior_scale", json!(0)),
    ] {
        let mut bent = model("many_changepoints");
        bent["seasonalities"][1]["daily"][property] = value;
        let error = refusal(bent.to_string().as_bytes());
        assert!(error.contains(property), "{error}");
    }
}

#[test]
fn columns_in_another_order_than_the_coefficients_are_refused() {
    let mut bent = model("regressors_additive");
    let text = bent["train_component_cols"].as_str().unwrap();
    let mut table: Value = serde_json::from_str(text).unwrap();
    table["data"].as_array_mut().unwrap().reverse();
    bent["train_component_cols"] = json!(table.to_string());
    let error = refusal(bent.to_string().as_bytes());
    assert!(error.contains("train_component_cols: row"), "{error}");
}

#[test]
fn mcmc_samples_are_refused_by_name() {
    let mut bent = model("nothing_but_trend");
    let delta = bent["params"]["delta"][0].clone();
    bent["params"]["delta"] = json!([delta, delta]);
    let error = decode_model_pr(bent.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert!(error.to_string().contains("2 MCMC samples"), "{error}");
}

#[test]
fn a_logistic_rate_that_passes_through_zero_is_refused_at_load() {
    let mut bent = model("logistic_floor");
    let k = bent["params"]["k"][0][0].as_f64().unwrap();
    bent["params"]["delta"][0][0] = json!(-k);
    let model = decode_model_pr(bent.to_string().as_bytes()).unwrap();
    let error = Forecaster::new(model).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
}
