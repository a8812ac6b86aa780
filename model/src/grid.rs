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

    /// The part `range` as a grid of its own; empty where the range lies outside.
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            start: self.time(range.start),
            step_seconds: self.step_seconds,
            values: self.values.get(range).unwrap_or_default().to_vec(),
        }
    }

    /// All values, holes filled: linear between their neighbours, the nearest value at the ends; `None` where nothing
    /// was observed at all.
    pub fn filled(&self) -> Option<Vec<f64>> {
        let seen: Vec<(usize, f64)> = self
            .values
            .iter()
            .enumerate()
            .filter_map(|(i, value)| Some((i, (*value)?)))
            .collect();
        let (first, last) = (*seen.first()?, *seen.last()?);
        let mut filled = vec![first.1; first.0];
        for pair in seen.windows(2) {
            let ((from, a), (to, b)) = (pair[0], pair[1]);
            let rate = (b - a) / (to - from) as f64;
            filled.push(a);
            filled.extend((1..to - from).map(|i| a + rate * i as f64));
        }
        filled.resize(self.values.len(), last.1);
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_from_their_neighbours_and_the_ends_are_held() {
        let grid = |values: &[Option<f64>]| Grid {
            start: 0,
            step_seconds: 60,
            values: values.to_vec(),
        };
        let holes = [None, Some(1.0), None, None, Some(4.0), Some(6.0), None];
        let filled = grid(&holes).filled().unwrap();
        assert_eq!(filled, [1.0, 1.0, 2.0, 3.0, 4.0, 6.0, 6.0]);
        assert_eq!(grid(&[None, Some(5.0)]).filled().unwrap(), [5.0, 5.0]);
        assert_eq!(grid(&[None, None]).filled(), None);
    }
}
