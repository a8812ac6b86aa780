//! A model as MessagePack: for whoever keeps many and reads them all at once. Not what is pushed or registered, and read
//! by nobody else: `model.pr` takes ten times as long to read.

use crate::{
    artifact::{bounded::corrupt, decode::check_parameters},
    error::{Error, Result},
    prophet::ProphetModel,
};

/// Every field of `model` by its name, so that a later build that knows more of them reads this too.
///
/// # Errors
/// [`Error::Invalid`]; no model of ours is one that cannot be written.
pub fn encode_parameters(model: &ProphetModel) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(model)
        .map_err(|error| Error::invalid("params", format!("they cannot be written: {error}")))
}

/// Reads what [`encode_parameters`] wrote; the same model to the bit.
///
/// # Errors
/// [`Error::Corrupt`] for bytes that are no such thing, or of a model that no artifact could be of.
pub fn decode_parameters(bytes: &[u8]) -> Result<ProphetModel> {
    let model = rmp_serde::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
    check_parameters(&model)?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fit::fit, history::History, holiday::Holiday, spec::Spec};

    fn model() -> ProphetModel {
        let spec = Spec {
            holidays: vec![Holiday {
                holiday: "sale".to_owned(),
                ds: jiff::civil::date(2026, 1, 2),
                lower_window: -1,
                upper_window: 1,
                prior_scale: Some(3.0),
            }],
            ..Spec::default()
        };
        let ds: Vec<i64> = (0..2_000).map(|i| 1_767_225_600 + i * 300).collect();
        let y = ds.iter().map(|ds| (*ds as f64 / 9_000.0).sin() + 2.0);
        let history = History::new(ds.clone(), y.collect()).unwrap();
        fit(&spec, &history).unwrap().model
    }

    #[test]
    fn a_model_comes_back_to_the_bit() {
        let model = model();
        let bytes = encode_parameters(&model).unwrap();
        assert_eq!(decode_parameters(&bytes).unwrap(), model);
    }

    #[test]
    fn what_is_cut_or_flipped_is_refused_or_read_but_never_a_panic() {
        let bytes = encode_parameters(&model()).unwrap();
        for cut in 0..bytes.len() {
            assert!(decode_parameters(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        for i in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[i] ^= 0xff;
            let _ = decode_parameters(&flipped).map(crate::forecaster::Forecaster::new);
        }
    }

    #[test]
    fn parameters_that_no_artifact_could_have_are_refused() {
        let mut model = model();
        model.delta.pop();
        let bytes = encode_parameters(&model).unwrap();
        let error = decode_parameters(&bytes).unwrap_err().to_string();
        assert!(error.contains("params.delta"), "{error}");
    }
}
