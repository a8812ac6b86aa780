//! What a trainer sends: a model, or the news that it has none.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::model::Reason;
use crate::types::series::{Clamps, Scores, SeriesInfo};
use crate::types::text::{required, sha256, version};

/// A model to register, and to serve if an alias is moved to it. Size and digest are computed when it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// What the model forecasts.
    pub series: SeriesInfo,
    /// The bytes of model.pr.
    pub model_pr: Bytes,
    /// 1 to 128 visible ASCII characters: the hash of data, spec and trainer version. The same key and bytes
    /// again answer with the version of the first time.
    pub idempotency_key: String,
    /// The alias to move; `None` moves none.
    pub alias: Option<String>,
    /// The version that alias must point at now; `Some(0)`: it must not exist yet; `None`: whatever it is.
    pub expected_version: Option<u64>,
    /// What the trainer concluded.
    pub verdict: Verdict,
    /// What its backtest found.
    pub scores: Option<Scores>,
    /// The last observation the model was trained on.
    pub cutoff: Timestamp,
    /// When it was trained.
    pub trained_at: Timestamp,
    /// Rows it was trained on.
    pub rows: u64,
    /// Who trained it.
    pub trainer_version: String,
    /// Lower-case hex of the SHA-256 of the training data.
    pub data_sha256: String,
    /// The spec as JSON, Prophet's argument names.
    pub spec_json: String,
    /// Bounds declared by the spec.
    pub clamps: Option<Clamps>,
    /// Serve from this instant on; `None`: at once.
    pub activate_at: Option<Timestamp>,
    /// Further tags for the registry's version.
    pub tags: BTreeMap<String, String>,
    /// Band scaling per lead from backtest residuals, as loadcast.json carries it; `None`: not calibrated.
    pub band_calibration_json: Option<String>,
    /// What fresh observations are worth for the next leads, as loadcast.json carries it; `None`: nothing is declared.
    pub correction_json: Option<String>,
    /// Quantiles of windows' maxima, as loadcast.json carries it; `None`: none are declared.
    pub peak_json: Option<String>,
    /// Reports and plots that go to the registry beside the model.
    pub attachments: Vec<Attachment>,
}

/// A report or plot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attachment {
    /// A file name without directories, `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
    pub name: String,
    /// For example `application/json`.
    pub media_type: String,
    /// The content.
    pub bytes: Bytes,
}

/// What a trainer concluded about a model it pushes. A model it rejects is never pushed: see [`RejectionReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Better than what is served.
    Promote,
    /// Worth keeping, not worth serving.
    CandidateOnly,
}

/// The answer to a push: the version is durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pushed {
    /// The registry's number.
    pub version: u64,
    /// The revision at which it is served; `None` when no followed alias was moved.
    pub revision: Option<u64>,
    /// The random id of the revision history that `revision` counts in.
    pub epoch: String,
    /// As the server computed it; equal to that of the bytes sent.
    pub artifact_sha256: String,
    /// This key had been pushed before; nothing was done again.
    pub already_registered: bool,
    /// Of the event: a watch continues after it. `None` when there was no event.
    pub token: Option<String>,
}

/// A candidate was refused before it became a version.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectionReport {
    /// The series' name.
    pub series: String,
    /// At least one.
    pub reasons: Vec<Reason>,
    /// What the backtest found.
    pub scores: Option<Scores>,
    /// Of the refused candidate, when there was one.
    pub artifact_sha256: Option<String>,
    /// Who trained it.
    pub trainer_version: String,
}

impl From<Verdict> for pb::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Promote => Self::Promote,
            Verdict::CandidateOnly => Self::CandidateOnly,
        }
    }
}

impl TryFrom<pb::PushModelResponse> for Pushed {
    type Error = Error;

    fn try_from(wire: pb::PushModelResponse) -> Result<Self, Error> {
        use crate::types::text::{non_empty, non_zero};
        Ok(Self {
            version: version("version", wire.version)?,
            revision: non_zero(wire.revision),
            epoch: required("epoch", wire.epoch)?,
            artifact_sha256: sha256("artifact_sha256", wire.artifact_sha256)?,
            already_registered: wire.already_registered,
            token: non_empty(wire.token),
        })
    }
}

impl From<RejectionReport> for pb::ReportRejectionRequest {
    fn from(report: RejectionReport) -> Self {
        Self {
            series: report.series,
            reasons: report.reasons.into_iter().map(Into::into).collect(),
            scores: report.scores.map(Into::into),
            artifact_sha256: report.artifact_sha256.unwrap_or_default(),
            trainer_version: report.trainer_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks one field.
    type Spoil = fn(&mut pb::PushModelResponse);

    #[test]
    fn an_answer_to_a_push_has_a_version_an_epoch_and_a_digest() {
        let wire = pb::PushModelResponse {
            version: 1,
            revision: 0,
            epoch: "e".into(),
            artifact_sha256: "00".repeat(32),
            ..pb::PushModelResponse::default()
        };
        let pushed = Pushed::try_from(wire.clone()).unwrap();
        assert_eq!((pushed.revision, pushed.token), (None, None));
        let cases: [(&str, Spoil); 3] = [
            ("version", |p| p.version = 0),
            ("epoch", |p| p.epoch.clear()),
            ("artifact_sha256", |p| p.artifact_sha256.clear()),
        ];
        for (expected, spoil) in cases {
            let mut answer = wire.clone();
            spoil(&mut answer);
            let error = Pushed::try_from(answer).unwrap_err();
            assert!(matches!(error, Error::Protocol { field, .. } if field == expected));
        }
    }
}
