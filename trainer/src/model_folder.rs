//! A folder as MLflow's prophet flavor writes it, with loadcast.json beside.

use std::path::Path;

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
    output::write(&folder.join("model.pr"), model_pr)?;
    output::write(&folder.join("loadcast.json"), &metadata.encode())?;
    output::write(
        &folder.join("requirements.txt"),
        requirements_txt().as_bytes(),
    )?;
    output::write(&folder.join("MLmodel"), mlmodel_yaml(metadata).as_bytes())
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
        verdict: Some("PROMOTE".to_owned()),
        clamps: approved.clamps(),
        band_calibration: approved.calibration().cloned(),
        correction: approved.correction().cloned(),
        peak: approved.peak().cloned(),
    })
}
