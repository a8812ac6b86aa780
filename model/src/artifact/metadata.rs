//! `loadcast.json`: what a model cannot say of itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    calibration::BandCalibration,
    error::{Error, Result},
    forecaster::Forecast,
    score::Scores,
    series::Series,
    spec::Spec,
};

/// The schema that this build writes; it reads this one and older ones.
pub const METADATA_SCHEMA: u32 = 1;

/// The content of `loadcast.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// [`METADATA_SCHEMA`] of the build that wrote it.
    pub schema: u32,
    /// Lower-case hex of the SHA-256 of the bytes of model.pr.
    pub sha256: String,
    /// The length of model.pr.
    pub size_bytes: u64,
    /// What is forecast.
    pub series: Series,
    /// The last observation that the model was trained on.
    pub cutoff: Timestamp,
    /// When it was trained.
    pub trained_at: Timestamp,
    /// Rows it was trained on.
    pub rows: u64,
    /// Found by the trainer's backtest.
    pub scores: Option<Scores>,
    /// Of the trainer.
    pub trainer_version: String,
    /// Lower-case hex of the SHA-256 of the prepared data.
    pub data_sha256: String,
    /// What was fitted.
    pub spec: Option<Spec>,
    /// What the trainer concluded.
    pub verdict: Option<String>,
    /// Bounds for every answer.
    pub clamps: Option<Clamps>,
    /// Bands from the residuals of a backtest; `None`: they are the model's own.
    pub band_calibration: Option<BandCalibration>,
}

/// Bounds for every value of an answer, in the series' unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Clamps {
    /// No value is below.
    pub min: Option<f64>,
    /// No value is above.
    pub max: Option<f64>,
}

impl Clamps {
    /// Both bounds hold: the higher minimum and the lower maximum.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let pick = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (a, b) => a.or(b),
        };
        Self {
            min: pick(self.min, other.min, f64::max),
            max: pick(self.max, other.max, f64::min),
        }
    }

    fn apply(self, values: &mut [f64]) {
        for value in values {
            if let Some(min) = self.min {
                *value = value.max(min);
            }
            if let Some(max) = self.max {
                *value = value.min(max);
            }
        }
    }
}

impl Metadata {
    /// Makes the model's own `forecast` at the wall-clock times `ds` what is served: bands from the backtest where the
    /// artifact has them, then yhat and bands inside its clamps and `further` ones. The clamps that were applied.
    ///
    /// `cutoff` is the model's last observation in seconds of the wall clock, as `ds` are. The server and whoever
    /// forecasts offline both end here, so that they say the same.
    pub fn finish(
        &self,
        forecast: &mut Forecast,
        ds: &[i64],
        cutoff: i64,
        further: Clamps,
    ) -> Clamps {
        if let Some(calibration) = &self.band_calibration {
            let leads: Vec<i64> = ds.iter().map(|ds| ds.saturating_sub(cutoff)).collect();
            calibration.apply(&leads, &forecast.yhat, &mut forecast.quantiles);
        }
        let clamps = self.clamps.unwrap_or_default().and(further);
        clamps.apply(&mut forecast.yhat);
        for quantile in &mut forecast.quantiles {
            clamps.apply(&mut quantile.values);
        }
        clamps
    }

    /// The bytes of `loadcast.json`.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("plain structs with string keys are always JSON")
    }

    /// Reads `loadcast.json`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is not JSON of this shape or of a newer schema.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt {
            what: "loadcast.json",
            reason,
        };
        let metadata: Self =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if metadata.schema > METADATA_SCHEMA {
            return Err(corrupt(format!(
                "schema {} is newer than {METADATA_SCHEMA}; use a newer build",
                metadata.schema
            )));
        }
        Ok(metadata)
    }
}
