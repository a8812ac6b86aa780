//! The features over the rows of a history, in blocks: the values of [`Features::matrix`], with sines and cosines by
//! the addition theorem, which a fit of a millisecond needs.

use std::f64::consts::TAU;

use crate::{
    error::Result,
    features::{Features, Seasonality},
    fourier::sin_cos,
    holiday::day_of,
    inputs::{Inputs, at},
    optimizer::panels::{BLOCK, Lane, Panels},
};

/// `features` at the times `ds`, ascending; a column for each of [`Features::columns`].
///
/// # Errors
/// As [`Features::matrix`], for inputs that are missing.
pub(crate) fn design(features: &Features, ds: &[i64], inputs: &Inputs) -> Result<Panels> {
    let mut panels = Panels::new(ds.len(), features.width());
    let step = ds.windows(2).map(|pair| pair[1] - pair[0]).min();
    let conditions = features.conditions(inputs)?;
    let mut first = 0;
    for (seasonality, condition) in features.seasonalities.iter().zip(conditions) {
        fourier(&mut panels, first, seasonality, ds, step.unwrap_or(1));
        if let Some(condition) = condition {
            mask(&mut panels, first..first + seasonality.columns(), condition);
        }
        first += seasonality.columns();
    }
    for holiday in &features.holidays {
        let is_on = |ds: &i64| holiday.days.binary_search(&day_of(*ds)).is_ok();
        let column: Vec<f64> = ds.iter().map(|ds| f64::from(u8::from(is_on(ds)))).collect();
        panels.set_column(first, &column);
        first += 1;
    }
    let given = features.regressor_columns(inputs)?;
    for (regressor, values) in features.regressors.iter().zip(given) {
        let feature = |i| (at(values, i).unwrap_or(f64::NAN) - regressor.mu) / regressor.std;
        let column: Vec<f64> = (0..ds.len()).map(feature).collect();
        panels.set_column(first, &column);
        first += 1;
    }
    Ok(panels)
}

/// Writes the columns of `seasonality` from column `first` on. Rows that follow each other by `step` share a table of
/// the angles from the first of them; the angle there is counted from the start of its period, so that it is exact.
fn fourier(panels: &mut Panels, first: usize, seasonality: &Seasonality, ds: &[i64], step: i64) {
    let period = seasonality.period * 86_400.0;
    let orders = seasonality.fourier_order as usize;
    let turn = |seconds: f64| sin_cos(TAU * (seconds.rem_euclid(period) / period));
    let ahead: Vec<(Lane, Lane)> = (1..=orders)
        .map(|order| {
            let (mut sin, mut cos) = ([0.0; BLOCK], [0.0; BLOCK]);
            for (i, (sin, cos)) in sin.iter_mut().zip(&mut cos).enumerate() {
                (*sin, *cos) = turn(i as f64 * step as f64 * order as f64);
            }
            (sin, cos)
        })
        .collect();
    for (b, ds) in ds.chunks(BLOCK).enumerate() {
        let lanes = &mut panels.block_mut(b)[first..first + 2 * orders];
        let mut from = 0;
        for run in ds.chunk_by(|a, b| b - a == step) {
            let (sin, cos) = turn(run[0] as f64);
            let (mut s, mut c) = (sin, cos);
            for (lanes, (sines, cosines)) in lanes.chunks_exact_mut(2).zip(&ahead) {
                let ([sin_lane, cos_lane], to) = (lanes, from + run.len()) else {
                    continue;
                };
                let out = sin_lane[from..to].iter_mut().zip(&mut cos_lane[from..to]);
                for ((sin_out, cos_out), (sine, cosine)) in out.zip(sines.iter().zip(cosines)) {
                    *sin_out = s * cosine + c * sine;
                    *cos_out = c * cosine - s * sine;
                }
                (s, c) = (s * cos + c * sin, c * cos - s * sin);
            }
            from += run.len();
        }
    }
}

/// Zero where the condition does not hold.
fn mask(panels: &mut Panels, columns: std::ops::Range<usize>, condition: &[bool]) {
    for b in 0..panels.blocks() {
        let rows = panels.rows_of(b);
        for lane in &mut panels.block_mut(b)[columns.clone()] {
            for (i, value) in lane[..rows].iter_mut().enumerate() {
                if at(condition, b * BLOCK + i) != Some(true) {
                    *value = 0.0;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Mode, Regressor, Standardize};

    fn seasonality(name: &str, period: f64, order: u32, condition: Option<&str>) -> Seasonality {
        Seasonality {
            name: name.to_owned(),
            period,
            fourier_order: order,
            prior_scale: 10.0,
            mode: Mode::Additive,
            condition_name: condition.map(str::to_owned),
        }
    }

    /// Rows with a gap, a change of the step and a ragged end.
    fn times() -> Vec<i64> {
        let start = 1_700_000_123;
        let even = (0..200).map(|i| start + i * 300);
        let after_gap = (0..77).map(|i| start + 90_000 + i * 300);
        let uneven = (0..40).map(|i| start + 200_000 + i * i * 301);
        even.chain(after_gap).chain(uneven).collect()
    }

    #[test]
    fn it_is_the_matrix_that_forecasts_are_made_with() {
        let ds = times();
        let mut inputs = Inputs::default();
        let load = (0..ds.len()).map(|i| (i % 7) as f64).collect();
        inputs.regressors.insert("load".to_owned(), load);
        let open = (0..ds.len()).map(|i| i % 3 == 0).collect();
        inputs.conditions.insert("open".to_owned(), open);
        let features = Features {
            seasonalities: vec![
                seasonality("yearly", 365.25, 10, None),
                seasonality("weekly", 7.0, 3, None),
                seasonality("daily", 1.0, 12, Some("open")),
                seasonality("odd", 0.123_456, 5, None),
            ],
            holidays: crate::holiday::columns(
                &[crate::holiday::Holiday {
                    holiday: "launch".to_owned(),
                    ds: "2023-11-15".parse().unwrap(),
                    lower_window: 0,
                    upper_window: 1,
                    prior_scale: None,
                }],
                10.0,
            )
            .unwrap()
            .0,
            holiday_names: vec!["launch".to_owned()],
            holidays_mode: Mode::Additive,
            regressors: vec![Regressor {
                name: "load".to_owned(),
                prior_scale: 1.0,
                standardize: Standardize::default(),
                mu: 3.0,
                std: 2.0,
                mode: Mode::Additive,
            }],
        };
        let panels = design(&features, &ds, &inputs).unwrap();
        let matrix = features.matrix(&ds, &inputs).unwrap();
        for (i, row) in matrix.values.chunks_exact(matrix.width).enumerate() {
            for (c, want) in row.iter().enumerate() {
                let have = panels.get(i, c);
                // Prophet's angles are rounded, and here up to 5e6 radians long.
                assert!(
                    (have - want).abs() < 5e-9,
                    "row {i} column {c}: {have} {want}"
                );
            }
        }
    }
}
