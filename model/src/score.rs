//! How good a forecast was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The share of a value that arithmetic may be off by: a band without width holds the constant it was learned from.
const ROUNDING: f64 = 1e-9;

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
pub fn naive_scale(values: &[f64], season: usize) -> Option<f64> {
    let later = values.get(season..)?;
    let differences = values.iter().zip(later).map(|(a, b)| (b - a).abs());
    mean(differences).filter(|scale| *scale > 0.0)
}

/// The pinball (quantile) loss of `forecast` at `level`: `level (y - q)` above the forecast, `(1 - level) (q - y)` below.
pub fn pinball(truth: f64, forecast: f64, level: f64) -> f64 {
    let above = truth - forecast;
    if above >= 0.0 {
        level * above
    } else {
        (level - 1.0) * above
    }
}

/// The interval score (Winkler 1972) of the band from the quantile at level `low.0` to that at `high.0`: its width, plus
/// what the truth lies outside it over the level that was to be outside on that side.
pub fn winkler(truth: f64, low: (f64, f64), high: (f64, f64)) -> f64 {
    let below = (low.1 - truth).max(0.0) / low.0;
    let above = (truth - high.1).max(0.0) / (1.0 - high.0);
    high.1 - low.1 + below + above
}

/// Whether the band from `low` to `high` held `truth`, a billionth of it being rounding.
pub fn inside(truth: f64, low: f64, high: f64) -> bool {
    let rounding = ROUNDING * truth.abs();
    low - rounding <= truth && truth <= high + rounding
}

/// A forecast beside what came: one value of each column per step.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored<'a> {
    /// `None` where nothing was observed; not scored.
    pub truth: &'a [Option<f64>],
    /// The point forecast.
    pub point: &'a [f64],
    /// Quantiles by level, ascending.
    pub quantiles: &'a [(f64, Vec<f64>)],
    /// Of MASE; see [`naive_scale`].
    pub scale: Option<f64>,
}

/// What a backtest measures. Absent is "not measured", never zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Mean absolute scaled error: MAE over that of the in-sample seasonal naive.
    pub mase: Option<f64>,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: Option<f64>,
    /// Mean absolute error, in the series' unit.
    pub mae: Option<f64>,
    /// Root of the mean squared error, in the series' unit.
    pub rmse: Option<f64>,
    /// Share of observations between the outermost levels, 0 to 1.
    pub coverage: Option<f64>,
    /// Interval score of the outermost levels, in the series' unit.
    pub winkler: Option<f64>,
    /// Pinball loss by level, in the series' unit.
    pub pinball: BTreeMap<String, f64>,
}

impl Measures {
    /// The measures of one forecast.
    pub fn of(scored: &Scored<'_>) -> Self {
        let observed = || {
            let truth = scored.truth.iter().enumerate();
            truth.filter_map(|(i, truth)| Some((i, (*truth)?)))
        };
        let pairs: Vec<(f64, f64)> = observed()
            .filter_map(|(i, truth)| Some((truth, *scored.point.get(i)?)))
            .collect();
        let quantile = |values: &[f64], i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        let band = match scored.quantiles {
            [low, .., high] => Some((low, high)),
            _ => None,
        };
        let of_band = |score: fn(f64, (f64, f64), (f64, f64)) -> f64| {
            let (low, high) = band?;
            mean(observed().map(|(i, truth)| {
                let at = |of: &(f64, Vec<f64>)| (of.0, quantile(&of.1, i));
                score(truth, at(low), at(high))
            }))
        };
        Self {
            mase: mae(&pairs)
                .zip(scored.scale)
                .map(|(mae, scale)| mae / scale),
            smape: smape(&pairs),
            mae: mae(&pairs),
            rmse: rmse(&pairs),
            coverage: of_band(|truth, low, high| f64::from(u8::from(inside(truth, low.1, high.1)))),
            winkler: of_band(winkler),
            pinball: scored
                .quantiles
                .iter()
                .filter_map(|(level, values)| {
                    let losses = observed().map(|(i, y)| pinball(y, quantile(values, i), *level));
                    Some((level.to_string(), mean(losses)?))
                })
                .collect(),
        }
    }

    /// The means over several origins of what was measured.
    pub fn mean_of(all: &[Self]) -> Self {
        let average = |pick: fn(&Self) -> Option<f64>| mean(all.iter().filter_map(pick));
        let levels = all.iter().flat_map(|one| one.pinball.keys());
        Self {
            mase: average(|one| one.mase),
            smape: average(|one| one.smape),
            mae: average(|one| one.mae),
            rmse: average(|one| one.rmse),
            coverage: average(|one| one.coverage),
            winkler: average(|one| one.winkler),
            pinball: levels
                .filter_map(|level| {
                    let of_level = all.iter().filter_map(|one| one.pinball.get(level).copied());
                    Some((level.clone(), mean(of_level)?))
                })
                .collect(),
        }
    }
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
    fn a_band_without_width_holds_its_constant_and_not_what_is_a_millionth_away() {
        let coverage = |truth: f64, band: f64| {
            let measures = Measures::of(&Scored {
                truth: &[Some(truth)],
                point: &[band],
                quantiles: &[(0.1, vec![band]), (0.9, vec![band])],
                scale: None,
            });
            measures.coverage
        };
        assert_eq!(coverage(0.1, 0.1_f64.next_up()), Some(1.0));
        assert_eq!(coverage(0.1, 0.1 * (1.0 + 1e-6)), Some(0.0));
        assert_eq!(coverage(0.1, 0.1 * (1.0 - 1e-6)), Some(0.0));
    }

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
    fn the_naive_scale_refuses_to_be_zero() {
        assert_eq!(naive_scale(&[1.0, 2.0, 3.0, 5.0], 2), Some(2.5));
        assert_eq!(naive_scale(&[1.0; 6], 2), None);
        assert_eq!(naive_scale(&[1.0, 2.0], 5), None);
    }

    #[test]
    fn band_scores_by_hand() {
        assert_eq!(pinball(3.0, 1.0, 0.9), 1.8);
        assert!((pinball(1.0, 3.0, 0.9) - 0.2).abs() < 1e-15);
        let (low, high) = ((0.1, 1.0), (0.9, 3.0));
        assert_eq!(winkler(2.0, low, high), 2.0);
        assert_eq!(winkler(0.0, low, high), 12.0);
        assert!((winkler(4.0, low, high) - 12.0).abs() < 1e-12);
    }

    #[test]
    fn what_was_not_observed_is_not_scored() {
        let measures = Measures::of(&Scored {
            truth: &[Some(1.0), None, Some(5.0)],
            point: &[2.0, 99.0, 5.0],
            quantiles: &[(0.1, vec![0.0; 3]), (0.9, vec![4.0; 3])],
            scale: Some(0.25),
        });
        assert_eq!(measures.mae, Some(0.5));
        assert_eq!(measures.mase, Some(2.0));
        assert_eq!(measures.coverage, Some(0.5));
        assert_eq!(measures.pinball.keys().collect::<Vec<_>>(), ["0.1", "0.9"]);
    }
}
