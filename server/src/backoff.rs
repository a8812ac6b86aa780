//! How long to leave somebody alone who did not answer. Pure.

use std::time::Duration;

/// Waits that double from `first` up to `cap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

/// The longest wait that a peer is believed to mean.
const LONGEST_ASKED: Duration = Duration::from_secs(3_600);

impl Backoff {
    /// From `first` up to `cap`, or to `first` where that is longer.
    pub fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap: cap.max(first),
        }
    }

    /// How long to wait after `failures` in a row, the last of which came with `asked` (Retry-After): at least that, and
    /// between a half and the whole of what has doubled so far. Where in between, `jitter` in [0, 1) says, so that
    /// many who failed together do not come back together.
    pub fn delay(&self, failures: u32, asked: Option<Duration>, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.cap);
        let delay = whole.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
        delay.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_takes_at_most_half() {
        let backoff = Backoff::new(SECOND, 30 * SECOND);
        for (failures, whole) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (5, 16),
            (6, 30),
            (7, 30),
            (u32::MAX, 30),
        ] {
            let whole = whole * SECOND;
            assert_eq!(backoff.delay(failures, None, 0.0), whole / 2);
            assert_eq!(backoff.delay(failures, None, 1.0), whole);
            let between = backoff.delay(failures, None, 0.5);
            assert!(whole / 2 < between && between < whole);
        }
    }

    #[test]
    fn whoever_asks_for_longer_is_left_alone_for_longer_but_not_for_ever() {
        let backoff = Backoff::new(SECOND, 30 * SECOND);
        assert_eq!(backoff.delay(1, Some(90 * SECOND), 0.0), 90 * SECOND);
        assert_eq!(backoff.delay(1, Some(SECOND / 10), 1.0), SECOND);
        assert_eq!(backoff.delay(1, Some(Duration::MAX), 0.0), LONGEST_ASKED);
    }

    #[test]
    fn a_poll_interval_longer_than_the_cap_is_kept() {
        let backoff = Backoff::new(300 * SECOND, 30 * SECOND);
        assert_eq!(backoff.delay(4, None, 1.0), 300 * SECOND);
    }
}
