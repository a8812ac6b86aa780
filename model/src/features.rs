//! Seasonal features, in Prophet's order and arithmetic.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

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
}
