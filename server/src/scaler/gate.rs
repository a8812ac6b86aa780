//! What a version has to pass before an autoscaler is told what it says. Pure: measured values against limits.

use jiff::{SignedDuration, Timestamp};
use loadcast_model::{
    series::{SeriesName, ZeroMeans},
    trigger::Trigger,
};

use crate::{
    error::Error,
    event::Reason,
    freshness::Limits,
    live::{EVIDENCE_ROWS, Seen},
    served::{Entry, Served},
};

/// The reason code where what was observed speaks against a version.
pub(crate) const LIVE_GATE: &str = "LIVE_GATE";

/// What is known of a version beside its forecast.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Of the grid.
    pub step_seconds: u32,
    /// Since the training, in seconds.
    pub model_age: i64,
    /// Since the end of what was observed, in training or after it, in seconds.
    pub data_age: i64,
    /// The last observation, where one came in lately: a floor of what is needed.
    pub observed: Option<f64>,
    /// Scaled to zero by design: the last that was seen is a zero, and it was seen and not missed. There is nothing to
    /// observe until it wakes, and waking it is what the forecast is for.
    pub at_zero: bool,
    /// The skill against the seasonal naive and where it was measured; `None`: nowhere.
    pub skill: Option<(f64, Measured)>,
    /// The series' own limits.
    pub limits: Limits,
    /// What observations since the training say against it; the outer `None`: there were none.
    pub live: Option<Option<Reason>>,
    /// What all this was taken from, and an answer is computed by.
    pub seen: Seen,
}

/// Where a skill was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// By what was observed, over so many forecasts.
    Live(u64),
    /// In the trainer's backtest.
    Backtest,
}

impl Standing {
    /// Of `served`, one version of `entry`, by what was `seen` of the series, at the epoch second `now`.
    pub fn of(served: &Served, entry: &Entry, seen: Seen, now: i64) -> Self {
        let metadata = served.loaded.metadata();
        let newest = entry
            .versions()
            .max_by_key(|of| of.loaded.metadata().cutoff);
        let newest: &Served = newest.map_or(served, |newest| newest);
        let trained_to = newest.loaded.metadata().cutoff;
        let newest_value = match seen.last().filter(|last| last.at >= trained_to) {
            Some(last) => last.value,
            None => newest.loaded.forecaster().model().ends.last.1,
        };
        let (limits, known_to) = seen.known_to(metadata);
        let age = |since: Timestamp| now.saturating_sub(since.as_second()).max(0);
        let lately = Limits::default()
            .observed(metadata.series.step_seconds)
            .data_age;
        let step = i64::from(metadata.series.step_seconds);
        let observed = seen
            .last()
            .filter(|last| age(last.at) - step <= lately.as_secs());
        let view = seen.view().filter(|view| view.is_of(served));
        let live = view.and_then(|view| view.scores.as_ref()?.judged());
        let live = live.filter(|live| live.skill_rows >= EVIDENCE_ROWS);
        let live = live.and_then(|live| Some((live.skill?, Measured::Live(live.skill_rows))));
        let backtest = metadata.scores.as_ref().and_then(|scores| scores.skill);
        let backtest = backtest.map(|skill| (skill, Measured::Backtest));
        Self {
            step_seconds: metadata.series.step_seconds,
            model_age: age(metadata.trained_at),
            data_age: age(known_to),
            observed: observed.map(|last| last.value),
            at_zero: entry.series.zero_means == ZeroMeans::Value && newest_value == 0.0,
            skill: live.or(backtest),
            limits,
            live: view.map(|_| seen.gate_of(served).cloned()),
            seen,
        }
    }
}

/// A limit, and what is measured against it.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Since the training.
    ModelAge {
        /// In seconds.
        age: i64,
        /// At most, in seconds.
        limit: i64,
    },
    /// Since the last observation.
    DataAge {
        /// In seconds.
        age: i64,
        /// At most, in seconds.
        limit: i64,
        /// The workload is at zero by design: no age is too much.
        at_zero: bool,
    },
    /// The skill against the seasonal naive.
    Skill {
        /// `None`: nobody measured it.
        skill: Option<(f64, Measured)>,
        /// At least.
        least: f64,
    },
    /// What observations say.
    Live(Option<Reason>),
}

/// The gates of `trigger` for a version of this `standing`.
pub fn gates(trigger: &Trigger, standing: &Standing) -> Vec<Gate> {
    let limit =
        |own: Option<u32>, of_series: SignedDuration| own.map_or(of_series.as_secs(), i64::from);
    let mut gates = vec![
        Gate::ModelAge {
            age: standing.model_age,
            limit: limit(trigger.max_model_age_seconds, standing.limits.model_age),
        },
        Gate::DataAge {
            age: standing.data_age,
            limit: limit(trigger.max_data_age_seconds, standing.limits.data_age),
            at_zero: standing.at_zero,
        },
    ];
    gates.extend(trigger.min_skill.map(|least| Gate::Skill {
        skill: standing.skill,
        least,
    }));
    gates.extend(standing.live.clone().map(Gate::Live));
    gates
}

impl Gate {
    /// As the explanation names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ModelAge { .. } => "MODEL_AGE",
            Self::DataAge { .. } => "DATA_AGE",
            Self::Skill { .. } => "SKILL",
            Self::Live(_) => "LIVE",
        }
    }

    /// Whether it lets the version pass.
    pub fn is_open(&self) -> bool {
        match self {
            Self::ModelAge { age, limit } => age <= limit,
            Self::DataAge {
                age,
                limit,
                at_zero,
            } => *at_zero || age <= limit,
            Self::Skill { skill, least } => skill.is_some_and(|(skill, _)| skill >= *least),
            Self::Live(gate) => gate.is_none(),
        }
    }

    /// The reason code where it is closed.
    fn reason(&self) -> &'static str {
        match self {
            Self::ModelAge { .. } => "STALE_MODEL",
            Self::DataAge { .. } => "STALE_DATA",
            Self::Skill { skill: None, .. } => "SKILL_UNKNOWN",
            Self::Skill { .. } => "LOW_SKILL",
            Self::Live(_) => LIVE_GATE,
        }
    }

    /// What is measured, the limit, and the remedy where it is closed.
    pub fn message(&self) -> String {
        match self {
            Self::ModelAge { age, limit } if self.is_open() => {
                format!("trained {} ago; at most {}", span(*age), span(*limit))
            }
            Self::ModelAge { age, limit } => format!(
                "the model was trained {} ago, more than {}; train again, or raise maxModelAge",
                span(*age),
                span(*limit)
            ),
            Self::DataAge {
                age, at_zero: true, ..
            } => format!(
                "last observed {} ago, at zero by design: no age is too much",
                span(*age)
            ),
            Self::DataAge { age, limit, .. } if self.is_open() => {
                format!("last observed {} ago; at most {}", span(*age), span(*limit))
            }
            Self::DataAge { age, limit, .. } => format!(
                "the last observation is {} old, more than {}; let observations flow, or raise maxDataAge",
                span(*age),
                span(*limit)
            ),
            Self::Live(None) => "nothing that was observed speaks against it".to_owned(),
            Self::Live(Some(reason)) => format!("{}: {}", reason.code, reason.message),
            Self::Skill { skill: None, least } => format!(
                "minSkill is {least} and nobody measured the skill: the artifact has none of a backtest, and too little was observed; train with a backtest, let observations flow, or leave minSkill out"
            ),
            Self::Skill {
                skill: Some((skill, measured)),
                least,
            } => format!(
                "skill {skill:.3} {}; at least {least}{}",
                measured.words(),
                if self.is_open() {
                    ""
                } else {
                    "; \"same as last season\" is as good: train again, or lower minSkill"
                }
            ),
        }
    }

    /// The error that it is where it is closed.
    pub fn refusal(&self, series: &SeriesName) -> Error {
        Error::Gated {
            series: series.clone(),
            reason: self.reason(),
            why: self.message(),
        }
    }
}

impl Measured {
    fn words(self) -> String {
        match self {
            Self::Live(rows) => format!("as observed over {rows} forecasts"),
            Self::Backtest => "in the backtest".to_owned(),
        }
    }
}

/// Seconds as people say them: `90s`, `15m`, `3h 20m`, `7d`.
pub(crate) fn span(seconds: i64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds % 86_400 / 3_600, "h"),
        (seconds % 3_600 / 60, "m"),
        (seconds % 60, "s"),
    ];
    let mut parts = parts.into_iter().skip_while(|(count, _)| *count == 0);
    // The two largest say enough.
    let said = parts.by_ref().take(2).filter(|(count, _)| *count != 0);
    let said: Vec<String> = said.map(|(count, unit)| format!("{count}{unit}")).collect();
    if said.is_empty() {
        "0s".to_owned()
    } else {
        said.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::asked::Asked;

    fn standing(model_age: i64, data_age: i64) -> Standing {
        Standing {
            step_seconds: 300,
            model_age,
            data_age,
            observed: None,
            at_zero: false,
            skill: None,
            limits: Limits::default(),
            live: None,
            seen: Seen::default(),
        }
    }

    fn closed(settings: &[(&str, &str)], standing: &Standing) -> Vec<&'static str> {
        let own = [("series", "a"), ("target", "1")];
        let pairs = own.iter().chain(settings);
        let metadata = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let trigger = Asked::read(&metadata.collect()).unwrap().trigger;
        let gates = gates(&trigger, standing);
        let closed = gates.iter().filter(|gate| !gate.is_open());
        closed.map(Gate::reason).collect()
    }

    #[test]
    fn each_age_has_its_limit_of_the_trigger_or_of_the_series() {
        let (two_days, week) = (48 * 3_600, 7 * 86_400);
        assert!(closed(&[], &standing(two_days, week)).is_empty());
        assert_eq!(closed(&[], &standing(two_days + 1, 0)), ["STALE_MODEL"]);
        assert_eq!(closed(&[], &standing(0, week + 1)), ["STALE_DATA"]);
        let own = [("maxModelAge", "3d"), ("maxDataAge", "15m")];
        assert!(closed(&own, &standing(two_days + 1, 900)).is_empty());
        assert_eq!(closed(&own, &standing(0, 901)), ["STALE_DATA"]);
    }

    #[test]
    fn no_age_is_too_much_at_zero_by_design_and_only_there() {
        let mut standing = standing(0, 30 * 86_400);
        assert_eq!(closed(&[], &standing), ["STALE_DATA"]);
        standing.at_zero = true;
        assert!(closed(&[("maxDataAge", "15m")], &standing).is_empty());
    }

    #[test]
    fn a_skill_that_nobody_measured_is_not_a_skill_of_zero() {
        let mut standing = standing(0, 0);
        assert!(closed(&[], &standing).is_empty());
        assert_eq!(closed(&[("minSkill", "-5")], &standing), ["SKILL_UNKNOWN"]);
        standing.skill = Some((0.1, Measured::Backtest));
        assert!(closed(&[("minSkill", "0.1")], &standing).is_empty());
        assert_eq!(closed(&[("minSkill", "0.2")], &standing), ["LOW_SKILL"]);
    }

    #[test]
    fn spans_are_said_as_people_say_them() {
        for (seconds, said) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3_661, "1h 1m"),
            (86_400, "1d"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }
}
