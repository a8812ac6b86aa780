//! Seasonal features, in Prophet's order and arithmetic.

use std::f64::consts::{PI, TAU};

use serde::{Deserialize, Serialize};

/// Seconds of a day.
pub(crate) const DAY_SECONDS: i64 = 86_400;

/// How a component joins the trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Added, in the series' unit.
    #[default]
    Additive,
    /// A factor on the trend.
    Multiplicative,
}

/// A Fourier series of one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Seasonality {
    /// As Prophet names it: yearly, weekly, daily, or the user's.
    pub name: String,
    /// In days.
    pub period: f64,
    /// Pairs of sine and cosine.
    pub fourier_order: u32,
    /// Standard deviation of the prior on each coefficient.
    pub prior_scale: f64,
    /// How it joins the trend.
    pub mode: Mode,
}

impl Seasonality {
    /// How many columns it has: sine and cosine of each order.
    pub fn columns(&self) -> usize {
        2 * self.fourier_order as usize
    }

    /// Writes its columns at time `ds` (seconds of the wall clock) into `row`: sin, cos, sin, cos ..., as Prophet's
    /// `fourier_series`: the angle is `2 pi order days / period`.
    pub fn row(&self, ds: i64, row: &mut [f64]) {
        // Evaluated in the order of Prophet's own code, so that columns agree to the bit.
        let turns = ds as f64 / 3_600.0 / 24.0 * PI * 2.0;
        for (pair, order) in row.chunks_exact_mut(2).zip(1_u32..) {
            let angle = turns * f64::from(order) / self.period;
            pair[0] = angle.sin();
            pair[1] = angle.cos();
        }
    }

    /// The scaled value at time `ds` (seconds of the wall clock) of the series with coefficients `beta` (sin, cos, sin,
    /// cos ...).
    ///
    /// One sine and cosine, of the angle within the period; higher orders follow by the addition theorems. It agrees
    /// with [`Seasonality::row`] to about 1e-10 of the coefficients: what `row` loses by rounding angles of many turns.
    pub fn value(&self, ds: i64, beta: &[f64]) -> f64 {
        let (sin, cos) = (TAU * self.phase(ds)).sin_cos();
        let (mut s, mut c) = (sin, cos);
        let mut sum = 0.0;
        for pair in beta.chunks_exact(2) {
            sum += pair[0] * s + pair[1] * c;
            (s, c) = (s * cos + c * sin, c * cos - s * sin);
        }
        sum
    }

    /// Where in its period time `ds` lies, 0 to 1.
    fn phase(&self, ds: i64) -> f64 {
        let seconds = self.period * DAY_SECONDS as f64;
        // Below 2^53 a whole number of seconds is exact, and so is the remainder.
        if seconds.fract() == 0.0 && (1.0..9e15).contains(&seconds) {
            #[allow(clippy::cast_possible_truncation)]
            let whole = seconds as i64;
            ds.rem_euclid(whole) as f64 / seconds
        } else {
            (ds as f64 / seconds).rem_euclid(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The recurrence is the sum over the columns.
        #[test]
        fn the_value_is_the_weighted_row(
            ds in -10_000_000_000_i64..10_000_000_000,
            beta in prop::collection::vec(-1.0..1.0_f64, 20),
            period in prop::sample::select(vec![1.0, 7.0, 30.5, 365.25, 1.0 / 3.0, 0.123_456_7]),
        ) {
            let seasonality = Seasonality {
                name: "x".to_owned(),
                period,
                fourier_order: 10,
                prior_scale: 10.0,
                mode: Mode::Additive,
            };
            let mut row = [0.0; 20];
            seasonality.row(ds, &mut row);
            let sum: f64 = row.iter().zip(&beta).map(|(x, b)| x * b).sum();
            prop_assert!((seasonality.value(ds, &beta) - sum).abs() < 1e-7);
        }
    }
}
