//! A model on disk: the bytes of model.pr, and what lies beside them. The model itself is the server's to judge.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use loadcast_client::{Clamps, Scores, ZeroMeans};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::cli::failure::Failure;

/// The largest model that any server takes.
const MAX_MODEL_BYTES: u64 = 64 * 1024 * 1024;

const MODEL: &str = "model.pr";

/// What was read.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) model_pr: Bytes,
    /// What loadcast.json says; `None` without one.
    pub(crate) declared: Option<Declared>,
    /// The last row that the model knows.
    pub(crate) cutoff: WallClock,
    /// Of MLmodel, else when the file was written.
    pub(crate) trained_at: Timestamp,
}

/// Seconds of a wall clock whose zone is not said here; Prophet knows none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct WallClock(Option<f64>);

/// What a push says of loadcast.json.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Declared {
    sha256: Option<String>,
    pub(crate) series: Option<DeclaredSeries>,
    pub(crate) cutoff: Option<Timestamp>,
    pub(crate) trained_at: Option<Timestamp>,
    #[serde(default)]
    pub(crate) rows: u64,
    pub(crate) scores: Option<DeclaredScores>,
    pub(crate) trainer_version: Option<String>,
    #[serde(default)]
    pub(crate) data_sha256: String,
    pub(crate) spec: Option<Value>,
    pub(crate) clamps: Option<DeclaredClamps>,
    pub(crate) band_calibration: Option<Value>,
    pub(crate) correction: Option<Value>,
    pub(crate) peak: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct DeclaredSeries {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) unit: Option<String>,
    pub(crate) step_seconds: Option<u64>,
    pub(crate) time_zone: Option<String>,
    pub(crate) zero_means: Option<DeclaredZero>,
    pub(crate) predecessor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeclaredZero {
    Value,
    Missing,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct DeclaredClamps {
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeclaredScores {
    mae: Option<f64>,
    rmse: Option<f64>,
    smape: Option<f64>,
    mase: Option<f64>,
    coverage: Option<f64>,
    winkler: Option<f64>,
    seasonal_naive_mase: Option<f64>,
    skill: Option<f64>,
    #[serde(default)]
    origins: u32,
    horizon_seconds: Option<u64>,
}

impl From<DeclaredZero> for ZeroMeans {
    fn from(zero: DeclaredZero) -> Self {
        match zero {
            DeclaredZero::Value => Self::Value,
            DeclaredZero::Missing => Self::Missing,
        }
    }
}

impl From<DeclaredClamps> for Clamps {
    fn from(DeclaredClamps { min, max }: DeclaredClamps) -> Self {
        Self { min, max }
    }
}

impl From<DeclaredScores> for Scores {
    fn from(scores: DeclaredScores) -> Self {
        Self {
            mae: scores.mae,
            rmse: scores.rmse,
            smape: scores.smape,
            mase: scores.mase,
            coverage: scores.coverage,
            winkler: scores.winkler,
            pinball: Vec::new(),
            seasonal_naive_mase: scores.seasonal_naive_mase,
            skill: scores.skill,
            origins: scores.origins,
            horizon: scores.horizon_seconds.map(Duration::from_secs),
        }
    }
}

impl Artifact {
    /// Of a folder, of the model.pr in one, or of a file that stands alone.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| {
            Failure::Input(format!(
                "{shown}: cannot be read: {error}\ngive an MLflow model folder, its model.pr, or a file of model_to_json"
            ))
        };
        let is_folder = fs::metadata(path).map_err(unreadable)?.is_dir();
        let file = if is_folder {
            path.join(MODEL)
        } else {
            path.to_owned()
        };
        let about = fs::metadata(&file).map_err(|_| {
            Failure::Input(format!(
                "{shown}: there is no {MODEL} in it\nonly Prophet models are served; log it with mlflow.prophet.log_model, or read a pickle with loadcast-trainer import"
            ))
        })?;
        if about.len() > MAX_MODEL_BYTES {
            return Err(Failure::Input(format!(
                "{shown}: {} bytes; a model has at most {MAX_MODEL_BYTES}\ncut its history to two rows: it is not needed to forecast",
                about.len()
            )));
        }
        let bytes = fs::read(&file).map_err(unreadable)?;
        let (model_pr, model) = model(bytes).map_err(|why| {
            Failure::Input(format!(
                "{shown}: not a Prophet model: {why}\ngive what mlflow.prophet.log_model or Prophet's model_to_json wrote"
            ))
        })?;
        let beside = |name: &str| {
            let folder = file.parent()?;
            (file.file_name()? == MODEL).then(|| fs::read(folder.join(name)).ok())?
        };
        let declared = match beside("loadcast.json") {
            None => None,
            Some(json) => Some(declared(&json, &model_pr).map_err(|why| {
                Failure::Input(format!(
                    "{shown}: loadcast.json {why}\ntake both from the same version, or push the model without it"
                ))
            })?),
        };
        let written = about.modified().ok();
        let written = written.and_then(|at| Timestamp::try_from(at).ok());
        let trained_at = beside("MLmodel").as_deref().and_then(created);
        Ok(Self {
            model_pr,
            declared,
            cutoff: WallClock(last_row(&model)),
            trained_at: trained_at.or(written).unwrap_or_else(Timestamp::now),
        })
    }
}

/// The bytes of model.pr, and the model in them: its JSON inside a JSON string. What model_to_json wrote lacks the
/// string around it.
fn model(bytes: Vec<u8>) -> Result<(Bytes, Value), String> {
    let read = |bytes: &[u8]| -> Result<Value, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("not JSON ({error})"))
    };
    match read(&bytes)? {
        Value::String(inner) => {
            let model = read(inner.as_bytes())?;
            Ok((bytes.into(), known(model)?))
        }
        model @ Value::Object(_) => {
            let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
            Ok((Value::String(text).to_string().into(), known(model)?))
        }
        _ => Err("neither an object nor one in a string".to_owned()),
    }
}

fn known(model: Value) -> Result<Value, String> {
    match model.get("params") {
        Some(_) => Ok(model),
        None => Err("it has no params".to_owned()),
    }
}

/// Scaled time ends at 1 where the history does.
fn last_row(model: &Value) -> Option<f64> {
    Some(model.get("start")?.as_f64()? + model.get("t_scale")?.as_f64()?)
}

fn declared(json: &[u8], model_pr: &[u8]) -> Result<Declared, String> {
    let declared: Declared =
        serde_json::from_slice(json).map_err(|error| format!("cannot be read: {error}"))?;
    let sha256 = hex::encode(Sha256::digest(model_pr));
    match &declared.sha256 {
        Some(other) if *other != sha256 => Err("is of another model.pr".to_owned()),
        _ => Ok(declared),
    }
}

/// `utc_time_created: '2026-01-31 12:00:00.123456'` of MLmodel.
fn created(mlmodel: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(mlmodel).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("utc_time_created:"))?;
    let civil: jiff::civil::DateTime = line.trim().trim_matches(['\'', '"']).parse().ok()?;
    Some(civil.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp())
}

impl WallClock {
    /// The instant at which clocks of the zone show this; `None` where that cannot be said.
    pub(crate) fn in_zone(self, zone: &str) -> Option<Timestamp> {
        let seconds = self.0.filter(|seconds| seconds.is_finite())?;
        let whole =
            Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()?;
        let civil = whole.to_zoned_datetime(TimeZone::UTC).datetime();
        let zone = TimeZone::get(zone).ok()?;
        Some(civil.to_zoned_datetime(zone).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_is_an_instant_of_its_zone() {
        let noon = WallClock(Some(1_791_460_800.0));
        let at = |zone: &str| noon.in_zone(zone).unwrap().to_string();
        assert_eq!(at("UTC"), "2026-10-08T12:00:00Z");
        assert_eq!(at("Europe/Berlin"), "2026-10-08T10:00:00Z");
        assert_eq!(noon.in_zone("Not/AZone"), None);
        assert_eq!(WallClock(Some(f64::NAN)).in_zone("UTC"), None);
    }

    #[test]
    fn what_model_to_json_wrote_gets_the_string_around_it() {
        let plain = r#"{"start": 10.0, "t_scale": 5.0, "params": {}}"#;
        let (wrapped, model) = self::model(plain.as_bytes().to_vec()).unwrap();
        let inner: String = serde_json::from_slice(&wrapped).unwrap();
        assert_eq!(inner, plain);
        assert_eq!(last_row(&model), Some(15.0));
        let (same, _) = self::model(wrapped.to_vec()).unwrap();
        assert_eq!(same, wrapped);
        for bad in ["", "[]", "{}", "\"{}\"", "\"x\""] {
            assert!(self::model(bad.as_bytes().to_vec()).is_err(), "{bad}");
        }
    }

    #[test]
    fn mlmodel_says_when() {
        let text = b"flavors: {}\nutc_time_created: '2026-01-31 12:00:00.5'\n";
        let at = created(text).unwrap();
        assert_eq!(at.to_string(), "2026-01-31T12:00:00.5Z");
        assert_eq!(created(b"flavors: {}\n"), None);
    }
}
