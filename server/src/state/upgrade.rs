//! From earlier schemas, which kept the models as JSON. Each lies in a file of a name of its own:
//!
//! ```text
//! 1  models.seg   [length of the head u32 LE][head as JSON][model.pr] in each record
//! 2  models.bin   as now, with facts and Prophet's `model_to_dict` as JSON
//! ```

use std::path::Path;

use loadcast_model::{
    artifact::{decode_model_pr, encode_parameters},
    series::SeriesName,
};
use serde::Deserialize;

use crate::{
    error::Result,
    state::{
        SCHEMA, SEGMENT,
        model_record::{Head, ModelRecord, StoredFacts, StoredModel, parts, unpack},
        read_header,
        record::scan,
        remove_file,
        segment::Segment,
        write_header,
    },
};

/// What reads a record; the error is for the log.
type Decode = fn(&[u8]) -> std::result::Result<ModelRecord, String>;

/// The schemas that are read, the file of each, and what reads its records.
const EARLIER: [(u32, &str, Decode); 2] = [
    (1, "models.seg", decode_schema_1),
    (2, "models.bin", decode_schema_2),
];

/// Brings `folder` to the present schema. Killed at any point it begins again: the old file goes last.
///
/// # Errors
/// [`Error::State`](crate::error::Error::State) when a file cannot be read or written.
pub(super) fn upgrade(folder: &Path) -> Result<()> {
    let Some(header) = read_header(folder)? else {
        return Ok(());
    };
    if header.schema < SCHEMA {
        tracing::info!(folder = %folder.display(), from = header.schema, to = SCHEMA, "upgrading the state directory");
        let fresh = folder.join(SEGMENT);
        remove_file(&fresh)?;
        let (mut segment, _) = Segment::open(&fresh, u64::MAX)?;
        for (_, file, decode) in EARLIER
            .iter()
            .filter(|(schema, ..)| *schema == header.schema)
        {
            let old = folder.join(file);
            if old.exists() {
                segment.append(&read(&old, *decode)?)?;
            }
        }
        write_header(folder, header.epoch)?;
    }
    for (_, file, _) in EARLIER {
        remove_file(&folder.join(file))?;
    }
    Ok(())
}

/// Every record of `old`, in memory for this once.
fn read(old: &Path, decode: Decode) -> Result<Vec<ModelRecord>> {
    let mut records = Vec::new();
    let extent = scan(old, |_, payload| {
        records.push(decode(payload)?);
        Ok(())
    })?;
    if extent.damaged {
        tracing::error!(path = %old.display(), "some models are damaged; they are left to the registry");
    }
    Ok(records)
}

/// The head of a record of schema 1.
#[derive(Deserialize)]
struct OldHead {
    revision: u64,
    series: SeriesName,
    facts: Option<StoredFacts>,
}

fn decode_schema_1(payload: &[u8]) -> std::result::Result<ModelRecord, String> {
    let (head, model_pr) = parts(payload)?;
    let OldHead {
        revision,
        series,
        facts,
    } = serde_json::from_slice(head).map_err(|error| error.to_string())?;
    Ok(ModelRecord {
        revision,
        model: facts.and_then(|facts| stored(&series, facts, model_pr)),
        series,
    })
}

fn decode_schema_2(payload: &[u8]) -> std::result::Result<ModelRecord, String> {
    let (head, body) = Head::split(payload)?;
    let mut model = None;
    if head.is_served {
        let body = unpack(body)?;
        let (facts, model_json) = parts(&body)?;
        let facts = serde_json::from_slice(facts).map_err(|error| error.to_string())?;
        model = stored(&head.series, facts, model_json);
    }
    Ok(ModelRecord {
        revision: head.revision,
        series: head.series,
        model,
    })
}

/// The model as it is kept now. One that cannot be read is told of, and counts as one that is served no more: what was
/// served before it must not come back.
fn stored(series: &SeriesName, facts: StoredFacts, model_pr: &[u8]) -> Option<StoredModel> {
    let parameters = decode_model_pr(model_pr).and_then(|model| encode_parameters(&model));
    let parameters = parameters
        .inspect_err(|error| {
            tracing::error!(%series, %error, "a remembered model cannot be served; it is left to the registry");
        })
        .ok()?;
    Some(StoredModel { facts, parameters })
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

    /// A directory as an earlier build wrote it: one series, served at revision 1.
    fn directory_of(schema: u32, folder: &Path, epoch: Uuid) {
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
            correction: None,
            peak: None,
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
        let facts = StoredFacts {
            version: 3,
            alias: "champion".to_owned(),
            previous_version: 2,
            served_since: Timestamp::UNIX_EPOCH,
            metadata,
        };
        let (file, model) = match schema {
            1 => {
                let head = serde_json::json!({"revision": 1, "series": "web.cpu", "facts": facts});
                ("models.seg", behind_length(head.to_string(), &model_pr))
            }
            _ => {
                let json: String = serde_json::from_slice(&model_pr).unwrap();
                let facts = serde_json::to_string(&facts).unwrap();
                let body = lz4_flex::compress_prepend_size(&behind_length(facts, json.as_bytes()));
                let head = [&1_u64.to_le_bytes(), [7].as_slice(), b"web.cpu"].concat();
                ("models.bin", [head, body].concat())
            }
        };
        let header = format!(r#"{{"schema":{schema},"epoch":"{epoch}"}}"#);
        fs::write(folder.join("state.json"), header).unwrap();
        fs::write(folder.join("events.log"), record(&event.encode().unwrap())).unwrap();
        fs::write(folder.join(file), record(&model)).unwrap();
    }

    fn behind_length(head: String, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(head.len()).unwrap().to_le_bytes();
        [&length, head.as_bytes(), rest].concat()
    }

    #[test]
    fn a_directory_of_an_earlier_schema_is_served_as_it_was_and_only_once_upgraded() {
        for (schema, file, _) in EARLIER {
            let folder = tempfile::tempdir().unwrap();
            let epoch = Uuid::from_u128(5);
            directory_of(schema, folder.path(), epoch);
            for _ in 0..2 {
                let cache = Cache::open(folder.path(), Clock::system()).unwrap();
                let served = cache.get(&"web.cpu".parse().unwrap()).unwrap();
                assert_eq!((served.version, served.previous_version), (3, 2));
                assert_eq!((cache.state().epoch, cache.state().revision), (epoch, 1));
                assert_eq!(served.loaded.metadata().sha256, "ab".repeat(32));
                assert!(!folder.path().join(file).exists());
            }
        }
    }

    #[test]
    fn a_model_that_cannot_be_read_is_served_no_more_and_what_was_before_it_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        directory_of(2, folder.path(), Uuid::nil());
        let path = folder.path().join("models.bin");
        let bytes = fs::read(&path).unwrap();
        let mut model = decode_schema_2(&bytes[8..]).unwrap().model.unwrap();
        model.facts.version = 4;
        let facts = serde_json::to_string(&model.facts).unwrap();
        let body = lz4_flex::compress_prepend_size(&behind_length(facts, b"{}"));
        let later = [&bytes[8..24], body.as_slice()].concat();
        fs::write(&path, [bytes, record(&later)].concat()).unwrap();
        let cache = Cache::open(folder.path(), Clock::system()).unwrap();
        assert!(cache.get(&"web.cpu".parse().unwrap()).is_none());
        assert_eq!(cache.state().revision, 1);
    }

    #[test]
    fn an_upgrade_killed_before_its_header_begins_again() {
        for (schema, ..) in EARLIER {
            let folder = tempfile::tempdir().unwrap();
            directory_of(schema, folder.path(), Uuid::nil());
            fs::write(folder.path().join(SEGMENT), "half").unwrap();
            let cache = Cache::open(folder.path(), Clock::system()).unwrap();
            assert!(cache.get(&"web.cpu".parse().unwrap()).is_some());
        }
    }
}
