//! Samples as the table that the first stage reads.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use loadcast_prometheus::client::Sample;

use super::table::Table;
use crate::error::{Error, Result};

/// The column of times of tables that are made of samples.
pub const TIME_COLUMN: &str = "timestamp";

/// The column of values of tables that are made of samples.
pub const VALUE_COLUMN: &str = "value";

/// Why a series cannot be declared twice.
pub(super) fn two_origins(name: &str, one: &str, other: &str) -> Error {
    Error::settings(
        format!("two series have the name {name}: of {one} and of {other}"),
        "give each a name of its own: write what tells them apart into the name, such as .cpu and .memory",
    )
}

/// Samples as columns of times and values.
///
/// # Errors
/// [`Error::Data`] never; the columns are of one length.
pub fn batch(samples: &[Sample]) -> Result<RecordBatch> {
    let times = samples.iter().map(|sample| sample.instant * 1000);
    let times = TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC");
    let values = Float64Array::from_iter_values(samples.iter().map(|sample| sample.value));
    let columns: [(&str, ArrayRef); 2] = [
        (TIME_COLUMN, Arc::new(times)),
        (VALUE_COLUMN, Arc::new(values)),
    ];
    RecordBatch::try_from_iter(columns)
        .map_err(|error| Error::data(format!("samples are no table: {error}"), "run again"))
}

/// Samples as the table that stage 1 reads; `place` is its name in messages.
///
/// # Errors
/// As [`batch`].
pub fn table(place: &str, samples: &[Sample]) -> Result<Table> {
    Ok(Table::of_batch(place, batch(samples)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_a_table_of_instants_and_exact_values() {
        let value = 0.1 + 0.2;
        let samples = [Sample {
            instant: 1_392_388_200,
            value,
        }];
        let table = table("x", &samples).unwrap();
        let rows = table.rows(&[TIME_COLUMN, VALUE_COLUMN], "").unwrap();
        assert_eq!(rows.column(0).next(), Some("2014-02-14T14:30:00Z"));
        assert_eq!(rows.column(1).next().unwrap().parse(), Ok(value));
    }
}
