//! A table whose columns are read as text, each row with its line in the file (of Parquet: its number): CSV, Parquet, or
//! columns that are in memory already.
//!
//! Text, because only the stage that judges values knows what an empty or a strange one means, and
//! because an error must show what the file says, not what a parser made of it.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;
use loadcast_model::artifact::sha256_hex;

use super::{location, parquet, records};
use crate::error::{Error, Result};

/// Names under which a time column is found when none is given, in this order; case is ignored.
pub const TIME_COLUMNS: [&str; 5] = ["timestamp", "ds", "time", "datetime", "date"];

/// Rows looked at to tell which columns hold numbers.
const INFERENCE_ROWS: usize = 1_000;

/// Named columns of rows.
#[derive(Debug, Clone)]
pub struct Table {
    place: String,
    content: Content,
    columns: Vec<String>,
    numeric: Vec<String>,
}

#[derive(Debug, Clone)]
enum Content {
    Csv { bytes: Vec<u8>, lines: Vec<u32> },
    Parquet(Bytes),
    Memory(RecordBatch),
}

/// Some columns of a [`Table`] as text.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: Vec<ArrayRef>,
    lines: Vec<u32>,
}

impl Table {
    /// Reads the table at a local path or URL.
    ///
    /// # Errors
    /// Those of [`location::read`] and [`Table::new`].
    pub async fn open(place: &str) -> Result<Self> {
        Self::new(place, location::read(place).await?)
    }

    /// Lower-case hex, of the bytes of the file; `None` of a table that is none.
    #[must_use]
    pub fn sha256(&self) -> Option<String> {
        match &self.content {
            Content::Csv { bytes, .. } => Some(sha256_hex(bytes)),
            Content::Parquet(bytes) => Some(sha256_hex(bytes)),
            Content::Memory(_) => None,
        }
    }

    /// A table from the bytes of a CSV or Parquet file; `place` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Data`] when the bytes are empty, are neither text nor Parquet, or a row has more or fewer fields than the
    /// header line.
    pub fn new(place: &str, bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.starts_with(parquet::MAGIC) {
            let schema = parquet::schema(place, &bytes)?;
            return Ok(Self::of(place, Content::Parquet(bytes), &schema));
        }
        Self::of_csv(place, bytes.into())
    }

    /// A table of columns that are in memory.
    #[must_use]
    pub fn of_batch(place: &str, batch: RecordBatch) -> Self {
        let schema = batch.schema();
        Self::of(place, Content::Memory(batch), &schema)
    }

    fn of(place: &str, content: Content, schema: &Schema) -> Self {
        let fields = schema.fields();
        let name = |field: &Arc<Field>| field.name().trim().to_owned();
        let numeric = fields.iter().filter(|field| field.data_type().is_numeric());
        Self {
            place: place.to_owned(),
            content,
            columns: fields.iter().map(name).collect(),
            numeric: numeric.map(name).collect(),
        }
    }

    fn of_csv(place: &str, bytes: Vec<u8>) -> Result<Self> {
        let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) => rest.to_vec(),
            None => bytes,
        };
        if bytes.trim_ascii().is_empty() {
            return Err(Error::data(
                format!("{place} is empty"),
                "give a CSV file with a header line and one row per observation",
            ));
        }
        let text = std::str::from_utf8(&bytes)
            .ok()
            .filter(|text| !text.contains('\0'));
        if text.is_none() {
            return Err(Error::data(
                format!("{place} is no text, so it is no CSV file; nor is it Parquet"),
                "give a Parquet file, or an uncompressed CSV file in UTF-8 with a header line",
            ));
        }
        let lines = records::lines(&bytes).map_err(|ragged| {
            Error::data(
                format!(
                    "{place}, line {}: {} fields where the header line has {}",
                    ragged.line, ragged.fields, ragged.expected
                ),
                "repair that line: every row needs one field per name in the header line",
            )
        })?;
        let (schema, _) = Format::default()
            .with_header(true)
            .infer_schema(Cursor::new(&bytes), Some(INFERENCE_ROWS))
            .map_err(|error| unreadable(place, &error))?;
        Ok(Self::of(place, Content::Csv { bytes, lines }, &schema))
    }

    /// Where the table was read from.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The header's names in the order of the file.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The columns whose first rows are numbers, without any time column.
    #[must_use]
    pub fn numeric_columns(&self) -> Vec<&str> {
        let is_time = |name: &str| TIME_COLUMNS.iter().any(|t| t.eq_ignore_ascii_case(name));
        let numeric = self.numeric.iter().map(String::as_str);
        numeric.filter(|name| !is_time(name)).collect()
    }

    /// The name of the time column: the given one, or the first found of [`TIME_COLUMNS`].
    ///
    /// # Errors
    /// [`Error::Data`] when it is not there; the message lists the columns that are.
    pub fn time_column(&self, given: Option<&str>) -> Result<&str> {
        if let Some(name) = given {
            self.index("time column", name, "--time-column")?;
        }
        let wanted: &[&str] = given.as_ref().map_or(&TIME_COLUMNS, std::slice::from_ref);
        wanted
            .iter()
            .find_map(|name| self.columns.iter().find(|c| c.eq_ignore_ascii_case(name)))
            .map(String::as_str)
            .ok_or_else(|| {
                Error::data(
                    format!(
                        "{} has no time column (looked for {}); its columns are: {}",
                        self.place,
                        TIME_COLUMNS.join(", "),
                        self.columns.join(", ")
                    ),
                    "name it with --time-column NAME",
                )
            })
    }

    /// Position of the column `name`; a case-insensitive match serves when there is no exact one.
    fn index(&self, role: &str, name: &str, flag: &str) -> Result<usize> {
        let exact = |c: &String| c == name;
        let loose = |c: &String| c.eq_ignore_ascii_case(name);
        let found = self.columns.iter().position(exact);
        let Some(at) = found.or_else(|| self.columns.iter().position(loose)) else {
            return Err(Error::data(
                format!(
                    "{} has no {role} `{name}`; its columns are: {}",
                    self.place,
                    self.columns.join(", ")
                ),
                format!("name one of them with {flag}"),
            ));
        };
        let same = |c: &&String| **c == self.columns[at];
        if self.columns.iter().filter(same).count() > 1 {
            return Err(Error::data(
                format!(
                    "{} has more than one column `{}`",
                    self.place, self.columns[at]
                ),
                "rename the columns in the header line so that each name is there once",
            ));
        }
        Ok(at)
    }

    /// The named columns of all rows as text; `flag` is how to name another column.
    ///
    /// # Errors
    /// [`Error::Data`] when a column is missing or there twice.
    pub fn rows(&self, names: &[&str], flag: &str) -> Result<Rows> {
        let positions: Vec<usize> = names
            .iter()
            .map(|name| self.index("column", name, flag))
            .collect::<Result<_>>()?;
        // Arrow sorts nothing and repeats nothing, so each column is projected once and looked up again.
        let mut projection = positions.clone();
        projection.sort_unstable();
        projection.dedup();
        let (batch, lines) = match &self.content {
            Content::Csv { bytes, lines } => (
                self.csv_columns(bytes, lines.len(), &projection)?,
                lines.clone(),
            ),
            Content::Parquet(bytes) => numbered(parquet::columns(&self.place, bytes, &projection)?),
            Content::Memory(batch) => numbered(
                batch
                    .project(&projection)
                    .map_err(|error| unreadable(&self.place, &error))?,
            ),
        };
        let columns: Vec<ArrayRef> = positions
            .iter()
            .filter_map(|p| {
                let at = projection.iter().position(|q| q == p)?;
                Some(parquet::as_text(
                    &self.place,
                    &self.columns[*p],
                    batch.columns().get(at)?,
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Rows { columns, lines })
    }

    fn csv_columns(&self, bytes: &[u8], rows: usize, projection: &[usize]) -> Result<RecordBatch> {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|c| Field::new(c, DataType::Utf8, true))
            .collect();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(true)
            .with_batch_size(rows.max(1))
            .with_projection(projection.to_vec())
            .build(Cursor::new(bytes))
            .map_err(|error| unreadable(&self.place, &error))?;
        let schema = reader.schema();
        let batches = reader
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unreadable(&self.place, &error))?;
        arrow::compute::concat_batches(&schema, &batches)
            .map_err(|error| unreadable(&self.place, &error))
    }
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Line of row `row` in the file, or its number where there are no lines; counted from 1.
    #[must_use]
    pub fn line(&self, row: usize) -> u32 {
        self.lines.get(row).copied().unwrap_or(0)
    }

    /// The text of every row in the column asked for as number `column`; empty where the file is.
    pub fn column(&self, column: usize) -> impl Iterator<Item = &str> {
        let texts = self.columns[column].as_any().downcast_ref::<StringArray>();
        let texts = texts.expect("every column is read as Utf8");
        (0..texts.len()).map(|row| {
            if texts.is_null(row) {
                ""
            } else {
                texts.value(row).trim()
            }
        })
    }
}

/// Rows without lines are numbered.
fn numbered(batch: RecordBatch) -> (RecordBatch, Vec<u32>) {
    let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    (batch, (1..=rows).collect())
}

fn unreadable(place: &str, error: &ArrowError) -> Error {
    let what = match error {
        ArrowError::CsvError(message) | ArrowError::ParseError(message) => message.clone(),
        other => other.to_string(),
    };
    Error::data(
        format!("{place} is no CSV table: {what}"),
        "give a CSV file with a header line and one row per observation",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::new("metrics.csv", text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn rows_know_their_line_past_blank_lines_and_quoted_line_ends() {
        let table = table("\ntime,note,v\r\n1,\"a\nb\",2\r\n\r\n3,\"say \"\"hi\"\"\",\n");
        let rows = table.rows(&["v", "time"], "--series").unwrap();
        assert_eq!(rows.column(0).collect::<Vec<_>>(), ["2", ""]);
        assert_eq!(rows.column(1).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!((rows.line(0), rows.line(1)), (3, 6));
    }

    #[test]
    fn the_time_column_is_found_by_name_in_any_case() {
        assert_eq!(table("v,Time\n1,2\n").time_column(None).unwrap(), "Time");
        assert_eq!(
            table("when,v\n1,2\n").time_column(Some("when")).unwrap(),
            "when"
        );
        let error = table("when,v\n1,2\n").time_column(None).unwrap_err();
        assert!(
            error.to_string().contains("its columns are: when, v"),
            "{error}"
        );
        assert!(error.remedy().contains("--time-column"));
    }

    #[test]
    fn numeric_columns_are_those_that_hold_numbers() {
        let table = table("timestamp,cpu,host,mem\n2026-01-01,1.5,a,7\n2026-01-02,,b,8\n");
        assert_eq!(table.numeric_columns(), ["cpu", "mem"]);
    }

    #[test]
    fn a_row_with_too_few_fields_is_refused_with_its_line() {
        let error = Table::new("m.csv", b"time,v\n1,2\n\n3\n".to_vec()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "m.csv, line 4: 1 fields where the header line has 2"
        );
        assert!(error.remedy().contains("header line"));
    }

    #[test]
    fn a_column_named_twice_is_refused() {
        let error = table("time,v,v\n1,2,3\n")
            .rows(&["v"], "--series")
            .unwrap_err();
        assert!(
            error.to_string().contains("more than one column `v`"),
            "{error}"
        );
    }

    #[test]
    fn parquet_says_what_csv_says_whatever_its_types() {
        use arrow::array::{
            Float32Array, Float64Array, TimestampMillisecondArray, TimestampNanosecondArray,
        };
        let column = |array: ArrayRef| array;
        let values = Float64Array::from(vec![Some(0.1 + 0.2), None]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "zoned",
                column(Arc::new(
                    TimestampMillisecondArray::from(vec![1_392_388_200_000, 1_392_388_500_000])
                        .with_timezone("Europe/Berlin"),
                )),
                true,
            ),
            (
                "naive",
                column(Arc::new(TimestampNanosecondArray::from(vec![
                    1_392_388_200_000_000_000,
                    1_392_388_500_000_000_000,
                ]))),
                true,
            ),
            ("cpu", column(Arc::new(values)), true),
            (
                "small",
                column(Arc::new(Float32Array::from(vec![0.1, 2.0]))),
                true,
            ),
        ])
        .unwrap();
        let mut bytes = Vec::new();
        let mut writer =
            ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let table = Table::new("m.parquet", bytes).unwrap();
        assert_eq!(table.columns(), ["zoned", "naive", "cpu", "small"]);
        assert_eq!(table.numeric_columns(), ["cpu", "small"]);
        let rows = table
            .rows(&["small", "zoned", "cpu", "naive"], "--series")
            .unwrap();
        let texts = |column| rows.column(column).collect::<Vec<_>>();
        assert_eq!(texts(0), ["0.1", "2.0"]);
        assert_eq!(texts(1), ["2014-02-14T14:30:00Z", "2014-02-14T14:35:00Z"]);
        assert_eq!(texts(2), ["0.30000000000000004", ""]);
        assert_eq!(texts(3), ["2014-02-14T14:30:00", "2014-02-14T14:35:00"]);
        let error = Table::new("m.parquet", &b"PAR1 and no more"[..]).unwrap_err();
        assert!(error.to_string().contains("is no Parquet file"), "{error}");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        assert_eq!(table("\u{feff}time,v\n1,2\n").columns()[0], "time");
    }
}
