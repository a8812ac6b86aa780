//! What is asked of a model, and what it answers.

use crate::{features::Mode, inputs::Inputs};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub(super) ds: &'a [i64],
    pub(super) inputs: &'a Inputs,
    pub(super) components: bool,
    pub(super) levels: &'a [f64],
}

impl<'a> Question<'a> {
    /// Trend and yhat at the times `ds`, in seconds of the wall clock, in any order.
    pub fn at(ds: &'a [i64]) -> Self {
        Self {
            ds,
            inputs: Inputs::NONE,
            components: false,
            levels: &[],
        }
    }

    /// What the model cannot know by itself, beside the times. Columns that it does not need are ignored.
    pub fn with_inputs(self, inputs: &'a Inputs) -> Self {
        Self { inputs, ..self }
    }

    /// Every component too.
    pub fn with_components(self, components: bool) -> Self {
        Self { components, ..self }
    }

    /// The pointwise quantiles at `levels`, each in (0, 1).
    pub fn with_levels(self, levels: &'a [f64]) -> Self {
        Self { levels, ..self }
    }
}

/// The answer: columns as long as the question's times.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// In the series' unit.
    pub trend: Vec<f64>,
    /// In the series' unit.
    pub yhat: Vec<f64>,
    /// Where asked for, by Prophet's names in Prophet's order: alphabetical, totals without a member last.
    pub components: Vec<Component>,
    /// One for each level, in the question's order.
    pub quantiles: Vec<Quantile>,
}

/// The pointwise quantile at one level.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantile {
    /// In (0, 1).
    pub level: f64,
    /// In the series' unit, one for each time.
    pub values: Vec<f64>,
}

/// One component of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// As Prophet's predict() names it.
    pub name: String,
    /// Whether the values are in the series' unit or factors on the trend.
    pub mode: Mode,
    /// One for each time.
    pub values: Vec<f64>,
}

impl Component {
    /// Whether the values are factors on the trend.
    pub fn is_multiplicative(&self) -> bool {
        self.mode == Mode::Multiplicative
    }
}
