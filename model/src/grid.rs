//! A series on a regular grid, with holes where nothing was observed.

use crate::{error::Result, history::History};

/// Values at `start + i * step_seconds`, in seconds of the wall clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The time of the first value.
    pub start: i64,
    /// Spacing; at least 1.
    pub step_seconds: u32,
    /// `None` where nothing was observed.
    pub values: Vec<Option<f64>>,
}

impl Grid {
    /// The time of value `i`.
    pub fn time(&self, i: usize) -> i64 {
        self.start + i64::try_from(i).unwrap_or(i64::MAX) * i64::from(self.step_seconds)
    }

    /// The observed values of `range` as a history.
    ///
    /// # Errors
    /// As [`History::new`].
    pub fn history(&self, range: std::ops::Range<usize>) -> Result<History> {
        let (ds, y) = range
            .filter_map(|i| Some((self.time(i), (*self.values.get(i)?)?)))
            .unzip();
        History::new(ds, y)
    }

    /// All observed values as a history.
    ///
    /// # Errors
    /// As [`History::new`].
    pub fn to_history(&self) -> Result<History> {
        self.history(0..self.values.len())
    }
}
