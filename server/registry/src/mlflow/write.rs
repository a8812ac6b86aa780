//! Writing a version: everything first, the version last, so that it is whole or not there.

use bytes::Bytes;
use loadcast_model::{
    artifact::{self, sha256_hex},
    series::SeriesName,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    MAX_PUSH, MlflowRegistry,
    artifacts::Artifacts,
    client::Body,
    describe::{dataset, metrics, params, run_tags, version_tags},
    read::ATTACHMENTS,
    tags::{KEY_SHA256, SHA256},
    wire::{
        Experiment, GotExperiment, GotLoggedModel, GotModelVersion, GotRun, ModelVersion, Run, tag,
    },
};
use crate::{
    error::{Error, Result},
    manifest::AttachmentEntry,
    registry::{NewVersion, Registered},
};

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
        self.version_of_key_hash(series, &hash).await
    }

    pub(super) async fn version_of_key_hash(
        &self,
        series: &SeriesName,
        hash: &str,
    ) -> Result<Option<ModelVersion>> {
        let found = self
            .search(&format!("name='{series}' and tags.`{KEY_SHA256}`='{hash}'"))
            .await?;
        // The first: should two servers have pushed one key at one moment, all agree on which counts.
        Ok(found.into_iter().next())
    }

    /// Makes a version of `new`, unless its key made one before.
    pub(super) async fn write_version(&self, new: NewVersion) -> Result<Registered> {
        let series = new.metadata.series.name.clone();
        let made = self.version_of_key(&series, &new.key).await?;
        let experiment = self.experiment_id().await?;
        // Even when the version is there: the push that made it may have died before it ended its run.
        if let Err(error) = self.clear_orphans(&experiment, &new).await {
            tracing::warn!(%series, %error, "what pushes that died left could not be cleared");
        }
        if let Some(made) = made {
            return again(series, &made, &new.metadata.sha256);
        }
        let run = self.create_run(&experiment, &new).await?;
        let _under_way = self.under_way.begin(&run.info.run_id);
        let writing = self.write_into(&experiment, &run, &new);
        let written = tokio::time::timeout(MAX_PUSH, writing).await;
        let version = match written.unwrap_or_else(|_| Err(too_long())) {
            Ok(version) => version,
            Err(error) => {
                // An answer that did not come may have been a version; what was refused made none.
                if !matches!(error, Error::Unreachable { .. }) {
                    self.clear(&experiment, &run.info.run_id).await.ok();
                }
                return Err(error);
            }
        };
        // The version is durable; a run that stays RUNNING is a blemish, mended by the next push, and no reason to fail.
        if let Err(error) = self.end_run(&run.info.run_id, "FINISHED", &new).await {
            tracing::warn!(%series, version, %error, "the run of a registered version could not be ended");
        }
        match self.version_of_key(&series, &new.key).await {
            Ok(Some(first)) if first.version.0 != Some(version) => {
                // Another server pushed the same at this moment, and its number is the lower. Nobody saw ours by an alias.
                let run_id = &run.info.run_id;
                let discarded = self.discard(&experiment, &series, version, run_id).await;
                if let Err(error) = discarded {
                    tracing::warn!(%series, version, %error, "the second version of one key could not be deleted");
                }
                again(series, &first, &new.metadata.sha256)
            }
            // What cannot be asked does not undo what is durable.
            Ok(_) | Err(_) => Ok(Registered {
                version,
                already_registered: false,
            }),
        }
    }

    /// From the run to the version.
    async fn write_into(&self, experiment: &str, run: &Run, new: &NewVersion) -> Result<u64> {
        self.describe_run(run, new).await?;
        let destination = self.destination(experiment, run, new).await?;
        self.upload(run, &destination, new).await?;
        if let Some(id) = &destination.model_id {
            let body = json!({"model_id": id, "status": "LOGGED_MODEL_READY"});
            let path = format!("logged-models/{id}");
            let _: Value = self
                .client
                .call(Method::PATCH, &path, Body::Json(&body))
                .await?;
        }
        self.create_model(&new.metadata.series.name).await?;
        self.create_version(new, run, &destination).await
    }

    async fn create_run(&self, experiment: &str, new: &NewVersion) -> Result<Run> {
        let body = json!({
            "experiment_id": experiment,
            "start_time": new.registered_at.as_millisecond(),
            "run_name": new.metadata.series.name,
            "tags": run_tags(new, self.writer),
        });
        let created: GotRun = self
            .client
            .call(Method::POST, "runs/create", Body::Json(&body))
            .await?;
        Ok(created.run)
    }

    async fn describe_run(&self, run: &Run, new: &NewVersion) -> Result<()> {
        let run_id = &run.info.run_id;
        let body = json!({"run_id": run_id, "params": params(new), "metrics": metrics(new)});
        self.client.post("runs/log-batch", &body).await?;
        if let Some(dataset) = dataset(new) {
            let body = json!({"run_id": run_id, "datasets": [dataset]});
            // Two servers that name one dataset at one moment meet in MLflow's database, and one of them is refused. The
            // second time the dataset is there.
            let logged = self.client.post("runs/log-inputs", &body).await;
            if let Err(Error::Unreachable { .. }) = logged {
                self.client.post("runs/log-inputs", &body).await?;
            } else {
                logged?;
            }
        }
        Ok(())
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
            .try_call::<_, Experiment>(Method::POST, "experiments/create", Body::Json(&body))
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
    async fn destination(
        &self,
        experiment: &str,
        run: &Run,
        new: &NewVersion,
    ) -> Result<Destination> {
        let run_id = &run.info.run_id;
        let body = json!({
            "experiment_id": experiment,
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
            Err(refusal) if refusal.is_no_such_address() => {
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

    pub(super) async fn end_run(&self, run_id: &str, status: &str, new: &NewVersion) -> Result<()> {
        let body = json!({
            "run_id": run_id,
            "status": status,
            "end_time": new.registered_at.as_millisecond(),
        });
        self.client.post("runs/update", &body).await
    }
}

fn too_long() -> Error {
    Error::unreachable(format!("a push took longer than {MAX_PUSH:?}"))
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
        entries.push(AttachmentEntry::of(attachment));
    }
    Ok(entries)
}
