//! The components of a model, compiled: the columns of each feature with their coefficients.

use crate::{
    error::Result,
    features::{Features, Mode},
    fourier::FourierSum,
    holiday::day_of,
    inputs::{Inputs, at},
    prophet::ProphetModel,
};

/// A seasonality, a holiday or a regressor.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) mode: Mode,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Seasonality {
        index: usize,
        sum: FourierSum,
    },
    /// Its columns, by their place among the model's holiday columns, and their coefficients.
    Holiday(Vec<(usize, f64)>),
    /// The feature is `(value - mu) / std`.
    Regressor {
        index: usize,
        mu: f64,
        std: f64,
        beta: f64,
    },
}

/// What a question brings, looked up once for all its points.
#[derive(Debug)]
pub(super) struct Given<'a> {
    /// For each seasonality, where it acts.
    conditions: Vec<Option<&'a [bool]>>,
    /// For each holiday column, further days; empty where the question brings none at all.
    more_days: Vec<Vec<i64>>,
    /// For each regressor, its values.
    regressors: Vec<&'a [f64]>,
}

impl<'a> Given<'a> {
    /// # Errors
    /// As [`Features::matrix`].
    pub(super) fn new(features: &Features, inputs: &'a Inputs) -> Result<Self> {
        Ok(Self {
            conditions: features.conditions(inputs)?,
            more_days: if inputs.holidays.is_empty() {
                Vec::new()
            } else {
                features.further_days(&inputs.holidays)?
            },
            regressors: features.regressor_columns(inputs)?,
        })
    }
}

/// Some points: their rows in the question and their times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block<const N: usize> {
    pub(super) first: usize,
    pub(super) ds: [i64; N],
    pub(super) daily_angles: [f64; N],
}

/// The parts of `model`, in the order of their first columns.
pub(super) fn compile(model: &ProphetModel) -> Vec<Part> {
    let features = &model.features;
    let mut beta = model.beta.as_slice();
    let mut parts: Vec<Part> = Vec::new();
    for (index, seasonality) in features.seasonalities.iter().enumerate() {
        let (own, others) = beta.split_at(seasonality.columns());
        beta = others;
        parts.push(Part {
            name: seasonality.name.clone(),
            mode: seasonality.mode,
            kind: Kind::Seasonality {
                index,
                sum: FourierSum::new(seasonality.period, own),
            },
        });
    }
    let (own, others) = beta.split_at(features.holidays.len());
    for (index, (column, beta)) in features.holidays.iter().zip(own).enumerate() {
        // Columns of one holiday stand together.
        match parts.last_mut() {
            Some(Part {
                name,
                kind: Kind::Holiday(columns),
                ..
            }) if *name == column.name => {
                columns.push((index, *beta));
            }
            _ => parts.push(Part {
                name: column.name.clone(),
                mode: features.holidays_mode,
                kind: Kind::Holiday(vec![(index, *beta)]),
            }),
        }
    }
    for (index, (regressor, beta)) in features.regressors.iter().zip(others).enumerate() {
        parts.push(Part {
            name: regressor.name.clone(),
            mode: regressor.mode,
            kind: Kind::Regressor {
                index,
                mu: regressor.mu,
                std: regressor.std,
                beta: *beta,
            },
        });
    }
    parts
}

impl Part {
    /// Its sum of columns times coefficients at each point.
    pub(super) fn at<const N: usize>(
        &self,
        block: &Block<N>,
        features: &Features,
        given: &Given<'_>,
    ) -> [f64; N] {
        match &self.kind {
            Kind::Seasonality { index, sum } => {
                let mut values = sum.at(&block.daily_angles);
                if let Some(condition) = given.conditions[*index] {
                    for (l, value) in values.iter_mut().enumerate() {
                        if at(condition, block.first + l) != Some(true) {
                            *value = 0.0;
                        }
                    }
                }
                values
            }
            Kind::Holiday(columns) => {
                let mut values = [0.0; N];
                let mut last = None;
                for (value, ds) in values.iter_mut().zip(block.ds) {
                    let day = day_of(ds);
                    // Neighbours are mostly of one day.
                    *value = match last {
                        Some((same, value)) if same == day => value,
                        _ => on_day(columns, day, features, given),
                    };
                    last = Some((day, *value));
                }
                values
            }
            Kind::Regressor {
                index,
                mu,
                std,
                beta,
            } => {
                let column = given.regressors[*index];
                std::array::from_fn(|l| {
                    let value = at(column, block.first + l).unwrap_or(f64::NAN);
                    (value - mu) / std * beta
                })
            }
        }
    }

    /// Heap bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let kind = match &self.kind {
            Kind::Seasonality { sum, .. } => sum.heap_bytes(),
            Kind::Holiday(columns) => columns.capacity() * size_of::<(usize, f64)>(),
            Kind::Regressor { .. } => 0,
        };
        self.name.capacity() + kind
    }
}

/// A holiday's effect on `day`: the coefficients of its columns that are on.
fn on_day(columns: &[(usize, f64)], day: i64, features: &Features, given: &Given<'_>) -> f64 {
    let is_on = |index: usize| {
        let more = given.more_days.get(index).map_or(&[][..], Vec::as_slice);
        features.holidays[index].days.binary_search(&day).is_ok()
            || more.binary_search(&day).is_ok()
    };
    let on = columns.iter().filter(|(index, _)| is_on(*index));
    on.map(|(_, beta)| beta).sum()
}
