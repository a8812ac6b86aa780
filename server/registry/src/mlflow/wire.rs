//! The JSON of MLflow's REST API: what we read of it. Unknown fields are ignored, absent ones are empty.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned},
};

/// A registered model, as `registered-models/get` and `search` answer it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RegisteredModel {
    pub(super) name: String,
    /// At most one per stage.
    pub(super) latest_versions: Vec<ModelVersion>,
    pub(super) aliases: Vec<Alias>,
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) alias: String,
    pub(super) version: Number,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tag {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

impl Tag {
    pub(super) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// The value of the tag `key`.
pub(super) fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter()
        .find(|tag| tag.key == key)
        .map(|tag| tag.value.as_str())
}

/// A version of a registered model.
#[derive(Debug, Deserialize)]
pub(super) struct ModelVersion {
    pub(super) version: Number,
    #[serde(default)]
    pub(super) creation_timestamp: Option<Number>,
    #[serde(default)]
    pub(super) current_stage: String,
    #[serde(default)]
    pub(super) source: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) status_message: String,
    #[serde(default)]
    pub(super) tags: Vec<Tag>,
    /// What `get` says; `search` leaves them out.
    #[serde(default)]
    pub(super) aliases: Vec<String>,
}

/// A whole number that MLflow writes as a number here and as a string there. Anything else is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer).map_err(de::Error::custom)? {
            serde_json::Value::String(text) => Ok(Self(text.parse().ok())),
            other => Ok(Self(other.as_u64())),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct GotRegisteredModel {
    pub(super) registered_model: RegisteredModel,
}

/// A page of a listing.
pub(super) trait Page: DeserializeOwned {
    /// What to ask the next page with, taken out of it.
    fn next_page_token(&mut self) -> Option<String>;
}

impl Page for RegisteredModels {
    fn next_page_token(&mut self) -> Option<String> {
        self.next_page_token.take()
    }
}

impl Page for ModelVersions {
    fn next_page_token(&mut self) -> Option<String> {
        self.next_page_token.take()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RegisteredModels {
    pub(super) registered_models: Vec<RegisteredModel>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GotModelVersion {
    pub(super) model_version: ModelVersion,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelVersions {
    pub(super) model_versions: Vec<ModelVersion>,
    pub(super) next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DownloadUri {
    pub(super) artifact_uri: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GotRun {
    pub(super) run: Run,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) info: RunInfo,
    #[serde(default)]
    pub(super) data: RunData,
    #[serde(default)]
    pub(super) outputs: Outputs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunData {
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FoundRuns {
    pub(super) runs: Vec<Run>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RunInfo {
    pub(super) run_id: String,
    pub(super) artifact_uri: String,
    #[serde(default)]
    pub(super) start_time: Option<Number>,
}

/// The logged models that a run of MLflow 3 made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Outputs {
    pub(super) model_outputs: Vec<ModelOutput>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelOutput {
    pub(super) model_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GotLoggedModel {
    pub(super) model: LoggedModel,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FoundLoggedModels {
    pub(super) models: Vec<LoggedModel>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoggedModel {
    pub(super) info: LoggedModelInfo,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoggedModelInfo {
    pub(super) model_id: String,
    pub(super) artifact_uri: String,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct GotExperiment {
    pub(super) experiment: Experiment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Experiment {
    pub(super) experiment_id: String,
}

/// A folder of proxied artifacts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Files {
    pub(super) files: Vec<FileInfo>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FileInfo {
    pub(super) path: String,
    #[serde(default)]
    pub(super) file_size: Option<Number>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_numbers_and_as_strings_and_nonsense_as_nothing() {
        for (json, number) in [
            (r#""12""#, Some(12)),
            ("12", Some(12)),
            (r#""v12""#, None),
            ("-1", None),
            ("null", None),
        ] {
            let read: Number = serde_json::from_str(json).unwrap();
            assert_eq!(read.0, number, "{json}");
        }
    }
}
