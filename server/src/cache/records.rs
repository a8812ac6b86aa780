//! What the segment keeps of what is served, and back.

use std::{collections::HashMap, sync::Arc};

use loadcast_model::{
    artifact,
    series::{Labels, SeriesName},
};

use crate::{
    error::{Error, Result},
    event::{Event, EventKind},
    load::Loaded,
    served::{Change, Served, State},
    state::{
        Remembers,
        model_record::{ModelRecord, StoredFacts, StoredModel},
    },
};

/// A remembered model as it was served. One that cannot be served any more is told of and left to the registry. What
/// events `told` of its series is not kept twice.
pub(super) fn remembered(
    record: ModelRecord,
    told: &HashMap<&SeriesName, &Labels>,
) -> Option<Served> {
    let StoredModel {
        mut facts,
        parameters,
    } = record.model?;
    if let Some((name, labels)) = told.get_key_value(&record.series) {
        let series = &mut facts.metadata.series;
        series.name = (*name).clone();
        if series.labels == **labels {
            series.labels = Arc::clone(labels);
        }
    }
    let loaded = Loaded::restore(facts.metadata, &parameters)
        .inspect_err(|error| {
            tracing::error!(series = %record.series, %error, "a remembered model cannot be served");
        })
        .ok()?;
    Some(Served {
        loaded: Arc::new(loaded),
        version: facts.version,
        alias: facts.alias,
        previous_version: facts.previous_version,
        revision: record.revision,
        served_since: facts.served_since,
    })
}

/// The model of a `Serve` as the segment keeps it.
pub(super) fn parameters(change: &Change) -> Result<Option<Vec<u8>>> {
    match change {
        Change::Serve { loaded, .. } => encode(loaded).map(Some),
        _ => Ok(None),
    }
}

fn encode(loaded: &Loaded) -> Result<Vec<u8>> {
    artifact::encode_parameters(loaded.forecaster().model())
        .map_err(|error| Error::Internal(format!("a served model cannot be written: {error}")))
}

/// What the segment must remember of `event`, whose outcome is `after`.
pub(super) fn model_record(
    after: &State,
    event: &Event,
    parameters: Option<Vec<u8>>,
) -> Option<ModelRecord> {
    let (EventKind::Served { series, .. } | EventKind::Removed { series, .. }) = &event.kind else {
        return None;
    };
    let served = after
        .entries
        .get(series)
        .and_then(|entry| entry.served.as_deref());
    let model = served
        .zip(parameters)
        .map(|(served, parameters)| stored(served, parameters));
    Some(ModelRecord {
        revision: event.revision,
        series: series.clone(),
        model,
    })
}

/// The record of what is served, as it was when it began to be.
fn record_of(served: &Served) -> Result<ModelRecord> {
    Ok(ModelRecord {
        revision: served.revision,
        series: served.loaded.metadata().series.name.clone(),
        model: Some(stored(served, encode(&served.loaded)?)),
    })
}

/// What the segment must remember of `state` beyond what it `remembers`.
pub(super) fn records_after(
    state: &State,
    remembers: Remembers,
) -> impl Iterator<Item = Result<ModelRecord>> + '_ {
    state.entries.iter().filter_map(move |(series, entry)| {
        match entry.served.as_deref() {
            Some(served) => {
                let is_kept = match remembers {
                    Remembers::Everything => true,
                    Remembers::UpTo(revision) => served.revision <= revision,
                    Remembers::Nothing => false,
                };
                (!is_kept).then(|| record_of(served))
            }
            // When it was removed is not known: remembered again in any case.
            None => entry.removed.is_some().then(|| {
                Ok(ModelRecord {
                    revision: state.revision,
                    series: series.clone(),
                    model: None,
                })
            }),
        }
    })
}

fn stored(served: &Served, parameters: Vec<u8>) -> StoredModel {
    StoredModel {
        facts: StoredFacts {
            version: served.version,
            alias: served.alias.clone(),
            previous_version: served.previous_version,
            served_since: served.served_since,
            metadata: served.loaded.metadata().clone(),
        },
        parameters,
    }
}
