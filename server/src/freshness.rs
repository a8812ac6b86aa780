//! Two clocks of staleness: the model's age and the age of the data it knows.

use jiff::{SignedDuration, Timestamp};

/// How fresh an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Freshness {
    /// Neither limit is passed.
    Fresh,
    /// Trained longer ago than the limit.
    StaleModel,
    /// The last observation is older than the limit.
    StaleData,
}

/// The ages beyond which an answer is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Since the training.
    pub model_age: SignedDuration,
    /// Since the cutoff.
    pub data_age: SignedDuration,
}

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
    /// How fresh a model is at `now`. Old data outweighs an old model: it is the worse of the two.
    pub fn judge(&self, now: Timestamp, trained_at: Timestamp, cutoff: Timestamp) -> Freshness {
        if now.duration_since(cutoff) > self.data_age {
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
