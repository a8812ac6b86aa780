//! A CSV table whose columns are read as text, each row with its line in the file.
//!
//! Text, because only the stage that judges values knows what an empty or a strange one means, and
//! because an error must show what the file says, not what a parser made of it.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;

use super::{location, records};
use crate::error::{Error, Result};

/// Names under which a time column is found when none is given, in this order; case is ignored.
pub const TIME_COLUMNS: [&str; 5] = ["timestamp", "ds", "time", "datetime", "date"];

/// Rows looked at to tell which columns hold numbers.
const INFERENCE_ROWS: usize = 1_000;

/// A CSV file with a header line.
#[derive(Debug, Clone)]
pub struct Table {
    place: String,
    bytes: Vec<u8>,
    columns: Vec<String>,
    numeric: Vec<String>,
    lines: Vec<u32>,
}

/// Some columns of a [`Table`] as text.
#[derive(Debug, Clone)]
pub struct Rows {
    batch: RecordBatch,
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

    /// A table from the bytes of a CSV file; `place` is its name in messages.
    ///
    /// # Errors
    /// [`Error::Data`] when the bytes are empty, are no text, or a row has more or fewer fields than
    /// the header line.
    pub fn new(place: &str, bytes: Vec<u8>) -> Result<Self> {
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
                format!("{place} is no text, so it is no CSV file"),
                "give an uncompressed CSV file in UTF-8 with a header line",
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
        let columns = schema
            .fields()
            .iter()
            .map(|f| f.name().trim().to_owned())
            .collect();
        let numeric = schema
            .fields()
            .iter()
            .filter(|field| field.data_type().is_numeric())
            .map(|field| field.name().trim().to_owned())
            .collect();
        let place = place.to_owned();
        Ok(Self {
            place,
            bytes,
            columns,
            numeric,
            lines,
        })
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
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|c| Field::new(c, DataType::Utf8, true))
            .collect();
        // Arrow sorts nothing and repeats nothing, so each column is projected once and looked up again.
        let mut projection = positions.clone();
        projection.sort_unstable();
        projection.dedup();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(true)
            .with_batch_size(self.lines.len().max(1))
            .with_projection(projection.clone())
            .build(Cursor::new(&self.bytes))
            .map_err(|error| unreadable(&self.place, &error))?;
        let schema = reader.schema();
        let batches = reader
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|error| unreadable(&self.place, &error))?;
        let batch = arrow::compute::concat_batches(&schema, &batches)
            .map_err(|error| unreadable(&self.place, &error))?;
        let order: Vec<usize> = positions
            .iter()
            .filter_map(|p| projection.iter().position(|q| q == p))
            .collect();
        let batch = batch
            .project(&order)
            .map_err(|error| unreadable(&self.place, &error))?;
        let lines = self.lines.clone();
        Ok(Rows { batch, lines })
    }
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Line of row `row` in the file, counted from 1.
    #[must_use]
    pub fn line(&self, row: usize) -> u32 {
        self.lines.get(row).copied().unwrap_or(0)
    }

    /// The text of every row in the column asked for as number `column`; empty where the file is.
    pub fn column(&self, column: usize) -> impl Iterator<Item = &str> {
        let texts = self
            .batch
            .column(column)
            .as_any()
            .downcast_ref::<StringArray>();
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
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        assert_eq!(table("\u{feff}time,v\n1,2\n").columns()[0], "time");
    }
}
