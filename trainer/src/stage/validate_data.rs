//! Stage 1: are these rows a history that a model can be trained on?
//!
//! Every [`Rule`] is looked at and told, with what was measured and the limit; what follows when one is broken can be set
//! ([`Checks`]). Rows that a broken rule leaves usable are repaired: sorted, averaged, left out. Only a table without the
//! columns or without rows ends the inspection early.

mod counter;
mod inspection;
mod level_shift;
mod look;
mod outliers;
pub mod rule;

mod stored;

use std::collections::BTreeMap;

use loadcast_model::series::ZeroMeans;
use loadcast_model::zone::Zone;

use self::inspection::Inspection;
use self::rule::Rule;
use crate::checks::Checks;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::observations::Observation;
use crate::source::table::{Rows, Table};
use crate::time::{self, Written};
use crate::verdict::{Judged, Level, Verdict};

/// The name of this stage.
pub const STAGE: &str = "validate data";

/// What the mask column says of rows that saturation held down.
pub const CENSORED: &str = "censored";

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
    /// What follows when a rule is broken, and its limit.
    pub checks: Checks<Rule>,
    /// When it is, in seconds since 1970; `None`: nothing is said of how old the rows are.
    pub now: Option<i64>,
}

/// One column of a table with its times, not yet judged.
#[derive(Debug, Clone)]
pub struct Column {
    declaration: Declaration,
    labels: BTreeMap<String, String>,
    place: String,
    time_column: String,
    rows: Rows,
    mask: Option<Rows>,
}

/// What the rules found in a column, and the history made of it or why there is none.
#[derive(Debug)]
pub struct Inspected {
    /// Every rule and how it went.
    pub verdict: Verdict,
    /// Refused when a rule is broken that is an error.
    pub data: Result<ValidData>,
}

/// A history that can be trained on: ordered and finite; distinct but for different values of one time, which count alike.
#[derive(Debug, Clone)]
pub struct ValidData {
    declaration: Declaration,
    labels: BTreeMap<String, String>,
    zone: Zone,
    step_seconds: i64,
    instants: Vec<i64>,
    values: Vec<f64>,
    censored: Vec<i64>,
    outliers: Vec<i64>,
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
            mask: None,
        })
    }

    /// With the column `mask` of the same table, which says [`CENSORED`] of rows whose value saturation held down.
    ///
    /// # Errors
    /// [`Error::Data`] when the table has no such column.
    pub fn with_mask(self, table: &Table, mask: &str) -> Result<Self> {
        let mask = Some(table.rows(&[mask], "--mask-column NAME")?);
        Ok(Self { mask, ..self })
    }

    /// What the column is to become.
    #[must_use]
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// The rows that can be read, and why the others cannot.
    fn observations(&self, zone: &Zone) -> (Vec<Observation>, Vec<Error>) {
        let columns = self.rows.column(0).zip(self.rows.column(1)).enumerate();
        let mut mask = self.mask.iter().flat_map(|mask| mask.column(0));
        let (mut rows, mut unreadable) = (Vec::new(), Vec::new());
        for (row, (time, value)) in columns {
            let line = self.rows.line(row);
            let censored = mask.next().is_some_and(|text| text.trim() == CENSORED);
            let read = self.instant(line, time, zone).and_then(|instant| {
                let value = self.value(line, value)?;
                Ok(Observation {
                    line,
                    instant,
                    value,
                    censored,
                })
            });
            match read {
                Ok(observation) => rows.push(observation),
                Err(error) => unreadable.push(error),
            }
        }
        (rows, unreadable)
    }

    fn instant(&self, line: u32, text: &str, zone: &Zone) -> Result<i64> {
        match time::read_time(text) {
            Ok(Written::Instant(seconds)) => Ok(seconds),
            Ok(Written::WallClock(time)) => Ok(zone.to_instant(time::wall_seconds(time))),
            Err(forms) => Err(Error::data(
                format!(
                    "line {line}: time column `{}` says `{text}`, which is no time",
                    self.time_column
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
        let column = &self.declaration.column;
        match text.parse::<f64>() {
            Ok(0.0) if self.declaration.zero_means == ZeroMeans::Missing => Ok(None),
            Ok(value) if value.is_finite() => Ok(Some(value)),
            Ok(value) if value.is_nan() => Ok(None),
            Ok(_) => Err(Error::data(
                format!("line {line}: column `{column}` is infinite (`{text}`)"),
                "leave the value empty where nothing was measured",
            )),
            Err(_) => Err(Error::data(
                format!("line {line}: column `{column}` says `{text}`, which is no number"),
                "leave the value empty where nothing was measured, or name another column with --series NAME=COLUMN",
            )),
        }
    }
}

/// Goes through all rules and makes a history of the column.
#[must_use]
pub fn inspect(column: Column, rules: &Rules) -> Inspected {
    let mut inspection = Inspection::new(&rules.checks);
    let looked = look::look(&column, rules, &mut inspection);
    let (mut verdict, refused) = inspection.finish(&column.place);
    let looked = match (refused, looked) {
        (Some(error), _) | (None, Err(error)) => Err(error),
        (None, Ok(looked)) => Ok(looked),
    };
    if let Err(error) = &looked
        && verdict.level() < Level::Refused
    {
        verdict.refuse(error.to_string());
    }
    let data = looked.map(|looked| ValidData {
        declaration: column.declaration,
        labels: column.labels,
        zone: rules.zone.clone(),
        step_seconds: looked.step_seconds,
        instants: looked.instants,
        values: looked.values,
        censored: looked.censored,
        outliers: looked.outliers,
        verdict: verdict.clone(),
    });
    Inspected { verdict, data }
}

/// Judges one column and makes a history of it.
///
/// # Errors
/// [`Error::Data`] with the line, field and remedy when a rule is broken that is an error; [`Error::Settings`] for a step
/// finer than the data.
pub fn validate_data(column: Column, rules: &Rules) -> Result<ValidData> {
    inspect(column, rules).data
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

    /// Ordered seconds since 1970.
    #[must_use]
    pub fn instants(&self) -> &[i64] {
        &self.instants
    }

    /// The values at those instants, all finite.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// When there were observations that saturation held down; they are not among the values.
    #[must_use]
    pub fn censored(&self) -> &[i64] {
        &self.censored
    }

    /// When the values are outliers; they are among the values.
    #[must_use]
    pub fn outliers(&self) -> &[i64] {
        &self.outliers
    }
}

impl Judged for ValidData {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}
