//! A decision: what is told, and which rung of the ladder told it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use loadcast_model::trigger::{Demand, OnUnavailable, Trigger};

use crate::{error::Error, scaler::last_good::Good};

/// Which rung of the ladder answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The version that is served.
    Champion,
    /// One that was served before it.
    Previous,
    /// The last good answer.
    LastGood,
    /// The number that `onUnavailable` gives.
    OnUnavailable,
    /// Nobody: an error is told.
    None,
}

impl Source {
    /// As metrics and JSON have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Previous => "previous",
            Self::LastGood => "last_good",
            Self::OnUnavailable => "on_unavailable",
            Self::None => "error",
        }
    }
}

/// What one trigger is told at one instant.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The demand, or why there is none. Never a stand-in.
    pub told: Result<Demand, Arc<Error>>,
    /// Who said so.
    pub source: Source,
    /// The registry's number of the version that answered, also of a last good answer; 0 where none did.
    pub version: u64,
    /// Why the champion did not answer.
    pub refusal: Option<Arc<Error>>,
    /// Time alone may change the answer at this epoch second, and not before.
    pub changes_at: i64,
}

/// Where nothing is to be trusted: who answers, by which version, what, and until which epoch second.
pub(crate) fn fallback(
    trigger: &Trigger,
    good: Option<Good>,
    now: Timestamp,
) -> (Source, u64, Option<Demand>, Option<i64>) {
    match trigger.on_unavailable {
        OnUnavailable::Error => (Source::None, 0, None, None),
        OnUnavailable::Value(value) => {
            let demand = Demand {
                value,
                active: value > trigger.activation_target,
                clamped: false,
            };
            (Source::OnUnavailable, 0, Some(demand), None)
        }
        OnUnavailable::LastGood { seconds } => {
            let fresh = good.filter(|good| {
                now.duration_since(good.at) <= SignedDuration::from_secs(seconds.into())
            });
            match fresh {
                Some(good) => {
                    let expires_at = good.at.as_second() + i64::from(seconds) + 1;
                    let demand = Some(good.demand);
                    (Source::LastGood, good.version, demand, Some(expires_at))
                }
                None => (Source::None, 0, None, None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::asked::Asked;

    fn trigger(on_unavailable: &str) -> Trigger {
        let pairs = [
            ("series", "a"),
            ("target", "1"),
            ("activationTarget", "3"),
            ("onUnavailable", on_unavailable),
        ];
        let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
        Asked::read(&pairs.into()).unwrap().trigger
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn without_an_answer_there_is_an_error_unless_the_trigger_says_otherwise() {
        let good = Good {
            demand: Demand {
                value: 7.0,
                active: true,
                clamped: false,
            },
            version: 4,
            at: at(1_000),
        };
        let (source, _, demand, _) = fallback(&trigger("error"), Some(good), at(1_001));
        assert_eq!((source, demand), (Source::None, None));
        for (value, active) in [("3", false), ("3.5", true), ("0", false)] {
            let (source, version, demand, _) = fallback(&trigger(value), Some(good), at(1_001));
            assert_eq!((source, version), (Source::OnUnavailable, 0));
            let demand = demand.unwrap();
            assert_eq!(
                (demand.value.to_string(), demand.active),
                (value.to_owned(), active)
            );
        }
    }

    #[test]
    fn a_last_good_answer_is_good_for_its_time_and_not_a_second_longer() {
        let demand = Demand {
            value: 7.0,
            active: true,
            clamped: false,
        };
        let good = Good {
            demand,
            version: 4,
            at: at(1_000),
        };
        let trigger = trigger("lastGood:60s");
        let told = fallback(&trigger, Some(good), at(1_060));
        assert_eq!(told, (Source::LastGood, 4, Some(demand), Some(1_061)));
        assert_eq!(fallback(&trigger, Some(good), at(1_061)).2, None);
        assert_eq!(fallback(&trigger, None, at(1_000)).2, None);
    }
}
