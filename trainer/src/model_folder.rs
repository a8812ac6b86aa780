//! A folder as MLflow's prophet flavor writes it, with loadcast.json beside.

use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::artifact::{METADATA_SCHEMA, Metadata, mlmodel_yaml, requirements_txt};

use crate::error::{Error, Result};
use crate::output;
use crate::push::TRAINER_VERSION;
use crate::stage::validate_model::Approved;

/// Writes MLmodel, model.pr, loadcast.json and requirements.txt; MLmodel, which makes it a model, last.
///
/// # Errors
/// [`Error::Output`] when the folder cannot be written.
pub fn write(folder: &Path, model_pr: &[u8], metadata: &Metadata) -> Result<()> {
    for (name, bytes) in files(model_pr, metadata) {
        output::write(&folder.join(name), &bytes)?;
    }
    Ok(())
}

/// The files of such a folder, in the order in which they are written.
#[must_use]
pub fn files(model_pr: &[u8], metadata: &Metadata) -> [(&'static str, Bytes); 4] {
    [
        ("model.pr", Bytes::copy_from_slice(model_pr)),
        ("loadcast.json", metadata.encode().into()),
        ("requirements.txt", requirements_txt().to_owned().into()),
        ("MLmodel", mlmodel_yaml(metadata).into()),
    ]
}

/// What loadcast.json says of a model that passed the stages.
///
/// # Errors
/// [`Error::Data`] when its last observation is outside the calendar.
pub fn metadata(approved: &Approved, trained_at: Timestamp) -> Result<Metadata> {
    Ok(Metadata {
        schema: METADATA_SCHEMA,
        sha256: approved.sha256().to_owned(),
        size_bytes: approved.model_pr().len() as u64,
        series: approved.series().clone(),
        cutoff: Timestamp::from_second(approved.cutoff())
            .map_err(|_| Error::outside_calendar(approved.cutoff()))?,
        trained_at,
        rows: approved.rows() as u64,
        scores: approved.skill().map(|skill| skill.scores()),
        trainer_version: TRAINER_VERSION.to_owned(),
        data_sha256: approved.data_sha256().to_owned(),
        spec: Some(approved.spec().clone()),
        verdict: Some(approved.conclusion().as_str().to_owned()),
        clamps: approved.clamps(),
        band_calibration: approved.calibration().cloned(),
        correction: approved.correction().cloned(),
        peak: approved.peak().cloned(),
    })
}
