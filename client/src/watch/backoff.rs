//! How long to wait before connecting again.

use std::time::Duration;

/// The first wait is at most this.
pub(crate) const FIRST: Duration = Duration::from_millis(100);

/// No wait is longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// The wait before attempt `attempt` (from 0): twice as long each time, spread over its upper half by `spread`
/// in [0, 1), so that subscribers who were cut off together do not come back together. Whole milliseconds, as timers
/// keep no finer time.
pub(crate) fn delay(attempt: u32, spread: f64) -> Duration {
    let doubled = 1_u32
        .checked_shl(attempt)
        .and_then(|factor| FIRST.checked_mul(factor))
        .unwrap_or(LONGEST)
        .min(LONGEST);
    let spread = doubled.mul_f64(0.5 + spread.clamp(0.0, 1.0) / 2.0);
    spread.saturating_sub(Duration::from_nanos(u64::from(
        spread.subsec_nanos() % 1_000_000,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        assert_eq!(delay(0, 1.0), FIRST);
        assert_eq!(delay(1, 1.0), FIRST * 2);
        assert_eq!(delay(3, 1.0), FIRST * 8);
        for attempt in [9, 31, 32, u32::MAX] {
            assert_eq!(delay(attempt, 1.0), LONGEST);
        }
    }

    #[test]
    fn waits_are_spread_over_their_upper_half() {
        for attempt in 0..40 {
            let (low, high) = (delay(attempt, 0.0), delay(attempt, 1.0));
            assert_eq!(low, high / 2);
            let middle = delay(attempt, 0.5);
            assert!(low < middle && middle < high);
        }
    }
}
