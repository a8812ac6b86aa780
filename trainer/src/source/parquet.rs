//! Parquet files: read column by column, and written.

use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};

/// What every Parquet file begins with.
pub(super) const MAGIC: &[u8] = b"PAR1";

/// The most rows read from one file: a compressed file may hold far more than its bytes tell.
const MAX_ROWS: i64 = 50_000_000;

/// The columns of the file.
///
/// # Errors
/// [`Error::Data`] when `bytes` are no Parquet file that this build reads, or it has more rows than are read.
pub fn schema(place: &str, bytes: &Bytes) -> Result<SchemaRef> {
    let metadata = ArrowReaderMetadata::load(bytes, Default::default())
        .map_err(|error| unreadable(place, &error))?;
    let rows = metadata.metadata().file_metadata().num_rows();
    if rows > MAX_ROWS {
        return Err(Error::data(
            format!("{place} has {rows} rows, more than the {MAX_ROWS} that are read"),
            "split the file, or give a shorter history",
        ));
    }
    Ok(SchemaRef::clone(metadata.schema()))
}

/// The columns at `projection`, in ascending order, of all rows.
///
/// # Errors
/// As [`schema`].
pub fn columns(place: &str, bytes: &Bytes, projection: &[usize]) -> Result<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())
        .map_err(|error| unreadable(place, &error))?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), projection.iter().copied());
    let reader = builder
        .with_projection(mask)
        .build()
        .map_err(|error| unreadable(place, &error))?;
    let schema = arrow::record_batch::RecordBatchReader::schema(&reader);
    let batches = reader
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| unreadable(place, &error))?;
    concat_batches(&schema, &batches).map_err(|error| unreadable(place, &error))
}

/// The bytes of a file of `batch`, whose schema's metadata is kept; the same batch gives the same bytes.
///
/// Columns are taken to be times and values: times a step apart are all but nothing as differences, and values rarely
/// repeat.
///
/// # Errors
/// [`Error::Output`] when it cannot be encoded.
pub fn encode(batch: &RecordBatch) -> Result<Bytes> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::output(
            format!("rows cannot be written as Parquet: {error}"),
            "run again",
        )
    };
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false);
    for field in batch.schema().fields() {
        if field.data_type().is_temporal() {
            properties = properties.set_column_encoding(
                ColumnPath::from(field.name().as_str()),
                Encoding::DELTA_BINARY_PACKED,
            );
        }
    }
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build()))
        .map_err(|error| failed(&error))?;
    writer.write(batch).map_err(|error| failed(&error))?;
    writer.close().map_err(|error| failed(&error))?;
    Ok(bytes.into())
}

/// A column as text: numbers read back as the same numbers, times are ISO 8601, with their zone where they have one.
///
/// # Errors
/// [`Error::Data`] for a column of lists or other things that no text stands for.
pub fn as_text(place: &str, name: &str, column: &ArrayRef) -> Result<ArrayRef> {
    let what = |error: &dyn std::fmt::Display| {
        Error::data(
            format!(
                "{place}: column `{name}` is {}, which is neither a time nor a number: {error}",
                column.data_type()
            ),
            "name another column, or write it as numbers, times or text",
        )
    };
    // The instants stay as they are; only UTC is written without a table of zones.
    let utc = match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            cast(column, &DataType::Timestamp(*unit, Some("+00:00".into())))
                .map_err(|error| what(&error))?
        }
        _ => ArrayRef::clone(column),
    };
    let text = cast(&utc, &DataType::Utf8).map_err(|error| what(&error))?;
    // A cast that cannot say a value says nothing; that must not pass for a value that is missing.
    if text.null_count() > column.logical_null_count() {
        return Err(what(&"some of its values cannot be written"));
    }
    Ok(text)
}

fn unreadable(place: &str, error: &dyn std::fmt::Display) -> Error {
    Error::data(
        format!("{place} is no Parquet file that this build reads: {error}"),
        "give a whole Parquet file, compressed by snappy, zstd, gzip, LZ4 or not at all; or a CSV file",
    )
}
