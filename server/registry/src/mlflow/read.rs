//! Reading a version: is it ready, where do its files lie, are they whole.

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_model::{artifact::Metadata, series::SeriesName};

use super::{
    MlflowRegistry,
    artifacts::Artifacts,
    foreign,
    tags::{ACTIVATE_AT, KEY, REGISTERED_AT, SHA256, SIZE},
    wire::{DownloadUri, GotLoggedModel, GotModelVersion, GotRun, ModelVersion, tag},
};
use crate::{
    error::{Error, Result},
    manifest::{AttachmentEntry, Manifest, SCHEMA},
    registry::StoredVersion,
};

/// The file that lists what was attached to a version of ours.
pub(super) const ATTACHMENTS: &str = "attachments.json";

/// How many models of one run are looked at for the one that a `runs:/` source means.
const MAX_OUTPUTS: usize = 100;

impl MlflowRegistry {
    /// One version, whole.
    pub(super) async fn read_version(
        &self,
        series: &SeriesName,
        version: u64,
    ) -> Result<StoredVersion> {
        let what = format!("{series} version {version}");
        let number = version.to_string();
        let query = [("name", series.as_ref()), ("version", &number)];
        let got: Result<GotModelVersion> = self.client.get("model-versions/get", &query).await;
        let found = match got {
            Ok(got) => got.model_version,
            Err(Error::NotFound { .. }) => return Err(Error::NotFound { what }),
            Err(error) => return Err(error),
        };
        match found.status.as_str() {
            "READY" | "" => {}
            "FAILED_REGISTRATION" => {
                return Err(Error::Corrupt {
                    what,
                    reason: format!("its registration failed: {}", found.status_message),
                });
            }
            status => {
                return Err(Error::NotReady {
                    what,
                    reason: status.to_owned(),
                });
            }
        }
        let uri: DownloadUri = self
            .client
            .get("model-versions/get-download-uri", &query)
            .await?;
        let uri = self.resolve(&what, uri.artifact_uri).await?;
        let artifacts = self.artifacts(&uri)?;
        match tag(&found.tags, SHA256) {
            Some(sha256) => ours(&what, series, version, &found, sha256, &artifacts).await,
            None => {
                self.foreign(&what, series, version, &found, &artifacts)
                    .await
            }
        }
    }

    /// From the address of a run's or logged model's files to that of a folder.
    pub(super) async fn resolve(&self, what: &str, uri: String) -> Result<String> {
        let missing = || Error::Corrupt {
            what: what.to_owned(),
            reason: format!("its source {uri} is gone"),
        };
        let gone = |error| match error {
            Error::NotFound { .. } => missing(),
            other => other,
        };
        if let Some(id) = uri
            .strip_prefix("models:/")
            .filter(|id| id.starts_with("m-"))
        {
            let path = format!("logged-models/{id}");
            let got: GotLoggedModel = self.client.get(&path, &[]).await.map_err(gone)?;
            return Ok(got.model.info.artifact_uri);
        }
        let Some(source) = uri.strip_prefix("runs:/") else {
            return Ok(uri);
        };
        let (run_id, path) = source.split_once('/').unwrap_or((source, ""));
        let query = [("run_id", run_id)];
        let got: GotRun = self.client.get("runs/get", &query).await.map_err(gone)?;
        // MLflow 3 keeps what was logged as a model beside the run, under the model's own address.
        for output in got.run.outputs.model_outputs.iter().take(MAX_OUTPUTS) {
            let address = format!("logged-models/{}", output.model_id);
            let logged: GotLoggedModel = self.client.get(&address, &[]).await.map_err(gone)?;
            if logged.model.info.name == path {
                return Ok(logged.model.info.artifact_uri);
            }
        }
        Ok(format!("{}/{path}", got.run.info.artifact_uri))
    }

    /// A version that somebody else logged.
    async fn foreign(
        &self,
        what: &str,
        series: &SeriesName,
        version: u64,
        found: &ModelVersion,
        artifacts: &Artifacts<'_>,
    ) -> Result<StoredVersion> {
        let mlmodel = file(what, artifacts, "MLmodel", None).await?;
        let name = foreign::model_file(what, series, &mlmodel)?;
        let size = artifacts.size(&name).await?;
        let model_pr = file(what, artifacts, &name, size).await?;
        let model = self.model(series).await?.unwrap_or_default();
        let created = created(found);
        let metadata = foreign::metadata(
            what,
            series.clone(),
            &[&found.tags, &model.tags],
            &model_pr,
            created,
        )?;
        let manifest = Manifest {
            schema: SCHEMA,
            series: series.clone(),
            version,
            key: String::new(),
            registered_at: created,
            activate_at: activate_at(what, found)?,
            metadata,
            attachments: Vec::new(),
        };
        Ok(StoredVersion { manifest, model_pr })
    }
}

/// A version that we wrote: its tags say what its files must be.
async fn ours(
    what: &str,
    series: &SeriesName,
    version: u64,
    found: &ModelVersion,
    sha256: &str,
    artifacts: &Artifacts<'_>,
) -> Result<StoredVersion> {
    let corrupt = |name: &str, reason: String| Error::Corrupt {
        what: format!("{name} of {what}"),
        reason,
    };
    let size = tag(&found.tags, SIZE).and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| corrupt("the tags", format!("{SIZE} is no number")))?;
    let bytes = file(what, artifacts, "loadcast.json", None).await?;
    let mut metadata =
        Metadata::decode(&bytes).map_err(|error| corrupt("loadcast.json", error.to_string()))?;
    if metadata.sha256 != sha256 || metadata.size_bytes != size {
        let reason = format!("it is of another model.pr than the tag {SHA256}, {sha256}");
        return Err(corrupt("loadcast.json", reason));
    }
    // A model that was renamed in MLflow, or a version that was copied to another, is the series it now is.
    metadata.series.name = series.clone();
    let attachments = match artifacts.get(ATTACHMENTS, None).await? {
        None => Vec::new(),
        Some(bytes) => serde_json::from_slice::<Vec<AttachmentEntry>>(&bytes)
            .map_err(|error| corrupt(ATTACHMENTS, error.to_string()))?,
    };
    let model_pr = file(what, artifacts, "model.pr", Some(size)).await?;
    let registered_at = tag(&found.tags, REGISTERED_AT).and_then(|at| at.parse().ok());
    let manifest = Manifest {
        schema: SCHEMA,
        series: series.clone(),
        version,
        key: tag(&found.tags, KEY).unwrap_or_default().to_owned(),
        registered_at: registered_at.unwrap_or_else(|| created(found)),
        activate_at: activate_at(what, found)?,
        metadata,
        attachments,
    };
    StoredVersion::check(manifest, model_pr)
}

/// A file that must be there.
async fn file(
    what: &str,
    artifacts: &Artifacts<'_>,
    name: &str,
    expected: Option<u64>,
) -> Result<Bytes> {
    let found = artifacts.get(name, expected).await?;
    found.ok_or_else(|| Error::Corrupt {
        what: format!("{name} of {what}"),
        reason: "it is missing".to_owned(),
    })
}

/// The instant before which the version is not to be served. One that cannot be read is not guessed.
fn activate_at(what: &str, found: &ModelVersion) -> Result<Option<Timestamp>> {
    let Some(text) = tag(&found.tags, ACTIVATE_AT) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|error| Error::Corrupt {
        what: format!("tag {ACTIVATE_AT} of {what}"),
        reason: format!("{text:?} is no instant such as 2026-11-25T06:00:00Z: {error}"),
    })
}

fn created(found: &ModelVersion) -> Timestamp {
    let milliseconds = found.creation_timestamp.and_then(|created| created.0);
    milliseconds
        .and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
