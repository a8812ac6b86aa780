//! One served model as the parameter segment keeps it.

use jiff::Timestamp;
use loadcast_model::{artifact::Metadata, series::SeriesName};
use serde::{Deserialize, Serialize};

use crate::state::record::Record;

/// The longest body that is believed, unpacked.
const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// A series began to be served, or stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecord {
    /// The revision of the change.
    pub revision: u64,
    /// The series.
    pub series: SeriesName,
    /// What is served from then on; `None` after a removal.
    pub model: Option<StoredModel>,
}

/// What it takes to serve a version again.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredModel {
    /// Facts about the version.
    pub facts: StoredFacts,
    /// The model without its history, as `artifact::encode_parameters` writes it.
    pub parameters: Vec<u8>,
}

/// Facts about a served version that are not in the model itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// The beginning of a record, which says whose it is without unpacking the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The revision of the change.
    pub revision: u64,
    /// The series.
    pub series: SeriesName,
    /// False for a removal.
    pub is_served: bool,
}

/// Payload: `[revision u64 LE][length of the name u8][name][body]`; the body is empty after a removal, else the LZ4 block
/// of `[length of the facts u32 LE][facts][parameters]`, both as MessagePack, behind its unpacked length, u32 LE.
impl Record for ModelRecord {
    fn encode(&self) -> Result<Vec<u8>, String> {
        let name = self.series.as_ref().as_bytes();
        let length = u8::try_from(name.len()).map_err(|error| error.to_string())?;
        let mut payload = self.revision.to_le_bytes().to_vec();
        payload.push(length);
        payload.extend_from_slice(name);
        if let Some(model) = &self.model {
            let facts = rmp_serde::to_vec_named(&model.facts).map_err(|error| error.to_string())?;
            let length = u32::try_from(facts.len()).map_err(|error| error.to_string())?;
            let body = [&length.to_le_bytes(), facts.as_slice(), &model.parameters].concat();
            payload.extend_from_slice(&lz4_flex::compress_prepend_size(&body));
        }
        Ok(payload)
    }

    fn decode(payload: &[u8]) -> Result<Self, String> {
        let (
            Head {
                revision, series, ..
            },
            body,
        ) = Head::split(payload)?;
        Ok(Self {
            revision,
            series,
            model: (!body.is_empty()).then(|| stored(body)).transpose()?,
        })
    }
}

impl Head {
    /// The head of a payload, and the body behind it.
    ///
    /// # Errors
    /// A message for the log.
    pub fn split(payload: &[u8]) -> Result<(Self, &[u8]), String> {
        let split = || {
            let (revision, rest) = payload.split_first_chunk()?;
            let (&length, rest) = rest.split_first()?;
            let (name, body) = rest.split_at_checked(usize::from(length))?;
            Some((u64::from_le_bytes(*revision), name, body))
        };
        let (revision, name, body) = split().ok_or("it ends within its head")?;
        let name = std::str::from_utf8(name).map_err(|error| error.to_string())?;
        let series = name
            .parse()
            .map_err(|error: loadcast_model::error::Error| error.to_string())?;
        let head = Self {
            revision,
            series,
            is_served: !body.is_empty(),
        };
        Ok((head, body))
    }
}

fn stored(body: &[u8]) -> Result<StoredModel, String> {
    let unpacked = unpack(body)?;
    let (facts, parameters) = parts(&unpacked)?;
    Ok(StoredModel {
        facts: rmp_serde::from_slice(facts).map_err(|error| error.to_string())?,
        parameters: parameters.to_vec(),
    })
}

/// What an LZ4 block holds that follows its own unpacked length.
///
/// # Errors
/// A message for the log.
pub(super) fn unpack(body: &[u8]) -> Result<Vec<u8>, String> {
    let (length, block) =
        lz4_flex::block::uncompressed_size(body).map_err(|error| error.to_string())?;
    if length > MAX_BODY_BYTES {
        return Err(format!("a body of {length} bytes"));
    }
    lz4_flex::decompress(block, length).map_err(|error| error.to_string())
}

/// The facts and what follows them, behind the length of the facts.
///
/// # Errors
/// A message for the log.
pub(super) fn parts(body: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let (length, rest) = body.split_first_chunk().ok_or("no length of the facts")?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
        .ok_or_else(|| "the facts exceed the record".to_owned())
}
