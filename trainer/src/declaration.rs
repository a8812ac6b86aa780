//! Which column is which series: the `NAME=COLUMN[:UNIT]` short form, and what to do without it.

use std::str::FromStr;

use loadcast_model::series::{Series, SeriesName, Unit, ZeroMeans};

use crate::error::{Error, Result};
use crate::source::table::Table;

/// Every unit a series can have, as written after the colon.
const UNITS: [&str; 5] = ["cores", "bytes", "1/s", "percent", "1"];

/// The columns of the pipeline that came before, and the series they were.
const KNOWN_COLUMNS: [(&str, &str); 2] = [
    ("cpu_mean_5m", "CPU_Prophet_Model=cpu_mean_5m:cores"),
    ("mem_mean_5m", "Memory_Prophet_Model=mem_mean_5m:bytes"),
];

/// One series to make of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// The key everywhere.
    pub name: SeriesName,
    /// The column of its values.
    pub column: String,
    /// Of its values; `None` when nobody said.
    pub unit: Option<Unit>,
    /// What an observed zero says.
    pub zero_means: ZeroMeans,
    /// The series whose history this one continues.
    pub predecessor: Option<SeriesName>,
}

impl FromStr for Declaration {
    type Err = String;

    /// Reads `NAME=COLUMN[:UNIT]`. A colon that no unit follows belongs to the column only when
    /// the text after it could not be meant as a unit, that is when it contains a space.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let Some((name, column)) = text.split_once('=') else {
            return Err(format!(
                "`{text}` lacks a `=`: write NAME=COLUMN or NAME=COLUMN:UNIT"
            ));
        };
        let name: SeriesName = name
            .parse()
            .map_err(|error| format!("series name `{name}`: {error}"))?;
        let (column, unit) = match column.rsplit_once(':') {
            Some((column, unit)) if !unit.contains(' ') => {
                let known = unit.parse::<Unit>();
                let unit = known.map_err(|_| {
                    format!("unknown unit `{unit}`: write one of {}", UNITS.join(", "))
                })?;
                (column, Some(unit))
            }
            _ => (column, None),
        };
        if column.is_empty() {
            return Err(format!(
                "`{text}` names no column: write NAME=COLUMN or NAME=COLUMN:UNIT"
            ));
        }
        let column = column.to_owned();
        Ok(Self::new(name, column, unit))
    }
}

impl Declaration {
    /// The series `name` of a column, whose zeros are values, and that continues no other.
    #[must_use]
    pub fn new(name: SeriesName, column: String, unit: Option<Unit>) -> Self {
        Self {
            name,
            column,
            unit,
            zero_means: ZeroMeans::default(),
            predecessor: None,
        }
    }

    /// What is known of a series whose column is not.
    #[must_use]
    pub fn of_series(series: &Series) -> Self {
        Self {
            zero_means: series.zero_means,
            predecessor: series.predecessor.clone(),
            ..Self::new(series.name.clone(), "value".to_owned(), series.unit)
        }
    }

    /// The series of the pipeline that came before.
    #[must_use]
    pub fn known() -> Vec<Self> {
        let known = KNOWN_COLUMNS.iter();
        known.filter_map(|(_, text)| text.parse().ok()).collect()
    }

    /// The series of a file for which none were given: those of the known columns it has.
    ///
    /// # Errors
    /// [`Error::Data`] when it has none of them; the remedy is the flag to write.
    pub fn of_known_columns(table: &Table) -> Result<Vec<Self>> {
        let has = |column: &str| table.columns().iter().any(|c| c == column);
        let known = KNOWN_COLUMNS.iter().filter(|(column, _)| has(column));
        let found: Vec<Self> = known.filter_map(|(_, text)| text.parse().ok()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let numeric = table.numeric_columns();
        let Some(first) = numeric.first() else {
            return Err(Error::data(
                format!(
                    "{} has no column of numbers; its columns are: {}",
                    table.place(),
                    table.columns().join(", ")
                ),
                "give a file with rows and a column of numbers",
            ));
        };
        Err(Error::data(
            format!(
                "no --series given for {}; its columns of numbers are: {}",
                table.place(),
                numeric.join(", ")
            ),
            format!("write --series NAME=COLUMN[:UNIT], for example --series my.{first}={first}:1"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::new("m.csv", text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_short_form_is_name_column_and_unit() {
        let read: Declaration = "shop.web.cpu=value:percent".parse().unwrap();
        assert_eq!(
            (read.name.as_ref(), read.column.as_str()),
            ("shop.web.cpu", "value")
        );
        assert_eq!(read.unit, Some(Unit::Percent));
        assert_eq!("a=b".parse::<Declaration>().unwrap().unit, None);
        assert_eq!(
            "a=b:1/s".parse::<Declaration>().unwrap().unit,
            Some(Unit::PerSecond)
        );
    }

    #[test]
    fn a_wrong_short_form_says_what_to_write() {
        for (text, says) in [
            ("cpu", "NAME=COLUMN"),
            ("a=b:gallons", "cores, bytes, 1/s, percent, 1"),
            ("a/b=c", "series name `a/b`"),
            ("a=:cores", "names no column"),
        ] {
            let error = text.parse::<Declaration>().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_known_columns_need_no_flag() {
        let found =
            Declaration::of_known_columns(&table("timestamp,cpu_mean_5m,mem_mean_5m\n1,2,3\n"))
                .unwrap();
        let names: Vec<&str> = found.iter().map(|d| d.name.as_ref()).collect();
        assert_eq!(names, ["CPU_Prophet_Model", "Memory_Prophet_Model"]);
    }

    #[test]
    fn other_files_get_a_list_of_columns_and_the_flag_to_write() {
        let error =
            Declaration::of_known_columns(&table("timestamp,load,host\n1,2,a\n")).unwrap_err();
        assert!(
            error.to_string().contains("columns of numbers are: load"),
            "{error}"
        );
        assert!(
            error.remedy().contains("--series my.load=load:1"),
            "{}",
            error.remedy()
        );
    }
}
