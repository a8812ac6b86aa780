//! A trained model as files: the bytes of model.pr, and what they do not say. For the next stage in another process; within
//! one, only the stage itself makes it.

use bytes::Bytes;
use loadcast_model::artifact::{Clamps, sha256_hex};
use loadcast_model::backtest::Method;
use loadcast_model::calibration::BandCalibration;
use loadcast_model::correction::Correction;
use loadcast_model::peak::PeakCalibration;
use loadcast_model::spec::Spec;
use serde::{Deserialize, Serialize};

use super::{STAGE, Trained};
use crate::error::{Error, Result};
use crate::stage::prepare_features::Features;
use crate::verdict::Verdict;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    /// What was asked for; `None`: a search.
    asked: Option<Spec>,
    /// What was fitted.
    spec: Spec,
    band_calibration: Option<BandCalibration>,
    correction: Option<Correction>,
    peak: Option<PeakCalibration>,
    clamps: Option<Clamps>,
    rows: usize,
}

impl Trained {
    /// The bytes of model.pr.
    pub(crate) fn model_pr(&self) -> &[u8] {
        &self.model_pr
    }

    /// What they do not say.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let about = About {
            asked: match &self.method {
                Method::Spec(spec) => Some((**spec).clone()),
                Method::Search => None,
            },
            spec: self.spec.clone(),
            band_calibration: self.calibration.clone(),
            correction: self.correction.clone(),
            peak: self.peak.clone(),
            clamps: self.clamps,
            rows: self.rows,
        };
        serde_json::to_vec_pretty(&about)
            .expect("plain structs with string keys serialise without error")
    }

    /// What the files hold; `about` is at `place`.
    ///
    /// # Errors
    /// [`Error::Model`] for what this stage did not write.
    pub(crate) fn decode(
        features: Features,
        model_pr: &Bytes,
        place: &str,
        about: &[u8],
    ) -> Result<Self> {
        let about: About = serde_json::from_slice(about).map_err(|error| {
            Error::model(
                format!("{place} is not what train writes: {error}"),
                "run `loadcast-trainer train` again",
            )
        })?;
        Ok(Self {
            features,
            method: about
                .asked
                .map_or(Method::Search, |spec| Method::Spec(Box::new(spec))),
            spec: about.spec,
            calibration: about.band_calibration,
            correction: about.correction,
            peak: about.peak,
            clamps: about.clamps,
            rows: about.rows,
            sha256: sha256_hex(model_pr),
            model_pr: model_pr.to_vec(),
            verdict: Verdict::new(STAGE),
        })
    }
}
