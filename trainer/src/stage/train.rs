//! Stage 3: the fit, and the bytes of model.pr.

use loadcast_model::artifact::{encode_model_pr, sha256_hex};
use loadcast_model::fit::fit;
use loadcast_model::spec::Spec;

use crate::error::{Error, Result};
use crate::stage::prepare_features::Features;
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "train";

/// A fitted model that nobody has judged yet.
#[derive(Debug, Clone)]
pub struct Trained {
    pub(super) features: Features,
    pub(super) spec: Spec,
    pub(super) rows: usize,
    pub(super) model_pr: Vec<u8>,
    pub(super) sha256: String,
    verdict: Verdict,
}

/// Fits `spec`. The same features and spec give the same bytes.
///
/// # Errors
/// [`Error::Settings`] for a spec that cannot be fitted; [`Error::Model`] when the fit does not end in finite parameters.
pub fn train(features: Features, spec: Spec) -> Result<Trained> {
    let mut verdict = Verdict::new(STAGE);
    let history = features.grid.to_history().map_err(Error::of_model)?;
    let fitted = fit(&spec, &history).map_err(Error::of_model)?;
    let model_pr = encode_model_pr(&fitted.model).map_err(Error::of_model)?;
    let sha256 = sha256_hex(&model_pr);
    for warning in &fitted.report.warnings {
        verdict.warn(warning);
    }
    let (model, rows) = (&fitted.model, fitted.report.rows);
    let seasonalities: Vec<&str> = model
        .features
        .seasonalities
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    verdict.ok(format!(
        "fitted {rows} rows in {} rounds: {} changepoints, {}",
        fitted.report.iterations,
        model.changepoints.len(),
        if seasonalities.is_empty() {
            "no seasonality".to_owned()
        } else {
            seasonalities.join(", ")
        }
    ));
    Ok(Trained {
        features,
        spec,
        rows,
        model_pr,
        sha256,
        verdict,
    })
}

impl Judged for Trained {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
