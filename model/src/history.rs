//! What a model is trained on.

use crate::{
    error::{Error, Result},
    inputs::Inputs,
};

/// The most rows of a history: ten years of five-minute steps and a margin. Beyond it the features alone need gigabytes.
pub const MAX_ROWS: usize = 2_000_000;

/// The fewest rows that determine a line.
pub const MIN_ROWS: usize = 2;

/// Observations, sorted, unique, finite, and what stood beside them.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    ds: Vec<i64>,
    y: Vec<f64>,
    inputs: Inputs,
}

impl History {
    /// A history of `y[i]` at `ds[i]` (seconds of the wall clock).
    ///
    /// # Errors
    /// [`Error::Invalid`] when the columns differ in length, times do not strictly increase or a value is not finite;
    /// [`Error::NotEnoughData`] below two rows.
    pub fn new(ds: Vec<i64>, y: Vec<f64>) -> Result<Self> {
        if ds.len() != y.len() {
            return Err(Error::invalid(
                "y",
                format!(
                    "{} values for {} times; give one for each",
                    y.len(),
                    ds.len()
                ),
            ));
        }
        if ds.len() > MAX_ROWS {
            return Err(Error::invalid(
                "history",
                format!(
                    "{} rows; at most {MAX_ROWS}: train on a shorter window or a longer step",
                    ds.len()
                ),
            ));
        }
        if ds.len() < MIN_ROWS {
            return Err(Error::NotEnoughData {
                reason: format!("{} rows; a fit takes at least {MIN_ROWS}", ds.len()),
            });
        }
        if let Some(i) = ds.windows(2).position(|pair| pair[0] >= pair[1]) {
            return Err(Error::invalid(
                "ds",
                format!(
                    "row {} is not after row {i}; sort the rows and drop duplicates",
                    i + 1
                ),
            ));
        }
        if let Some(i) = y.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid(
                "y",
                format!("row {i} is {}; drop rows without a finite value", y[i]),
            ));
        }
        Ok(Self {
            ds,
            y,
            inputs: Inputs::default(),
        })
    }

    /// With capacities, regressors and conditions: columns of one value per row, or of one for all.
    ///
    /// # Errors
    /// As [`Inputs::validate`]; [`Error::Invalid`] for holidays, whose place is the spec.
    pub fn with_inputs(self, inputs: Inputs) -> Result<Self> {
        inputs.validate(self.len())?;
        if !inputs.holidays.is_empty() {
            return Err(Error::invalid(
                "holidays",
                "a history has none of its own; give them in the spec",
            ));
        }
        Ok(Self { inputs, ..self })
    }

    /// What stands beside the rows.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Times, in seconds of the wall clock, strictly increasing.
    pub fn ds(&self) -> &[i64] {
        &self.ds
    }

    /// Values.
    pub fn y(&self) -> &[f64] {
        &self.y
    }

    /// How many rows; at least 2.
    #[allow(clippy::len_without_is_empty, reason = "a history is never empty")]
    pub fn len(&self) -> usize {
        self.ds.len()
    }

    /// The first time.
    pub fn first(&self) -> i64 {
        self.ds[0]
    }

    /// The last time.
    pub fn last(&self) -> i64 {
        self.ds[self.ds.len() - 1]
    }

    /// The rows before `end`.
    ///
    /// # Errors
    /// [`Error::NotEnoughData`] when fewer than two are left.
    pub fn before(&self, end: i64) -> Result<Self> {
        let rows = self.ds.partition_point(|&ds| ds < end);
        Self::new(self.ds[..rows].to_vec(), self.y[..rows].to_vec())?
            .with_inputs(self.inputs.picked(&Vec::from_iter(0..rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsorted_or_repeated_times_are_refused() {
        for ds in [vec![0, 2, 1], vec![0, 1, 1]] {
            let error = History::new(ds, vec![1.0; 3]).unwrap_err().to_string();
            assert!(
                error.starts_with("ds: row 2") && error.contains("sort"),
                "{error}"
            );
        }
    }

    #[test]
    fn values_that_are_not_finite_are_refused() {
        for bad in [f64::NAN, f64::INFINITY] {
            let error = History::new(vec![0, 1], vec![1.0, bad])
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("y: row 1"), "{error}");
        }
    }

    #[test]
    fn one_row_is_not_a_history() {
        assert!(matches!(
            History::new(vec![0], vec![1.0]),
            Err(Error::NotEnoughData { .. })
        ));
    }
}
