//! What the benches push: a model as a trainer would push it, promoted.

use std::{fmt::Display, time::Duration};

use anyhow::Result;
use jiff::Timestamp;
use loadcast_client::{Push, SeriesInfo, Verdict};
use loadcast_model::{artifact::encode_model_pr, prophet::ProphetModel};

/// `model` of `series`, trained at `cutoff`; `key` is another for each push to it.
pub(crate) fn pushed(
    series: &str,
    model: &ProphetModel,
    cutoff: Timestamp,
    key: impl Display,
) -> Result<Push> {
    Ok(Push {
        series: SeriesInfo {
            name: series.to_owned(),
            labels: Default::default(),
            unit: Some("cores".to_owned()),
            step: Duration::from_secs(300),
            time_zone: "UTC".to_owned(),
            zero_means: None,
            predecessor: None,
        },
        model_pr: encode_model_pr(model)?.into(),
        idempotency_key: key.to_string(),
        alias: Some("champion".to_owned()),
        expected_version: None,
        verdict: Verdict::Promote,
        scores: None,
        cutoff,
        trained_at: cutoff,
        rows: 8_064,
        trainer_version: "bench".to_owned(),
        data_sha256: "0".repeat(64),
        spec_json: String::new(),
        clamps: None,
        activate_at: None,
        tags: Default::default(),
        band_calibration_json: None,
        correction_json: None,
        peak_json: None,
        attachments: Vec::new(),
    })
}
