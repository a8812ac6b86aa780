//! `manifest.json`: what makes a version a version. It is written last, so a version without one does not exist.

use jiff::Timestamp;
use loadcast_model::{
    artifact::{Metadata, sha256_hex},
    series::SeriesName,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    registry::{Attachment, Registered},
};

/// The schema that this build writes; it reads this one and older ones.
pub const SCHEMA: u32 = 1;

/// The content of `manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] of the build that wrote it.
    pub schema: u32,
    /// The series.
    pub series: SeriesName,
    /// The version's number.
    pub version: u64,
    /// The idempotency key of the push that made it.
    pub key: String,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// The instant before which it is not to be served; `None`: it may be at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_at: Option<Timestamp>,
    /// The content of loadcast.json.
    pub metadata: Metadata,
    /// What lies in `attachments/`.
    pub attachments: Vec<AttachmentEntry>,
}

/// One file in `attachments/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentEntry {
    /// The file's name.
    pub name: String,
    /// For example `text/html`.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// Lower-case hex of its SHA-256.
    pub sha256: String,
}

impl AttachmentEntry {
    /// The entry of `attachment`.
    pub fn of(attachment: &Attachment) -> Self {
        Self {
            name: attachment.name.clone(),
            media_type: attachment.media_type.clone(),
            size_bytes: attachment.bytes.len() as u64,
            sha256: sha256_hex(&attachment.bytes),
        }
    }
}

impl Manifest {
    /// Reads a manifest and checks that it is of `series` and `version`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is not JSON of this shape, of a newer schema, or of another version.
    pub fn decode(bytes: &[u8], series: &SeriesName, version: u64) -> Result<Self> {
        let corrupt = |reason: String| Error::Corrupt {
            what: format!("manifest of {series} version {version}"),
            reason,
        };
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
        if manifest.schema > SCHEMA {
            return Err(corrupt(format!(
                "schema {} is newer than {SCHEMA}; use a newer server",
                manifest.schema
            )));
        }
        if &manifest.series != series || manifest.version != version {
            return Err(corrupt(format!(
                "it is of {} version {}",
                manifest.series, manifest.version
            )));
        }
        Ok(manifest)
    }

    /// What to answer to a push of this manifest's key that carries bytes of `sha256`.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when these are other bytes.
    pub fn registered_again(self, sha256: &str) -> Result<Registered> {
        if self.metadata.sha256 == sha256 {
            Ok(Registered {
                version: self.version,
                already_registered: true,
            })
        } else {
            Err(Error::KeyReused {
                series: self.series,
                version: self.version,
                sha256: self.metadata.sha256,
            })
        }
    }
}
