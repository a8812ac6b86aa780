//! A version that somebody else logged: what its MLmodel, its model.pr and its tags say of it.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use loadcast_model::{
    artifact::{self, METADATA_SCHEMA, Metadata, sha256_hex},
    error::Error as ModelError,
    series::{Series, SeriesName, Unit},
};
use serde::Deserialize;

use super::wire::{Tag, tag};
use crate::error::{Error, Result};

/// Tags by which people may say what model.pr cannot. On the version, else on the registered model.
const STEP: &str = "loadcast.step_seconds";
const UNIT: &str = "loadcast.unit";
const TIME_ZONE: &str = "loadcast.time_zone";
/// Followed by the label's name.
const LABEL: &str = "loadcast.label.";

/// What we read of a model.pr beside what makes the forecast.
#[derive(Debug, Deserialize)]
struct Dict {
    history_dates: String,
    #[serde(rename = "__prophet_version", default)]
    version: Option<String>,
}

/// A pandas series of times, "split".
#[derive(Debug, Deserialize)]
struct Times {
    data: Vec<String>,
}

/// The name of the file that holds the model, from an `MLmodel`.
///
/// # Errors
/// [`Error::Unsupported`] for other flavors than prophet, saying how to log it again; [`Error::Corrupt`] when it is not
/// an MLmodel.
pub(super) fn model_file(what: &str, series: &SeriesName, mlmodel: &[u8]) -> Result<String> {
    artifact::model_file(mlmodel).map_err(|error| match error {
        ModelError::Unsupported { .. } => Error::Unsupported {
            what: what.to_owned(),
            reason: format!(
                "{error}, which in Python is mlflow.prophet.log_model(model, name=\"model\", registered_model_name=\"{series}\"); a pickle is a program that only Python can run"
            ),
        },
        error => Error::Corrupt {
            what: format!("MLmodel of {what}"),
            reason: error.to_string(),
        },
    })
}

/// What can be known of a foreign version: its series is the registered model, its cutoff the last row of its history,
/// its step the tag's or the most frequent spacing of its history, its digest that of the bytes as they arrived.
///
/// # Errors
/// [`Error::Corrupt`] when `model_pr` is not what Prophet's `model_to_json` writes.
pub(super) fn metadata(
    what: &str,
    series: SeriesName,
    tags: &[&[Tag]],
    model_pr: &[u8],
    created: Timestamp,
) -> Result<Metadata> {
    let corrupt = |reason: String| Error::Corrupt {
        what: format!("model.pr of {what}"),
        reason,
    };
    let text: String =
        serde_json::from_slice(model_pr).map_err(|error| corrupt(error.to_string()))?;
    let dict: Dict = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
    let times: Times = serde_json::from_str(&dict.history_dates)
        .map_err(|error| corrupt(format!("history_dates: {error}")))?;
    let mut walls = times
        .data
        .iter()
        .map(|text| wall(text))
        .collect::<Option<Vec<i64>>>()
        .ok_or_else(|| corrupt("history_dates holds what is no time".to_owned()))?;
    walls.sort_unstable();
    let last = *walls
        .last()
        .ok_or_else(|| corrupt("history_dates is empty".to_owned()))?;
    let said = |key: &str| tags.iter().find_map(|tags| tag(tags, key));
    let mut described = Series::new(series);
    if let Some(step) = said(STEP)
        .and_then(|step| step.parse().ok())
        .filter(|step| *step > 0)
        .or_else(|| spacing(&walls))
    {
        described.step_seconds = step;
    }
    described.unit = said(UNIT).and_then(|unit| unit.parse::<Unit>().ok());
    if let Some(zone) = said(TIME_ZONE).and_then(|zone| zone.parse().ok()) {
        described.zone = zone;
    }
    for tags in tags.iter().rev() {
        let labels = tags
            .iter()
            .filter_map(|tag| Some((tag.key.strip_prefix(LABEL)?.to_owned(), tag.value.clone())));
        Arc::make_mut(&mut described.labels).extend(labels);
    }
    let cutoff = Timestamp::from_second(described.zone.to_instant(last))
        .map_err(|error| corrupt(format!("history_dates: {error}")))?;
    Ok(Metadata {
        schema: METADATA_SCHEMA,
        sha256: sha256_hex(model_pr),
        size_bytes: model_pr.len() as u64,
        series: described,
        cutoff,
        trained_at: created,
        rows: walls.len() as u64,
        scores: None,
        trainer_version: format!("prophet {}", dict.version.as_deref().unwrap_or("unknown")),
        data_sha256: String::new(),
        spec: None,
        verdict: None,
        clamps: None,
        band_calibration: None,
        correction: None,
        peak: None,
    })
}

/// Seconds of the wall clock; pandas before 2 put a `Z` behind.
fn wall(text: &str) -> Option<i64> {
    let time: DateTime = text.trim_end_matches('Z').parse().ok()?;
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_second())
}

/// The most frequent distance of neighbours; of equally frequent ones the shortest.
fn spacing(walls: &[i64]) -> Option<u32> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for pair in walls.windows(2) {
        *counts.entry(pair[1] - pair[0]).or_default() += 1;
    }
    counts.remove(&0);
    let (step, _) = counts.into_iter().rev().max_by_key(|(_, count)| *count)?;
    u32::try_from(step).ok()
}
