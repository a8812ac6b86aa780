//! The columns of a table that a model reads: times, values, capacities, regressors, conditions; and tables of holidays.

use loadcast_model::error::Error as ModelError;
use loadcast_model::holiday::Holiday;
use loadcast_model::inputs::Inputs;
use loadcast_model::zone::Zone;

use crate::error::{Error, Result};
use crate::source::table::{Rows, Table};
use crate::time::{self, Written};

/// Where `error` is a model that misses an input: that, with the remedy of a command that reads the table at `place`.
pub fn missing_input(error: &ModelError, place: &str) -> Option<Error> {
    let ModelError::MissingInput { input, .. } = error else {
        return None;
    };
    let remedy = match input.rsplit_once('.') {
        None if input == "holidays" => {
            "give them with --holidays FILE.csv, columns holiday and ds".to_owned()
        }
        None => format!("add the column `{input}` to {place}"),
        Some((_, name)) => format!("add the column `{name}` to {place}"),
    };
    Some(Error::data(error.to_string(), remedy))
}

/// The times in the column `name`, in seconds of the wall clock of `zone`; times without a zone are taken as they are.
///
/// # Errors
/// [`Error::Data`] without that column, naming the line of what is no time.
pub fn times(table: &Table, name: &str, zone: &Zone) -> Result<Vec<i64>> {
    let flag = format!("the header line: its column of times must be called {name}");
    let rows = table.rows(&[name], &flag)?;
    let time = |(row, text)| match time::read_time(text) {
        Ok(Written::WallClock(time)) => Ok(time::wall_seconds(time)),
        Ok(Written::Instant(seconds)) => Ok(zone.to_wall(seconds)),
        Err(forms) => Err(Error::data(
            format!(
                "{}, line {}: column `{name}` says `{text}`, which is no time",
                table.place(),
                rows.line(row)
            ),
            forms,
        )),
    };
    rows.column(0).enumerate().map(time).collect()
}

/// The values in the column `name`; NaN where it is empty or says NaN.
///
/// # Errors
/// [`Error::Data`] without that column, naming the line of what is no finite number.
pub fn observed(table: &Table, name: &str) -> Result<Vec<f64>> {
    let rows = table.rows(&[name], "the header line, or --y")?;
    let kind = "a finite number, NaN or empty";
    each(table, &rows, name, kind, |text| match text {
        "" => Some(f64::NAN),
        text => text.parse().ok().filter(|value: &f64| !value.is_infinite()),
    })
}

/// Those columns of `table` that `needs` names (`cap`, `floor`, `regressors.NAME`, `conditions.NAME`); what is not
/// there is left for the model to ask for.
///
/// # Errors
/// [`Error::Data`] naming line and column of a value that is no number, or no boolean.
pub fn inputs(table: &Table, needs: &[String]) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for need in needs {
        let (kind, name) = need.split_once('.').unwrap_or(("", need));
        if !table.columns().iter().any(|column| column == name) {
            continue;
        }
        let rows = table.rows(&[name], "the header line")?;
        match (kind, name) {
            ("", "cap") => inputs.cap = numbers(table, &rows, name)?,
            ("", "floor") => inputs.floor = numbers(table, &rows, name)?,
            ("regressors", _) => {
                let values = numbers(table, &rows, name)?;
                inputs.regressors.insert(name.to_owned(), values);
            }
            ("conditions", _) => {
                let values = each(table, &rows, name, "true or false", boolean)?;
                inputs.conditions.insert(name.to_owned(), values);
            }
            _ => {}
        }
    }
    Ok(inputs)
}

/// The holidays of a table with the columns holiday and ds, and lower_window and upper_window where it has them.
///
/// # Errors
/// [`Error::Data`] for a table without these columns, naming line and column of a value that is none.
pub fn holidays(table: &Table) -> Result<Vec<Holiday>> {
    let flag = "the header line: holiday, ds";
    let rows = table.rows(&["holiday", "ds"], flag)?;
    let named = table.rows(&["holiday"], flag)?;
    let days = table.rows(&["ds"], flag)?;
    let days = each(table, &days, "ds", "a day, such as 2026-12-25", |text| {
        text.parse().ok()
    })?;
    let window = |name: &'static str| -> Result<Vec<i32>> {
        if !table.columns().iter().any(|column| column == name) {
            return Ok(vec![0; rows.len()]);
        }
        let column = table.rows(&[name], flag)?;
        each(table, &column, name, "a whole number of days", |text| {
            if text.is_empty() {
                Some(0)
            } else {
                text.parse().ok()
            }
        })
    };
    let (lower, upper) = (window("lower_window")?, window("upper_window")?);
    let rows = named.column(0).zip(days).zip(lower.into_iter().zip(upper));
    let rows = rows.map(|((holiday, ds), (lower_window, upper_window))| Holiday {
        holiday: holiday.to_owned(),
        ds,
        lower_window,
        upper_window,
        prior_scale: None,
    });
    Ok(rows.collect())
}

fn numbers(table: &Table, rows: &Rows, name: &str) -> Result<Vec<f64>> {
    each(table, rows, name, "a finite number", |text| {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    })
}

/// Python writes True and 1.0, others true and 1.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "1.0" => Some(true),
        "false" | "0" | "0.0" => Some(false),
        _ => None,
    }
}

/// Every value of the column, read by `read`.
fn each<T>(
    table: &Table,
    rows: &Rows,
    name: &str,
    kind: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>> {
    let values = rows.column(0).enumerate().map(|(row, text)| {
        read(text).ok_or_else(|| {
            Error::data(
                format!(
                    "{}, line {}: column `{name}` says `{text}`, which is not {kind}",
                    table.place(),
                    rows.line(row)
                ),
                "repair that line: the model needs the value at every time",
            )
        })
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        Table::new("times.csv", text.as_bytes().to_vec()).unwrap()
    }

    fn needs(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_needed_is_read_and_what_is_not_there_left_out() {
        let table = table("ds,cap,promo,open,other\n2026-01-01,8.5,1,True,x\n2026-01-02,9,0,0,y\n");
        let needs = needs(&["cap", "floor", "regressors.promo", "conditions.open"]);
        let inputs = inputs(&table, &needs).unwrap();
        assert_eq!(inputs.cap, [8.5, 9.0]);
        assert!(inputs.floor.is_empty());
        assert_eq!(inputs.regressors["promo"], [1.0, 0.0]);
        assert_eq!(inputs.conditions["open"], [true, false]);
    }

    #[test]
    fn an_empty_or_odd_value_is_refused_with_its_line() {
        for (text, need, says) in [
            ("ds,cap\n1,2\n2,\n", "cap", "line 3: column `cap` says ``"),
            ("ds,cap\n1,nan\n", "cap", "line 2: column `cap` says `nan`"),
            (
                "ds,open\n1,maybe\n",
                "conditions.open",
                "says `maybe`, which is not true or false",
            ),
        ] {
            let error = inputs(&table(text), &needs(&[need])).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn holidays_have_windows_where_the_file_has_them() {
        let rows = holidays(&table("holiday,ds\n\"New Year\",2026-01-01\n")).unwrap();
        assert_eq!(
            (rows[0].holiday.as_str(), rows[0].upper_window),
            ("New Year", 0)
        );
        let rows = holidays(&table(
            "ds,holiday,lower_window,upper_window\n2026-12-25 00:00:00,xmas,-1,1\n",
        ));
        let rows = rows.unwrap();
        assert_eq!((rows[0].lower_window, rows[0].upper_window), (-1, 1));
        let error = holidays(&table("holiday,ds\nx,soon\n")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("line 2: column `ds` says `soon`"),
            "{error}"
        );
    }
}
