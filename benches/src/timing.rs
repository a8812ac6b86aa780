//! Timing: medians of alternating rounds.

use std::time::{Duration, Instant};

/// Seconds that one call of `work` takes: the mean over enough calls to fill two milliseconds.
pub fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    let mut calls = 0_u32;
    loop {
        std::hint::black_box(work());
        calls += 1;
        let spent = start.elapsed();
        if spent >= Duration::from_millis(2) {
            return spent.as_secs_f64() / f64::from(calls);
        }
    }
}

/// The median; not a number for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
