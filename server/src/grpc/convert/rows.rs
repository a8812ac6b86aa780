//! Forecasts of many series as rows of one Arrow schema, on their way out by Flight.
//!
//! | column | type | |
//! |---|---|---|
//! | `series` | `dictionary<int32, utf8>` | |
//! | `time` | `timestamp[us, UTC]` | null in the row of an error |
//! | `yhat` | `double` | null in the row of an error |
//! | `q0.9`, one a level | `double` | null in the row of an error |
//! | `version` | `uint64` | the version that answered |
//! | `freshness` | `dictionary<int8, utf8>` | FRESH, STALE_MODEL or STALE_DATA |
//! | `reason` | `dictionary<int8, utf8>` | the code of a gated answer, else null |
//! | `error` | `utf8` | why a series has no answer, as `CODE: words`: its one row; null everywhere else |
//!
//! A dictionary belongs to its batch. With each batch travels, as its app_metadata, a JSON array with an object for each series
//! in it: how many `rows` it has, and its provenance as [`columns::provenance`](super::columns::provenance) has it.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, Float64Builder, PrimitiveBuilder, RecordBatch, StringBuilder,
        StringDictionaryBuilder, UInt64Builder,
    },
    datatypes::{
        DataType, Field, Float64Type, Int8Type, Int32Type, Schema, SchemaRef,
        TimestampMicrosecondType, UInt64Type,
    },
    error::ArrowError,
};
use loadcast_model::series::SeriesName;
use loadcast_proto::v1 as pb;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    grpc::convert::{
        answer::item_error,
        columns::{freshness, internal, provenance, quantile_name, time_field, times},
    },
};

/// Bytes of a row without quantiles: time, yhat, version, three keys of dictionaries, an offset.
const ROW_BYTES: usize = 8 + 8 + 8 + 4 + 1 + 1 + 4;

/// Bytes of a value.
const VALUE_BYTES: usize = 8;

/// About how many bytes of columns a row takes.
pub(crate) fn row_bytes(levels: usize) -> usize {
    ROW_BYTES + levels * VALUE_BYTES
}

/// The schema of an answer with these levels.
pub(crate) fn schema(levels: &[f64]) -> SchemaRef {
    let text = |key: DataType| DataType::Dictionary(Box::new(key), Box::new(DataType::Utf8));
    let mut fields = vec![
        Field::new("series", text(DataType::Int32), false),
        time_field(true),
        Field::new("yhat", DataType::Float64, true),
    ];
    fields.extend(levels.iter().map(|&level| {
        let (name, said) = quantile_name(level);
        Field::new(name, DataType::Float64, true).with_metadata(HashMap::from([said]))
    }));
    fields.extend([
        Field::new("version", DataType::UInt64, true),
        Field::new("freshness", text(DataType::Int8), true),
        Field::new("reason", text(DataType::Int8), true),
        Field::new("error", DataType::Utf8, true),
    ]);
    Arc::new(Schema::new(fields))
}

/// Rows that become one batch.
pub(crate) struct Rows {
    schema: SchemaRef,
    series: StringDictionaryBuilder<Int32Type>,
    time: PrimitiveBuilder<TimestampMicrosecondType>,
    yhat: Float64Builder,
    quantiles: Vec<Float64Builder>,
    version: PrimitiveBuilder<UInt64Type>,
    freshness: StringDictionaryBuilder<Int8Type>,
    reason: StringDictionaryBuilder<Int8Type>,
    error: StringBuilder,
    told: Vec<Value>,
}

impl Rows {
    /// None yet, with room for `rows`.
    pub(crate) fn new(levels: &[f64], rows: usize) -> Self {
        let column = || PrimitiveBuilder::<Float64Type>::with_capacity(rows);
        Self {
            schema: schema(levels),
            series: StringDictionaryBuilder::new(),
            time: PrimitiveBuilder::with_capacity(rows).with_timezone("UTC"),
            yhat: column(),
            quantiles: levels.iter().map(|_| column()).collect(),
            version: UInt64Builder::with_capacity(rows),
            freshness: StringDictionaryBuilder::new(),
            reason: StringDictionaryBuilder::new(),
            error: StringBuilder::new(),
            told: Vec::new(),
        }
    }

    /// One series: a row a point, or one row that says why there is none.
    pub(crate) fn push(&mut self, series: &SeriesName, answer: Result<pb::Forecast>) -> Result<()> {
        match answer {
            Ok(forecast) => self.push_forecast(series, &forecast),
            Err(error) => self.push_error(series, error).map_err(internal),
        }
    }

    fn push_forecast(&mut self, series: &SeriesName, forecast: &pb::Forecast) -> Result<()> {
        let rows = forecast.yhat.len();
        let from = forecast.provenance.as_ref();
        let from = from.ok_or_else(|| Error::Internal("an answer from nowhere".to_owned()))?;
        if self.quantiles.len() != forecast.quantiles.len() {
            return Err(Error::Internal("an answer without its levels".to_owned()));
        }
        self.time.append_slice(&times(forecast)?);
        self.yhat.append_slice(&forecast.yhat);
        for (column, quantile) in self.quantiles.iter_mut().zip(&forecast.quantiles) {
            column.append_slice(&quantile.values);
        }
        self.version.append_value_n(from.version, rows);
        self.error.append_nulls(rows);
        self.push_texts(series, from, rows).map_err(internal)?;
        let mut told = Map::from_iter([("rows".to_owned(), Value::from(rows))]);
        let pairs = provenance(forecast).into_iter();
        told.extend(pairs.map(|(key, value)| (key.to_owned(), Value::from(value))));
        self.told.push(Value::Object(told));
        Ok(())
    }

    fn push_texts(
        &mut self,
        series: &SeriesName,
        from: &pb::Provenance,
        rows: usize,
    ) -> std::result::Result<(), ArrowError> {
        self.series.append_n(series, rows)?;
        self.freshness.append_n(freshness(from), rows)?;
        if from.reason.is_empty() {
            self.reason.append_nulls(rows);
        } else {
            self.reason.append_n(&from.reason, rows)?;
        }
        Ok(())
    }

    fn push_error(
        &mut self,
        series: &SeriesName,
        error: Error,
    ) -> std::result::Result<(), ArrowError> {
        let pb::ItemError {
            reason, message, ..
        } = item_error(error);
        self.series.append(series)?;
        self.time.append_null();
        self.yhat.append_null();
        self.quantiles
            .iter_mut()
            .for_each(Float64Builder::append_null);
        self.version.append_null();
        self.freshness.append_null();
        self.reason.append_null();
        self.error.append_value(format!("{reason}: {message}"));
        Ok(())
    }

    /// The batch, and what is told with it.
    pub(crate) fn finish(mut self) -> Result<(RecordBatch, Vec<u8>)> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.series.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.yhat.finish()),
        ];
        for mut quantile in self.quantiles {
            columns.push(Arc::new(quantile.finish()));
        }
        columns.push(Arc::new(self.version.finish()));
        columns.push(Arc::new(self.freshness.finish()));
        columns.push(Arc::new(self.reason.finish()));
        columns.push(Arc::new(self.error.finish()));
        let batch = RecordBatch::try_new(self.schema, columns).map_err(internal)?;
        Ok((batch, Value::Array(self.told).to_string().into_bytes()))
    }
}
