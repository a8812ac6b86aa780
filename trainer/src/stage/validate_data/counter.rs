//! A counter that nobody rated: it only rises, and falls to nothing when its process restarts.

/// The most a value may fall to, as a share of the one before, for the fall to be a reset.
const RESET: f64 = 0.1;

/// The share of steps, at most, that are resets: what falls to nothing more often is a queue or a job.
const MOST_RESETS: f64 = 0.05;

/// The share of steps, at least, that rise: a gauge that is mostly the same is none.
const LEAST_RISES: f64 = 0.5;

/// The share of steps of `values` that do not fall but for resets, where at least half of them rise and few are resets; 0
/// otherwise.
pub(super) fn counted(values: &[f64]) -> f64 {
    let pairs = values.len().saturating_sub(1);
    if pairs == 0 || values.iter().any(|value| *value < 0.0) {
        return 0.0;
    }
    let (mut rises, mut same, mut resets) = (0_usize, 0_usize, 0_usize);
    for pair in values.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        rises += usize::from(after > before);
        same += usize::from(after == before);
        resets += usize::from(after < before && after <= RESET * before);
    }
    let share = |count: usize| count as f64 / pairs as f64;
    if share(rises) < LEAST_RISES || share(resets) > MOST_RESETS {
        return 0.0;
    }
    share(rises + same + resets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_rises_and_resets_and_a_gauge_does_neither() {
        let counter: Vec<f64> = (0..100).map(|i| f64::from(i % 40) * 2.5).collect();
        assert_eq!(counted(&counter), 1.0);
        let gauge: Vec<f64> = (0..100).map(|i| 5.0 + f64::from(i).sin()).collect();
        assert!(counted(&gauge) < 0.9);
        assert_eq!(counted(&[3.0; 50]), 0.0);
        let queue: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
        assert_eq!(counted(&queue), 0.0);
    }
}
