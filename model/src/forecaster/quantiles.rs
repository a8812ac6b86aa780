//! The quantile columns of a forecast.

use sha2::{Digest as _, Sha256};

use super::{
    Columns, Forecaster, Quantile,
    trend::{Stretch, Trend},
};
use crate::{
    band::{Band, Level, Logistic, Point},
    error::{Error, Result},
    inputs::Inputs,
    prophet::ProphetModel,
};

/// What Prophet adds to the mean |delta| so that it is never zero.
const LEAST_CHANGE: f64 = 1e-8;

/// Where a model's bands come from, compiled.
#[derive(Debug, Clone)]
pub(super) enum Bands {
    /// In the series' unit.
    Closed(Band),
    /// In scaled units.
    Sampled(Logistic),
}

impl Bands {
    pub(super) fn new(model: &ProphetModel, trend: &Trend) -> Self {
        // Prophet counts the one changepoint of a model that has none, at 0.
        let bends = model.changepoints_t.len() as f64;
        let total: f64 = model.delta.iter().map(|delta| delta.abs()).sum();
        let jump = total / bends.max(1.0) + LEAST_CHANGE;
        match trend {
            Trend::Linear(_) => Self::Closed(Band::new(
                bends,
                jump * model.y_scale,
                model.sigma_obs * model.y_scale,
            )),
            Trend::Flat(_) => Self::Closed(Band::noise(model.sigma_obs * model.y_scale)),
            Trend::Logistic(stretches) => {
                let (rate, offset) = stretches
                    .last()
                    .map_or((0.0, 0.0), Stretch::rate_and_offset);
                Self::Sampled(Logistic {
                    seed: seed(model),
                    rate,
                    offset,
                    bends,
                    jump,
                    sigma: model.sigma_obs,
                })
            }
        }
    }
}

/// The same for the same parameters, in every process.
fn seed(model: &ProphetModel) -> [u8; 32] {
    let mut hash = Sha256::new();
    for number in model.numbers() {
        hash.update(number.to_le_bytes());
    }
    hash.finalize().into()
}

impl Forecaster {
    /// The levels of the model's own interval: what `interval_width` leaves, half on either side.
    pub fn interval_levels(&self) -> Vec<f64> {
        // 0.8 leaves 0.1, which it does not quite in binary.
        let tail = ((1.0 - self.model.spec.interval_width) / 2.0 * 1e12).round() / 1e12;
        if tail > 0.0 && tail < 0.5 {
            vec![tail, 1.0 - tail]
        } else {
            Vec::new()
        }
    }

    /// Whether a quantile takes some 50 ns a point: not where bands are sampled (100 us), nor where the noise is tiny
    /// beside the bends of the trend (2 us).
    pub fn has_quick_bands(&self) -> bool {
        match &self.bands {
            Bands::Closed(band) => band.is_quick(),
            Bands::Sampled(_) => false,
        }
    }

    /// The quantiles at `levels` of the points in `columns`.
    pub(super) fn quantiles(
        &self,
        levels: &[f64],
        inputs: &Inputs,
        columns: &Columns,
    ) -> Result<Vec<Quantile>> {
        let levels: Vec<Level> = levels
            .iter()
            .map(|level| Level::new(*level))
            .collect::<Result<_>>()?;
        let Some(rest) = &columns.spread else {
            return Ok(Vec::new());
        };
        let deviations = match &self.bands {
            Bands::Closed(band) => {
                let mut deviations: Vec<Vec<f64>> = Vec::with_capacity(levels.len());
                for (l, level) in levels.iter().enumerate() {
                    let mirror = levels[..l].iter().position(|other| other.mirrors(*level));
                    let column = if let Some(mirror) = mirror {
                        deviations[mirror].iter().map(|value| -value).collect()
                    } else {
                        let mut at_level = band.deviations(*level);
                        let points = rest.horizon.iter().zip(&rest.factor);
                        points.map(|(lead, f)| at_level.at(*lead, *f)).collect()
                    };
                    deviations.push(column);
                }
                deviations
            }
            Bands::Sampled(trend) => {
                let points = rest.horizon.iter().zip(&rest.factor).enumerate();
                let points: Vec<Point> = points
                    .map(|(i, (lead, factor))| Point {
                        lead: *lead,
                        trend: rest.scaled_trend[i],
                        cap: self.capacity(i, inputs).1,
                        factor: *factor,
                    })
                    .collect();
                let mut deviations = trend.deviations(&points, &levels)?;
                for value in deviations.iter_mut().flatten() {
                    *value *= self.model.y_scale;
                }
                deviations
            }
        };
        let quantiles = levels.iter().zip(deviations).map(|(level, mut values)| {
            for (value, yhat) in values.iter_mut().zip(&columns.yhat) {
                *value += yhat;
            }
            if let Some(i) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NonFinite {
                    reason: format!(
                        "quantile {} is {} at point {i}",
                        level.probability(),
                        values[i]
                    ),
                });
            }
            Ok(Quantile {
                level: level.probability(),
                values,
            })
        });
        quantiles.collect()
    }
}
