//! The header of a push, and reports of rejections, on their way in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loadcast_model::{
    artifact::{Clamps, METADATA_SCHEMA, Metadata},
    score::Scores,
    series::{Series, SeriesName, ZeroMeans},
    spec::Spec,
    zone::Zone,
};
use loadcast_proto::v1 as pb;

use crate::{
    error::{Error, Result},
    event::Reason,
    grpc::convert::{question, step_in, timestamp_in},
};

/// The longest idempotency key.
const MAX_KEY_BYTES: usize = 128;

/// The most labels, tags or reasons, and the longest value of one.
const MAX_ENTRIES: usize = 64;
const MAX_VALUE_BYTES: usize = 4_096;

/// The longest spec.
const MAX_SPEC_BYTES: usize = 256 * 1024;

/// A checked header.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) metadata: Metadata,
    pub(crate) key: String,
    pub(crate) alias: Option<String>,
    pub(crate) expected_version: Option<u64>,
    pub(crate) activate_at: Option<Timestamp>,
}

/// A header on its way in.
pub(crate) fn header(wire: pb::PushHeader) -> Result<Header> {
    let verdict = match wire.verdict() {
        pb::Verdict::Unspecified => None,
        pb::Verdict::Promote => Some("PROMOTE".to_owned()),
        pb::Verdict::CandidateOnly => Some("CANDIDATE_ONLY".to_owned()),
        pb::Verdict::Reject => {
            return Err(Error::invalid(
                "header.verdict",
                "a rejected model is not pushed; tell of it with ReportRejection",
            ));
        }
    };
    if !wire.tags.is_empty() {
        return Err(Error::Unsupported {
            feature: "header.tags".to_owned(),
            description: "the embedded registry keeps no tags; leave them out".to_owned(),
        });
    }
    let band_calibration = declared("header.band_calibration_json", &wire.band_calibration_json)?;
    let correction = declared("header.correction_json", &wire.correction_json)?;
    let peak = declared("header.peak_json", &wire.peak_json)?;
    let instant = |field: &str, wire: Option<&prost_types::Timestamp>| match wire {
        Some(wire) => timestamp_in(field, wire),
        None => Err(Error::invalid(field, "not set; give an instant")),
    };
    let cutoff = instant("header.cutoff", wire.cutoff.as_ref())?;
    let trained_at = instant("header.trained_at", wire.trained_at.as_ref())?;
    let series = series(wire.series.unwrap_or_default())?;
    let spec = spec(&wire.spec_json)?;
    let clamps = question::clamps("header.clamps", wire.clamps)?;
    let alias = match wire.alias.as_str() {
        "" => None,
        alias => Some(question::series_name("header.alias", alias)?.to_string()),
    };
    if alias.is_none() && wire.expected_version.is_some() {
        return Err(Error::invalid(
            "header.expected_version",
            "set without an alias; name the alias that it is the version of",
        ));
    }
    Ok(Header {
        key: key(wire.idempotency_key)?,
        alias,
        expected_version: wire.expected_version,
        activate_at: wire
            .activate_at
            .as_ref()
            .map(|at| timestamp_in("header.activate_at", at))
            .transpose()?,
        metadata: Metadata {
            schema: METADATA_SCHEMA,
            sha256: sha256("header.sha256", wire.sha256)?,
            size_bytes: wire.size_bytes,
            series,
            cutoff,
            trained_at,
            rows: wire.rows,
            scores: wire
                .scores
                .map(|wire| scores("header.scores", wire))
                .transpose()?,
            trainer_version: bounded("header.trainer_version", wire.trainer_version)?,
            data_sha256: bounded("header.data_sha256", wire.data_sha256)?,
            spec,
            verdict,
            clamps: (clamps != Clamps::default()).then_some(clamps),
            band_calibration,
            correction,
            peak,
        },
    })
}

fn series(wire: pb::Series) -> Result<Series> {
    let zero_means = match wire.zero_means() {
        pb::ZeroMeans::Unspecified | pb::ZeroMeans::Value => ZeroMeans::Value,
        pb::ZeroMeans::Missing => ZeroMeans::Missing,
    };
    let step = wire
        .step
        .as_ref()
        .ok_or_else(|| Error::invalid("header.series.step", "not set; give for example 300s"))?;
    let unit = match wire.unit.as_str() {
        "" => None,
        unit => Some(unit.parse().map_err(|_| {
            Error::invalid(
                "header.series.unit",
                format!(
                    "{unit:?} is not a unit; use cores, bytes, 1/s, percent, 1, or leave it out"
                ),
            )
        })?),
    };
    let zone = match wire.time_zone.as_str() {
        "" => Zone::utc(),
        zone => zone
            .parse()
            .map_err(|error: loadcast_model::error::Error| {
                Error::invalid("header.series.time_zone", error.to_string())
            })?,
    };
    let predecessor = match wire.predecessor.as_str() {
        "" => None,
        name => Some(question::series_name("header.series.predecessor", name)?),
    };
    Ok(Series {
        name: question::series_name("header.series.name", &wire.name)?,
        labels: labels("header.series.labels", wire.labels)?.into(),
        unit,
        step_seconds: step_in("header.series.step", step)?,
        zone,
        zero_means,
        predecessor,
    })
}

fn labels(field: &str, labels: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if labels.len() > MAX_ENTRIES {
        return Err(Error::invalid(
            field,
            format!("{} entries; at most {MAX_ENTRIES}", labels.len()),
        ));
    }
    for (key, value) in &labels {
        if key.is_empty() || key.len() > MAX_VALUE_BYTES || value.len() > MAX_VALUE_BYTES {
            return Err(Error::invalid(
                field,
                format!("keys have 1 to {MAX_VALUE_BYTES} bytes, values at most {MAX_VALUE_BYTES}"),
            ));
        }
    }
    Ok(labels)
}

/// What loadcast.json carries under a name of its own; empty is nothing.
fn declared<T: serde::de::DeserializeOwned>(field: &str, json: &str) -> Result<Option<T>> {
    if json.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(json).map(Some).map_err(|error| {
        Error::invalid(
            field,
            format!("{error}; send what loadcast.json carries, or leave it out"),
        )
    })
}

fn spec(json: &str) -> Result<Option<Spec>> {
    if json.len() > MAX_SPEC_BYTES {
        return Err(Error::invalid(
            "header.spec_json",
            format!("{} bytes; at most {MAX_SPEC_BYTES}", json.len()),
        ));
    }
    if json.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(json)
        .map(Some)
        .map_err(|error| Error::invalid("header.spec_json", error.to_string()))
}

fn key(key: String) -> Result<String> {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !visible {
        return Err(Error::invalid(
            "header.idempotency_key",
            format!(
                "give 1 to {MAX_KEY_BYTES} visible ASCII characters, for example the hash of data and spec"
            ),
        ));
    }
    Ok(key)
}

/// A SHA-256 on its way in.
pub(crate) fn sha256(field: &str, text: String) -> Result<String> {
    let right = text.len() == 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if right {
        Ok(text)
    } else {
        Err(Error::invalid(
            field,
            "not a SHA-256; give 64 lower-case hexadecimal digits",
        ))
    }
}

fn bounded(field: &str, text: String) -> Result<String> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(Error::invalid(
            field,
            format!("{} bytes; at most {MAX_VALUE_BYTES}", text.len()),
        ));
    }
    Ok(text)
}

/// Scores on their way in.
fn scores(field: &str, wire: pb::Scores) -> Result<Scores> {
    let horizon_seconds = wire.horizon.as_ref().map(|horizon| horizon.seconds);
    let numbers = [
        ("mae", wire.mae),
        ("rmse", wire.rmse),
        ("smape", wire.smape),
        ("mase", wire.mase),
        ("coverage", wire.coverage),
        ("winkler", wire.winkler),
        ("seasonal_naive_mase", wire.seasonal_naive_mase),
        ("skill", wire.skill),
    ];
    for (name, number) in numbers {
        if number.is_some_and(|number| !number.is_finite()) {
            return Err(Error::invalid(
                format!("{field}.{name}"),
                "not a finite number; leave out what was not measured",
            ));
        }
    }
    Ok(Scores {
        mae: wire.mae,
        rmse: wire.rmse,
        smape: wire.smape,
        mase: wire.mase,
        coverage: wire.coverage,
        winkler: wire.winkler,
        seasonal_naive_mase: wire.seasonal_naive_mase,
        skill: wire.skill,
        origins: wire.origins,
        horizon_seconds,
    })
}

/// A reported rejection, checked.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) series: SeriesName,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) scores: Option<Scores>,
    pub(crate) sha256: String,
}

/// A report on its way in.
pub(crate) fn report(wire: pb::ReportRejectionRequest) -> Result<Report> {
    if wire.reasons.is_empty() || wire.reasons.len() > MAX_ENTRIES {
        return Err(Error::invalid(
            "reasons",
            format!("give 1 to {MAX_ENTRIES} reasons why the candidate was refused"),
        ));
    }
    let reasons =
        wire.reasons
            .into_iter()
            .enumerate()
            .map(|(i, reason)| {
                let is_code = !reason.code.is_empty()
                    && reason.code.bytes().all(|byte| {
                        byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
                    });
                if !is_code {
                    return Err(Error::invalid(
                        format!("reasons[{i}].code"),
                        "give an upper-case code, for example SKILL",
                    ));
                }
                let message = bounded(&format!("reasons[{i}].message"), reason.message)?;
                let code = bounded(&format!("reasons[{i}].code"), reason.code)?;
                Ok(Reason { code, message })
            })
            .collect::<Result<_>>()?;
    Ok(Report {
        series: question::series_name("series", &wire.series)?,
        reasons,
        scores: wire.scores.map(|wire| scores("scores", wire)).transpose()?,
        sha256: match wire.artifact_sha256 {
            text if text.is_empty() => text,
            text => sha256("artifact_sha256", text)?,
        },
    })
}

/// The announcement of an attachment on its way in: its name, media type, size and digest.
pub(crate) fn attachment(wire: &pb::AttachmentHeader) -> Result<()> {
    question::series_name("attachment.name", &wire.name).map_err(|_| {
        Error::invalid(
            "attachment.name",
            "give a file name without directories: letters, digits, dot, dash and underscore, at most 128",
        )
    })?;
    bounded("attachment.media_type", wire.media_type.clone())?;
    sha256("attachment.sha256", wire.sha256.clone()).map(drop)
}
