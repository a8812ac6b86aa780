//! What a watch hands out: changes of models and of forecasts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::error::{Code, Error};
use crate::types::forecast::Forecast;
use crate::types::model::{Model, Reason, nested, reasons};
use crate::types::series::Scores;
use crate::types::text::{non_empty, non_zero, optional_sha256, required};
use crate::types::time::timestamp;

/// One message of a watch over models.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelUpdate {
    /// One series of a snapshot.
    Model(Box<Model>),
    /// One committed change.
    Event(Box<ModelEvent>),
}

/// One committed change; each takes a revision of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelEvent {
    /// Its place in the server's history.
    pub revision: u64,
    /// When it was committed.
    pub at: Timestamp,
    /// What happened.
    pub kind: ModelEventKind,
    /// `None` for events about the registry.
    pub series: Option<String>,
    /// The series' labels.
    pub labels: BTreeMap<String, String>,
    /// SERVED: what is served now. REJECTED: the candidate, if it had a number.
    pub version: Option<u64>,
    /// What was served before; `None`: nothing.
    pub previous_version: Option<u64>,
    /// Of `version`.
    pub artifact_sha256: Option<String>,
    /// The alias by which it is served.
    pub alias: Option<String>,
    /// Why it was rejected, removed or gated.
    pub reasons: Vec<Reason>,
    /// What the backtest found.
    pub scores: Option<Scores>,
    /// W3C traceparent of the push or refresh that caused it.
    pub traceparent: Option<String>,
}

/// What happened to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelEventKind {
    /// A version began to be served.
    Served,
    /// A series is no longer served.
    Removed,
    /// A candidate was refused; nothing else changed.
    Rejected,
    /// The registry stopped answering.
    RegistryUnreachable,
    /// The registry answers again.
    RegistryBack,
    /// The registry names no version of a series any more; what is served goes on being served.
    AliasGone,
    /// The registry names the version again that is served.
    AliasBack,
    /// Live scores fell below what the catalog asks of them; it goes on being served.
    GateClosed,
    /// They are good enough again.
    GateOpened,
    /// A kind this client does not know.
    Other(i32),
}

/// One message of a watch over forecasts.
#[derive(Debug, Clone, PartialEq)]
pub enum ForecastUpdate {
    /// The latest answer for one series.
    Forecast {
        /// Why it came.
        cause: UpdateCause,
        /// The answer.
        forecast: Box<Forecast>,
    },
    /// One series of the selection has no answer now; the others go on.
    Failed {
        /// Why it came.
        cause: UpdateCause,
        /// The series' name.
        series: String,
        /// Always [`Error::Refused`].
        error: Error,
    },
    /// A series of the selection is no longer served.
    Gone {
        /// The series' name.
        series: String,
        /// The revision at which it went.
        revision: u64,
        /// Why, in a word.
        reason: String,
    },
}

/// Why a forecast message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpdateCause {
    /// It belongs to a snapshot.
    Snapshot,
    /// A new version is served.
    Version,
    /// Time moved by a step.
    Step,
    /// Freshness changed.
    Freshness,
    /// Observations have changed it, or the gate of its model.
    Observed,
    /// A cause this client does not know.
    Other(i32),
}

impl ModelEventKind {
    /// The name on the wire without its prefix: `SERVED`, `REMOVED`, ..., `UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "SERVED",
            Self::Removed => "REMOVED",
            Self::Rejected => "REJECTED",
            Self::RegistryUnreachable => "REGISTRY_UNREACHABLE",
            Self::RegistryBack => "REGISTRY_BACK",
            Self::AliasGone => "ALIAS_GONE",
            Self::AliasBack => "ALIAS_BACK",
            Self::GateClosed => "GATE_CLOSED",
            Self::GateOpened => "GATE_OPENED",
            Self::Other(_) => "UNKNOWN",
        }
    }

    fn from_wire(value: i32) -> Result<Self, Error> {
        match pb::ModelEventKind::try_from(value) {
            Ok(pb::ModelEventKind::Unspecified) => Err(Error::protocol("kind", "missing")),
            Ok(pb::ModelEventKind::Served) => Ok(Self::Served),
            Ok(pb::ModelEventKind::Removed) => Ok(Self::Removed),
            Ok(pb::ModelEventKind::Rejected) => Ok(Self::Rejected),
            Ok(pb::ModelEventKind::RegistryUnreachable) => Ok(Self::RegistryUnreachable),
            Ok(pb::ModelEventKind::RegistryBack) => Ok(Self::RegistryBack),
            Ok(pb::ModelEventKind::AliasGone) => Ok(Self::AliasGone),
            Ok(pb::ModelEventKind::AliasBack) => Ok(Self::AliasBack),
            Ok(pb::ModelEventKind::GateClosed) => Ok(Self::GateClosed),
            Ok(pb::ModelEventKind::GateOpened) => Ok(Self::GateOpened),
            Err(_) => Ok(Self::Other(value)),
        }
    }
}

impl UpdateCause {
    /// The name on the wire without its prefix: `SNAPSHOT`, `VERSION`, `STEP`, `FRESHNESS`, `OBSERVED`,
    /// `UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "SNAPSHOT",
            Self::Version => "VERSION",
            Self::Step => "STEP",
            Self::Freshness => "FRESHNESS",
            Self::Observed => "OBSERVED",
            Self::Other(_) => "UNKNOWN",
        }
    }

    fn from_wire(value: i32) -> Result<Self, Error> {
        match pb::UpdateCause::try_from(value) {
            Ok(pb::UpdateCause::Unspecified) => Err(Error::protocol("cause", "missing")),
            Ok(pb::UpdateCause::Snapshot) => Ok(Self::Snapshot),
            Ok(pb::UpdateCause::Version) => Ok(Self::Version),
            Ok(pb::UpdateCause::Step) => Ok(Self::Step),
            Ok(pb::UpdateCause::Freshness) => Ok(Self::Freshness),
            Ok(pb::UpdateCause::Observed) => Ok(Self::Observed),
            Err(_) => Ok(Self::Other(value)),
        }
    }
}

impl TryFrom<pb::ModelEvent> for ModelEvent {
    type Error = Error;

    fn try_from(wire: pb::ModelEvent) -> Result<Self, Error> {
        let event = Self {
            revision: wire.revision,
            at: timestamp("at", wire.at)?,
            kind: ModelEventKind::from_wire(wire.kind)?,
            series: non_empty(wire.series),
            labels: wire.labels,
            version: non_zero(wire.version),
            previous_version: non_zero(wire.previous_version),
            artifact_sha256: optional_sha256("artifact_sha256", wire.artifact_sha256)?,
            alias: non_empty(wire.alias),
            reasons: reasons(wire.reasons)?,
            scores: nested("scores", wire.scores)?,
            traceparent: non_empty(wire.traceparent),
        };
        let missing = |field| Err(Error::protocol(field, "missing"));
        match event.kind {
            ModelEventKind::Served
            | ModelEventKind::Removed
            | ModelEventKind::Rejected
            | ModelEventKind::AliasGone
            | ModelEventKind::AliasBack
            | ModelEventKind::GateClosed
            | ModelEventKind::GateOpened
                if event.series.is_none() =>
            {
                missing("series")
            }
            ModelEventKind::Served if event.version.is_none() => missing("version"),
            ModelEventKind::Served if event.artifact_sha256.is_none() => missing("artifact_sha256"),
            _ => Ok(event),
        }
    }
}

impl TryFrom<pb::ForecastUpdate> for ForecastUpdate {
    type Error = Error;

    fn try_from(wire: pb::ForecastUpdate) -> Result<Self, Error> {
        use pb::forecast_update::Result as Wire;
        let cause = UpdateCause::from_wire(wire.cause)?;
        let series = required("series", wire.series)?;
        match wire.result {
            Some(Wire::Forecast(forecast)) => {
                let forecast =
                    Forecast::try_from(forecast).map_err(|error| error.within("forecast"))?;
                if forecast.provenance.series != series {
                    return Err(Error::protocol(
                        "forecast.provenance.series",
                        format!("{:?} under {series:?}", forecast.provenance.series),
                    ));
                }
                Ok(Self::Forecast {
                    cause,
                    forecast: Box::new(forecast),
                })
            }
            Some(Wire::Error(error)) => Ok(Self::Failed {
                cause,
                series,
                error: refused(error),
            }),
            None => Err(Error::protocol("result", "missing")),
        }
    }
}

impl TryFrom<pb::SeriesGone> for ForecastUpdate {
    type Error = Error;

    fn try_from(wire: pb::SeriesGone) -> Result<Self, Error> {
        Ok(Self::Gone {
            series: required("series", wire.series)?,
            revision: wire.revision,
            reason: wire.reason,
        })
    }
}

/// The error of one item says what a status would.
pub(crate) fn refused(error: pb::ItemError) -> Error {
    Error::Refused {
        code: Code::from_i32(error.code),
        reason: error.reason,
        message: error.message,
        violations: Vec::new(),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks one field.
    type Spoil = fn(&mut pb::ModelEvent);

    fn served() -> pb::ModelEvent {
        pb::ModelEvent {
            revision: 12,
            at: Some(prost_types::Timestamp::default()),
            kind: pb::ModelEventKind::Served.into(),
            series: "web".into(),
            version: 3,
            artifact_sha256: "1a".repeat(32),
            ..pb::ModelEvent::default()
        }
    }

    #[test]
    fn a_served_event_says_what_is_served() {
        let event = ModelEvent::try_from(served()).unwrap();
        assert_eq!((event.version, event.previous_version), (Some(3), None));
        let cases: [(&str, Spoil); 5] = [
            ("at", |e| e.at = None),
            ("kind", |e| e.kind = 0),
            ("series", |e| e.series.clear()),
            ("version", |e| e.version = 0),
            ("artifact_sha256", |e| e.artifact_sha256.clear()),
        ];
        for (expected, spoil) in cases {
            let mut event = served();
            spoil(&mut event);
            let error = ModelEvent::try_from(event).unwrap_err();
            assert!(
                matches!(&error, Error::Protocol { field, .. } if field == expected),
                "{expected}: {error:?}"
            );
        }
    }

    #[test]
    fn an_event_about_the_registry_has_no_series() {
        let event = pb::ModelEvent {
            revision: 4,
            at: Some(prost_types::Timestamp::default()),
            kind: pb::ModelEventKind::RegistryBack.into(),
            ..pb::ModelEvent::default()
        };
        assert_eq!(ModelEvent::try_from(event).unwrap().series, None);
    }

    #[test]
    fn the_error_of_one_series_is_an_item() {
        let update = pb::ForecastUpdate {
            cause: pb::UpdateCause::Snapshot.into(),
            series: "web".into(),
            result: Some(pb::forecast_update::Result::Error(pb::ItemError {
                code: 5,
                reason: "SERIES_RETIRED".into(),
                message: "gone".into(),
            })),
        };
        let ForecastUpdate::Failed { error, .. } = ForecastUpdate::try_from(update).unwrap() else {
            panic!("not a failure");
        };
        assert_eq!(error.reason_code(), Some("SERIES_RETIRED"));
    }

    #[test]
    fn an_update_without_a_result_is_refused() {
        let update = pb::ForecastUpdate {
            cause: pb::UpdateCause::Step.into(),
            series: "web".into(),
            result: None,
        };
        let error = ForecastUpdate::try_from(update).unwrap_err();
        assert!(matches!(error, Error::Protocol { field, .. } if field == "result"));
    }
}
