//! Two clocks of staleness: the model's age and the age of the data it knows.

use jiff::{SignedDuration, Timestamp};

/// How fresh an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Neither limit is passed.
    Fresh,
    /// Trained longer ago than the limit.
    StaleModel,
    /// The last observation is older than the limit.
    StaleData,
}

impl Freshness {
    /// The reason code of what is not fresh.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Fresh => None,
            Self::StaleModel => Some("STALE_MODEL"),
            Self::StaleData => Some("STALE_DATA"),
        }
    }
}

/// The ages beyond which an answer is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Since the training.
    pub model_age: SignedDuration,
    /// Since the last observation that is known.
    pub data_age: SignedDuration,
}

/// The shortest limit of the data's age while observations flow.
const OBSERVED_DATA_AGE: SignedDuration = SignedDuration::from_mins(15);

/// So many steps may be missing while observations flow.
const OBSERVED_STEPS: i64 = 3;

impl Default for Limits {
    /// 48 hours (twice an unknown retraining interval of a day) and 7 days (while no observations flow to the server).
    fn default() -> Self {
        Self {
            model_age: SignedDuration::from_hours(48),
            data_age: SignedDuration::from_hours(7 * 24),
        }
    }
}

impl Limits {
    /// The same for a model that is trained every so many seconds: two of those may pass.
    #[must_use]
    pub fn trained_every(self, seconds: i64) -> Self {
        Self {
            model_age: SignedDuration::from_secs(seconds.saturating_mul(2)),
            ..self
        }
    }

    /// The same while observations flow at steps of so many seconds: the larger of 3 steps and 15 minutes.
    #[must_use]
    pub fn observed(self, step_seconds: u32) -> Self {
        let steps = SignedDuration::from_secs(OBSERVED_STEPS * i64::from(step_seconds));
        Self {
            data_age: steps.max(OBSERVED_DATA_AGE),
            ..self
        }
    }

    /// How fresh a model is at `now`, which knows data up to `known_until`. Old data outweighs an old model: it is the worse
    /// of the two.
    pub fn judge(
        &self,
        now: Timestamp,
        trained_at: Timestamp,
        known_until: Timestamp,
    ) -> Freshness {
        if now.duration_since(known_until) > self.data_age {
            Freshness::StaleData
        } else if now.duration_since(trained_at) > self.model_age {
            Freshness::StaleModel
        } else {
            Freshness::Fresh
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_passed_one_second_after_it() {
        let hours = |hours: i64| Timestamp::from_second(hours * 3_600).unwrap();
        let second = SignedDuration::from_secs(1);
        let limits = Limits::default();
        assert_eq!(
            limits.judge(hours(48), hours(0), hours(0)),
            Freshness::Fresh
        );
        assert_eq!(
            limits.judge(hours(48) + second, hours(0), hours(0)),
            Freshness::StaleModel
        );
        assert_eq!(
            limits.judge(hours(168), hours(167), hours(0)),
            Freshness::Fresh
        );
        assert_eq!(
            limits.judge(hours(168) + second, hours(167), hours(0)),
            Freshness::StaleData
        );
    }
}
