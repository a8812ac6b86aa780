//! How good a forecast was.

use serde::{Deserialize, Serialize};

/// Scores of a forecast. Absent is "not measured", never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Mean absolute error, in the series' unit.
    pub mae: Option<f64>,
    /// Root of the mean squared error, in the series' unit.
    pub rmse: Option<f64>,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: Option<f64>,
    /// Mean absolute scaled error: MAE over that of the in-sample seasonal naive.
    pub mase: Option<f64>,
    /// Share of observations inside the band, 0 to 1.
    pub coverage: Option<f64>,
    /// Winkler (interval) score.
    pub winkler: Option<f64>,
    /// MASE of the seasonal naive on the same origins.
    pub seasonal_naive_mase: Option<f64>,
    /// `1 - mase / seasonal_naive_mase`: above zero beats "same as last season".
    pub skill: Option<f64>,
    /// How many origins were averaged.
    pub origins: u32,
    /// How far each origin looked.
    pub horizon_seconds: Option<i64>,
}

/// Mean absolute error. `None` for no pairs.
pub fn mae(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(
        pairs
            .iter()
            .map(|(truth, forecast)| (truth - forecast).abs()),
    )
}

/// Root of the mean squared error. `None` for no pairs.
pub fn rmse(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(
        pairs
            .iter()
            .map(|(truth, forecast)| (truth - forecast).powi(2)),
    )
    .map(f64::sqrt)
}

/// Symmetric mean absolute percentage error in 0..=200 (Makridakis 1993): the mean of
/// `200 |y - f| / (|y| + |f|)`, a pair of zeros counting as 0. `None` for no pairs.
pub fn smape(pairs: &[(f64, f64)]) -> Option<f64> {
    mean(pairs.iter().map(|(truth, forecast)| {
        let scale = truth.abs() + forecast.abs();
        if scale == 0.0 {
            0.0
        } else {
            200.0 * (truth - forecast).abs() / scale
        }
    }))
}

/// The scale of MASE (Hyndman and Koehler 2006): the mean absolute difference of values one `season` (in steps) apart.
/// `None` when there is no such pair or they never differ.
pub fn naive_scale(values: &[Option<f64>], season: usize) -> Option<f64> {
    let later = values.get(season..)?;
    let pairs: Vec<_> = values
        .iter()
        .zip(later)
        .filter_map(|(earlier, later)| Some(((*earlier)?, (*later)?)))
        .collect();
    mae(&pairs).filter(|scale| *scale > 0.0)
}

/// The mean; `None` of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let pairs = [(1.0, 2.0), (3.0, 1.0)];
        assert_eq!(mae(&pairs), Some(1.5));
        assert_eq!(rmse(&pairs), Some(2.5_f64.sqrt()));
        assert_eq!(smape(&pairs), Some((200.0 / 3.0 + 100.0) / 2.0));
        assert_eq!(smape(&[(0.0, 0.0), (1.0, -1.0)]), Some(100.0));
        assert_eq!(mae(&[]), None);
    }

    #[test]
    fn the_naive_scale_skips_holes_and_refuses_to_be_zero() {
        let values = [Some(1.0), Some(2.0), None, Some(5.0), Some(4.0)];
        assert_eq!(naive_scale(&values, 2), Some(3.0));
        assert_eq!(naive_scale(&[Some(1.0); 6], 2), None);
        assert_eq!(naive_scale(&values, 5), None);
    }
}
