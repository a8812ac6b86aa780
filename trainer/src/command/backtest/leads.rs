//! Short leads as text: JSON or a table.

use std::fmt::Write as _;
use std::time::Instant;

use loadcast_model::backtest::{LeadPlan, LeadTable, Method, ShiftScores, leads, level_shift};
use serde::Serialize;

use super::{Args, Format, grid, json, seconds};
use crate::error::{Error, Result};
use crate::source::table::Table;
use crate::time::show_length;

/// One column's result.
#[derive(Debug, Serialize)]
struct Outcome {
    series: String,
    step_seconds: u32,
    #[serde(flatten)]
    table: LeadTable,
    /// One for each factor of --level-shift.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    level_shifts: Vec<ShiftScores>,
    /// Of this machine, all cores.
    seconds: f64,
}

/// What the leads of `args` cost, as `args` wants it written.
pub(super) fn text(args: &Args, method: &Method, table: &Table) -> Result<String> {
    let leads_seconds = args.leads.iter().map(|lead| seconds("--leads", *lead));
    let plan = LeadPlan {
        leads_seconds: leads_seconds.collect::<Result<_>>()?,
        days: args.origins,
        max_train_seconds: Some(seconds("--max-train", args.max_train)?),
    };
    let mut outcomes = Vec::new();
    for column in &args.column {
        let grid = grid(table, column, args.time_column.as_deref())?;
        let begun = Instant::now();
        let of_column = |error| Error::of_model(error).of_place(column);
        outcomes.push(Outcome {
            series: column.clone(),
            step_seconds: grid.step_seconds,
            table: leads(method, &grid, &plan).map_err(of_column)?,
            level_shifts: level_shift(method, &grid, &plan, &args.level_shift)
                .map_err(of_column)?,
            seconds: begun.elapsed().as_secs_f64(),
        });
    }
    Ok(match args.output {
        Format::Json => json(&outcomes),
        Format::Table => outcomes.iter().map(shown).collect(),
    })
}

/// A line for each lead.
fn shown(outcome: &Outcome) -> String {
    let Outcome { series, table, .. } = outcome;
    let mut text = format!(
        "{series}: mean absolute error of forecasts asked at every step of the last {} days\n{:>8} {:>6} {:>12} {:>12} {:>12} {:>12} {:>9} {:>9}\n",
        table.days,
        "lead",
        "asked",
        "corrected",
        "uncorrected",
        "last value",
        "day before",
        "coverage",
        "without"
    );
    for lead in &table.leads {
        let _ = write!(
            text,
            "{:>8} {:>6}",
            show_length(lead.lead_seconds.into()),
            lead.asked
        );
        for error in [
            lead.corrected,
            lead.uncorrected,
            lead.last_value,
            lead.seasonal_naive,
        ] {
            let error = error.map_or_else(|| "-".to_owned(), |error| format!("{error:.5}"));
            let _ = write!(text, " {error:>12}");
        }
        for share in [lead.coverage, lead.coverage_uncorrected] {
            let share = share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"));
            let _ = write!(text, " {share:>9}");
        }
        text.push('\n');
    }
    for shift in &outcome.level_shifts {
        let shown = |error: Option<f64>| {
            error.map_or_else(|| "-".to_owned(), |error| format!("{error:.5}"))
        };
        let _ = writeln!(
            text,
            "level x {}: in the hour after {} jumps {}, uncorrected {}, last value {}; from the third step on {}, last value {}",
            shift.factor,
            shift.jumps,
            shown(shift.corrected),
            shown(shift.uncorrected),
            shown(shift.last_value),
            shown(shift.corrected_settled),
            shown(shift.last_value_settled),
        );
    }
    text
}
