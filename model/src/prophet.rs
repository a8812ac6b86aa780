//! A fitted model: the parameters that a forecast needs, and what model.pr must say besides. The history is not kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    features::Features,
    history::History,
    inputs::Inputs,
    spec::{Growth, Scaling, Spec},
};

/// A fitted Prophet model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProphetModel {
    /// The settings it was fitted with.
    pub spec: Spec,
    /// Whether the changepoints were given and not placed.
    pub specified_changepoints: bool,
    /// Scaled values are `(y - floor) / y_scale`.
    pub y_scale: f64,
    /// The floor of every value under minmax scaling, where growth has no floor of its own.
    pub y_min: f64,
    /// The first time of the history, in seconds of the wall clock.
    pub start: f64,
    /// Seconds from the first to the last time of the history; scaled time is `(ds - start) / t_scale`.
    pub t_scale: f64,
    /// Where the trend bends, in seconds of the wall clock, ascending.
    pub changepoints: Vec<i64>,
    /// The same in scaled time; `[0]` where there are none.
    pub changepoints_t: Vec<f64>,
    /// What the feature columns are.
    pub features: Features,
    /// Whether logistic growth was trained with a floor of its own, which every question must then bring.
    pub logistic_floor: bool,
    /// The trend's rate at the start.
    pub k: f64,
    /// The trend's level at the start.
    pub m: f64,
    /// Changes of the rate, one for each of `changepoints_t`.
    pub delta: Vec<f64>,
    /// One for each feature column.
    pub beta: Vec<f64>,
    /// Standard deviation of the observation noise, scaled.
    pub sigma_obs: f64,
    /// The value of the log posterior that the parameters reach; `None` where no optimizer ran.
    pub log_posterior: Option<f64>,
    /// What is left of the history: its first and last row, and how many there were.
    pub ends: Ends,
}

/// The ends of a history: what Python insists on, and where the future begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// Time and value of the first row.
    pub first: (i64, f64),
    /// Time and value of the last row.
    pub last: (i64, f64),
    /// What stood beside the two rows: columns of two values, or of one for both.
    pub inputs: Inputs,
}

impl Ends {
    /// The ends of `history`, with the columns `inputs` beside all its rows.
    pub fn of(history: &History, inputs: &Inputs) -> Self {
        let last = history.len() - 1;
        Self {
            first: (history.first(), history.y()[0]),
            last: (history.last(), history.y()[last]),
            inputs: inputs.picked(&[0, last]),
        }
    }
}

impl ProphetModel {
    /// The floor that scaled values count from where no question brings its own: 0 under absmax scaling, the smallest
    /// value under minmax.
    pub fn floor(&self) -> f64 {
        match self.spec.scaling {
            Scaling::Absmax => 0.0,
            Scaling::Minmax => self.y_min,
        }
    }

    /// Time `ds` (seconds of the wall clock) in units of the history.
    pub fn scaled_time(&self, ds: i64) -> f64 {
        (ds as f64 - self.start) / self.t_scale
    }

    /// What every question must bring: `cap`, `floor`, `regressors.NAME`, `conditions.NAME`, `holidays`.
    pub fn needs(&self) -> Vec<String> {
        let mut needs = Vec::new();
        if self.growth() == Growth::Logistic {
            needs.push("cap".to_owned());
        }
        if self.logistic_floor {
            needs.push("floor".to_owned());
        }
        let regressors = &self.features.regressors;
        needs.extend(regressors.iter().map(|r| format!("regressors.{}", r.name)));
        let conditions = self.features.seasonalities.iter();
        let conditions: BTreeSet<&String> = conditions
            .filter_map(|s| s.condition_name.as_ref())
            .collect();
        needs.extend(conditions.iter().map(|name| format!("conditions.{name}")));
        if self.dateless_country().is_some() {
            needs.push("holidays".to_owned());
        }
        needs
    }

    /// The country that the model has holidays of whose dates stand nowhere in it. Python knows them from its holidays
    /// package.
    pub fn dateless_country(&self) -> Option<&str> {
        let country = self.spec.country_holidays.as_deref()?;
        self.dateless_holidays().next().map(|_| country)
    }

    fn dateless_holidays(&self) -> impl Iterator<Item = &str> {
        let rows = self.spec.holidays.iter();
        let dated: BTreeSet<&str> = rows.map(|row| row.holiday.as_str()).collect();
        let names = self.features.holiday_names.iter().map(String::as_str);
        names.filter(move |name| !dated.contains(name))
    }

    /// The error of a question to a model of a country's holidays that brings no dates.
    pub(crate) fn missing_holidays(&self) -> Error {
        let country = self.spec.country_holidays.as_deref().unwrap_or_default();
        let names: Vec<&str> = self.dateless_holidays().take(30).collect();
        Error::missing(
            "holidays",
            format!(
                "the dates of the holidays of {country} are known to Python's holidays package only; give rows of holiday and date for the times asked about, of {} (or of another year, if none falls into them)",
                names.join(", ")
            ),
        )
    }

    /// Every parameter.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> {
        let scalars = [
            self.y_scale,
            self.y_min,
            self.start,
            self.t_scale,
            self.k,
            self.m,
            self.sigma_obs,
        ];
        let columns = self
            .changepoints_t
            .iter()
            .chain(&self.delta)
            .chain(&self.beta);
        let regressors = self.features.regressors.iter();
        scalars
            .into_iter()
            .chain(columns.copied())
            .chain(regressors.flat_map(|r| [r.mu, r.std]))
    }

    /// Heap bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let numbers = self.changepoints_t.capacity() + self.delta.capacity() + self.beta.capacity();
        numbers * size_of::<f64>()
            + self.changepoints.capacity() * size_of::<i64>()
            + self.features.heap_bytes()
            + self.spec.heap_bytes()
            + self.ends.inputs.heap_bytes()
    }

    /// The shape of the trend.
    pub fn growth(&self) -> Growth {
        self.spec.growth
    }
}
