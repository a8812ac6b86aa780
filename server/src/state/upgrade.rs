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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use jiff::Timestamp;
    use loadcast_model::{
        artifact::{METADATA_SCHEMA, Metadata, encode_model_pr},
        fit::fit,
        history::History,
        series::Series,
        spec::Spec,
    };
    use uuid::Uuid;

    use super::*;
    use crate::{
        cache::Cache,
        clock::Clock,
        event::{Event, EventKind},
        state::record::{Record as _, head_of},
    };

    fn record(payload: &[u8]) -> Vec<u8> {
        [&head_of(payload).unwrap(), payload].concat()
    }

    /// A directory as the build before wrote it: one series, served at revision 1.
    fn directory_of_schema_1(folder: &Path, epoch: Uuid) {
        let history = History::new((0..50).map(|i| i * 300).collect(), vec![7.0; 50]).unwrap();
        let model_pr = encode_model_pr(&fit(&Spec::default(), &history).unwrap().model).unwrap();
        let metadata = Metadata {
            schema: METADATA_SCHEMA,
            sha256: "ab".repeat(32),
            size_bytes: 9,
            series: Series::new("web.cpu".parse().unwrap()),
            cutoff: Timestamp::UNIX_EPOCH,
            trained_at: Timestamp::UNIX_EPOCH,
            rows: 50,
            scores: None,
            trainer_version: "test".to_owned(),
            data_sha256: String::new(),
            spec: None,
            verdict: None,
            clamps: None,
            band_calibration: None,
        };
        let event = Event {
            revision: 1,
            at: Timestamp::UNIX_EPOCH,
            traceparent: String::new(),
            kind: EventKind::Served {
                series: "web.cpu".parse().unwrap(),
                labels: Default::default(),
                version: 3,
                previous_version: 2,
                sha256: metadata.sha256.clone(),
                alias: "champion".to_owned(),
                scores: None,
            },
        };
        let head = serde_json::json!({
            "revision": 1,
            "series": "web.cpu",
            "facts": StoredFacts {
                version: 3,
                alias: "champion".to_owned(),
                previous_version: 2,
                served_since: Timestamp::UNIX_EPOCH,
                metadata,
            },
        });
        let head = head.to_string().into_bytes();
        let length = u32::try_from(head.len()).unwrap().to_le_bytes();
        let model = [&length, head.as_slice(), &model_pr].concat();
        let header = format!(r#"{{"schema":1,"epoch":"{epoch}"}}"#);
        fs::write(folder.join("state.json"), header).unwrap();
        fs::write(folder.join("events.log"), record(&event.encode().unwrap())).unwrap();
        fs::write(folder.join(OLD_SEGMENT), record(&model)).unwrap();
    }

    #[test]
    fn a_directory_of_schema_1_is_served_as_it_was_and_only_once_upgraded() {
        let folder = tempfile::tempdir().unwrap();
        let epoch = Uuid::from_u128(5);
        directory_of_schema_1(folder.path(), epoch);
        for _ in 0..2 {
            let cache = Cache::open(folder.path(), Clock::system()).unwrap();
            let served = cache.get(&"web.cpu".parse().unwrap()).unwrap();
            assert_eq!((served.version, served.previous_version), (3, 2));
            assert_eq!((cache.state().epoch, cache.state().revision), (epoch, 1));
            assert_eq!(served.loaded.metadata().sha256, "ab".repeat(32));
            assert!(!folder.path().join(OLD_SEGMENT).exists());
        }
    }

    #[test]
    fn an_upgrade_killed_before_its_header_begins_again() {
        let folder = tempfile::tempdir().unwrap();
        directory_of_schema_1(folder.path(), Uuid::nil());
        fs::write(folder.path().join(SEGMENT), "half").unwrap();
        let cache = Cache::open(folder.path(), Clock::system()).unwrap();
        assert!(cache.get(&"web.cpu".parse().unwrap()).is_some());
    }
}
