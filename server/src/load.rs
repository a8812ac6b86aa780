//! From bytes to a model that may be served: verified, decoded, restored and warmed. There is no other way to make a
//! [`Loaded`], so nothing else can be installed.

use loadcast_model::{
    artifact::{self, Metadata, sha256_hex},
    error::{Error as ModelError, Result as ModelResult},
    forecaster::{Forecaster, Question},
    prophet::ProphetModel,
};

use crate::error::{Error, Result};

/// Points of the warm-up forecast: a day of five-minute steps.
const WARM_UP_POINTS: i64 = 288;

/// Levels of the warm-up forecast.
const WARM_UP_LEVELS: [f64; 2] = [0.1, 0.9];

/// A model that answers.
#[derive(Debug)]
pub struct Loaded {
    metadata: Metadata,
    forecaster: Forecaster,
}

impl Loaded {
    /// Verifies `model_pr` against size and sha256 of `metadata`, then decodes, restores and warms it.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the code `SIZE_MISMATCH`, `DIGEST_MISMATCH`, `CORRUPT`, `UNSUPPORTED` or `NON_FINITE`.
    pub fn verify(metadata: Metadata, model_pr: &[u8]) -> Result<Self> {
        let reject = |code, description| Error::Rejected {
            series: metadata.series.name.clone(),
            code,
            description,
        };
        if model_pr.len() as u64 != metadata.size_bytes {
            return Err(reject(
                "SIZE_MISMATCH",
                format!(
                    "model.pr has {} bytes, {} were announced; send it whole",
                    model_pr.len(),
                    metadata.size_bytes
                ),
            ));
        }
        let digest = sha256_hex(model_pr);
        if digest != metadata.sha256 {
            return Err(reject(
                "DIGEST_MISMATCH",
                format!(
                    "sha256 of model.pr is {digest}, {} was announced; send it again",
                    metadata.sha256
                ),
            ));
        }
        let loaded = Self::of(metadata, artifact::decode_model_pr(model_pr))?;
        loaded.warm_up()?;
        Ok(loaded)
    }

    /// A model that was verified and warmed when it began to be served, from the parameters that were kept of it then,
    /// for which a checksum of their own vouches.
    ///
    /// # Errors
    /// [`Error::Rejected`] with the code `CORRUPT` or `NON_FINITE`.
    pub fn restore(metadata: Metadata, parameters: &[u8]) -> Result<Self> {
        Self::of(metadata, artifact::decode_parameters(parameters))
    }

    fn of(metadata: Metadata, model: ModelResult<ProphetModel>) -> Result<Self> {
        match model.and_then(Forecaster::new) {
            Ok(forecaster) => Ok(Self {
                metadata,
                forecaster,
            }),
            Err(error) => Err(rejected(&metadata, &error)),
        }
    }

    /// Answers once before anybody asks: what cannot answer is not served.
    fn warm_up(&self) -> Result<()> {
        let series = &self.metadata.series;
        let cutoff = series.zone.to_wall(self.metadata.cutoff.as_second());
        let step = i64::from(series.step_seconds);
        let day: Vec<i64> = (1..=WARM_UP_POINTS).map(|i| cutoff + i * step).collect();
        // With a band, so that no question waits for the tables of bands.
        let warm_up = Question::at(&day).with_levels(&WARM_UP_LEVELS);
        match self.forecaster.forecast(&warm_up) {
            // It is served; every question must bring what it needs.
            Ok(_) | Err(ModelError::MissingInput { .. }) => Ok(()),
            Err(error) => Err(rejected(&self.metadata, &error)),
        }
    }

    /// The content of loadcast.json.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The model.
    pub fn forecaster(&self) -> &Forecaster {
        &self.forecaster
    }
}

fn rejected(metadata: &Metadata, error: &ModelError) -> Error {
    Error::Rejected {
        series: metadata.series.name.clone(),
        code: match error {
            ModelError::Unsupported { .. } => "UNSUPPORTED",
            ModelError::NonFinite { .. } => "NON_FINITE",
            _ => "CORRUPT",
        },
        description: error.to_string(),
    }
}
