//! Holidays: named days on which a series leaves its usual shape, and the indicator columns that Prophet makes of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    features::DAY_SECONDS,
    spec::parse_wall_time,
};

/// The most rows of a table of holidays.
pub const MAX_HOLIDAYS: usize = 20_000;

/// The most days that a window reaches before or behind its holiday.
pub const MAX_WINDOW_DAYS: i32 = 366;

/// The most days that all windows cover together.
const MAX_DAYS: usize = 1_000_000;

/// Separates a holiday's name from its offset in a column's name, as in Prophet.
const DELIMITER: &str = "_delim_";

/// One row of Prophet's `holidays` table: one occurrence of a holiday.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// Its name; occurrences of one name share their coefficients.
    pub holiday: String,
    /// Its day, `YYYY-MM-DD` of the series' wall clock.
    pub ds: String,
    /// Days before it that belong to it, as a number at most 0.
    #[serde(default)]
    pub lower_window: i32,
    /// Days after it that belong to it.
    #[serde(default)]
    pub upper_window: i32,
    /// Standard deviation of the prior on its coefficients; unset: `holidays_prior_scale`.
    #[serde(default)]
    pub prior_scale: Option<f64>,
}

/// An indicator column: 1 on its days, 0 otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct HolidayColumn {
    /// `<holiday>_delim_<sign><offset>`, as Prophet names it.
    pub name: String,
    /// The holiday that it belongs to.
    pub holiday: String,
    /// Standard deviation of the prior on its coefficient.
    pub prior_scale: f64,
    /// Its days, ascending, as days since the epoch of the wall clock.
    pub days: Vec<i64>,
}

/// The day, since the epoch, of time `ds` (seconds of the wall clock).
pub(crate) fn day_of(ds: i64) -> i64 {
    ds.div_euclid(DAY_SECONDS)
}

impl HolidayColumn {
    /// 1 where `ds` (seconds of the wall clock) is on one of its days, else 0.
    pub fn value(&self, ds: i64) -> f64 {
        f64::from(u8::from(self.days.binary_search(&day_of(ds)).is_ok()))
    }
}

/// The names in `rows`, each once, in order of first appearance: what Prophet remembers of a training.
pub(crate) fn names(rows: &[Holiday]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    rows.iter()
        .filter(|row| seen.insert(row.holiday.as_str()))
        .map(|row| row.holiday.clone())
        .collect()
}

/// The columns of `rows`, sorted by name as Prophet sorts them. Rows of names not in `trained` are left out; a trained
/// name without a row has one column that is never 1.
///
/// # Errors
/// [`Error::Invalid`] naming `holidays` for a day that is none, a window that is on the wrong side or too wide, priors
/// that contradict each other or are not positive, and too many of anything.
pub(crate) fn columns(
    rows: &[Holiday],
    trained: &[String],
    default_prior: f64,
) -> Result<Vec<HolidayColumn>> {
    let wrong = |reason: String| Error::invalid("holidays", reason);
    if rows.len() > MAX_HOLIDAYS || trained.len() > MAX_HOLIDAYS {
        return Err(wrong(format!("{} rows; at most {MAX_HOLIDAYS}", rows.len())));
    }
    let mut missing: BTreeSet<&str> = trained.iter().map(String::as_str).collect();
    let known = missing.clone();
    let mut priors: BTreeMap<&str, f64> = BTreeMap::new();
    let mut days: BTreeMap<String, (&str, BTreeSet<i64>)> = BTreeMap::new();
    let mut total = 0;
    for row in rows.iter().filter(|row| known.contains(row.holiday.as_str())) {
        let name = row.holiday.as_str();
        missing.remove(name);
        let prior = row.prior_scale.unwrap_or(default_prior);
        if !(prior > 0.0 && prior.is_finite()) {
            return Err(wrong(format!(
                "{name:?} has prior_scale {prior}; give a number above 0"
            )));
        }
        if *priors.entry(name).or_insert(prior) != prior {
            return Err(wrong(format!(
                "{name:?} has several prior_scales; give all its rows the same"
            )));
        }
        let windows = (-MAX_WINDOW_DAYS..=0).contains(&row.lower_window)
            && (0..=MAX_WINDOW_DAYS).contains(&row.upper_window);
        if !windows {
            return Err(wrong(format!(
                "{name:?} has windows {} and {}; lower_window is -{MAX_WINDOW_DAYS} to 0, upper_window 0 to {MAX_WINDOW_DAYS}",
                row.lower_window, row.upper_window
            )));
        }
        let day = day_of(parse_wall_time(&row.ds).map_err(|error| wrong(error.to_string()))?);
        for offset in row.lower_window..=row.upper_window {
            total += 1;
            if total > MAX_DAYS {
                return Err(wrong(format!("more than {MAX_DAYS} days; give fewer")));
            }
            days.entry(column_name(name, offset))
                .or_insert_with(|| (name, BTreeSet::new()))
                .1
                .insert(day + i64::from(offset));
        }
    }
    for name in missing {
        priors.insert(name, default_prior);
        days.insert(column_name(name, 0), (name, BTreeSet::new()));
    }
    Ok(days
        .into_iter()
        .map(|(column, (name, days))| HolidayColumn {
            name: column,
            holiday: name.to_owned(),
            prior_scale: priors.get(name).copied().unwrap_or(default_prior),
            days: days.into_iter().collect(),
        })
        .collect())
}

fn column_name(name: &str, offset: i32) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{name}{DELIMITER}{sign}{}", offset.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(holiday: &str, ds: &str, lower_window: i32, upper_window: i32) -> Holiday {
        Holiday {
            holiday: holiday.to_owned(),
            ds: ds.to_owned(),
            lower_window,
            upper_window,
            prior_scale: None,
        }
    }

    #[test]
    fn windows_become_columns_sorted_as_prophet_sorts_them() {
        let rows = [
            row("xmas", "1970-01-03", -1, 1),
            row("payday", "1970-01-01", 0, 0),
            row("payday", "1970-01-08", 0, 0),
        ];
        let columns = columns(&rows, &names(&rows), 10.0).unwrap();
        let shown: Vec<_> = columns.iter().map(|c| (c.name.as_str(), c.days.as_slice())).collect();
        assert_eq!(
            shown,
            [
                ("payday_delim_+0", [0, 7].as_slice()),
                ("xmas_delim_+0", &[2]),
                ("xmas_delim_+1", &[3]),
                ("xmas_delim_-1", &[1]),
            ]
        );
        assert_eq!(columns[0].value(86_399), 1.0);
        assert_eq!(columns[0].value(86_400), 0.0);
        assert_eq!(columns[0].value(-1), 0.0);
    }

    #[test]
    fn a_trained_name_without_a_day_keeps_its_column_and_an_untrained_one_has_none() {
        let columns = columns(&[row("new", "2026-01-01", 0, 0)], &["old".to_owned()], 10.0).unwrap();
        assert_eq!(columns.len(), 1);
        assert_eq!((columns[0].name.as_str(), columns[0].days.len()), ("old_delim_+0", 0));
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said() {
        let mut contradiction = [row("a", "2026-01-01", 0, 0), row("a", "2026-01-02", 0, 0)];
        contradiction[1].prior_scale = Some(3.0);
        for (rows, word) in [
            (&contradiction[..], "same"),
            (&[row("a", "someday", 0, 0)], "time"),
            (&[row("a", "2026-01-01", 1, 0)], "lower_window"),
            (&[row("a", "2026-01-01", 0, i32::MAX)], "upper_window"),
        ] {
            let error = columns(rows, &names(rows), 10.0).unwrap_err().to_string();
            assert!(error.starts_with("holidays: ") && error.contains(word), "{error}");
        }
    }
}
