//! A model that stage 4 approved: in this process, or in another, by the word of the chain of its stages
//! ([`crate::handover`]). It cannot be claimed by hand, because its fields are private:
//!
//! ```compile_fail,E0451
//! use bytes::Bytes;
//! use loadcast_trainer::push::validated::Validated;
//!
//! fn forge(model_pr: Bytes, validated: Validated) -> Validated {
//!     Validated { model_pr, ..validated }
//! }
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_client::{Attachment, Push, Verdict};
use loadcast_model::artifact::{Metadata, sha256_hex};
use loadcast_model::series::Series;
use serde::{Deserialize, Serialize};

use super::{CANDIDATE, REPORT, TRAINER_VERSION, json, message, method};
use crate::error::{Error, Result};
use crate::handover::Handover;
use crate::model_folder;
use crate::page;
use crate::stage::validate_model::{Approved, Conclusion, Reason};

/// The file with what loadcast.json does not say.
const APPROVAL: &str = "approved.json";

/// The file with the part of a page about it.
pub const SECTION: &str = "section.html";

/// What there is to say of a model beside its metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// What was asked for, as the idempotency key has it.
    method: String,
    conclusion: Conclusion,
    reasons: Vec<Reason>,
    movement: Option<f64>,
    /// The version that it was judged beside, 0 for none; `None` where that is not known.
    beside: Option<u64>,
}

/// A model that may be pushed.
#[derive(Debug, Clone)]
pub struct Validated {
    model_pr: Bytes,
    metadata: Metadata,
    approval: Approval,
    section: Option<String>,
}

impl Validated {
    /// What stage 4 of this process approved; `section` is the part of a page about it.
    ///
    /// # Errors
    /// [`Error::Data`] when its last observation is outside the calendar.
    pub fn of(approved: Approved, trained_at: Timestamp) -> Result<Self> {
        Ok(Self {
            metadata: model_folder::metadata(&approved, trained_at)?,
            approval: Approval {
                method: method(approved.method()),
                conclusion: approved.conclusion(),
                reasons: approved.reasons().to_vec(),
                movement: approved.movement(),
                beside: approved.beside(),
            },
            model_pr: approved.into_model_pr().into(),
            section: None,
        })
    }

    /// The same with a part of a page about it, which goes to the registry as a report.
    #[must_use]
    pub fn with_section(self, section: String) -> Self {
        Self {
            section: Some(section),
            ..self
        }
    }

    /// The files by which it is handed over.
    #[must_use]
    pub fn files(&self) -> BTreeMap<&'static str, Bytes> {
        let folder = model_folder::files(&self.model_pr, &self.metadata);
        let section = self.section.clone();
        folder
            .into_iter()
            .chain([(APPROVAL, json(&self.approval).into())])
            .chain(section.map(|section| (SECTION, section.into())))
            .collect()
    }

    /// The model that was handed over.
    ///
    /// # Errors
    /// [`Error::Settings`] when it was not validated; [`Error::Data`] when a file is not the one that was written.
    pub async fn open(handover: &Handover) -> Result<Self> {
        handover.complete()?;
        let model_pr = handover.read("model.pr").await?;
        let metadata = Metadata::decode(&handover.read("loadcast.json").await?);
        let metadata = metadata
            .map_err(|error| Error::of_model(error).of_place(&handover.shown("loadcast.json")))?;
        let approval =
            serde_json::from_slice(&handover.read(APPROVAL).await?).map_err(|error| {
                Error::data(
                    format!(
                        "{} is not what validate-model writes: {error}",
                        handover.shown(APPROVAL)
                    ),
                    "run `loadcast-trainer validate-model` again",
                )
            })?;
        if metadata.sha256 != sha256_hex(&model_pr) || metadata.trainer_version != TRAINER_VERSION {
            return Err(Error::data(
                format!(
                    "{} is of another model, or was written by {}",
                    handover.shown("loadcast.json"),
                    metadata.trainer_version
                ),
                format!("run the stages again, all by {TRAINER_VERSION}"),
            ));
        }
        let section = match handover.wrote(SECTION) {
            true => Some(handover.read(SECTION).await?),
            false => None,
        };
        Ok(Self {
            model_pr,
            metadata,
            approval,
            section: section.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    /// What is forecast.
    #[must_use]
    pub fn series(&self) -> &Series {
        &self.metadata.series
    }

    /// The content of loadcast.json.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The bytes of model.pr.
    #[must_use]
    pub fn model_pr(&self) -> &Bytes {
        &self.model_pr
    }

    /// What is to become of it.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        self.approval.conclusion
    }

    /// Why it is not promoted; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.approval.reasons
    }

    /// By how much, relative to what is served, the next day would move; `None` where that is not known.
    #[must_use]
    pub fn movement(&self) -> Option<f64> {
        self.approval.movement
    }

    /// The version that it was judged beside, 0 for none; `None` where that is not known.
    #[must_use]
    pub fn beside(&self) -> Option<u64> {
        self.approval.beside
    }

    /// Keeps it from being promoted.
    pub fn hold_back(&mut self, reason: Reason) {
        self.section = self
            .section
            .take()
            .map(|section| page::held(&section, &reason));
        self.approval.conclusion = Conclusion::CandidateOnly;
        self.approval.reasons.push(reason);
    }

    /// The alias that a push of it moves, where one that is promoted moves `promoted`.
    #[must_use]
    pub fn alias<'a>(&self, promoted: Option<&'a str>) -> Option<&'a str> {
        match self.approval.conclusion {
            Conclusion::Promote => promoted,
            Conclusion::CandidateOnly => promoted.and(Some(CANDIDATE)),
        }
    }

    /// The key under which the same work is done once: whatever decides the bytes and where they go.
    #[must_use]
    pub fn idempotency_key(&self, alias: Option<&str>) -> String {
        let parts = [
            &json(&self.metadata.series),
            self.metadata.data_sha256.as_str(),
            &self.approval.method,
            &json(&self.metadata.clamps),
            TRAINER_VERSION,
            alias.unwrap_or(""),
        ];
        // A line each: no part holds a line end, so no two lists of parts join to the same text.
        sha256_hex(parts.join("\n").as_bytes())
    }

    pub(super) fn message(self, alias: Option<&str>, expected_version: Option<u64>) -> Push {
        let key = self.idempotency_key(alias);
        let verdict = match self.approval.conclusion {
            Conclusion::Promote => Verdict::Promote,
            Conclusion::CandidateOnly => Verdict::CandidateOnly,
        };
        let name = self.metadata.series.name.to_string();
        let report = self.section.map(|section| Attachment {
            name: REPORT.to_owned(),
            media_type: "text/html".to_owned(),
            bytes: page::alone(&name, &section),
        });
        let message = message(
            self.metadata,
            key,
            verdict,
            alias,
            expected_version,
            self.model_pr,
        );
        Push {
            attachments: report.into_iter().collect(),
            ..message
        }
    }
}
