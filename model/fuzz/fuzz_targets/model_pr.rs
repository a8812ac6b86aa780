//! Bytes as a model.pr: refused, or a model that answers finite numbers and survives being written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loadcast_model::{
    artifact::{decode_model_pr, encode_model_pr},
    forecaster::{Forecaster, Question},
    inputs::Inputs,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = decode_model_pr(bytes) else {
        return;
    };
    if let Ok(written) = encode_model_pr(&model) {
        let again = decode_model_pr(&written).expect("what is written can be read");
        assert_eq!(encode_model_pr(&again), Ok(written));
    }
    let Ok(forecaster) = Forecaster::new(model) else {
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
    let ds = [1_744_000_000, 0, i64::MAX, i64::MIN];
    let question = Question::at(&ds).with_inputs(&inputs).with_components(true);
    if let Ok(forecast) = forecaster.forecast(&question) {
        assert!(forecast.yhat.iter().all(|y| y.is_finite()));
    }
});
