//! Observations on their way to a server, and what it says of them.

use std::time::Duration;

use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::model::Reason;
use crate::types::text::{finite, non_empty, required, version};
use crate::types::time::{duration_out, step, timestamp, timestamp_out};

/// A run of equally spaced observations of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Observations {
    /// The series' name.
    pub series: String,
    /// Of the first value; whole seconds.
    pub start: Timestamp,
    /// The series' own; `None` means that.
    pub step: Option<Duration>,
    /// In the series' unit, in the order of time, at most 10,000. NaN marks a missing observation.
    pub values: Vec<f64>,
}

/// What became of observations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// They are taken.
    pub accepted: u64,
    /// They are not used; `reasons` says why.
    pub ignored: u64,
    /// They were marked as missing.
    pub missing: u64,
    /// Of what was ignored, by series and code; at most 100.
    pub reasons: Vec<Ignored>,
}

/// Why observations of a series were not used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ignored {
    /// The series' name.
    pub series: String,
    /// NOT_SERVED, STEP, LATE, FUTURE or FULL.
    pub code: String,
    /// The same in words.
    pub message: String,
    /// How many.
    pub count: u64,
}

/// What observations say of the served version.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The beginning of the last observed step.
    pub observed_at: Timestamp,
    /// Its value, in the series' unit.
    pub last_value: f64,
    /// The version that is scored.
    pub version: u64,
    /// Forecasts count that were made at this instant or later.
    pub since: Timestamp,
    /// By lead, ascending.
    pub leads: Vec<LeadScores>,
    /// Why answers are gated; `None` while they are not.
    pub gate: Option<Reason>,
    /// Why nothing is scored.
    pub unscored: Option<String>,
}

/// How good the forecasts of one lead were. Absent is "not measured", never zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeadScores {
    /// From the last observation to the step that was forecast.
    pub lead: Duration,
    /// Forecasts that were scored.
    pub rows: u64,
    /// Mean absolute error, in the series' unit.
    pub mae: Option<f64>,
    /// Share of observations inside the band from level 0.1 to 0.9.
    pub coverage: Option<f64>,
    /// Above zero beats "the same as a day before".
    pub skill: Option<f64>,
    /// Mean absolute error of "the same as a day before".
    pub seasonal_naive_mae: Option<f64>,
    /// Above zero beats "it stays as it is".
    pub skill_last_value: Option<f64>,
    /// Mean absolute error of "it stays as it is".
    pub last_value_mae: Option<f64>,
    /// Forecasts that `skill` is of.
    pub skill_rows: u64,
}

impl From<Observations> for pb::ObserveActualsRequest {
    fn from(run: Observations) -> Self {
        Self {
            series: run.series,
            start: Some(timestamp_out(run.start)),
            step: run.step.map(duration_out),
            values: run.values,
        }
    }
}

impl TryFrom<pb::ObserveActualsResponse> for Observed {
    type Error = Error;

    fn try_from(wire: pb::ObserveActualsResponse) -> Result<Self, Error> {
        let reasons = wire.reasons.into_iter().enumerate();
        let reasons = reasons.map(|(i, reason)| {
            Ignored::try_from(reason).map_err(|error| error.within(&format!("reasons[{i}]")))
        });
        Ok(Self {
            accepted: wire.accepted,
            ignored: wire.ignored,
            missing: wire.missing,
            reasons: reasons.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::IgnoredObservations> for Ignored {
    type Error = Error;

    fn try_from(wire: pb::IgnoredObservations) -> Result<Self, Error> {
        Ok(Self {
            series: required("series", wire.series)?,
            code: required("code", wire.code)?,
            message: wire.message,
            count: wire.count,
        })
    }
}

impl TryFrom<pb::Live> for Live {
    type Error = Error;

    fn try_from(wire: pb::Live) -> Result<Self, Error> {
        let leads = wire.leads.into_iter().enumerate();
        let leads = leads.map(|(i, lead)| {
            LeadScores::try_from(lead).map_err(|error| error.within(&format!("leads[{i}]")))
        });
        Ok(Self {
            observed_at: timestamp("observed_at", wire.observed_at)?,
            last_value: finite("last_value", wire.last_value)?,
            version: version("version", wire.version)?,
            since: timestamp("since", wire.since)?,
            leads: leads.collect::<Result<_, _>>()?,
            gate: wire.gate.map(gate).transpose()?,
            unscored: non_empty(wire.unscored),
        })
    }
}

fn gate(wire: pb::Reason) -> Result<Reason, Error> {
    Ok(Reason {
        code: required("gate.code", wire.code)?,
        message: wire.message,
    })
}

impl TryFrom<pb::LeadScores> for LeadScores {
    type Error = Error;

    fn try_from(wire: pb::LeadScores) -> Result<Self, Error> {
        let score = |field: &str, value: Option<f64>| value.map(|it| finite(field, it)).transpose();
        Ok(Self {
            lead: step("lead", wire.lead)?,
            rows: wire.rows,
            mae: score("mae", wire.mae)?,
            coverage: score("coverage", wire.coverage)?,
            skill: score("skill", wire.skill)?,
            seasonal_naive_mae: score("seasonal_naive_mae", wire.seasonal_naive_mae)?,
            skill_last_value: score("skill_last_value", wire.skill_last_value)?,
            last_value_mae: score("last_value_mae", wire.last_value_mae)?,
            skill_rows: wire.skill_rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_score_is_refused_by_name() {
        let live = |mae: Option<f64>| pb::Live {
            observed_at: Some(prost_types::Timestamp::default()),
            version: 1,
            since: Some(prost_types::Timestamp::default()),
            leads: vec![pb::LeadScores {
                lead: Some(prost_types::Duration {
                    seconds: 300,
                    nanos: 0,
                }),
                mae,
                ..pb::LeadScores::default()
            }],
            ..pb::Live::default()
        };
        assert_eq!(Live::try_from(live(None)).unwrap().leads[0].mae, None);
        let error = Live::try_from(live(Some(f64::NAN))).unwrap_err();
        assert!(
            matches!(&error, Error::Protocol { field, .. } if field == "leads[0].mae"),
            "{error:?}"
        );
    }
}
