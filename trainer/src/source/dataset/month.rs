//! One series' month as a Parquet file: times and values, in order.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Result};
use crate::source::named::{TIME_COLUMN, VALUE_COLUMN, batch};
use crate::source::parquet;
use loadcast_prometheus::client::Sample;

/// The file of a month.
pub(super) fn file(month: &str) -> String {
    format!("{month}.parquet")
}

/// The month of an instant, `YYYY-MM` in UTC.
pub(super) fn of(instant: i64) -> String {
    Timestamp::from_second(instant).map_or_else(
        |_| "beyond".to_owned(),
        |instant| {
            TimeZone::UTC
                .to_datetime(instant)
                .strftime("%Y-%m")
                .to_string()
        },
    )
}

/// Samples by their month.
pub(super) fn split(samples: &[Sample]) -> BTreeMap<String, Vec<Sample>> {
    let mut months: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        months.entry(of(sample.instant)).or_default().push(*sample);
    }
    months
}

/// The same samples give the same bytes.
pub(super) fn encode(samples: &[Sample]) -> Result<Bytes> {
    parquet::encode(&batch(samples)?)
}

/// The samples of the file at `place`.
pub(super) fn decode(place: &str, bytes: &Bytes) -> Result<Vec<Sample>> {
    let damaged = |what: &str| {
        Error::source(
            format!("{place} is no month of a dataset: {what}"),
            "remove it together with its entry's file under entries/, and collect again",
        )
    };
    let schema = parquet::schema(place, bytes)?;
    let kinds: Vec<(&str, &DataType)> = schema
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type()))
        .collect();
    let milliseconds = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    if kinds
        != [
            (TIME_COLUMN, &milliseconds),
            (VALUE_COLUMN, &DataType::Float64),
        ]
    {
        return Err(damaged("its columns are others"));
    }
    let batch = parquet::columns(place, bytes, &[0, 1])?;
    let times = batch.column(0).as_primitive::<TimestampMillisecondType>();
    let values = batch.column(1).as_primitive::<Float64Type>();
    if times.null_count() + values.null_count() > 0 {
        return Err(damaged("a value is missing"));
    }
    let samples: Vec<Sample> = times
        .values()
        .iter()
        .zip(values.values())
        .map(|(time, value)| Sample {
            instant: time.div_euclid(1000),
            value: *value,
        })
        .collect();
    if samples
        .windows(2)
        .any(|pair| pair[0].instant >= pair[1].instant)
    {
        return Err(damaged("its times are out of order"));
    }
    Ok(samples)
}
