//! What autoscalers are told, and how it comes about.

use std::time::Duration;

use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::text::{non_empty, non_zero};
use crate::types::time::{duration, optional_timestamp, timestamp};

/// What one trigger was told, or would be.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalerDecision {
    /// Of the ScaledObject; `None` of a shadow trigger and of an explanation.
    pub namespace: Option<String>,
    /// Of the ScaledObject or the shadow trigger.
    pub name: Option<String>,
    /// What it asks about.
    pub series: String,
    /// As GetMetricSpec names it.
    pub metric_name: String,
    /// Tells apart triggers on one series.
    pub trigger: String,
    /// Whether nothing acts on it.
    pub shadow: bool,
    /// Who answered.
    pub source: ScalerSource,
    /// The registry's number; `None` where no version answered.
    pub version: Option<u64>,
    /// Of the whole workload, in the series' unit; `None` where an error is told.
    pub value: Option<f64>,
    /// `None` where an error is told.
    pub active: Option<bool>,
    /// Why the champion did not answer, as a code; `None` where it did.
    pub reason: Option<String>,
    /// The same in words.
    pub message: Option<String>,
    /// When it was told last.
    pub told_at: Timestamp,
    /// Since when it is what it is.
    pub since: Timestamp,
    /// How often it was told since then.
    pub times: u64,
}

/// Which rung of the ladder answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScalerSource {
    /// The version that is served.
    Champion,
    /// One that was served before.
    Previous,
    /// The last good answer.
    LastGood,
    /// The number that `onUnavailable` gives.
    OnUnavailable,
    /// Nobody: an error is told.
    None,
    /// Of a later release.
    Other(i32),
}

/// What a trigger with some metadata would be told now, and how that comes about.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Keys that are neither a trigger's nor KEDA's; they change nothing.
    pub unknown_keys: Vec<String>,
    /// What the metadata leads to; of metadata that cannot be read, each key that cannot and why.
    pub meaning: Result<Meaning, Vec<KeyProblem>>,
}

/// A key that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// As it was written.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What metadata leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// What every key means, in the documented order.
    pub settings: Vec<Setting>,
    /// As GetMetricSpec names it.
    pub metric_name: String,
    /// Per pod.
    pub target: f64,
    /// The instant that is explained.
    pub now: Timestamp,
    /// Of all values; `None` when nobody said.
    pub unit: Option<String>,
    /// The ladder down to the rung that answers, or all of it.
    pub rungs: Vec<Rung>,
    /// What would be told.
    pub decision: ScalerDecision,
    /// Time alone may change the answer then; `None`: it never does.
    pub changes_at: Option<Timestamp>,
    /// What would be told, were there no version to trust.
    pub when_unavailable: ScalerDecision,
}

/// What one key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Without `FromEnv`.
    pub key: String,
    /// Empty for what is left to the series or not wanted.
    pub value: String,
    /// Whether it was not given.
    pub is_default: bool,
}

/// One version that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Rung {
    /// The registry's number.
    pub version: u64,
    /// Champion or previous.
    pub source: ScalerSource,
    /// Of its grid.
    pub step: Duration,
    /// What it has to pass.
    pub gates: Vec<Gate>,
    /// Its forecast of the window.
    pub steps: Vec<Step>,
    /// From the forecast to the demand.
    pub terms: Vec<Term>,
    /// Why it does not answer, as a code and in words; `None` where it does.
    pub refusal: Option<(String, String)>,
}

/// A limit and what is measured against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// MODEL_AGE, DATA_AGE, SKILL, LIVE.
    pub name: String,
    /// Whether the version passes.
    pub passed: bool,
    /// What is measured, and the limit.
    pub message: String,
}

/// One step of the window.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its beginning.
    pub time: Timestamp,
    /// The point forecast.
    pub yhat: f64,
    /// At the trigger's quantile; `None` for the point.
    pub quantile: Option<f64>,
}

/// One step of the arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// The key that it is by.
    pub name: String,
    /// The value after it.
    pub value: f64,
    /// In words.
    pub message: String,
}

impl ScalerSource {
    /// The name on the wire without its prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Champion => "CHAMPION",
            Self::Previous => "PREVIOUS",
            Self::LastGood => "LAST_GOOD",
            Self::OnUnavailable => "ON_UNAVAILABLE",
            Self::None => "NONE",
            Self::Other(_) => "UNKNOWN",
        }
    }

    fn from_wire(value: i32) -> Result<Self, Error> {
        Ok(match pb::ScalerSource::try_from(value) {
            Ok(pb::ScalerSource::Unspecified) => return Err(Error::protocol("source", "missing")),
            Ok(pb::ScalerSource::Champion) => Self::Champion,
            Ok(pb::ScalerSource::Previous) => Self::Previous,
            Ok(pb::ScalerSource::LastGood) => Self::LastGood,
            Ok(pb::ScalerSource::OnUnavailable) => Self::OnUnavailable,
            Ok(pb::ScalerSource::None) => Self::None,
            Err(_) => Self::Other(value),
        })
    }
}

/// A number that means something.
fn finite(field: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        let why = format!("{value} is not a finite number");
        Err(Error::protocol(field, why))
    }
}

impl TryFrom<pb::ScalerDecision> for ScalerDecision {
    type Error = Error;

    fn try_from(wire: pb::ScalerDecision) -> Result<Self, Error> {
        let value = wire.value.map(|value| finite("value", value));
        Ok(Self {
            shadow: wire.mode() == pb::ScalerMode::Shadow,
            source: ScalerSource::from_wire(wire.source)?,
            namespace: non_empty(wire.namespace),
            name: non_empty(wire.name),
            series: wire.series,
            metric_name: wire.metric_name,
            trigger: wire.trigger,
            version: non_zero(wire.version),
            value: value.transpose()?,
            active: wire.active,
            reason: non_empty(wire.reason),
            message: non_empty(wire.message),
            told_at: timestamp("told_at", wire.told_at)?,
            since: timestamp("since", wire.since)?,
            times: wire.times,
        })
    }
}

impl TryFrom<pb::ExplainTriggerResponse> for Explanation {
    type Error = Error;

    fn try_from(wire: pb::ExplainTriggerResponse) -> Result<Self, Error> {
        if !wire.malformed.is_empty() {
            let problems = wire.malformed.into_iter();
            let problems =
                problems.map(|pb::KeyProblem { key, message }| KeyProblem { key, message });
            return Ok(Self {
                unknown_keys: wire.unknown_keys,
                meaning: Err(problems.collect()),
            });
        }
        let decision = |field: &str, wire: Option<pb::ScalerDecision>| {
            let wire = wire.ok_or_else(|| Error::protocol(field, "missing"))?;
            ScalerDecision::try_from(wire).map_err(|error| error.within(field))
        };
        let settings = wire.settings.into_iter();
        let rungs = wire.rungs.into_iter().enumerate().map(|(i, rung)| {
            Rung::try_from(rung).map_err(|error| error.within(&format!("rungs[{i}]")))
        });
        Ok(Self {
            unknown_keys: wire.unknown_keys,
            meaning: Ok(Meaning {
                settings: settings
                    .map(|setting| Setting {
                        key: setting.key,
                        value: setting.value,
                        is_default: setting.is_default,
                    })
                    .collect(),
                metric_name: wire.metric_name,
                target: finite("target", wire.target)?,
                now: timestamp("now", wire.now)?,
                unit: non_empty(wire.unit),
                rungs: rungs.collect::<Result<_, _>>()?,
                decision: decision("decision", wire.decision)?,
                changes_at: optional_timestamp("changes_at", wire.changes_at)?,
                when_unavailable: decision("when_unavailable", wire.when_unavailable)?,
            }),
        })
    }
}

impl TryFrom<pb::TriggerRung> for Rung {
    type Error = Error;

    fn try_from(wire: pb::TriggerRung) -> Result<Self, Error> {
        let gates = wire.gates.into_iter();
        let steps = wire.steps.into_iter().enumerate().map(|(i, step)| {
            let field = |name: &str| format!("steps[{i}].{name}");
            let quantile = step.quantile.map(|value| finite(&field("quantile"), value));
            Ok(Step {
                time: timestamp(&field("time"), step.time)?,
                yhat: finite(&field("yhat"), step.yhat)?,
                quantile: quantile.transpose()?,
            })
        });
        let terms = wire.terms.into_iter().enumerate().map(|(i, term)| {
            Ok(Term {
                value: finite(&format!("terms[{i}].value"), term.value)?,
                name: term.name,
                message: term.message,
            })
        });
        Ok(Self {
            version: wire.version,
            source: ScalerSource::from_wire(wire.source)?,
            step: duration("step", wire.step)?,
            gates: gates
                .map(|gate| Gate {
                    name: gate.name,
                    passed: gate.passed,
                    message: gate.message,
                })
                .collect(),
            steps: steps.collect::<Result<_, Error>>()?,
            terms: terms.collect::<Result<_, Error>>()?,
            refusal: non_empty(wire.reason).map(|reason| (reason, wire.message)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_that_makes_no_sense_is_refused_by_its_field() {
        let at = Some(prost_types::Timestamp {
            seconds: 5,
            nanos: 0,
        });
        let right = pb::ScalerDecision {
            series: "a".into(),
            source: pb::ScalerSource::None.into(),
            told_at: at,
            since: at,
            ..pb::ScalerDecision::default()
        };
        let decision = ScalerDecision::try_from(right.clone()).unwrap();
        // Absent is not 0 and not false.
        assert_eq!(
            (decision.value, decision.active, decision.version),
            (None, None, None)
        );
        let cases: [(&str, pb::ScalerDecision); 3] = [
            (
                "source",
                pb::ScalerDecision {
                    source: 0,
                    ..right.clone()
                },
            ),
            (
                "value",
                pb::ScalerDecision {
                    value: Some(f64::NAN),
                    ..right.clone()
                },
            ),
            (
                "told_at",
                pb::ScalerDecision {
                    told_at: None,
                    ..right
                },
            ),
        ];
        for (field, wrong) in cases {
            let error = ScalerDecision::try_from(wrong).unwrap_err().to_string();
            assert!(error.contains(field), "{field}: {error}");
        }
    }
}
