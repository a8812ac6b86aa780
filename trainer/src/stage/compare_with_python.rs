//! The stage of a model that was trained elsewhere: does it say, restored from the bytes that will be served, what
//! Python's predict() says of it?
//!
//! The gates of the four stages judge rows and a method, which an import has not: what was fitted, by whom and to which
//! data was decided where it was trained. What can be judged here is that nothing was lost on the way, and that is all
//! that a [`Faithful`] model is. No alias moves to one unless whoever imports it asks for that.

use jiff::Timestamp;
use loadcast_model::artifact::{
    METADATA_SCHEMA, Metadata, decode_model_pr, encode_model_pr, sha256_hex,
};
use loadcast_model::error::Error as ModelError;
use loadcast_model::forecaster::{Forecaster, Question};
use loadcast_model::series::Series;

use crate::error::{Error, Result};
use crate::push::TRAINER_VERSION;
use crate::source::pickle::Imported;
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "compare";

/// The largest difference from Python, in parts of the largest forecast.
pub const TOLERANCE: f64 = 1e-9;

/// A model that forecasts what Python's Prophet forecasts from the same pickle. Only [`compare_with_python`] makes one.
#[derive(Debug, Clone)]
pub struct Faithful {
    model_pr: Vec<u8>,
    metadata: Metadata,
    place: String,
    verdict: Verdict,
}

/// Writes the imported model as model.pr, restores it from these bytes, and holds both columns that Python gave
/// against its own.
///
/// `now` is when it was trained where nobody wrote that down.
///
/// # Errors
/// [`Error::Settings`] and [`Error::Model`] for a model that cannot be read or evaluated; [`Error::Model`] when a value
/// differs by more than [`TOLERANCE`].
pub fn compare_with_python(
    imported: Imported,
    mut series: Series,
    now: Timestamp,
) -> Result<Faithful> {
    let mut verdict = Verdict::new(STAGE);
    let of_place = |error: ModelError| Error::of_model(error).of_place(&imported.place);
    let model = decode_model_pr(imported.model_json.as_bytes()).map_err(of_place)?;
    let model_pr = encode_model_pr(&model).map_err(of_place)?;
    let restored = decode_model_pr(&model_pr).map_err(of_place)?;
    let forecaster = Forecaster::new(restored).map_err(of_place)?;
    let inputs = imported.inputs();
    let question = Question::at(&imported.times).with_inputs(&inputs);
    let forecast = forecaster.forecast(&question).map_err(of_place)?;
    let yhat = difference(&forecast.yhat, &imported.yhat);
    let trend = difference(&forecast.trend, &imported.trend);
    for (column, difference) in [("yhat", yhat), ("trend", trend)] {
        // What is no number is no equality.
        if difference > TOLERANCE || difference.is_nan() {
            return Err(Error::model(
                format!(
                    "{}: its {column} differs from Python's by {difference:.1e} of the largest forecast; at most {TOLERANCE:.0e} is taken",
                    imported.place
                ),
                "fit the data again with loadcast-trainer run, and report this as a fault",
            ));
        }
    }
    verdict.ok(format!(
        "yhat and trend at {} times are Python's, within {:.1e} of the largest forecast",
        imported.times.len(),
        yhat.max(trend)
    ));
    for need in forecaster.needs() {
        verdict.warn(format!("every question must bring {need}"));
    }
    verdict.warn(
        "skill unknown, because an import judges equality alone: see loadcast-trainer backtest",
    );
    series.step_seconds = imported.step_seconds;
    let cutoff = series.zone.to_instant(model.ends.last.0);
    let metadata = Metadata {
        schema: METADATA_SCHEMA,
        sha256: sha256_hex(&model_pr),
        size_bytes: model_pr.len() as u64,
        series,
        cutoff: Timestamp::from_second(cutoff).map_err(|_| Error::outside_calendar(cutoff))?,
        trained_at: imported.logged_at.unwrap_or(now),
        rows: imported.rows,
        scores: None,
        trainer_version: TRAINER_VERSION.to_owned(),
        data_sha256: imported.data_sha256,
        spec: Some(model.spec),
        verdict: None,
        clamps: None,
        band_calibration: None,
    };
    Ok(Faithful {
        model_pr,
        metadata,
        place: imported.place,
        verdict,
    })
}

/// The largest difference in parts of the largest value that Python gave; infinite where the lengths differ.
fn difference(ours: &[f64], pythons: &[f64]) -> f64 {
    if ours.len() != pythons.len() || ours.is_empty() {
        return f64::INFINITY;
    }
    let largest = pythons.iter().fold(0.0_f64, |most, y| most.max(y.abs()));
    let pairs = ours.iter().zip(pythons);
    let apart = pairs.map(|(ours, pythons)| (ours - pythons).abs());
    // A NaN stays one: `max` would hide it.
    let apart = apart.fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most });
    if apart == 0.0 { 0.0 } else { apart / largest }
}

impl Faithful {
    /// The bytes of model.pr.
    #[must_use]
    pub fn model_pr(&self) -> &[u8] {
        &self.model_pr
    }

    /// What loadcast.json says of it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where it came from.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl Judged for Faithful {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
