//! Valid data as a Parquet file: times and values, what they are in the schema's metadata. For the next stage in another
//! process; within one, only the stage itself makes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array as _, AsArray as _, Float64Array, RecordBatch, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, TimeUnit, TimestampMillisecondType};
use bytes::Bytes;
use loadcast_model::series::{SeriesName, Unit, ZeroMeans};
use loadcast_model::zone::Zone;
use serde::{Deserialize, Serialize};

use super::ValidData;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::source::parquet;
use crate::verdict::Verdict;

/// The key in the schema's metadata.
const ABOUT: &str = "loadcast.valid";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    name: SeriesName,
    column: String,
    unit: Option<Unit>,
    zero_means: ZeroMeans,
    predecessor: Option<SeriesName>,
    labels: BTreeMap<String, String>,
    time_zone: Zone,
    step_seconds: i64,
    censored: Vec<i64>,
    outliers: Vec<i64>,
    found: Verdict,
}

impl ValidData {
    /// The file of it.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be encoded.
    pub(crate) fn encode(&self) -> Result<Bytes> {
        let about = About {
            name: self.declaration.name.clone(),
            column: self.declaration.column.clone(),
            unit: self.declaration.unit,
            zero_means: self.declaration.zero_means,
            predecessor: self.declaration.predecessor.clone(),
            labels: self.labels.clone(),
            time_zone: self.zone.clone(),
            step_seconds: self.step_seconds,
            censored: self.censored.clone(),
            outliers: self.outliers.clone(),
            found: self.verdict.clone(),
        };
        let about = serde_json::to_string(&about)
            .expect("plain structs with string keys serialise without error");
        let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let fields = vec![
            Field::new("timestamp", utc, false),
            Field::new("value", DataType::Float64, false),
        ];
        let schema = Schema::new_with_metadata(fields, HashMap::from([(ABOUT.to_owned(), about)]));
        let times = self.instants.iter().map(|instant| instant * 1000);
        let times = TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC");
        let values = Float64Array::from(self.values.clone());
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(times), Arc::new(values)]);
        let batch = batch
            .map_err(|error| Error::output(format!("rows are no table: {error}"), "run again"))?;
        parquet::encode(&batch)
    }

    /// What the file at `place` holds.
    ///
    /// # Errors
    /// [`Error::Data`] for what this stage did not write.
    pub(crate) fn decode(place: &str, bytes: &Bytes) -> Result<Self> {
        let foreign = |what: &dyn std::fmt::Display| {
            Error::data(
                format!("{place} is not what validate-data writes: {what}"),
                "run `loadcast-trainer validate-data` again",
            )
        };
        let schema = parquet::schema(place, bytes)?;
        let about = schema.metadata().get(ABOUT);
        let about = about.ok_or_else(|| foreign(&"it says nothing of its series"))?;
        let about: About = serde_json::from_str(about).map_err(|error| foreign(&error))?;
        let batch = parquet::columns(place, bytes, &[0, 1])?;
        let columns = (
            batch
                .column(0)
                .as_primitive_opt::<TimestampMillisecondType>(),
            batch.column(1).as_primitive_opt::<Float64Type>(),
        );
        let (Some(times), Some(values)) = columns else {
            return Err(foreign(&"its columns are others"));
        };
        if times.null_count() + values.null_count() > 0 {
            return Err(foreign(&"a value is missing"));
        }
        let mut declaration = Declaration::new(about.name, about.column, about.unit);
        declaration.zero_means = about.zero_means;
        declaration.predecessor = about.predecessor;
        Ok(Self {
            declaration,
            labels: about.labels,
            zone: about.time_zone,
            step_seconds: about.step_seconds,
            instants: times
                .values()
                .iter()
                .map(|time| time.div_euclid(1000))
                .collect(),
            values: values.values().to_vec(),
            censored: about.censored,
            outliers: about.outliers,
            verdict: about.found,
        })
    }
}
