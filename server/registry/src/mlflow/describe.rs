//! What a version is called in MLflow's words: its tags, its run's parameters, metrics and dataset.

use loadcast_model::artifact::sha256_hex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    tags::{ACTIVATE_AT, KEY, KEY_SHA256, REGISTERED_AT, SERIES, SHA256, SIZE, WRITER},
    wire::Tag,
};
use crate::registry::NewVersion;

/// The longest parameter that every MLflow 2 takes.
const MAX_PARAM: usize = 500;

/// How much of a dataset's digest MLflow's database holds.
const MAX_DIGEST: usize = 36;

/// What a run says of itself while it is not yet known whether a version comes of it.
pub(super) fn run_tags(new: &NewVersion, writer: Uuid) -> Vec<Tag> {
    vec![
        Tag::new("mlflow.source.name", "loadcast"),
        Tag::new(SERIES, new.metadata.series.name.as_ref()),
        Tag::new(KEY_SHA256, sha256_hex(new.key.as_bytes())),
        Tag::new(WRITER, writer.to_string()),
        Tag::new("loadcast.data_sha256", &new.metadata.data_sha256),
    ]
}

/// The prepared data as the run's dataset; `None` when the trainer did not say.
pub(super) fn dataset(new: &NewVersion) -> Option<Value> {
    let digest = new.metadata.data_sha256.get(..MAX_DIGEST)?;
    Some(json!({
        "dataset": {
            "name": new.metadata.series.name,
            "digest": digest,
            "source_type": "loadcast",
            "source": json!({"sha256": new.metadata.data_sha256, "rows": new.metadata.rows}).to_string(),
        },
        "tags": [Tag::new("mlflow.data.context", "training")],
    }))
}

/// What a version says of itself to people and to us.
pub(super) fn version_tags(new: &NewVersion) -> Vec<Tag> {
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

/// The spec as parameters. What is longer than every MLflow takes stands in loadcast.json alone.
pub(super) fn params(new: &NewVersion) -> Vec<Tag> {
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
pub(super) fn metrics(new: &NewVersion) -> Vec<Value> {
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
