//! Values that belong neither to their neighbours nor to their time of day.
//!
//! A Hampel filter alone calls every nightly job an outlier. So a value must stand out twice: from the median of the
//! values around it, and from the median of the same time on other days; and by more than noise and by a good part of
//! the usual range.

use std::collections::BTreeMap;

use loadcast_model::order::{median, quantile, spread};

use crate::time::DAY;

/// Values to either side that the local median is taken of.
const NEIGHBOURS: usize = 6;

/// Robust standard deviations of the local residuals that are noise.
const NOISE: f64 = 10.0;

/// The share of the usual range, from the 5th to the 95th percentile, that is no outlier yet.
const RANGE: f64 = 0.5;

/// Days that a time of day must have been seen on for its median to say anything.
const LEAST_DAYS: usize = 3;

/// An outlier and what was to be expected there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outlier {
    /// Which value.
    pub(super) at: usize,
    /// The median of its neighbours.
    pub(super) expected: f64,
}

/// The outliers of `values` at the wall-clock times `times`, in order. `step` is their usual spacing.
pub(super) fn outliers(times: &[i64], values: &[f64], step: i64) -> Vec<Outlier> {
    let local: Vec<f64> = (0..values.len()).map(|i| around(values, i)).collect();
    let residuals: Vec<f64> = values.iter().zip(&local).map(|(v, l)| v - l).collect();
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let range = quantile(&sorted, 0.95) - quantile(&sorted, 0.05);
    let bound = (NOISE * spread(&residuals)).max(RANGE * range);

    let slot = |time: i64| time.rem_euclid(DAY) / step.max(1);
    let mut days: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (time, value) in times.iter().zip(values) {
        days.entry(slot(*time)).or_default().push(*value);
    }
    let usual: BTreeMap<i64, f64> = days
        .into_iter()
        .filter(|(_, values)| values.len() >= LEAST_DAYS)
        .map(|(slot, mut values)| (slot, median(&mut values)))
        .collect();
    let odd_for_the_time = |i: usize| {
        let usual = usual.get(&slot(times[i]));
        usual.is_none_or(|usual| (values[i] - usual).abs() > bound)
    };
    (0..values.len())
        .filter(|&i| residuals[i].abs() > bound && odd_for_the_time(i))
        .map(|at| Outlier {
            at,
            expected: local[at],
        })
        .collect()
}

/// The median of the values around `i`, itself among them.
fn around(values: &[f64], i: usize) -> f64 {
    let window = i.saturating_sub(NEIGHBOURS)..(i + NEIGHBOURS + 1).min(values.len());
    median(&mut values[window].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day_shape(i: i64) -> f64 {
        10.0 + 4.0 * (i as f64 * std::f64::consts::TAU / 96.0).sin()
    }

    fn found(values: &[f64]) -> Vec<usize> {
        let times: Vec<i64> = (0..values.len() as i64).map(|i| i * 900).collect();
        outliers(&times, values, 900)
            .iter()
            .map(|one| one.at)
            .collect()
    }

    #[test]
    fn one_spike_is_an_outlier_and_a_job_at_the_same_time_each_day_is_none() {
        let mut values: Vec<f64> = (0..10 * 96).map(day_shape).collect();
        assert_eq!(found(&values), [0; 0]);
        values[500] = 40.0;
        assert_eq!(found(&values), [500]);
        values[500] = day_shape(500);
        for day in 0..10 {
            values[day * 96 + 8] += 30.0;
        }
        assert_eq!(found(&values), [0; 0]);
    }

    #[test]
    fn a_level_that_moves_and_stays_has_no_outliers() {
        let values: Vec<f64> = (0..10 * 96)
            .map(|i| day_shape(i) * if i < 700 { 1.0 } else { 1.5 })
            .collect();
        assert_eq!(found(&values), [0; 0]);
    }
}
