//! From schema 1, which kept the models in `models.seg`: `[length u32 LE][facts as JSON][model.pr]` in each record.

use std::path::Path;

use loadcast_model::series::SeriesName;
use serde::Deserialize;

use crate::{
    error::Result,
    state::{
        SCHEMA, SEGMENT,
        model_record::{ModelRecord, StoredFacts, StoredModel},
        read_header,
        record::scan,
        remove_file,
        segment::Segment,
        write_header,
    },
};

/// The file that held the models.
const OLD_SEGMENT: &str = "models.seg";

/// The JSON part of a record of schema 1.
#[derive(Deserialize)]
struct OldHead {
    revision: u64,
    series: SeriesName,
    facts: Option<StoredFacts>,
}

/// Brings `folder` to the present schema. Killed at any point it begins again: the old file goes last.
///
/// # Errors
/// [`Error::State`] when a file cannot be read or written.
pub(super) fn upgrade(folder: &Path) -> Result<()> {
    let old = folder.join(OLD_SEGMENT);
    let Some(header) = read_header(folder)? else {
        return Ok(());
    };
    if header.schema < SCHEMA {
        tracing::info!(folder = %folder.display(), from = header.schema, to = SCHEMA, "upgrading the state directory");
        let fresh = folder.join(SEGMENT);
        remove_file(&fresh)?;
        let (mut segment, _) = Segment::open(&fresh, u64::MAX)?;
        if old.exists() {
            let mut records = Vec::new();
            let extent = scan(&old, |_, payload| {
                records.push(decode(payload)?);
                Ok(())
            })?;
            if extent.damaged {
                tracing::error!(path = %old.display(), "some models are damaged; they are left to the registry");
            }
            segment.append(&records)?;
        }
        write_header(folder, header.epoch)?;
    }
    remove_file(&old)
}

fn decode(payload: &[u8]) -> std::result::Result<ModelRecord, String> {
    let (length, rest) = payload.split_first_chunk().ok_or("no length")?;
    let (head, model_pr) = rest
        .split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or("the length exceeds the record")?;
    let head: OldHead = serde_json::from_slice(head).map_err(|error| error.to_string())?;
    Ok(ModelRecord {
        revision: head.revision,
        series: head.series,
        // A model.pr is read like the JSON that it holds.
        model: head.facts.map(|facts| StoredModel {
            facts,
            model_json: model_pr.to_vec(),
        }),
    })
}
