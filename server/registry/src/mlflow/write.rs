//! Writing a version: everything first, the version last, so that it is whole or not there.

use bytes::Bytes;
use loadcast_model::{
    artifact::{self, sha256_hex},
    series::SeriesName,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    MlflowRegistry,
    artifacts::Artifacts,
    client::Body,
    read::ATTACHMENTS,
    tags::{ACTIVATE_AT, KEY, KEY_SHA256, REGISTERED_AT, SHA256, SIZE},
    wire::{GotExperiment, GotLoggedModel, GotModelVersion, GotRun, ModelVersion, Run, Tag, tag},
};
use crate::{
    error::{Error, Result},
    manifest::AttachmentEntry,
    registry::{NewVersion, Registered},
};

/// The longest parameter that every MLflow 2 takes.
const MAX_PARAM: usize = 500;

/// Where the files of a new version go, and how the version will name them.
struct Destination {
    uri: String,
    source: String,
    /// The logged model, on servers that have them.
    model_id: Option<String>,
}

impl MlflowRegistry {
    /// The version that `key` made; `None` when it made none.
    pub(super) async fn version_of_key(
        &self,
        series: &SeriesName,
        key: &str,
    ) -> Result<Option<ModelVersion>> {
        let hash = sha256_hex(key.as_bytes());
        let found = self
            .search(&format!("name='{series}' and tags.`{KEY_SHA256}`='{hash}'"))
            .await?;
        // The first: should two servers have pushed one key at one moment, all agree on which counts.
        Ok(found.into_iter().next())
    }

    /// Makes a version of `new`, unless its key made one before.
    pub(super) async fn write_version(&self, new: NewVersion) -> Result<Registered> {
        let series = new.metadata.series.name.clone();
        if let Some(made) = self.version_of_key(&series, &new.key).await? {
            return again(series, &made, &new.metadata.sha256);
        }
        let run = self.create_run(&new).await?;
        let destination = self.destination(&run, &new).await?;
        let uploaded = self.upload(&run, &destination, &new).await;
        if let Err(error) = uploaded {
            // Not needed for safety: no version names this run.
            self.end_run(&run, "FAILED", &new).await.ok();
            return Err(error);
        }
        if let Some(id) = &destination.model_id {
            let body = json!({"model_id": id, "status": "LOGGED_MODEL_READY"});
            let path = format!("logged-models/{id}");
            let _: Value = self
                .client
                .call(Method::PATCH, &path, Body::Json(&body))
                .await?;
        }
        self.create_model(&series).await?;
        let version = self.create_version(&new, &run, &destination).await?;
        // The version is durable; a run that stays RUNNING is a blemish and no reason to fail the push.
        if let Err(error) = self.end_run(&run, "FINISHED", &new).await {
            tracing::warn!(%series, version, %error, "the run of a registered version could not be ended");
        }
        Ok(Registered {
            version,
            already_registered: false,
        })
    }

    async fn create_run(&self, new: &NewVersion) -> Result<Run> {
        let experiment_id = self.experiment_id().await?;
        let body = json!({
            "experiment_id": experiment_id,
            "start_time": new.registered_at.as_millisecond(),
            "run_name": new.metadata.series.name,
            "tags": [
                Tag::new("mlflow.source.name", "loadcast"),
                Tag::new("loadcast.series", new.metadata.series.name.as_ref()),
                Tag::new(KEY_SHA256, sha256_hex(new.key.as_bytes())),
            ],
        });
        let created: GotRun = self
            .client
            .call(Method::POST, "runs/create", Body::Json(&body))
            .await?;
        let body = json!({
            "run_id": created.run.info.run_id,
            "params": params(new),
            "metrics": metrics(new),
            "tags": [Tag::new("loadcast.data_sha256", &new.metadata.data_sha256)],
        });
        self.client.post("runs/log-batch", &body).await?;
        Ok(created.run)
    }

    async fn experiment_id(&self) -> Result<String> {
        let query = [("experiment_name", self.experiment.as_str())];
        let got: Result<GotExperiment> = self.client.get("experiments/get-by-name", &query).await;
        match got {
            Ok(got) => return Ok(got.experiment.experiment_id),
            Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let body = json!({"name": self.experiment});
        let created = self
            .client
            .try_call::<_, super::wire::Experiment>(
                Method::POST,
                "experiments/create",
                Body::Json(&body),
            )
            .await?;
        match created {
            Ok(created) => Ok(created.experiment_id),
            // Somebody else made it at this moment.
            Err(refusal) if refusal.is("RESOURCE_ALREADY_EXISTS") => {
                let got: GotExperiment = self.client.get("experiments/get-by-name", &query).await?;
                Ok(got.experiment.experiment_id)
            }
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    /// A logged model of the run where the server has them (MLflow 3), else a folder of the run.
    async fn destination(&self, run: &Run, new: &NewVersion) -> Result<Destination> {
        let experiment_id = self.experiment_id().await?;
        let run_id = &run.info.run_id;
        let body = json!({
            "experiment_id": experiment_id,
            "name": "model",
            "source_run_id": run_id,
            "model_type": "prophet",
            "params": params(new),
        });
        let created = self
            .client
            .try_call::<_, GotLoggedModel>(Method::POST, "logged-models", Body::Json(&body))
            .await?;
        let logged = match created {
            Ok(created) => created.model.info,
            // MLflow 2 knows no such address.
            Err(refusal)
                if refusal.code.is_empty()
                    && matches!(
                        refusal.status,
                        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                    ) =>
            {
                return Ok(Destination {
                    uri: format!("{}/model", run.info.artifact_uri),
                    source: format!("runs:/{run_id}/model"),
                    model_id: None,
                });
            }
            Err(refusal) => return Err(refusal.into_error()),
        };
        let body = json!({"run_id": run_id, "models": [{"model_id": logged.model_id, "step": 0}]});
        self.client.post("runs/outputs", &body).await?;
        Ok(Destination {
            uri: logged.artifact_uri,
            source: format!("models:/{}", logged.model_id),
            model_id: Some(logged.model_id),
        })
    }

    /// The model's files, and beside the run what was attached.
    async fn upload(&self, run: &Run, destination: &Destination, new: &NewVersion) -> Result<()> {
        let model = self.artifacts(&destination.uri)?;
        let beside = self.artifacts(&run.info.artifact_uri)?;
        let attachments = attach(&beside, new).await?;
        let mut mlmodel = artifact::mlmodel_yaml(&new.metadata);
        mlmodel.push_str(&format!("run_id: {}\n", run.info.run_id));
        if let Some(id) = &destination.model_id {
            mlmodel.push_str(&format!("model_id: {id}\n"));
        }
        let listed = serde_json::to_vec_pretty(&attachments).map_err(Error::unreachable)?;
        for (name, bytes) in [
            ("model.pr", new.model_pr.clone()),
            ("MLmodel", mlmodel.into()),
            (
                "requirements.txt",
                Bytes::from_static(artifact::requirements_txt().as_bytes()),
            ),
            ("loadcast.json", new.metadata.encode().into()),
            (ATTACHMENTS, listed.into()),
        ] {
            model.put(name, bytes).await?;
        }
        Ok(())
    }

    async fn create_model(&self, series: &SeriesName) -> Result<()> {
        let created = self
            .client
            .try_call::<_, Value>(
                Method::POST,
                "registered-models/create",
                Body::Json(&json!({"name": series})),
            )
            .await?;
        match created {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is("RESOURCE_ALREADY_EXISTS") => Ok(()),
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    async fn create_version(
        &self,
        new: &NewVersion,
        run: &Run,
        destination: &Destination,
    ) -> Result<u64> {
        let mut body = json!({
            "name": new.metadata.series.name,
            "source": destination.source,
            "run_id": run.info.run_id,
            "tags": version_tags(new),
        });
        if let Some(id) = &destination.model_id {
            body["model_id"] = id.as_str().into();
        }
        let created: GotModelVersion = self
            .client
            .call(Method::POST, "model-versions/create", Body::Json(&body))
            .await?;
        created.model_version.version.0.ok_or_else(|| {
            Error::unreachable("model-versions/create answered a version that is no number")
        })
    }

    async fn end_run(&self, run: &Run, status: &str, new: &NewVersion) -> Result<()> {
        let body = json!({
            "run_id": run.info.run_id,
            "status": status,
            "end_time": new.registered_at.as_millisecond(),
        });
        self.client.post("runs/update", &body).await
    }
}

/// What to answer to a push whose key made `made` before.
fn again(series: SeriesName, made: &ModelVersion, sha256: &str) -> Result<Registered> {
    let registered = tag(&made.tags, SHA256).unwrap_or_default();
    let version = made.version.0.unwrap_or(0);
    if registered == sha256 {
        Ok(Registered {
            version,
            already_registered: true,
        })
    } else {
        Err(Error::KeyReused {
            series,
            version,
            sha256: registered.to_owned(),
        })
    }
}

async fn attach(beside: &Artifacts<'_>, new: &NewVersion) -> Result<Vec<AttachmentEntry>> {
    let mut entries = Vec::with_capacity(new.attachments.len());
    for attachment in &new.attachments {
        let name = format!("attachments/{}", attachment.name);
        beside.put(&name, attachment.bytes.clone()).await?;
        entries.push(AttachmentEntry {
            name: attachment.name.clone(),
            media_type: attachment.media_type.clone(),
            size_bytes: attachment.bytes.len() as u64,
            sha256: sha256_hex(&attachment.bytes),
        });
    }
    Ok(entries)
}

/// What a version says of itself to people and to us.
fn version_tags(new: &NewVersion) -> Vec<Tag> {
    let metadata = &new.metadata;
    let series = &metadata.series;
    let mut tags = vec![
        Tag::new(KEY, &new.key),
        Tag::new(KEY_SHA256, sha256_hex(new.key.as_bytes())),
        Tag::new(SHA256, &metadata.sha256),
        Tag::new(SIZE, metadata.size_bytes.to_string()),
        Tag::new(REGISTERED_AT, new.registered_at.to_string()),
        Tag::new("loadcast.cutoff", metadata.cutoff.to_string()),
        Tag::new("loadcast.step_seconds", series.step_seconds.to_string()),
    ];
    let activate_at = new.activate_at;
    tags.extend(activate_at.map(|at| Tag::new(ACTIVATE_AT, at.to_string())));
    let unit = series
        .unit
        .map(|unit| Tag::new("loadcast.unit", unit.as_str()));
    tags.extend(unit);
    let labels = series.labels.iter();
    tags.extend(labels.map(|(name, value)| Tag::new(format!("loadcast.label.{name}"), value)));
    let scores = metrics(new).into_iter();
    tags.extend(scores.filter_map(|metric| {
        let (key, value) = (metric["key"].as_str()?, metric["value"].as_f64()?);
        Some(Tag::new(format!("loadcast.score.{key}"), value.to_string()))
    }));
    tags
}

/// The spec as parameters.
fn params(new: &NewVersion) -> Vec<Tag> {
    scalars(&new.metadata.spec)
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => Tag::new(key, text),
            other => Tag::new(key, other.to_string()),
        })
        .filter(|param| param.value.len() <= MAX_PARAM)
        .collect()
}

/// The scores as metrics, at the instant of the registration.
fn metrics(new: &NewVersion) -> Vec<Value> {
    scalars(&new.metadata.scores)
        .into_iter()
        .filter(|(_, value)| value.is_number())
        .map(|(key, value)| {
            json!({"key": key, "value": value, "timestamp": new.registered_at.as_millisecond(), "step": 0})
        })
        .collect()
}

/// The fields of a plain struct that are there.
fn scalars(of: &impl serde::Serialize) -> Vec<(String, Value)> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
        _ => Vec::new(),
    }
}
