//! What a server serves for one series, what it would rather serve, and why.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::live::Live;
use crate::types::series::{Clamps, Freshness, Scores, Series};
use crate::types::text::{non_empty, non_zero, optional_sha256, required, sha256, version};
use crate::types::time::{optional_timestamp, timestamp};

/// One series and its models.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What is forecast.
    pub series: Series,
    /// What the series is doing.
    pub state: ModelState,
    /// An upper-case code for the state, when it needs one.
    pub reason: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// What is served; `None` when nothing is.
    pub served: Option<Served>,
    /// What the registry says should be served.
    pub aspired: Option<Aspired>,
    /// The last candidate that was refused.
    pub last_rejection: Option<Rejection>,
    /// Of what is served; `None` when nothing is.
    pub freshness: Option<Freshness>,
    /// What live observations say of the lead that gates judge.
    pub live_scores: Option<Scores>,
    /// What live observations say; `None` until they flow.
    pub live: Option<Live>,
    /// Versions kept in memory for instant rollback, newest first.
    pub kept_versions: Vec<u64>,
    /// Aliases of the registry and the versions they point at.
    pub aliases: BTreeMap<String, u64>,
}

/// What a series is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelState {
    /// A version is being fetched, verified and warmed; the one before goes on being served.
    Loading,
    /// A version is served.
    Serving,
    /// Nothing is served because the last candidate was refused.
    Rejected,
    /// Served from memory; the registry does not answer.
    RegistryUnreachable,
    /// A tombstone.
    Retired,
    /// A state this client does not know.
    Other(i32),
}

/// What is served.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// The registry's number.
    pub version: u64,
    /// Lower-case hex of the SHA-256 of the bytes of model.pr.
    pub artifact_sha256: String,
    /// Bytes of model.pr.
    pub size_bytes: u64,
    /// The alias by which it is served.
    pub alias: Option<String>,
    /// The last observation it was trained on.
    pub cutoff: Timestamp,
    /// When it was trained.
    pub trained_at: Timestamp,
    /// Since when it is served here.
    pub served_since: Timestamp,
    /// The revision at which it began to be served.
    pub revision: u64,
    /// Rows it was trained on; 0 when nobody said.
    pub rows: u64,
    /// What the trainer's backtest found.
    pub scores: Option<Scores>,
    /// Who trained it.
    pub trainer_version: Option<String>,
    /// Bounds declared by its spec.
    pub clamps: Option<Clamps>,
}

/// What the registry says should be served.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Aspired {
    /// The registry's number.
    pub version: u64,
    /// The alias that points at it.
    pub alias: Option<String>,
    /// When the server learned of it.
    pub seen_at: Option<Timestamp>,
    /// When replicas switch to it together; `None`: each when it learns.
    pub activate_at: Option<Timestamp>,
}

/// Why a candidate is not served.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// When.
    pub at: Timestamp,
    /// `None` when the candidate never had one.
    pub version: Option<u64>,
    /// `None` when there was no artifact.
    pub artifact_sha256: Option<String>,
    /// At least one, by the server's promise.
    pub reasons: Vec<Reason>,
    /// What its backtest found.
    pub scores: Option<Scores>,
}

/// One reason against a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// Upper-case: SKILL, COVERAGE, NON_FINITE, DIGEST_MISMATCH, CORRUPT, UNSUPPORTED.
    pub code: String,
    /// The same in words.
    pub message: String,
}

/// What a look at the registry led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refreshed {
    /// What is served now is of this revision or a later one.
    pub revision: u64,
    /// Series that the registry names a version of.
    pub aspired: u64,
    /// Versions that are served now, or wait for their instant, because of this look.
    pub loaded: u64,
    /// Versions that were begun and are neither.
    pub failed: u64,
    /// Series that were not tried, because loading them failed shortly before.
    pub backing_off: u64,
}

impl From<pb::RefreshModelsResponse> for Refreshed {
    fn from(wire: pb::RefreshModelsResponse) -> Self {
        Self {
            revision: wire.revision,
            aspired: wire.aspired,
            loaded: wire.loaded,
            failed: wire.failed,
            backing_off: wire.backing_off,
        }
    }
}

/// Where a rollback led.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RolledBack {
    /// What is served now.
    pub version: u64,
    /// At this revision.
    pub revision: u64,
}

impl TryFrom<pb::RollbackResponse> for RolledBack {
    type Error = Error;

    fn try_from(wire: pb::RollbackResponse) -> Result<Self, Error> {
        Ok(Self {
            version: version("version", wire.version)?,
            revision: wire.revision,
        })
    }
}

impl ModelState {
    /// The name on the wire without its prefix: `SERVING`, `LOADING`, ..., `UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Loading => "LOADING",
            Self::Serving => "SERVING",
            Self::Rejected => "REJECTED",
            Self::RegistryUnreachable => "REGISTRY_UNREACHABLE",
            Self::Retired => "RETIRED",
            Self::Other(_) => "UNKNOWN",
        }
    }

    fn from_wire(value: i32) -> Result<Self, Error> {
        match pb::ModelState::try_from(value) {
            Ok(pb::ModelState::Unspecified) => Err(Error::protocol("state", "missing")),
            Ok(pb::ModelState::Loading) => Ok(Self::Loading),
            Ok(pb::ModelState::Serving) => Ok(Self::Serving),
            Ok(pb::ModelState::Rejected) => Ok(Self::Rejected),
            Ok(pb::ModelState::RegistryUnreachable) => Ok(Self::RegistryUnreachable),
            Ok(pb::ModelState::Retired) => Ok(Self::Retired),
            Err(_) => Ok(Self::Other(value)),
        }
    }
}

/// Converts a nested message and names it when it is refused.
pub(crate) fn nested<W, T>(field: &str, wire: Option<W>) -> Result<Option<T>, Error>
where
    T: TryFrom<W, Error = Error>,
{
    wire.map(T::try_from)
        .transpose()
        .map_err(|error| error.within(field))
}

impl TryFrom<pb::Model> for Model {
    type Error = Error;

    fn try_from(wire: pb::Model) -> Result<Self, Error> {
        Ok(Self {
            series: nested("series", wire.series)?
                .ok_or_else(|| Error::protocol("series", "missing"))?,
            state: ModelState::from_wire(wire.state)?,
            reason: non_empty(wire.reason),
            message: non_empty(wire.message),
            served: nested("served", wire.served)?,
            aspired: nested("aspired", wire.aspired)?,
            last_rejection: nested("last_rejection", wire.last_rejection)?,
            freshness: Freshness::from_wire(wire.freshness),
            live_scores: nested("live_scores", wire.live_scores)?,
            live: nested("live", wire.live)?,
            kept_versions: wire.kept_versions,
            aliases: wire.aliases,
        })
    }
}

impl TryFrom<pb::ServedVersion> for Served {
    type Error = Error;

    fn try_from(wire: pb::ServedVersion) -> Result<Self, Error> {
        Ok(Self {
            version: version("version", wire.version)?,
            artifact_sha256: sha256("artifact_sha256", wire.artifact_sha256)?,
            size_bytes: wire.size_bytes,
            alias: non_empty(wire.alias),
            cutoff: timestamp("cutoff", wire.cutoff)?,
            trained_at: timestamp("trained_at", wire.trained_at)?,
            served_since: timestamp("served_since", wire.served_since)?,
            revision: wire.revision,
            rows: wire.rows,
            scores: nested("scores", wire.scores)?,
            trainer_version: non_empty(wire.trainer_version),
            clamps: nested("clamps", wire.clamps)?,
        })
    }
}

impl TryFrom<pb::AspiredVersion> for Aspired {
    type Error = Error;

    fn try_from(wire: pb::AspiredVersion) -> Result<Self, Error> {
        Ok(Self {
            version: version("version", wire.version)?,
            alias: non_empty(wire.alias),
            seen_at: optional_timestamp("seen_at", wire.seen_at)?,
            activate_at: optional_timestamp("activate_at", wire.activate_at)?,
        })
    }
}

impl TryFrom<pb::Rejection> for Rejection {
    type Error = Error;

    fn try_from(wire: pb::Rejection) -> Result<Self, Error> {
        Ok(Self {
            at: timestamp("at", wire.at)?,
            version: non_zero(wire.version),
            artifact_sha256: optional_sha256("artifact_sha256", wire.artifact_sha256)?,
            reasons: reasons(wire.reasons)?,
            scores: nested("scores", wire.scores)?,
        })
    }
}

/// Every reason has a code.
pub(crate) fn reasons(wire: Vec<pb::Reason>) -> Result<Vec<Reason>, Error> {
    wire.into_iter()
        .enumerate()
        .map(|(i, reason)| {
            Ok(Reason {
                code: required(&format!("reasons[{i}].code"), reason.code)?,
                message: reason.message,
            })
        })
        .collect()
}

impl From<Reason> for pb::Reason {
    fn from(Reason { code, message }: Reason) -> Self {
        Self { code, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks one field.
    type Spoil = fn(&mut pb::Model);

    fn wire() -> pb::Model {
        let time = Some(prost_types::Timestamp {
            seconds: 1_000,
            nanos: 0,
        });
        pb::Model {
            series: Some(pb::Series {
                name: "web".into(),
                ..pb::Series::default()
            }),
            state: pb::ModelState::Serving.into(),
            served: Some(pb::ServedVersion {
                version: 2,
                artifact_sha256: "0f".repeat(32),
                cutoff: time,
                trained_at: time,
                served_since: time,
                ..pb::ServedVersion::default()
            }),
            ..pb::Model::default()
        }
    }

    #[test]
    fn a_model_is_taken_whole_or_refused_by_name() {
        assert_eq!(Model::try_from(wire()).unwrap().served.unwrap().version, 2);
        let cases: [(&str, Spoil); 5] = [
            ("series", |m| m.series = None),
            ("series.name", |m| m.series.as_mut().unwrap().name.clear()),
            ("state", |m| m.state = 0),
            ("served.cutoff", |m| {
                m.served.as_mut().unwrap().cutoff = None
            }),
            ("last_rejection.reasons[0].code", |m| {
                m.last_rejection = Some(pb::Rejection {
                    at: Some(prost_types::Timestamp::default()),
                    reasons: vec![pb::Reason::default()],
                    ..pb::Rejection::default()
                });
            }),
        ];
        for (expected, spoil) in cases {
            let mut model = wire();
            spoil(&mut model);
            let error = Model::try_from(model).unwrap_err();
            assert!(
                matches!(&error, Error::Protocol { field, .. } if field == expected),
                "{expected}: {error:?}"
            );
        }
    }

    #[test]
    fn a_state_of_a_later_release_is_kept() {
        let mut model = wire();
        model.state = 42;
        assert_eq!(Model::try_from(model).unwrap().state, ModelState::Other(42));
    }
}
