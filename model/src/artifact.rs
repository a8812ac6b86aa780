//! The artifact: what MLflow calls a prophet model, and what we add to it.
//!
//! `model.pr` ([`encode_model_pr`], [`decode_model_pr`]) and `MLmodel` ([`mlmodel_yaml`]) are what
//! `mlflow.prophet.load_model` reads; `loadcast.json` ([`Metadata`]) is ours and never needed to read a model.

mod metadata;
mod mlmodel;
mod model_pr;
mod pandas;

pub use metadata::{Clamps, METADATA_SCHEMA, Metadata};
pub use mlmodel::{mlmodel_yaml, requirements_txt};
pub use model_pr::{MAX_ARTIFACT_BYTES, decode_model_pr, encode_model_pr};

use sha2::{Digest as _, Sha256};

/// Lower-case hex of the SHA-256 of `bytes`.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
