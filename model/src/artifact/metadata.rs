//! `loadcast.json`: what a model cannot say of itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    calibration::BandCalibration,
    correction::{Correction, State},
    error::{Error, Result},
    forecaster::Forecast,
    peak::PeakCalibration,
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
    /// What the last residuals are worth for the next leads; `None`: nothing, says the backtest, or nobody asked it.
    #[serde(default)]
    pub correction: Option<Correction>,
    /// Quantiles of windows' maxima; `None` where no maxima were seen.
    #[serde(default)]
    pub peak: Option<PeakCalibration>,
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

    /// `value` inside the bounds.
    #[must_use]
    pub fn of(self, value: f64) -> f64 {
        let raised = self.min.map_or(value, |min| value.max(min));
        self.max.map_or(raised, |max| raised.min(max))
    }

    fn apply(self, values: &mut [f64]) {
        for value in values {
            *value = self.of(*value);
        }
    }
}

impl Metadata {
    /// [`finish`] with what the artifact declares, inside its clamps and `further` ones; the clamps that were applied.
    /// Nothing has been observed since the cutoff.
    pub fn finish(
        &self,
        forecast: &mut Forecast,
        ds: &[i64],
        cutoff: i64,
        further: Clamps,
    ) -> Clamps {
        let clamps = self.clamps.unwrap_or_default().and(further);
        let calibration = self.band_calibration.as_ref();
        finish(forecast, ds, cutoff, calibration, None, clamps);
        clamps
    }

    /// [`finish`](Self::finish), corrected by what `state` has seen since the cutoff for who asks at `now` on the wall
    /// clock, where the artifact declares a correction; and whether that changed anything.
    pub fn finish_observed(
        &self,
        forecast: &mut Forecast,
        ds: &[i64],
        cutoff: i64,
        (state, now): (&State, i64),
        further: Clamps,
    ) -> (Clamps, bool) {
        let clamps = self.clamps.unwrap_or_default().and(further);
        let (calibration, correction) = (self.band_calibration.as_ref(), self.correction.as_ref());
        let correction = correction.map(|correction| (correction, state, now));
        let corrected = finish(forecast, ds, cutoff, calibration, correction, clamps);
        (clamps, corrected)
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

/// Makes a model's own `forecast` at the wall-clock times `ds` what is served: bands from the backtest where there are
/// some, then the correction by what was observed, with the time of asking, then yhat and bands inside `clamps`.
///
/// `cutoff` is the model's last observation in seconds of the wall clock, as `ds` are. The server and whoever forecasts
/// offline both end here, so that they say the same. Returns whether the correction changed anything.
pub fn finish(
    forecast: &mut Forecast,
    ds: &[i64],
    cutoff: i64,
    calibration: Option<&BandCalibration>,
    correction: Option<(&Correction, &State, i64)>,
    clamps: Clamps,
) -> bool {
    if let Some(calibration) = calibration {
        let leads: Vec<i64> = ds.iter().map(|ds| ds.saturating_sub(cutoff)).collect();
        calibration.apply(&leads, &forecast.yhat, &mut forecast.quantiles);
    }
    let corrected = correction
        .is_some_and(|(correction, state, now)| correction.apply(state, now, ds, forecast));
    clamps.apply(&mut forecast.yhat);
    for quantile in &mut forecast.quantiles {
        clamps.apply(&mut quantile.values);
    }
    corrected
}
