//! The way to the server of a model that other processes made and validated: only a [`Validated`] one goes.
//!
//! Its digests are those of the chain of its stages ([`crate::handover`]). It cannot be claimed by hand, because its fields
//! are private:
//!
//! ```compile_fail,E0451
//! use bytes::Bytes;
//! use loadcast_trainer::push::handed::Validated;
//!
//! fn forge(model_pr: Bytes, validated: Validated) -> Validated {
//!     Validated { model_pr, ..validated }
//! }
//! ```

use bytes::Bytes;
use loadcast_client::{Client, Push, Verdict};
use loadcast_model::artifact::{Metadata, sha256_hex};
use serde::{Deserialize, Serialize};

use super::{
    Destination, Receipt, TRAINER_VERSION, expected_version, info, json, key, measured, method,
    send,
};
use crate::error::{Error, Result};
use crate::handover::Handover;
use crate::stage::validate_model::Approved;

/// The file with what loadcast.json does not say.
pub const APPROVAL: &str = "approved.json";

/// What a push says beside the model and its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// What was asked for, as the idempotency key has it.
    method: String,
    /// How far ahead its scores looked.
    horizon_seconds: Option<u32>,
}

/// A model whose whole chain of stages was checked.
#[derive(Debug, Clone)]
pub struct Validated {
    model_pr: Bytes,
    metadata: Metadata,
    approval: Approval,
}

/// The file [`APPROVAL`] of an approved model.
#[must_use]
pub fn approval(approved: &Approved) -> Bytes {
    let approval = Approval {
        method: method(approved.method()),
        horizon_seconds: approved.skill().map(|skill| skill.horizon_seconds),
    };
    json(&approval).into()
}

impl Validated {
    /// The model that was handed over.
    ///
    /// # Errors
    /// [`Error::Settings`] when it was not validated; [`Error::Data`] when a file is not the one that was written.
    pub async fn open(handover: &Handover) -> Result<Self> {
        handover.complete()?;
        let model_pr = handover.read("model.pr").await?;
        let metadata = Metadata::decode(&handover.read("loadcast.json").await?);
        let metadata = metadata
            .map_err(|error| Error::of_model(error).of_place(&handover.shown("loadcast.json")))?;
        let approval =
            serde_json::from_slice(&handover.read(APPROVAL).await?).map_err(|error| {
                Error::data(
                    format!(
                        "{} is not what validate-model writes: {error}",
                        handover.shown(APPROVAL)
                    ),
                    "run `loadcast-trainer validate-model` again",
                )
            })?;
        if metadata.sha256 != sha256_hex(&model_pr) || metadata.trainer_version != TRAINER_VERSION {
            return Err(Error::data(
                format!(
                    "{} is of another model, or was written by {}",
                    handover.shown("loadcast.json"),
                    metadata.trainer_version
                ),
                format!("run the stages again, all by {TRAINER_VERSION}"),
            ));
        }
        Ok(Self {
            model_pr,
            metadata,
            approval,
        })
    }
}

/// Pushes a model: registered and, if an alias is moved, served when this returns.
///
/// As [`push`](super::push), with the key that the same data, spec and trainer have in one process too.
///
/// # Errors
/// [`Error::Server`] when the server cannot be reached or refuses.
pub async fn push(validated: Validated, client: &Client, to: &Destination) -> Result<Receipt> {
    let series = validated.metadata.series.name.to_string();
    let expected = expected_version(client, &series, to).await?;
    send(client, message(validated, to, expected)).await
}

fn message(validated: Validated, to: &Destination, expected_version: Option<u64>) -> Push {
    let Validated {
        model_pr,
        metadata,
        approval,
    } = validated;
    let horizon = approval.horizon_seconds.unwrap_or_default();
    Push {
        series: info(&metadata.series),
        idempotency_key: key(
            &metadata.series,
            &metadata.data_sha256,
            &approval.method,
            to.alias.as_deref(),
        ),
        alias: to.alias.clone(),
        expected_version,
        verdict: Verdict::Promote,
        scores: metadata
            .scores
            .as_ref()
            .map(|scores| measured(scores, horizon)),
        cutoff: metadata.cutoff,
        trained_at: metadata.trained_at,
        rows: metadata.rows,
        trainer_version: metadata.trainer_version,
        data_sha256: metadata.data_sha256,
        spec_json: metadata.spec.as_ref().map(json).unwrap_or_default(),
        clamps: metadata.clamps.map(|clamps| loadcast_client::Clamps {
            min: clamps.min,
            max: clamps.max,
        }),
        activate_at: None,
        tags: std::collections::BTreeMap::new(),
        band_calibration_json: metadata.band_calibration.as_ref().map(json),
        correction_json: metadata.correction.as_ref().map(json),
        peak_json: metadata.peak.as_ref().map(json),
        attachments: Vec::new(),
        model_pr,
    }
}
