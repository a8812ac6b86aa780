//! A Prophet model from a place: an MLflow folder, a model.pr, or plain JSON as Prophet's model_to_json writes it.

use std::path::Path;

use loadcast_model::artifact::{Metadata, decode_model_pr, model_file};
use loadcast_model::prophet::ProphetModel;

use super::location;
use crate::error::{Error, Result};

/// A model, and what its folder says beside.
#[derive(Debug)]
pub struct Opened {
    /// The model.
    pub model: ProphetModel,
    /// loadcast.json, where there is one.
    pub metadata: Option<Metadata>,
}

/// The model at `place`.
///
/// # Errors
/// Those of [`location::read`]; [`Error::Model`] and [`Error::Settings`] for what is no model that this build reads.
pub async fn open(place: &str) -> Result<Opened> {
    let folder = Path::new(place);
    let (file, metadata) = if folder.is_dir() {
        (model_pr(folder).await?, read_metadata(folder).await?)
    } else {
        (place.to_owned(), None)
    };
    let bytes = location::read(&file).await?;
    let model = decode_model_pr(&bytes).map_err(|error| Error::of_model(error).of_place(&file))?;
    Ok(Opened { model, metadata })
}

/// The file that MLmodel names; model.pr where there is no MLmodel.
async fn model_pr(folder: &Path) -> Result<String> {
    let path = folder.join("MLmodel");
    let name = if path.is_file() {
        let place = path.display().to_string();
        let name = model_file(&location::read(&place).await?);
        name.map_err(|error| Error::of_model(error).of_place(&place))?
    } else {
        "model.pr".to_owned()
    };
    Ok(folder.join(name).display().to_string())
}

/// loadcast.json; a folder that Python wrote has none.
async fn read_metadata(folder: &Path) -> Result<Option<Metadata>> {
    let path = folder.join("loadcast.json");
    if !path.is_file() {
        return Ok(None);
    }
    let place = path.display().to_string();
    let metadata = Metadata::decode(&location::read(&place).await?);
    let metadata = metadata.map_err(|error| Error::of_model(error).of_place(&place))?;
    Ok(Some(metadata))
}
