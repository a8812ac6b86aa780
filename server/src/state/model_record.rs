//! One served model as `models.seg` keeps it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loadcast_model::{artifact::Metadata, series::SeriesName};
use serde::{Deserialize, Serialize};

use crate::state::record::Record;

/// A series began to be served, or stopped.
#[derive(Debug, Clone)]
pub struct ModelRecord {
    /// The revision of the change.
    pub revision: u64,
    /// The series.
    pub series: SeriesName,
    /// What is served from then on; `None` after a removal.
    pub model: Option<StoredModel>,
}

/// What it takes to serve a version again.
#[derive(Debug, Clone)]
pub struct StoredModel {
    /// Facts about the version.
    pub facts: StoredFacts,
    /// The model without its history, encoded as model.pr. Its digest is not the artifact's: that is in the facts.
    pub model_pr: Vec<u8>,
}

/// Facts about a served version that are not in the model itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredFacts {
    /// The registry's number.
    pub version: u64,
    /// The alias it is served by.
    pub alias: String,
    /// The version served before; 0 for none.
    pub previous_version: u64,
    /// Since when it is served.
    pub served_since: Timestamp,
    /// The content of loadcast.json, with the digest and size of the artifact as it was pushed.
    pub metadata: Metadata,
}

/// The JSON part of a record.
#[derive(Serialize, Deserialize)]
struct Head {
    revision: u64,
    series: SeriesName,
    facts: Option<StoredFacts>,
}

/// Payload: `[length of the JSON part u32 LE][JSON part][model.pr]`.
impl Record for ModelRecord {
    fn encode(&self) -> Result<Vec<u8>, String> {
        let head = Head {
            revision: self.revision,
            series: self.series.clone(),
            facts: self.model.as_ref().map(|model| model.facts.clone()),
        };
        let head = serde_json::to_vec(&head).map_err(|error| error.to_string())?;
        let length = u32::try_from(head.len()).map_err(|error| error.to_string())?;
        let mut payload = length.to_le_bytes().to_vec();
        payload.extend_from_slice(&head);
        if let Some(model) = &self.model {
            payload.extend_from_slice(&model.model_pr);
        }
        Ok(payload)
    }

    fn decode(payload: &[u8]) -> Result<Self, String> {
        let (length, rest) = payload.split_first_chunk().ok_or("no length")?;
        let (head, model_pr) = rest
            .split_at_checked(u32::from_le_bytes(*length) as usize)
            .ok_or("the length exceeds the record")?;
        let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
        Ok(Self {
            revision: head.revision,
            series: head.series,
            model: head.facts.map(|facts| StoredModel {
                facts,
                model_pr: model_pr.to_vec(),
            }),
        })
    }
}

/// The last record of each series, without the removed ones, ascending by revision.
pub fn last_of_each_series(records: impl Iterator<Item = ModelRecord>) -> Vec<ModelRecord> {
    let mut last = BTreeMap::new();
    for record in records {
        last.insert(record.series.clone(), record);
    }
    let mut live: Vec<_> = last
        .into_values()
        .filter(|record| record.model.is_some())
        .collect();
    live.sort_by_key(|record| record.revision);
    live
}
