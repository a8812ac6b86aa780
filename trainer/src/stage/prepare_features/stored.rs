//! Features as a Parquet file: the grid, a row a step, what it is in the schema's metadata. For the next stage in another
//! process; within one, only the stage itself makes them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray as _, Float64Array, RecordBatch, TimestampMillisecondArray};
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
        ];
        let schema = Schema::new_with_metadata(fields, HashMap::from([(ABOUT.to_owned(), about)]));
        let times = (0..self.grid.values.len()).map(|i| self.grid.time(i) * 1000);
        let times = TimestampMillisecondArray::from_iter_values(times);
        let values = Float64Array::from(self.grid.values.clone());
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(times), Arc::new(values)]);
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
        let batch = parquet::columns(place, bytes, &[0, 1])?;
        let values = batch.column(1).as_primitive_opt::<Float64Type>();
        let values = values.ok_or_else(|| foreign(&"its columns are others"))?;
        let grid = Grid {
            start,
            step_seconds: about.series.step_seconds,
            values: values.iter().collect(),
        };
        Self::new(grid, about)
    }
}
