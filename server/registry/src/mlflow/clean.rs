//! What died pushes left, and versions that are kept no longer.
//!
//! MLflow deletes runs and logged models softly: `mlflow gc` empties that bin. The files of a model are deleted at once.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use reqwest::Method;
use serde_json::json;

use super::{
    MlflowRegistry,
    client::Body,
    tags::{KEY_SHA256, PINNED, SERIES, SHA256, WRITER},
    wire::{
        FoundLoggedModels, FoundRuns, GotModelVersion, LoggedModelInfo, ModelVersion,
        RegisteredModel, Run, tag,
    },
};
use crate::{
    error::{Error, Result},
    registry::{MAX_PRUNED, NewVersion},
};

/// A run of another server that has been RUNNING for so long is of a push that died: twice [`MAX_PUSH`](super::MAX_PUSH).
const ORPHAN_AGE: Duration = Duration::from_secs(1_200);

/// How many orphans one push clears; the next one clears the next.
const MAX_ORPHANS: usize = 20;

/// The runs of pushes that are under way in this process.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<HashSet<String>>);

/// One push that is under way until this is dropped, however it ends.
#[derive(Debug)]
pub(super) struct Push<'a> {
    all: &'a UnderWay,
    run_id: String,
}

impl UnderWay {
    pub(super) fn begin(&self, run_id: &str) -> Push<'_> {
        self.lock().insert(run_id.to_owned());
        Push {
            all: self,
            run_id: run_id.to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Push<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.run_id);
    }
}

impl MlflowRegistry {
    /// Finishes or clears what died pushes of the series of `new` left: this writer's own at once, from before its restart
    /// too; other servers' when they are older than [`ORPHAN_AGE`], for those may be under way.
    pub(super) async fn clear_orphans(&self, experiment: &str, new: &NewVersion) -> Result<()> {
        let series = &new.metadata.series.name;
        let body = json!({
            "experiment_ids": [experiment],
            "filter": format!("attributes.status = 'RUNNING' and tags.`{SERIES}` = '{series}'"),
            "max_results": MAX_ORPHANS,
            "order_by": ["attributes.start_time ASC"],
        });
        let found: FoundRuns = self
            .client
            .call(Method::POST, "runs/search", Body::Json(&body))
            .await?;
        let writer = self.writer.to_string();
        for run in found.runs {
            let run_id = &run.info.run_id;
            let is_ours = tag(&run.data.tags, WRITER) == Some(&writer);
            let died = if is_ours {
                !self.under_way.lock().contains(run_id)
            } else {
                is_old(&run, new.registered_at)
            };
            if !died {
                continue;
            }
            tracing::info!(%series, run = run_id, "settling a push that died");
            let made = self.search(&format!("run_id='{run_id}'")).await?;
            match made
                .first()
                .and_then(|made| made.version.0.zip(tag(&made.tags, KEY_SHA256)))
            {
                None => self.clear(experiment, run_id).await?,
                Some((version, key)) => {
                    let first = self.version_of_key_hash(series, key).await?;
                    if first.is_some_and(|first| first.version.0 == Some(version)) {
                        self.end_run(run_id, "FINISHED", new).await?;
                    } else {
                        self.discard(experiment, series, version, run_id).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Deletes a version that is the second of its key, and its run; but not one that somebody has named meanwhile.
    pub(super) async fn discard(
        &self,
        experiment: &str,
        series: &SeriesName,
        version: u64,
        run_id: &str,
    ) -> Result<()> {
        if self.delete_version(series, version).await? {
            self.clear(experiment, run_id).await?;
        }
        Ok(())
    }

    /// Deletes a run that no version came of, and what it logged.
    pub(super) async fn clear(&self, experiment: &str, run_id: &str) -> Result<()> {
        for logged in self.logged_by(experiment, run_id).await? {
            self.artifacts(&logged.artifact_uri)?.delete().await?;
            self.delete_logged(&logged.model_id).await?;
        }
        let body = json!({"run_id": run_id, "status": "FAILED"});
        self.client.post("runs/update", &body).await?;
        let body = json!({"run_id": run_id});
        self.client.post("runs/delete", &body).await
    }

    async fn logged_by(&self, experiment: &str, run_id: &str) -> Result<Vec<LoggedModelInfo>> {
        let body = json!({
            "experiment_ids": [experiment],
            "filter": format!("source_run_id = '{run_id}'"),
        });
        let path = "logged-models/search";
        let found = self
            .client
            .try_call::<_, FoundLoggedModels>(Method::POST, path, Body::Json(&body))
            .await?;
        match found {
            Ok(found) => Ok(found.models.into_iter().map(|model| model.info).collect()),
            Err(refusal) if refusal.is_no_such_address() => Ok(Vec::new()),
            Err(refusal) => Err(refusal.into_error()),
        }
    }

    async fn delete_logged(&self, model_id: &str) -> Result<()> {
        let path = format!("logged-models/{model_id}");
        match self.client.delete(&path, &json!({})).await {
            Err(Error::NotFound { .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Deletes a version with what it was made of, and says so, unless an alias names it; its run, with parameters, metrics
    /// and reports, stays. First the key, so that a push of it makes another version; then the files; the version last, so
    /// that what is interrupted is found again.
    async fn delete_version(&self, series: &SeriesName, version: u64) -> Result<bool> {
        let number = version.to_string();
        let query = [("name", series.as_ref()), ("version", number.as_str())];
        let found: GotModelVersion = match self.client.get("model-versions/get", &query).await {
            Err(Error::NotFound { .. }) => return Ok(true),
            found => found?,
        };
        let ModelVersion {
            source, aliases, ..
        } = found.model_version;
        if !aliases.is_empty() {
            return Ok(false);
        }
        let body = json!({"name": series, "version": number, "key": KEY_SHA256});
        let path = "model-versions/delete-tag";
        self.client.delete(path, &body).await?;
        let what = format!("{series} version {version}");
        match self.resolve(&what, source.clone()).await {
            Ok(files) => self.artifacts(&files)?.delete().await?,
            // They are gone: it was interrupted before.
            Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(model_id) = source.strip_prefix("models:/") {
            self.delete_logged(model_id).await?;
        }
        let body = json!({"name": series, "version": number});
        match self.client.delete("model-versions/delete", &body).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// See [`Registry::prune`](crate::registry::Registry::prune).
    pub(super) async fn prune_versions(
        &self,
        series: &SeriesName,
        keep: usize,
        spared: &[u64],
    ) -> Result<Vec<u64>> {
        let Some(model) = self.model(series).await? else {
            return Ok(Vec::new());
        };
        let versions = self.search(&format!("name='{series}'")).await?;
        let mut gone = Vec::new();
        for version in prunable(&versions, &model, keep, spared) {
            if gone.len() == MAX_PRUNED {
                break;
            }
            match self.delete_version(series, version).await {
                Ok(true) => gone.push(version),
                Ok(false) => {}
                // Of this version alone: the others are none the worse for it.
                Err(
                    error @ (Error::Corrupt { .. }
                    | Error::NotFound { .. }
                    | Error::Refused { .. }
                    | Error::Unsupported { .. }),
                ) => {
                    tracing::warn!(%series, version, %error, "a version cannot be pruned");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }
}

/// Which of `versions` (ascending) may go.
fn prunable(
    versions: &[ModelVersion],
    model: &RegisteredModel,
    keep: usize,
    spared: &[u64],
) -> Vec<u64> {
    let aliased = model.aliases.iter().filter_map(|alias| alias.version.0);
    let spared: BTreeSet<u64> = aliased.chain(spared.iter().copied()).collect();
    let old = versions.len().saturating_sub(keep.max(1));
    versions
        .iter()
        .take(old)
        .filter(|version| {
            tag(&version.tags, SHA256).is_some()
                && tag(&version.tags, PINNED).is_none()
                && matches!(version.current_stage.as_str(), "" | "None")
        })
        .filter_map(|version| version.version.0)
        .filter(|version| !spared.contains(version))
        .collect()
}

fn is_old(run: &Run, now: Timestamp) -> bool {
    let started = run.info.start_time.and_then(|started| started.0);
    let started = started.and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
    started.is_some_and(|started| {
        Duration::try_from(now.duration_since(started)).is_ok_and(|age| age > ORPHAN_AGE)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_the_aliased_the_pinned_the_staged_the_served_and_strangers_versions_are_kept() {
        let version = |number: u64, tags: &str, stage: &str| -> ModelVersion {
            let json = format!(
                r#"{{"version": "{number}", "current_stage": "{stage}", "tags": [{tags}]}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        const OURS: &str = r#"{"key": "loadcast.sha256", "value": "00"}"#;
        let pinned = format!(r#"{OURS}, {{"key": "loadcast.pinned", "value": "true"}}"#);
        let versions = [
            version(1, OURS, "None"),
            version(2, OURS, ""),
            version(3, "", "None"),
            version(4, &pinned, "None"),
            version(5, OURS, "Archived"),
            version(6, OURS, "None"),
            version(7, OURS, "None"),
            version(8, OURS, "None"),
        ];
        let model = r#"{"aliases": [{"alias": "candidate", "version": "2"}]}"#;
        let model: RegisteredModel = serde_json::from_str(model).unwrap();
        assert_eq!(prunable(&versions, &model, 2, &[6]), [1]);
        assert_eq!(
            prunable(&versions, &model, 0, &[]),
            [1, 6, 7],
            "never the newest"
        );
        assert_eq!(prunable(&versions, &model, 8, &[]), [0; 0]);
    }
}
