//! From a model to forecasts. Pure, `Send + Sync`; identical questions have identical answers, to the bit.
//!
//! Every point is computed from its own time and inputs alone, several points side by side, without an allocation per
//! point: a time has the same value, to the bit, whether it is asked for in a grid or alone. Python's value differs by
//! less than 1e-9 of the largest forecast.

mod parts;
mod quantiles;
mod question;
mod trend;

pub use question::{Component, Forecast, Quantile, Question};

use crate::{
    error::{Error, Result},
    features::Mode,
    fourier::daily_angle,
    inputs::{Inputs, at},
    prophet::ProphetModel,
    spec::{Growth, check_capacity},
};

use parts::{Block, Given, Part};
use quantiles::Bands;
use trend::{Hint, Trend};

/// The most points of one question.
pub const MAX_POINTS: usize = 1_000_000;

/// The most values of one answer: points times columns.
pub const MAX_VALUES: usize = 1 << 27;

/// A model that answers.
#[derive(Debug, Clone)]
pub struct Forecaster {
    model: ProphetModel,
    trend: Trend,
    parts: Vec<Part>,
    components: Vec<Sum>,
    bands: Bands,
    /// Whether questions must bring the dates of a country's holidays.
    needs_dates: bool,
}

/// A component of predict(): the sum of some parts.
#[derive(Debug, Clone)]
struct Sum {
    name: String,
    mode: Mode,
    parts: Vec<usize>,
}

/// A question with its inputs looked up.
#[derive(Debug)]
struct Asked<'a> {
    ds: &'a [i64],
    inputs: &'a Inputs,
    given: Given<'a>,
}

/// What the points of a forecast are computed into.
#[derive(Debug, Default)]
struct Columns {
    trend: Vec<f64>,
    yhat: Vec<f64>,
    /// The parts, where components are asked for.
    parts: Vec<Vec<f64>>,
    /// What a band rests on, where levels are asked for.
    spread: Option<Spread>,
}

/// Beside each `yhat`, what a band rests on.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    /// Scaled time since the last row of the history; 0 within it.
    pub(crate) horizon: Vec<f64>,
    /// The trend without its scale: in units of `y_scale`, above the floor.
    pub(crate) scaled_trend: Vec<f64>,
    /// What multiplicative components make of the trend, and of its deviations: `1 + multiplicative_terms`.
    pub(crate) factor: Vec<f64>,
}

impl Forecaster {
    /// A forecaster from parameters alone.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when a parameter is not a finite number or the trend divides by a rate of zero;
    /// [`Error::Invalid`] when lengths do not match.
    pub fn new(model: ProphetModel) -> Result<Self> {
        if model.delta.len() != model.changepoints_t.len()
            || model.beta.len() != model.features.width()
        {
            return Err(Error::invalid(
                "params",
                "delta and beta do not match changepoints and features; get the artifact again",
            ));
        }
        if let Some(bad) = model.numbers().find(|value| !value.is_finite()) {
            return Err(Error::NonFinite {
                reason: format!("a parameter of the model is {bad}"),
            });
        }
        if model.sigma_obs < 0.0 {
            return Err(Error::invalid(
                "params.sigma_obs",
                "it is negative; get the artifact again",
            ));
        }
        let trend = Trend::new(&model);
        if !trend.is_finite() {
            return Err(Error::NonFinite {
                reason:
                    "the trend's rate passes through zero, where logistic growth is not defined"
                        .to_owned(),
            });
        }
        let parts = parts::compile(&model);
        let components = model.features.components();
        let components = components.into_iter().map(|component| Sum {
            parts: (0..parts.len())
                .filter(|&p| component.members.contains(&parts[p].name.as_str()))
                .collect(),
            name: component.name.to_owned(),
            mode: component.mode,
        });
        Ok(Self {
            components: components.collect(),
            bands: Bands::new(&model, &trend),
            needs_dates: model.dateless_country().is_some(),
            parts,
            trend,
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &ProphetModel {
        &self.model
    }

    /// What every question must bring: `cap`, `floor`, `regressors.NAME`, `conditions.NAME`, `holidays`.
    pub fn needs(&self) -> Vec<String> {
        self.model.needs()
    }

    /// The bytes that it holds in memory, its own and those on the heap; what the allocator adds is not counted.
    pub fn size_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(Part::heap_bytes).sum();
        let sums = self.components.iter();
        let sums: usize = sums
            .map(|sum| sum.name.capacity() + sum.parts.capacity() * size_of::<usize>())
            .sum();
        size_of::<Self>()
            + self.model.heap_bytes()
            + self.trend.heap_bytes()
            + self.parts.capacity() * size_of::<Part>()
            + parts
            + self.components.capacity() * size_of::<Sum>()
            + sums
    }

    /// Answers `question`. Each value depends on its own time and inputs alone.
    ///
    /// # Errors
    /// [`Error::MissingInput`] naming what the model needs and the question lacks; [`Error::Invalid`] for inputs that
    /// do not fit and for more than [`MAX_POINTS`] times or [`MAX_VALUES`] values; [`Error::NonFinite`] when the
    /// arithmetic overflows.
    pub fn forecast(&self, question: &Question<'_>) -> Result<Forecast> {
        self.check_size(question)?;
        let columns = self.columns(question)?;
        let components = if question.components {
            self.sums(&columns.parts, question.ds.len())
        } else {
            Vec::new()
        };
        let quantiles = self.quantiles(question.levels, question.inputs, &columns)?;
        let named = [("trend", &columns.trend), ("yhat", &columns.yhat)];
        let named = named.into_iter();
        let parts = components.iter().map(|c| (c.name.as_str(), &c.values));
        for (name, values) in named.chain(parts) {
            if let Some(i) = values.iter().position(|value| !value.is_finite()) {
                return Err(Error::NonFinite {
                    reason: format!("{name} is {} at point {i}", values[i]),
                });
            }
        }
        Ok(Forecast {
            trend: columns.trend,
            yhat: columns.yhat,
            components,
            quantiles,
        })
    }

    fn check_size(&self, question: &Question<'_>) -> Result<()> {
        let points = question.ds.len();
        if points > MAX_POINTS {
            return Err(Error::invalid(
                "ds",
                format!("{points} points; at most {MAX_POINTS}"),
            ));
        }
        let components = if question.components {
            self.parts.len() + self.components.len()
        } else {
            0
        };
        let columns = 2 + components + question.levels.len();
        if points.saturating_mul(columns) > MAX_VALUES {
            return Err(Error::invalid(
                "ds",
                format!(
                    "{points} points of {columns} columns; at most {MAX_VALUES} values: ask for fewer points or levels, or leave components out"
                ),
            ));
        }
        Ok(())
    }

    fn columns(&self, question: &Question<'_>) -> Result<Columns> {
        let Question { ds, inputs, .. } = *question;
        let model = &self.model;
        inputs.validate(ds.len())?;
        if self.needs_dates && inputs.holidays.is_empty() {
            return Err(model.missing_holidays());
        }
        if model.growth() == Growth::Logistic {
            if model.logistic_floor && inputs.floor.is_empty() {
                return Err(Error::missing(
                    "floor",
                    "the model was trained with a floor; give it for each time, or one for all",
                ));
            }
            let floor = if model.logistic_floor {
                inputs.floor.as_slice()
            } else {
                &[]
            };
            check_capacity(&inputs.cap, floor, model.floor(), ds.len())?;
        }
        let given = Given::new(&model.features, inputs)?;
        let column = || Vec::with_capacity(ds.len());
        let mut columns = Columns {
            trend: column(),
            yhat: column(),
            parts: if question.components {
                self.parts.iter().map(|_| column()).collect()
            } else {
                Vec::new()
            },
            spread: (!question.levels.is_empty()).then(|| Spread {
                horizon: column(),
                scaled_trend: column(),
                factor: column(),
            }),
        };
        let asked = Asked { ds, inputs, given };
        let first = self.blocks::<16>(0, &asked, &mut columns);
        let first = self.blocks::<4>(first, &asked, &mut columns);
        self.blocks::<1>(first, &asked, &mut columns);
        Ok(columns)
    }

    /// Computes the points from `first` on, `N` side by side while there are as many; returns the first that is left.
    fn blocks<const N: usize>(
        &self,
        first: usize,
        asked: &Asked<'_>,
        columns: &mut Columns,
    ) -> usize {
        let mut hint = Hint::default();
        let (blocks, rest) = asked.ds[first..].as_chunks::<N>();
        for (block, ds) in blocks.iter().enumerate() {
            self.points(first + block * N, *ds, asked, &mut hint, columns);
        }
        asked.ds.len() - rest.len()
    }

    /// Computes the points `first..first + N`.
    fn points<const N: usize>(
        &self,
        first: usize,
        ds: [i64; N],
        asked: &Asked<'_>,
        hint: &mut Hint,
        columns: &mut Columns,
    ) {
        let model = &self.model;
        let block = Block {
            first,
            ds,
            daily_angles: ds.map(|ds| daily_angle(ds as f64)),
        };
        let (mut additive, mut multiplicative) = ([0.0; N], [0.0; N]);
        for (p, part) in self.parts.iter().enumerate() {
            let values = part.at(&block, &model.features, &asked.given);
            let (total, scale) = match part.mode {
                Mode::Additive => (&mut additive, model.y_scale),
                Mode::Multiplicative => (&mut multiplicative, 1.0),
            };
            for (total, value) in total.iter_mut().zip(values) {
                *total += value;
            }
            if let Some(column) = columns.parts.get_mut(p) {
                column.extend(values.map(|value| value * scale));
            }
        }
        for l in 0..N {
            let t = model.scaled_time(ds[l]);
            let (floor, cap) = self.capacity(first + l, asked.inputs);
            let scaled = self.trend.at(t, cap, hint);
            let trend = scaled * model.y_scale + floor;
            let factor = 1.0 + multiplicative[l];
            columns.trend.push(trend);
            columns
                .yhat
                .push(trend * factor + additive[l] * model.y_scale);
            if let Some(spread) = &mut columns.spread {
                spread.horizon.push((t - 1.0).max(0.0));
                spread.scaled_trend.push(scaled);
                spread.factor.push(factor);
            }
        }
    }

    /// The floor at row `i`, and the scaled capacity there.
    fn capacity(&self, i: usize, inputs: &Inputs) -> (f64, f64) {
        let model = &self.model;
        if model.growth() != Growth::Logistic {
            return (model.floor(), 0.0);
        }
        let own = at(&inputs.floor, i).filter(|_| model.logistic_floor);
        let floor = own.unwrap_or_else(|| model.floor());
        let cap = at(&inputs.cap, i).unwrap_or(f64::NAN);
        (floor, (cap - floor) / model.y_scale)
    }

    /// The components, each the sum of its parts.
    fn sums(&self, parts: &[Vec<f64>], points: usize) -> Vec<Component> {
        let sum = |sum: &Sum| {
            let mut values = vec![0.0; points];
            for part in sum.parts.iter().filter_map(|&p| parts.get(p)) {
                for (value, part) in values.iter_mut().zip(part) {
                    *value += part;
                }
            }
            Component {
                name: sum.name.clone(),
                mode: sum.mode,
                values,
            }
        };
        self.components.iter().map(sum).collect()
    }
}
