//! Holidays: the rows that a person gives, and the feature columns that they are to a model.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The most rows of holidays: a hundred a year for a hundred years.
pub const MAX_HOLIDAYS: usize = 10_000;

/// The most days that a window reaches to either side.
pub const MAX_WINDOW: i32 = 366;

/// The most days of all windows together.
pub const MAX_HOLIDAY_DAYS: usize = 100_000;

/// What stands between a holiday's name and its offset in Prophet's names of columns; no name may hold it.
pub(crate) const DELIMITER: &str = "_delim_";

const DAY: i64 = 86_400;

/// One occurrence of a holiday, as a row of Prophet's `holidays` frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// Its name; occurrences of one name share their coefficients.
    pub holiday: String,
    /// Its day on the series' wall clock.
    pub ds: Date,
    /// Days before that belong to it, zero or negative.
    #[serde(default)]
    pub lower_window: i32,
    /// Days after that belong to it, zero or positive.
    #[serde(default)]
    pub upper_window: i32,
    /// Standard deviation of the prior on its coefficients; unset: `holidays_prior_scale`.
    #[serde(default)]
    pub prior_scale: Option<f64>,
}

/// One day of a holiday's window, over all its occurrences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HolidayColumn {
    /// The holiday.
    pub name: String,
    /// Days from the holiday itself.
    pub offset: i32,
    /// Standard deviation of the prior on the coefficient.
    pub prior_scale: f64,
    /// The days on which the feature is one, ascending, counted from 1970-01-01 on the wall clock.
    pub days: Vec<i64>,
}

impl HolidayColumn {
    /// Prophet's name of the column, by which columns are sorted.
    fn key(&self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!(
            "{}{DELIMITER}{sign}{}",
            self.name,
            self.offset.unsigned_abs()
        )
    }
}

/// The day of time `ds`, counted from 1970-01-01.
pub(crate) fn day_of(ds: i64) -> i64 {
    ds.div_euclid(DAY)
}

/// `date` as days from 1970-01-01.
fn day_number(date: Date) -> Result<i64> {
    let midnight = jiff::tz::Offset::UTC.to_timestamp(date.at(0, 0, 0, 0));
    let midnight = midnight
        .map_err(|_| Error::invalid("holidays", format!("{date} is outside the calendar")))?;
    Ok(day_of(midnight.as_second()))
}

impl Holiday {
    /// Each day of its window: offset and day.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a window with a wrong sign or longer than [`MAX_WINDOW`] days.
    pub(crate) fn days(&self) -> Result<impl Iterator<Item = (i32, i64)>> {
        if !(-MAX_WINDOW..=0).contains(&self.lower_window)
            || !(0..=MAX_WINDOW).contains(&self.upper_window)
        {
            return Err(Error::invalid(
                "holidays",
                format!(
                    "{:?} on {} has the window {} to {}; give a lower_window of -{MAX_WINDOW} to 0 and an upper_window of 0 to {MAX_WINDOW}",
                    self.holiday, self.ds, self.lower_window, self.upper_window
                ),
            ));
        }
        let day = day_number(self.ds)?;
        let window = self.lower_window..=self.upper_window;
        Ok(window.map(move |offset| (offset, day + i64::from(offset))))
    }
}

/// Checks that `rows` are not too many, and their windows not too long, before anything is made of them.
///
/// # Errors
/// [`Error::Invalid`] with the bound.
pub(crate) fn check_size(rows: &[Holiday]) -> Result<()> {
    if rows.len() > MAX_HOLIDAYS {
        return Err(Error::invalid(
            "holidays",
            format!("{} rows; at most {MAX_HOLIDAYS}", rows.len()),
        ));
    }
    let mut days = 0;
    for row in rows {
        days += row.days()?.count();
    }
    if days > MAX_HOLIDAY_DAYS {
        return Err(Error::invalid(
            "holidays",
            format!("their windows have {days} days; at most {MAX_HOLIDAY_DAYS} in all"),
        ));
    }
    Ok(())
}

/// The columns of `rows`, in Prophet's order, and the holidays' names in the order of their first rows.
///
/// # Errors
/// [`Error::Invalid`] as [`check_size`], for a prior scale that is not positive and for two prior scales of one holiday.
pub(crate) fn columns(
    rows: &[Holiday],
    default_prior_scale: f64,
) -> Result<(Vec<HolidayColumn>, Vec<String>)> {
    check_size(rows)?;
    let mut names = Vec::new();
    let mut scales: BTreeMap<&str, f64> = BTreeMap::new();
    let mut days: BTreeMap<(&str, i32), Vec<i64>> = BTreeMap::new();
    for row in rows {
        let scale = row.prior_scale.unwrap_or(default_prior_scale);
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(Error::invalid(
                "holidays",
                format!(
                    "{:?} has a prior_scale of {scale}; give a number above 0",
                    row.holiday
                ),
            ));
        }
        match scales.insert(&row.holiday, scale) {
            None => names.push(row.holiday.clone()),
            #[allow(clippy::float_cmp, reason = "Prophet wants them equal, not close")]
            Some(other) if other != scale => {
                return Err(Error::invalid(
                    "holidays",
                    format!(
                        "{:?} has the prior scales {other} and {scale}; give it one",
                        row.holiday
                    ),
                ));
            }
            Some(_) => {}
        }
        for (offset, day) in row.days()? {
            days.entry((&row.holiday, offset)).or_default().push(day);
        }
    }
    let columns = days.into_iter().map(|((name, offset), mut days)| {
        days.sort_unstable();
        days.dedup();
        HolidayColumn {
            name: name.to_owned(),
            offset,
            prior_scale: scales.get(name).copied().unwrap_or(default_prior_scale),
            days,
        }
    });
    let mut columns: Vec<HolidayColumn> = columns.collect();
    sort(&mut columns);
    Ok((columns, names))
}

/// Prophet's order: by the text of the name with its offset, `-1` after `+1`.
pub(crate) fn sort(columns: &mut [HolidayColumn]) {
    columns.sort_by_cached_key(HolidayColumn::key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holiday(name: &str, ds: &str, window: (i32, i32)) -> Holiday {
        Holiday {
            holiday: name.to_owned(),
            ds: ds.parse().unwrap(),
            lower_window: window.0,
            upper_window: window.1,
            prior_scale: None,
        }
    }

    #[test]
    fn columns_are_in_the_order_of_prophets_names() {
        let rows = [
            holiday("b", "1970-01-11", (-2, 1)),
            holiday("a", "1970-01-03", (0, 0)),
            holiday("b", "1970-01-05", (0, 0)),
        ];
        let (columns, names) = columns(&rows, 10.0).unwrap();
        assert_eq!(names, ["b", "a"]);
        let order: Vec<(&str, i32)> = columns
            .iter()
            .map(|c| (c.name.as_str(), c.offset))
            .collect();
        // '+' sorts before '-'.
        assert_eq!(order, [("a", 0), ("b", 0), ("b", 1), ("b", -1), ("b", -2)]);
        assert_eq!(columns[1].days, [4, 10]);
        assert_eq!(columns[4].days, [8]);
    }

    #[test]
    fn one_holiday_has_one_prior_scale() {
        let mut rows = [
            holiday("a", "1970-01-03", (0, 0)),
            holiday("a", "1970-01-09", (0, 0)),
        ];
        rows[1].prior_scale = Some(5.0);
        let error = columns(&rows, 10.0).unwrap_err().to_string();
        assert!(error.contains("10 and 5"), "{error}");
    }

    #[test]
    fn a_window_of_a_million_days_is_refused() {
        let error = columns(&[holiday("a", "1970-01-03", (0, 1_000_000))], 10.0).unwrap_err();
        assert!(error.to_string().contains("upper_window"), "{error}");
    }
}
