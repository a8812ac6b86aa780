//! Features as a Parquet file: a row a step, what was observed beside what may be learned from, what it is in the schema's
//! metadata. For the next stage in another
//! process; within one, only the stage itself makes them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Float64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit};
use bytes::Bytes;
use loadcast_model::grid::Grid;
use serde::{Deserialize, Serialize};

use super::{About, Features};
use crate::error::{Error, Result};
use crate::source::parquet;

/// The key in the schema's metadata.
const ABOUT: &str = "loadcast.features";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    start: i64,
    about: About,
}

impl Features {
    /// The file of it.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be encoded.
    pub(crate) fn encode(&self) -> Result<Bytes> {
        let about = Stored {
            start: self.grid.start,
            about: self.about.clone(),
        };
        let about = serde_json::to_string(&about)
            .expect("plain structs with string keys serialise without error");
        // Prophet's names; times of the series' wall clock, as Prophet has them.
        let fields = vec![
            Field::new(
                "ds",
                DataType::Timestamp(TimeUnit::Millisecond, None),
                false,
            ),
            Field::new("y", DataType::Float64, true),
            Field::new("learned", DataType::Float64, true),
        ];
        let schema = Schema::new_with_metadata(fields, HashMap::from([(ABOUT.to_owned(), about)]));
        let times = (0..self.grid.values.len()).map(|i| self.grid.time(i) * 1000);
        let times = TimestampMillisecondArray::from_iter_values(times);
        let column = |grid: &Grid| Arc::new(Float64Array::from(grid.values.clone()));
        let columns = vec![
            Arc::new(times) as ArrayRef,
            column(&self.grid),
            column(&self.learned),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema), columns);
        let batch = batch.map_err(|error| {
            Error::output(format!("the grid is no table: {error}"), "run again")
        })?;
        parquet::encode(&batch)
    }

    /// What the file at `place` holds.
    ///
    /// # Errors
    /// [`Error::Data`] for what this stage did not write.
    pub(crate) fn decode(place: &str, bytes: &Bytes) -> Result<Self> {
        let foreign = |what: &dyn std::fmt::Display| {
            Error::data(
                format!("{place} is not what prepare writes: {what}"),
                "run `loadcast-trainer prepare` again",
            )
        };
        let schema = parquet::schema(place, bytes)?;
        let about = schema.metadata().get(ABOUT);
        let about = about.ok_or_else(|| foreign(&"it says nothing of its series"))?;
        let Stored { start, about } =
            serde_json::from_str(about).map_err(|error| foreign(&error))?;
        let batch = parquet::columns(place, bytes, &[0, 1, 2])?;
        let grid = |column: usize| -> Result<Grid> {
            let values = batch.column(column).as_primitive_opt::<Float64Type>();
            let values = values.ok_or_else(|| foreign(&"its columns are others"))?;
            Ok(Grid {
                start,
                step_seconds: about.series.step_seconds,
                values: values.iter().collect(),
            })
        };
        let (observed, learned) = (grid(1)?, grid(2)?);
        Self::new(observed, learned, about)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::source::table::Table;
    use crate::stage::prepare_features::{GapPolicy, OutlierPolicy, Preparation, prepare_features};
    use crate::stage::validate_data::{Column, Rules, validate_data};

    #[test]
    fn a_file_keeps_what_was_observed_and_what_is_learned_from() {
        let value = |i: i64| if i == 60 { 90 } else { i % 7 };
        let line = |i: i64| format!("{},{}\n", 1_767_225_600 + i * 3600, value(i));
        let rows = (0..120).filter(|i| !(70..74).contains(i)).map(line);
        let csv = format!("time,cpu\n{}", rows.collect::<String>());
        let table = Table::new("m.csv", csv.into_bytes()).unwrap();
        let column = Column::new(&table, "a=cpu".parse().unwrap(), None, BTreeMap::new()).unwrap();
        let preparation = Preparation {
            gaps: GapPolicy::Zero,
            outliers: OutlierPolicy::Drop,
            ..Preparation::default()
        };
        let valid = validate_data(column, &Rules::default()).unwrap();
        let made = prepare_features(valid, &preparation).unwrap();
        assert_eq!(
            (made.grid.values[60], made.learned.values[60]),
            (Some(90.0), None)
        );
        let again = Features::decode("a", &made.encode().unwrap()).unwrap();
        assert_eq!((&again.grid, &again.learned), (&made.grid, &made.learned));
        assert_eq!(again.about, made.about);
        assert_eq!(again.window().values[71], Some(0.0));
    }
}
