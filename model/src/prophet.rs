//! A fitted model: the parameters that a forecast needs, and what model.pr must say besides. The history is not kept.

use crate::{
    features::Features,
    history::History,
    inputs::Inputs,
    spec::{Growth, Scaling, Spec},
};

/// A fitted Prophet model.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
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

    /// The shape of the trend.
    pub fn growth(&self) -> Growth {
        self.spec.growth
    }
}
