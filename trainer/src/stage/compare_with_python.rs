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
        correction: None,
        peak: None,
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    /// A model that Python wrote, and what its predict() said.
    fn imported(change: impl Fn(&mut Value)) -> Imported {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/prophet");
        let read = |file: &str| {
            let path = folder.join(format!("nothing_but_trend.{file}"));
            fs::read_to_string(path).unwrap()
        };
        let predicted = read("predict.csv");
        let rows: Vec<Vec<&str>> = predicted.lines().map(|l| l.split(',').collect()).collect();
        let at = |name: &str| rows[0].iter().position(|column| *column == name).unwrap();
        let column = |name: &str| -> Vec<f64> {
            let cells = rows[1..].iter().map(|row| row[at(name)]);
            cells.map(|cell| cell.parse().unwrap()).collect()
        };
        let times = rows[1..].iter().map(|row| {
            let time: jiff::civil::DateTime = row[at("ds")].parse().unwrap();
            crate::time::wall_seconds(time)
        });
        let mut answer = json!({
            "place": "models:/a/1", "holder": "prophet.forecaster.Prophet", "logged_at": null, "python": "3",
            "pickle": {"name": "model.pkl", "size_bytes": 1, "sha256": "", "flavor": "sklearn"},
            "model_json": read("model.json"), "rows": 3, "step_seconds": 3_600, "data_sha256": "",
            "times": times.collect::<Vec<i64>>(), "holidays": [],
            "inputs": {"cap": [], "floor": [], "regressors": {}, "conditions": {}},
            "yhat": column("yhat"), "trend": column("trend"),
        });
        change(&mut answer);
        serde_json::from_value(answer).unwrap()
    }

    fn compared(change: impl Fn(&mut Value)) -> Result<Faithful> {
        let series = Series::new("a".parse().unwrap());
        compare_with_python(imported(change), series, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_model_that_says_what_python_says_is_faithful() {
        let faithful = compared(|_| ()).unwrap();
        let metadata = faithful.metadata();
        assert_eq!(metadata.sha256, sha256_hex(faithful.model_pr()));
        assert_eq!(metadata.series.step_seconds, 3_600);
    }

    #[test]
    fn a_value_that_is_not_pythons_refuses_the_import_by_its_column() {
        for column in ["yhat", "trend"] {
            let off_by = |factor: f64| {
                compared(|answer| {
                    let values = answer[column].as_array_mut().unwrap();
                    let y = values[0].as_f64().unwrap();
                    values[0] = json!(y * factor);
                })
            };
            let error = off_by(1.0 + 1e-6).unwrap_err();
            let what = format!("models:/a/1: its {column} differs from Python's");
            assert!(error.to_string().contains(&what), "{error}");
            off_by(1.0 + 1e-12).unwrap();
        }
    }

    #[test]
    fn an_answer_of_another_length_or_none_refuses_the_import() {
        for short in [json!([1.0]), json!([])] {
            compared(|answer| answer["trend"] = short.clone()).unwrap_err();
        }
        let empty = |answer: &mut Value| {
            for column in ["times", "yhat", "trend"] {
                answer[column] = json!([]);
            }
        };
        compared(empty).unwrap_err();
    }

    #[test]
    fn a_model_that_cannot_be_read_refuses_the_import_with_its_place() {
        let error = compared(|answer| answer["model_json"] = json!("{}")).unwrap_err();
        assert!(error.to_string().contains("models:/a/1"), "{error}");
    }
}
