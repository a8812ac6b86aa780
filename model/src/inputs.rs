//! What a model is told beside times: capacities, regressors, conditions and holidays. The same columns stand beside
//! the rows of a history and beside the points of a question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    holiday::Holiday,
};

/// Columns of one value per row, or of one value for all rows; an empty column is one that is not given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Where logistic growth saturates, in the series' unit.
    pub cap: Vec<f64>,
    /// The floor of logistic growth, in the series' unit.
    pub floor: Vec<f64>,
    /// By name, in the regressor's own unit.
    pub regressors: BTreeMap<String, Vec<f64>>,
    /// By name; whether a conditional seasonality acts.
    pub conditions: BTreeMap<String, Vec<bool>>,
    /// Further occurrences of the holidays that the model was trained on. Those of other names are ignored, as Prophet
    /// ignores them.
    pub holidays: Vec<Holiday>,
}

/// The value of a column at row `i`; a column of one value has it at every row.
pub(crate) fn at<T: Copy>(column: &[T], i: usize) -> Option<T> {
    match column {
        [one] => Some(*one),
        many => many.get(i).copied(),
    }
}

impl Inputs {
    /// Nothing at all.
    pub const NONE: &'static Self = &Self {
        cap: Vec::new(),
        floor: Vec::new(),
        regressors: BTreeMap::new(),
        conditions: BTreeMap::new(),
        holidays: Vec::new(),
    };

    /// Checks every given column against `rows`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the column when it has neither one value nor `rows`, or a value that is not finite.
    pub fn validate(&self, rows: usize) -> Result<()> {
        numbers("cap", &self.cap, rows)?;
        numbers("floor", &self.floor, rows)?;
        for (name, column) in &self.regressors {
            numbers(&format!("regressors.{name}"), column, rows)?;
        }
        for (name, column) in &self.conditions {
            length(&format!("conditions.{name}"), column.len(), rows)?;
        }
        Ok(())
    }

    /// Heap bytes, without the maps' own nodes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let named =
            |(name, column): (&String, &Vec<f64>)| name.capacity() + size_of_val(column.as_slice());
        let conditions = self.conditions.iter();
        let conditions: usize = conditions
            .map(|(name, column)| name.capacity() + column.capacity())
            .sum();
        (self.cap.capacity() + self.floor.capacity()) * size_of::<f64>()
            + self.regressors.iter().map(named).sum::<usize>()
            + conditions
            + self.holidays.capacity() * size_of::<Holiday>()
    }

    /// The rows `rows`.
    pub(crate) fn picked(&self, rows: &[usize]) -> Self {
        fn pick<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
            match column {
                [one] => vec![*one],
                many => rows.iter().filter_map(|&i| many.get(i).copied()).collect(),
            }
        }
        fn each<T: Copy>(
            columns: &BTreeMap<String, Vec<T>>,
            rows: &[usize],
        ) -> BTreeMap<String, Vec<T>> {
            let pick = |(name, column): (&String, &Vec<T>)| (name.clone(), pick(column, rows));
            columns.iter().map(pick).collect()
        }
        Self {
            cap: pick(&self.cap, rows),
            floor: pick(&self.floor, rows),
            regressors: each(&self.regressors, rows),
            conditions: each(&self.conditions, rows),
            holidays: self.holidays.clone(),
        }
    }
}

fn length(field: &str, have: usize, rows: usize) -> Result<()> {
    if have <= 1 || have == rows {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!("{have} values for {rows} times; give one for each, or one for all"),
    ))
}

fn numbers(field: &str, column: &[f64], rows: usize) -> Result<()> {
    length(field, column.len(), rows)?;
    match column.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::invalid(
            field,
            format!("value {i} is {}; give a finite number", column[i]),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_one_value_per_row_or_one_for_all() {
        let with = |cap: &[f64]| Inputs {
            cap: cap.to_vec(),
            ..Inputs::default()
        };
        for fine in [&[][..], &[1.0], &[1.0, 2.0, 3.0]] {
            with(fine).validate(3).unwrap();
        }
        let error = with(&[1.0, 2.0]).validate(3).unwrap_err().to_string();
        assert!(error.starts_with("cap: 2 values for 3"), "{error}");
        let error = with(&[1.0, f64::NAN, 2.0]).validate(3).unwrap_err();
        assert!(
            error.to_string().starts_with("cap: value 1 is NaN"),
            "{error}"
        );
    }

    #[test]
    fn some_rows_of_a_constant_column_are_the_constant() {
        let inputs = Inputs {
            cap: vec![9.0],
            floor: vec![1.0, 2.0, 3.0],
            ..Inputs::default()
        };
        let cut = inputs.picked(&[0, 2]);
        assert_eq!((cut.cap, cut.floor), (vec![9.0], vec![1.0, 3.0]));
    }
}
