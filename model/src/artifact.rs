//! The artifact: what MLflow calls a prophet model, and what we add to it.
//!
//! `model.pr` ([`encode_model_pr`], [`decode_model_pr`]) and `MLmodel` ([`mlmodel_yaml`]) are what
//! `mlflow.prophet.load_model` reads; `loadcast.json` ([`Metadata`]) is ours and never needed to read a model. What a
//! server remembers of a model it serves is smaller and quicker to read: [`encode_parameters`], [`decode_parameters`].

mod bounded;
mod decode;
mod encode;
mod metadata;
mod mlmodel;
mod pandas;
mod parameters;

pub use decode::decode_model_pr;
pub use encode::encode_model_pr;
pub use metadata::{Clamps, METADATA_SCHEMA, Metadata, finish};
pub use mlmodel::{mlmodel_yaml, model_file, requirements_txt};
pub use parameters::{decode_parameters, encode_parameters};

use sha2::{Digest as _, Sha256};

/// The longest model.pr that is read or written. Python's, with ten years of five-minute history, has about 50 MB.
pub const MAX_ARTIFACT_BYTES: usize = 64 * 1024 * 1024;

/// Lower-case hex of the SHA-256 of `bytes`.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
