//! Timing: medians of alternating rounds.

use std::time::{Duration, Instant};

/// Seconds that one call of `work` takes: the median of batches of at least 50 microseconds, over two milliseconds, so
/// that what interrupts a batch does not count.
pub fn seconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let begun = Instant::now();
    let mut batches = Vec::new();
    while begun.elapsed() < Duration::from_millis(2) {
        let start = Instant::now();
        let mut calls = 0_u32;
        while !calls.is_multiple_of(16) || start.elapsed() < Duration::from_micros(50) {
            std::hint::black_box(work());
            calls += 1;
        }
        batches.push(start.elapsed().as_secs_f64() / f64::from(calls));
    }
    median(batches)
}

/// The median; not a number for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
