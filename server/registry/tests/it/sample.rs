//! Versions to push.

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::{
    artifact::{METADATA_SCHEMA, Metadata, sha256_hex},
    series::{Series, SeriesName},
};
use loadcast_registry::registry::{Attachment, NewVersion};

pub(crate) fn series(name: &str) -> SeriesName {
    name.parse().unwrap()
}

pub(crate) fn new_version(name: &str, key: &str, bytes: &str) -> NewVersion {
    let model_pr = Bytes::from(bytes.to_owned());
    NewVersion {
        metadata: Metadata {
            schema: METADATA_SCHEMA,
            sha256: sha256_hex(&model_pr),
            size_bytes: model_pr.len() as u64,
            series: Series::new(series(name)),
            cutoff: Timestamp::UNIX_EPOCH,
            trained_at: Timestamp::UNIX_EPOCH,
            rows: 2,
            scores: None,
            trainer_version: "test".to_owned(),
            data_sha256: String::new(),
            spec: None,
            verdict: None,
            clamps: None,
            band_calibration: None,
            correction: None,
            peak: None,
        },
        key: key.to_owned(),
        model_pr,
        attachments: vec![Attachment {
            name: "report.html".to_owned(),
            media_type: "text/html".to_owned(),
            bytes: Bytes::from_static(b"<p>"),
        }],
        registered_at: Timestamp::UNIX_EPOCH,
        activate_at: None,
    }
}
