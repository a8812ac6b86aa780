//! Stage 1: are these rows a history that a model can be trained on?
//!
//! Refused: a missing column, a time or value that cannot be read, an infinite value, two values for
//! one time, more than half of the values missing, too little history. Repaired with a warning:
//! rows out of order (sorted), exact repeats (left out), missing values (left out). Told with a
//! warning: gaps, negative values of a unit that has none, a constant series, shifted times.

mod stored;

use std::collections::BTreeMap;

use loadcast_model::series::{Unit, ZeroMeans};
use loadcast_model::zone::Zone;

use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::observations::{self, Conflict, Observation};
use crate::source::table::{Rows, Table};
use crate::time::{self, DAY, Written, show_instant, show_length};
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "validate data";

/// History below this shows no day twice, so nothing of a day's shape can be learned from it.
pub const MIN_HISTORY_SECONDS: i64 = 2 * DAY;

/// Rows below this cannot carry a model, whatever their spacing.
pub const MIN_ROWS: usize = 24;

/// How the rows are to be taken.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Of times that are written without a zone, and of the series.
    pub zone: Zone,
    /// Spacing of the grid; detected when `None`.
    pub step_seconds: Option<i64>,
    /// As if this last part of the history had not been observed yet.
    pub drop_last_seconds: Option<i64>,
    /// Shift all times by one constant so that the last row is at this instant, floored to the step.
    pub shift_to: Option<i64>,
    /// Average different values of one time instead of refusing them.
    pub average_conflicts: bool,
}

/// One column of a table with its times, not yet judged.
#[derive(Debug, Clone)]
pub struct Column {
    declaration: Declaration,
    labels: BTreeMap<String, String>,
    place: String,
    time_column: String,
    rows: Rows,
}

/// A history that can be trained on: ordered, distinct, finite, long enough.
#[derive(Debug, Clone)]
pub struct ValidData {
    declaration: Declaration,
    labels: BTreeMap<String, String>,
    zone: Zone,
    step_seconds: i64,
    instants: Vec<i64>,
    values: Vec<f64>,
    verdict: Verdict,
}

impl Column {
    /// The column that `declaration` names, and the time column: the given one or one of the usual.
    ///
    /// # Errors
    /// [`Error::Data`] when either column is missing; the message lists those that are there.
    pub fn new(
        table: &Table,
        declaration: Declaration,
        time_column: Option<&str>,
        labels: BTreeMap<String, String>,
    ) -> Result<Self> {
        let time_column = table.time_column(time_column)?.to_owned();
        let rows = table.rows(&[&time_column, &declaration.column], "--series NAME=COLUMN")?;
        let place = table.place().to_owned();
        Ok(Self {
            declaration,
            labels,
            place,
            time_column,
            rows,
        })
    }

    /// What the column is to become.
    #[must_use]
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    fn observations(&self, zone: &Zone) -> Result<Vec<Observation>> {
        let columns = self.rows.column(0).zip(self.rows.column(1)).enumerate();
        columns
            .map(|(row, (time, value))| {
                let line = self.rows.line(row);
                let instant = self.instant(line, time, zone)?;
                let value = self.value(line, value)?;
                Ok(Observation {
                    line,
                    instant,
                    value,
                })
            })
            .collect()
    }

    fn instant(&self, line: u32, text: &str, zone: &Zone) -> Result<i64> {
        match time::read_time(text) {
            Ok(Written::Instant(seconds)) => Ok(seconds),
            Ok(Written::WallClock(time)) => Ok(zone.to_instant(time::wall_seconds(time))),
            Err(forms) => Err(Error::data(
                format!(
                    "{}, line {line}: time column `{}` says `{text}`, which is no time",
                    self.place, self.time_column
                ),
                format!("{forms}; or name another column with --time-column"),
            )),
        }
    }

    fn value(&self, line: u32, text: &str) -> Result<Option<f64>> {
        const MISSING: [&str; 5] = ["", "nan", "null", "na", "n/a"];
        if MISSING
            .iter()
            .any(|missing| missing.eq_ignore_ascii_case(text))
        {
            return Ok(None);
        }
        let (place, column) = (&self.place, &self.declaration.column);
        match text.parse::<f64>() {
            Ok(0.0) if self.declaration.zero_means == ZeroMeans::Missing => Ok(None),
            Ok(value) if value.is_finite() => Ok(Some(value)),
            Ok(value) if value.is_nan() => Ok(None),
            Ok(_) => Err(Error::data(
                format!("{place}, line {line}: column `{column}` is infinite (`{text}`)"),
                "leave the value empty where nothing was measured",
            )),
            Err(_) => Err(Error::data(
                format!(
                    "{place}, line {line}: column `{column}` says `{text}`, which is no number"
                ),
                "leave the value empty where nothing was measured, or name another column with --series NAME=COLUMN",
            )),
        }
    }
}

/// Judges one column and makes a history of it.
///
/// # Errors
/// [`Error::Data`] with the line, field and remedy for everything that this module refuses;
/// [`Error::Settings`] for a step finer than the data.
pub fn validate_data(column: Column, rules: &Rules) -> Result<ValidData> {
    let mut verdict = Verdict::new(STAGE);
    let mut rows = column.observations(&rules.zone)?;
    if rows.is_empty() {
        return Err(Error::data(
            format!("{} has a header line and no rows", column.place),
            "give a file with one row per observation",
        ));
    }
    let read = rows.len();
    let late = observations::sort(&mut rows);
    if late > 0 {
        verdict.warn(format!(
            "rows are out of order in {late} places: sorted by time"
        ));
    }
    let repeats =
        observations::deduplicate(&mut rows).or_else(|conflict| match rules.average_conflicts {
            true => Ok(0),
            false => Err(refuse_conflict(&column, &conflict)),
        })?;
    if repeats > 0 {
        verdict.warn(format!(
            "{repeats} rows repeat another row's time and value: left out"
        ));
    }
    let times: Vec<i64> = rows.iter().map(|row| row.instant).collect();
    let step = step(&times, rules, &mut verdict)?;
    shift(&mut rows, rules, step, &mut verdict);
    drop_last(&mut rows, rules, &mut verdict);
    drop_missing(&column, &mut rows, &mut verdict)?;
    check_length(&column, &rows, step)?;

    let instants: Vec<i64> = rows.iter().map(|row| row.instant).collect();
    let values: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
    tell_gaps(&instants, step, &mut verdict);
    tell_values(column.declaration.unit.as_ref(), &values, &mut verdict);
    verdict.ok(format!(
        "{} of {read} rows, every {}, from {} to {}",
        rows.len(),
        show_length(step),
        show_instant(instants[0]),
        show_instant(instants[instants.len() - 1])
    ));
    let Column {
        declaration,
        labels,
        ..
    } = column;
    let zone = rules.zone.clone();
    Ok(ValidData {
        declaration,
        labels,
        zone,
        step_seconds: step,
        instants,
        values,
        verdict,
    })
}

fn refuse_conflict(column: &Column, conflict: &Conflict) -> Error {
    let Conflict { first, second } = conflict;
    let show = |row: &Observation| {
        row.value
            .map_or_else(String::new, |value| value.to_string())
    };
    Error::data(
        format!(
            "{}, lines {} and {}: column `{}` has two values for {}: {} and {}",
            column.place,
            first.line,
            second.line,
            column.declaration.column,
            show_instant(first.instant),
            show(first),
            show(second)
        ),
        "keep one row per time: aggregate replicas before exporting, and write times with their offset where clocks go back",
    )
}

fn step(times: &[i64], rules: &Rules, verdict: &mut Verdict) -> Result<i64> {
    let detected = observations::cadence(times);
    let Some(given) = rules.step_seconds else {
        return Ok(detected.unwrap_or(1));
    };
    match detected {
        Some(detected) if given < detected => {
            return Err(Error::settings(
                format!(
                    "--step {} is finer than the data, which has a row every {}",
                    show_length(given),
                    show_length(detected)
                ),
                "leave --step out, or give a longer one",
            ));
        }
        Some(detected) if given > detected => {
            verdict.ok(format!(
                "rows come every {}, averaged to --step {}",
                show_length(detected),
                show_length(given)
            ));
        }
        _ => {}
    }
    Ok(given)
}

fn shift(rows: &mut [Observation], rules: &Rules, step: i64, verdict: &mut Verdict) {
    let (Some(now), Some(last)) = (rules.shift_to, rows.last()) else {
        return;
    };
    let by = now.div_euclid(step) * step - last.instant;
    for row in rows.iter_mut() {
        row.instant += by;
    }
    let sign = if by < 0 { "" } else { "+" };
    verdict.warn(format!(
        "times shifted by {sign}{} to end now: hours and weekdays are not those of the original",
        show_length(by)
    ));
}

fn drop_last(rows: &mut Vec<Observation>, rules: &Rules, verdict: &mut Verdict) {
    let (Some(length), Some(last)) = (rules.drop_last_seconds, rows.last()) else {
        return;
    };
    let (before, until) = (rows.len(), last.instant - length);
    rows.retain(|row| row.instant <= until);
    verdict.ok(format!(
        "the last {} ({} rows) left out as not yet observed",
        show_length(length),
        before - rows.len()
    ));
}

fn drop_missing(column: &Column, rows: &mut Vec<Observation>, verdict: &mut Verdict) -> Result<()> {
    let missing = rows.iter().filter(|row| row.value.is_none()).count();
    let share = 100.0 * missing as f64 / rows.len().max(1) as f64;
    if 2 * missing > rows.len() {
        return Err(Error::data(
            format!(
                "{}: column `{}` has no value in {missing} of {} rows ({share:.0} %), more than half",
                column.place,
                column.declaration.column,
                rows.len()
            ),
            "name another column with --series NAME=COLUMN, or give a part of the file that was measured",
        ));
    }
    if missing > 0 {
        verdict.warn(format!(
            "{missing} values missing ({share:.1} % of rows): left out"
        ));
        rows.retain(|row| row.value.is_some());
    }
    Ok(())
}

fn check_length(column: &Column, rows: &[Observation], step: i64) -> Result<()> {
    let span = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => last.instant - first.instant + step,
        _ => 0,
    };
    if rows.len() >= MIN_ROWS && span >= MIN_HISTORY_SECONDS {
        return Ok(());
    }
    let needed = (MIN_HISTORY_SECONDS / step).max(MIN_ROWS as i64);
    Err(Error::data(
        format!(
            "{}: column `{}` has {} usable rows over {}; at least {MIN_ROWS} rows over {} are needed",
            column.place,
            column.declaration.column,
            rows.len(),
            show_length(span),
            show_length(MIN_HISTORY_SECONDS)
        ),
        format!(
            "give a longer history: {needed} rows at one every {}",
            show_length(step)
        ),
    ))
}

fn tell_gaps(instants: &[i64], step: i64, verdict: &mut Verdict) {
    let gaps = observations::gaps(instants, step);
    let Some(longest) = gaps.iter().max_by_key(|gap| gap.seconds) else {
        return;
    };
    let missing: i64 = gaps.iter().map(|gap| gap.seconds).sum();
    let places = if gaps.len() == 1 {
        "1 gap".to_owned()
    } else {
        format!("{} gaps", gaps.len())
    };
    verdict.warn(format!(
        "{places}, {} without observations, the longest {} after {}",
        show_length(missing),
        show_length(longest.seconds),
        show_instant(longest.after)
    ));
}

fn tell_values(unit: Option<&Unit>, values: &[f64], verdict: &mut Verdict) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A bare number may be a balance or a difference; everything else counts or measures something.
    let negative = values.iter().filter(|value| **value < 0.0).count();
    if negative > 0 && unit.is_some_and(|unit| *unit != Unit::One) {
        verdict.warn(format!(
            "{negative} values are negative, down to {low}: this unit has none"
        ));
    }
    if low == high {
        verdict.warn(format!(
            "the series is constant at {low}: so will its forecast be"
        ));
    } else {
        verdict.ok(format!("values from {low} to {high}"));
    }
}

impl ValidData {
    /// What the column is to become.
    #[must_use]
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// Of the series.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The zone whose wall clock the series follows.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// Spacing of the rows, or the step that was asked for.
    #[must_use]
    pub fn step_seconds(&self) -> i64 {
        self.step_seconds
    }

    /// Ordered, distinct seconds since 1970.
    #[must_use]
    pub fn instants(&self) -> &[i64] {
        &self.instants
    }

    /// The values at those instants, all finite.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

impl Judged for ValidData {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
