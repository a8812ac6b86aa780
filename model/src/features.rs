//! The features of a model, in Prophet's order and arithmetic: the one builder that fit and forecast share.
//!
//! Columns: each seasonality in order (sin and cos of each order), then holidays sorted by name and day, then
//! regressors in order. A model without any has Prophet's one dummy column of zeros, which is neither additive nor
//! multiplicative.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    fourier::{self, daily_angle},
    holiday::{self, Holiday, HolidayColumn, day_of},
    inputs::{Inputs, at},
};

/// The most feature columns of one model.
pub const MAX_COLUMNS: usize = 2_000;

/// The most values of one feature matrix: 2 GiB.
pub const MAX_CELLS: usize = 1 << 28;

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// It acts only where this condition holds.
    pub condition_name: Option<String>,
}

impl Seasonality {
    /// How many columns it has: sine and cosine of each order.
    pub fn columns(&self) -> usize {
        2 * self.fourier_order as usize
    }

    /// Writes its columns at time `ds` (seconds of the wall clock) into `row`: sin, cos, sin, cos ..., as Prophet's
    /// `fourier_series`: the angle is `2 pi order days / period`.
    pub fn row(&self, ds: i64, row: &mut [f64]) {
        fourier::row(daily_angle(ds as f64), self.period, row);
    }
}

/// Whether a regressor is brought to mean 0 and deviation 1: `"auto"` (unless it is binary), `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Standardize {
    /// Unless it holds only 0 and 1.
    Auto(crate::spec::Auto),
    /// Yes or no; a constant never is.
    Always(bool),
}

impl Default for Standardize {
    fn default() -> Self {
        Self::Auto(crate::spec::Auto::Auto)
    }
}

/// A column that the question brings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regressor {
    /// The column's name.
    pub name: String,
    /// Standard deviation of the prior on the coefficient.
    pub prior_scale: f64,
    /// What was asked for; `mu` and `std` say what came of it.
    pub standardize: Standardize,
    /// The feature is `(value - mu) / std`.
    pub mu: f64,
    /// Not zero.
    pub std: f64,
    /// How it joins the trend.
    pub mode: Mode,
}

impl Regressor {
    /// Takes `mu` and `std` from the history's `values`, as Prophet does: mean and sample deviation, unless the column
    /// is constant, or binary under `auto`.
    pub(crate) fn scaled_by(mut self, values: &[f64]) -> Self {
        let binary = values.iter().all(|value| [0.0, 1.0].contains(value));
        let constant = values.windows(2).all(|pair| pair[0] == pair[1]);
        let wanted = match self.standardize {
            Standardize::Auto(_) => !binary,
            Standardize::Always(wanted) => wanted,
        };
        if wanted && !constant {
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            self.mu = mean;
            self.std = (squares / (count - 1.0)).sqrt();
        }
        self
    }
}

/// What the columns of a model are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// In the order of their columns.
    pub seasonalities: Vec<Seasonality>,
    /// In Prophet's order: by name and day.
    pub holidays: Vec<HolidayColumn>,
    /// The holidays' names as training saw them first.
    pub holiday_names: Vec<String>,
    /// How holidays join the trend.
    pub holidays_mode: Mode,
    /// In the order of their columns.
    pub regressors: Vec<Regressor>,
}

/// One column of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column<'a> {
    /// The seasonality, holiday or regressor that it belongs to; `None` for the dummy.
    pub component: Option<&'a str>,
    /// Standard deviation of the prior on its coefficient.
    pub prior_scale: f64,
    /// How it joins the trend.
    pub mode: Mode,
}

/// A component of Prophet's predict(): the sum of some features.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Component<'a> {
    pub(crate) name: &'a str,
    pub(crate) mode: Mode,
    /// The seasonalities, holidays and regressors that it sums.
    pub(crate) members: Vec<&'a str>,
}

/// Features over rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// Row-major: `values[row * width + column]`.
    pub values: Vec<f64>,
    /// How many columns; at least 1.
    pub width: usize,
    /// Standard deviation of each column's prior.
    pub prior_scales: Vec<f64>,
    /// Which columns are added to the trend; the dummy is not.
    pub additive: Vec<bool>,
    /// Which columns are factors on the trend; the dummy is not.
    pub multiplicative: Vec<bool>,
}

impl Features {
    /// How many columns there are, the dummy included: at least 1, and as many as `beta` is long.
    pub fn width(&self) -> usize {
        self.own_width().max(1)
    }

    /// As [`Features::width`], without the dummy.
    pub(crate) fn own_width(&self) -> usize {
        let seasonal: usize = self.seasonalities.iter().map(Seasonality::columns).sum();
        seasonal + self.holidays.len() + self.regressors.len()
    }

    /// What each column is, in order.
    pub fn columns(&self) -> Vec<Column<'_>> {
        let seasonal = self.seasonalities.iter().flat_map(|s| {
            let column = Column {
                component: Some(&s.name),
                prior_scale: s.prior_scale,
                mode: s.mode,
            };
            std::iter::repeat_n(column, s.columns())
        });
        let holidays = self.holidays.iter().map(|h| Column {
            component: Some(&h.name),
            prior_scale: h.prior_scale,
            mode: self.holidays_mode,
        });
        let regressors = self.regressors.iter().map(|r| Column {
            component: Some(&r.name),
            prior_scale: r.prior_scale,
            mode: r.mode,
        });
        let mut columns: Vec<Column<'_>> = seasonal.chain(holidays).chain(regressors).collect();
        if columns.is_empty() {
            columns.push(Column {
                component: None,
                prior_scale: 1.0,
                mode: Mode::Additive,
            });
        }
        columns
    }

    /// The components of predict() in Prophet's order: alphabetical, and after them the totals that have no member.
    pub(crate) fn components(&self) -> Vec<Component<'_>> {
        let named = |name, mode, members| Component {
            name,
            mode,
            members,
        };
        let own = self.seasonalities.iter().map(|s| (s.name.as_str(), s.mode));
        let mut holidays: Vec<&str> = self.holidays.iter().map(|h| h.name.as_str()).collect();
        holidays.dedup();
        let regressors = self.regressors.iter().map(|r| (r.name.as_str(), r.mode));
        let mut components: Vec<Component<'_>> = own
            .chain(holidays.iter().map(|name| (*name, self.holidays_mode)))
            .chain(regressors.clone())
            .map(|(name, mode)| named(name, mode, vec![name]))
            .collect();
        let mut totals = Vec::new();
        for (mode, total, of_regressors) in [
            (
                Mode::Additive,
                "additive_terms",
                "extra_regressors_additive",
            ),
            (
                Mode::Multiplicative,
                "multiplicative_terms",
                "extra_regressors_multiplicative",
            ),
        ] {
            let of_mode = components.iter().filter(|c| c.mode == mode);
            totals.push(named(total, mode, of_mode.map(|c| c.name).collect()));
            let of_mode = regressors.clone().filter(|(_, m)| *m == mode);
            totals.push(named(
                of_regressors,
                mode,
                of_mode.map(|(name, _)| name).collect(),
            ));
        }
        totals.push(named("holidays", self.holidays_mode, holidays));
        let (mut empty, full): (Vec<_>, Vec<_>) = totals
            .into_iter()
            .partition(|total| total.members.is_empty());
        empty.retain(|total| total.name.ends_with("_terms"));
        components.extend(full);
        components.sort_by(|a, b| a.name.cmp(b.name));
        components.extend(empty);
        components
    }

    /// The features at the times `ds` (seconds of the wall clock) with what `inputs` say there.
    ///
    /// # Errors
    /// [`Error::MissingInput`] naming a regressor or condition that is not given; [`Error::Invalid`] as in
    /// [`Inputs::validate`], for holiday days that training did not see, and for more than [`MAX_CELLS`] values.
    pub fn matrix(&self, ds: &[i64], inputs: &Inputs) -> Result<Matrix> {
        inputs.validate(ds.len())?;
        let width = self.width();
        if ds.len().saturating_mul(width) > MAX_CELLS {
            return Err(Error::invalid(
                "features",
                format!(
                    "{width} columns over {} rows; at most {MAX_CELLS} values: use a shorter history or fewer features",
                    ds.len()
                ),
            ));
        }
        let conditions = self.conditions(inputs)?;
        let regressors = self.regressor_columns(inputs)?;
        let more = self.further_days(&inputs.holidays)?;
        let mut values = vec![0.0; ds.len() * width];
        for (i, (row, &ds)) in values.chunks_exact_mut(width).zip(ds).enumerate() {
            let angle = daily_angle(ds as f64);
            let mut rest = row;
            for (seasonality, condition) in self.seasonalities.iter().zip(&conditions) {
                let (own, others) = rest.split_at_mut(seasonality.columns());
                if condition.is_none_or(|condition| at(condition, i) == Some(true)) {
                    fourier::row(angle, seasonality.period, own);
                }
                rest = others;
            }
            let (own, others) = rest.split_at_mut(self.holidays.len());
            let day = day_of(ds);
            for ((value, holiday), more) in own.iter_mut().zip(&self.holidays).zip(&more) {
                let is_on =
                    holiday.days.binary_search(&day).is_ok() || more.binary_search(&day).is_ok();
                *value = f64::from(u8::from(is_on));
            }
            for ((value, regressor), column) in
                others.iter_mut().zip(&self.regressors).zip(&regressors)
            {
                let given = at(column, i).unwrap_or(f64::NAN);
                *value = (given - regressor.mu) / regressor.std;
            }
        }
        let columns = self.columns();
        let is = |mode| move |c: &Column<'_>| c.component.is_some() && c.mode == mode;
        Ok(Matrix {
            values,
            width,
            prior_scales: columns.iter().map(|c| c.prior_scale).collect(),
            additive: columns.iter().map(is(Mode::Additive)).collect(),
            multiplicative: columns.iter().map(is(Mode::Multiplicative)).collect(),
        })
    }

    /// Heap bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let condition = |s: &Seasonality| s.condition_name.as_ref().map_or(0, String::capacity);
        let seasonalities = self.seasonalities.iter();
        let seasonalities: usize = seasonalities
            .map(|s| s.name.capacity() + condition(s))
            .sum();
        let holidays = self.holidays.iter();
        let holidays: usize = holidays
            .map(|h| h.name.capacity() + h.days.capacity() * size_of::<i64>())
            .sum();
        self.seasonalities.capacity() * size_of::<Seasonality>()
            + seasonalities
            + self.holidays.capacity() * size_of::<HolidayColumn>()
            + holidays
            + self.holiday_names.capacity() * size_of::<String>()
            + self
                .holiday_names
                .iter()
                .map(String::capacity)
                .sum::<usize>()
            + self.regressors.capacity() * size_of::<Regressor>()
            + self
                .regressors
                .iter()
                .map(|r| r.name.capacity())
                .sum::<usize>()
    }

    /// For each seasonality, its condition's column.
    pub(crate) fn conditions<'a>(&self, inputs: &'a Inputs) -> Result<Vec<Option<&'a [bool]>>> {
        let column = |seasonality: &Seasonality| {
            let Some(name) = &seasonality.condition_name else {
                return Ok(None);
            };
            match inputs.conditions.get(name) {
                Some(column) if !column.is_empty() => Ok(Some(column.as_slice())),
                _ => Err(Error::missing(
                    format!("conditions.{name}"),
                    format!(
                        "seasonality {:?} acts only where it is true; give true or false for each time",
                        seasonality.name
                    ),
                )),
            }
        };
        self.seasonalities.iter().map(column).collect()
    }

    /// For each regressor, its column.
    pub(crate) fn regressor_columns<'a>(&self, inputs: &'a Inputs) -> Result<Vec<&'a [f64]>> {
        let column = |regressor: &Regressor| match inputs.regressors.get(&regressor.name) {
            Some(column) if !column.is_empty() => Ok(column.as_slice()),
            _ => Err(Error::missing(
                format!("regressors.{}", regressor.name),
                "the model was trained with it; give its value for each time, or one for all",
            )),
        };
        self.regressors.iter().map(column).collect()
    }

    /// For each holiday column, the days that `rows` add to it, ascending.
    pub(crate) fn further_days(&self, rows: &[Holiday]) -> Result<Vec<Vec<i64>>> {
        holiday::check_size(rows)?;
        let places = self.holidays.iter().enumerate();
        let places: BTreeMap<(&str, i32), usize> = places
            .map(|(place, column)| ((column.name.as_str(), column.offset), place))
            .collect();
        let names: BTreeSet<&str> = self.holiday_names.iter().map(String::as_str).collect();
        let mut more = vec![Vec::new(); self.holidays.len()];
        for row in rows
            .iter()
            .filter(|row| names.contains(row.holiday.as_str()))
        {
            for (offset, day) in row.days()? {
                let Some(&place) = places.get(&(row.holiday.as_str(), offset)) else {
                    return Err(Error::invalid(
                        "holidays",
                        format!(
                            "{:?} on {} has a day {offset:+}, which training did not see; shorten its window",
                            row.holiday, row.ds
                        ),
                    ));
                };
                more[place].push(day);
            }
        }
        more.iter_mut()
            .for_each(|days: &mut Vec<i64>| days.sort_unstable());
        Ok(more)
    }
}
