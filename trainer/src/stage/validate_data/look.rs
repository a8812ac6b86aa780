//! Going through the rules, one after another, on the way from rows to a history.

use loadcast_model::series::Unit;

use super::counter::counted;
use super::inspection::{Inspection, Outcome};
use super::level_shift::level_shift;
use super::outliers::{self, Outlier};
use super::rule::Rule;
use super::{Column, Rules};
use crate::error::{Error, Result};
use crate::observations::{self, Conflict, Observation};
use crate::time::{DAY, show_instant, show_length};

/// What is left to be trained on.
pub(super) struct Looked {
    pub(super) step_seconds: i64,
    pub(super) instants: Vec<i64>,
    pub(super) values: Vec<f64>,
    pub(super) censored: Vec<i64>,
    pub(super) outliers: Vec<i64>,
}

/// Looks at `column` by every rule.
///
/// # Errors
/// [`Error::Data`] without any row; [`Error::Settings`] for a step finer than the data.
pub(super) fn look(
    column: &Column,
    rules: &Rules,
    inspection: &mut Inspection<'_>,
) -> Result<Looked> {
    let mut rows = read(column, rules, inspection)?;
    let read = rows.len();
    in_order(column, &mut rows, inspection);
    let mut times: Vec<i64> = rows.iter().map(|row| row.instant).collect();
    times.dedup();
    let step = step(&times, rules, inspection)?;
    shift(&mut rows, rules, step, inspection);
    drop_last(&mut rows, rules, inspection);
    freshness(&rows, rules, step, inspection);
    let censored = drop_censored(&mut rows, inspection);
    let missing = drop_missing(column, &mut rows, inspection);
    length(column, &rows, step, inspection);

    let instants: Vec<i64> = rows.iter().map(|row| row.instant).collect();
    let values: Vec<f64> = rows.iter().filter_map(|row| row.value).collect();
    let (Some(first), Some(last)) = (instants.first(), instants.last()) else {
        return Err(Error::data(
            format!("{} has no row with a value left", column.place),
            "give a file with observations",
        ));
    };
    let without_value: Vec<i64> = censored.iter().chain(&missing).copied().collect();
    spacing(&instants, &without_value, step, inspection);
    sizes(
        column.declaration.unit.as_ref(),
        &instants,
        &values,
        inspection,
    );
    let walls: Vec<i64> = instants.iter().map(|at| rules.zone.to_wall(*at)).collect();
    let outliers = shape(&walls, &instants, &values, step, inspection);
    inspection.ok(format!(
        "{} of {read} rows, every {}, from {} to {}",
        rows.len(),
        show_length(step),
        show_instant(*first),
        show_instant(*last)
    ));
    Ok(Looked {
        step_seconds: step,
        instants,
        values,
        censored,
        outliers,
    })
}

fn read(
    column: &Column,
    rules: &Rules,
    inspection: &mut Inspection<'_>,
) -> Result<Vec<Observation>> {
    let (rows, unreadable) = column.observations(&rules.zone);
    let all = rows.len() + unreadable.len();
    if all == 0 {
        return Err(Error::data(
            format!("{} has a header line and no rows", column.place),
            "give a file with one row per observation",
        ));
    }
    let share = unreadable.len() as f64 / all as f64;
    let outcome = match unreadable.as_slice() {
        [] => Outcome::new(0.0, "every time and value can be read"),
        [first] => Outcome::new(share, first.to_string()).remedy(first.remedy()),
        [first, others @ ..] => Outcome::new(
            share,
            format!("{first}; {} further rows cannot be read", others.len()),
        )
        .remedy(first.remedy()),
    };
    inspection.at_most(Rule::Schema, outcome);
    Ok(rows)
}

fn in_order(column: &Column, rows: &mut Vec<Observation>, inspection: &mut Inspection<'_>) {
    let late = observations::sort(rows);
    let text = match late {
        0 => "rows are in the order of time".to_owned(),
        late => format!("rows are out of order in {late} places: sorted by time"),
    };
    let outcome = Outcome::new(late as f64, text).remedy("sort the rows by time");
    inspection.at_most(Rule::Order, outcome);

    let (repeats, conflicts) = observations::deduplicate(rows);
    let text = match repeats {
        0 => "no row repeats another".to_owned(),
        repeats => format!("{repeats} rows repeat another row's time and value: left out"),
    };
    let outcome = Outcome::new(repeats as f64, text).remedy("export each observation once");
    inspection.at_most(Rule::Duplicates, outcome);

    let outcome = match conflicts.as_slice() {
        [] => Outcome::new(0.0, "no time has two values"),
        [first, ..] => {
            let count = conflicts.len();
            let averaged = match inspection.forgives(Rule::Conflicts) {
                true => ": averaged",
                false => "",
            };
            let text = format!("{}{averaged}", conflict(column, first, count));
            let at = conflicts.iter().map(|one| one.first.instant);
            Outcome::new(count as f64, text)
                .remedy("keep one row per time: aggregate replicas before exporting, and write times with their offset where clocks go back")
                .at(at.map(|at| (at, at)))
        }
    };
    inspection.at_most(Rule::Conflicts, outcome);
}

fn conflict(column: &Column, first: &Conflict, count: usize) -> String {
    let show = |row: &Observation| {
        row.value
            .map_or_else(String::new, |value| value.to_string())
    };
    let others = match count {
        1 => String::new(),
        count => format!(", and {} further times have", count - 1),
    };
    let Conflict { first, second } = first;
    format!(
        "lines {} and {}: column `{}` has two values for {}: {} and {}{others}",
        first.line,
        second.line,
        column.declaration.column,
        show_instant(first.instant),
        show(first),
        show(second)
    )
}

fn step(times: &[i64], rules: &Rules, inspection: &mut Inspection<'_>) -> Result<i64> {
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
            inspection.ok(format!(
                "rows come every {}, averaged to --step {}",
                show_length(detected),
                show_length(given)
            ));
        }
        _ => {}
    }
    Ok(given)
}

fn shift(rows: &mut [Observation], rules: &Rules, step: i64, inspection: &mut Inspection<'_>) {
    let (Some(now), Some(last)) = (rules.shift_to, rows.last()) else {
        return;
    };
    let by = now.div_euclid(step) * step - last.instant;
    for row in rows.iter_mut() {
        row.instant += by;
    }
    let sign = if by < 0 { "" } else { "+" };
    inspection.warn(format!(
        "times shifted by {sign}{} to end now: hours and weekdays are not those of the original",
        show_length(by)
    ));
}

fn drop_last(rows: &mut Vec<Observation>, rules: &Rules, inspection: &mut Inspection<'_>) {
    let (Some(length), Some(last)) = (rules.drop_last_seconds, rows.last()) else {
        return;
    };
    let (before, until) = (rows.len(), last.instant - length);
    rows.retain(|row| row.instant <= until);
    inspection.ok(format!(
        "the last {} ({} rows) left out as not yet observed",
        show_length(length),
        before - rows.len()
    ));
}

fn freshness(rows: &[Observation], rules: &Rules, step: i64, inspection: &mut Inspection<'_>) {
    let (Some(now), Some(last)) = (rules.now, rows.last()) else {
        let unknown = Outcome::unknown("nobody said when it is");
        return inspection.judge(Rule::Freshness, false, unknown);
    };
    let age = now - last.instant - rules.drop_last_seconds.unwrap_or(0);
    let days = age as f64 / DAY as f64;
    let (ahead, old) = (age < -step, days > inspection.limit(Rule::Freshness));
    let text = match (ahead, old) {
        (true, _) => format!(
            "the last row is {} ahead of now: its zone is another, or a clock is wrong",
            show_length(-age)
        ),
        (_, true) => format!(
            "the last row is {} old: the next day lies that much further ahead than the model is judged at",
            show_length(age)
        ),
        _ => format!("the last row is {} old", show_length(age)),
    };
    let outcome = Outcome::new(days.abs(), text)
        .remedy("see whether the source still delivers, and check --time-zone")
        .at([(last.instant, last.instant)]);
    inspection.judge(Rule::Freshness, ahead || old, outcome);
}

fn drop_censored(rows: &mut Vec<Observation>, inspection: &mut Inspection<'_>) -> Vec<i64> {
    let all = rows.len().max(1);
    let marked = rows.iter().filter(|row| row.censored);
    let censored: Vec<i64> = marked.map(|row| row.instant).collect();
    rows.retain(|row| !row.censored);
    let share = censored.len() as f64 / all as f64;
    let text = match censored.len() {
        0 => "no row is marked as censored".to_owned(),
        count => format!(
            "{count} rows ({:.1} %) are marked as censored: left out of the fit",
            100.0 * share
        ),
    };
    let outcome = Outcome::new(share, text)
        .remedy("raise the limit that saturated the workload, and forecast demand instead of usage")
        .at(censored.iter().map(|at| (*at, *at)));
    inspection.at_most(Rule::Censored, outcome);
    censored
}

fn drop_missing(
    column: &Column,
    rows: &mut Vec<Observation>,
    inspection: &mut Inspection<'_>,
) -> Vec<i64> {
    let valueless = rows.iter().filter(|row| row.value.is_none());
    let at: Vec<i64> = valueless.map(|row| row.instant).collect();
    let (missing, all) = (at.len(), rows.len());
    let share = missing as f64 / all.max(1) as f64;
    let text = match missing {
        0 => "every row has a value".to_owned(),
        missing => format!(
            "{missing} values missing ({:.1} % of rows): left out",
            100.0 * share
        ),
    };
    let outcome = Outcome::new(share, text)
        .remedy("give a part of the file that was measured whole")
        .at(at.iter().map(|at| (*at, *at)));
    // Where so much is missing that it is sparse, that rule says so.
    let sparse = share > inspection.limit(Rule::Sparse);
    let broken = share > inspection.limit(Rule::Missing) && !sparse;
    inspection.judge(Rule::Missing, broken, outcome);
    let more = match share > 0.5 {
        true => ", more than half",
        false => "",
    };
    let text = match missing {
        0 => "every row has a value".to_owned(),
        missing => format!(
            "column `{}` has no value in {missing} of {all} rows ({:.0} %){more}",
            column.declaration.column,
            100.0 * share
        ),
    };
    let remedy = "name another column with --series NAME=COLUMN, or give a part of the file that was measured";
    inspection.at_most(Rule::Sparse, Outcome::new(share, text).remedy(remedy));
    rows.retain(|row| row.value.is_some());
    at
}

fn length(column: &Column, rows: &[Observation], step: i64, inspection: &mut Inspection<'_>) {
    let span = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => last.instant - first.instant + step,
        _ => 0,
    };
    let (least, least_rows) = (
        inspection.limit(Rule::History),
        inspection.limit(Rule::Rows),
    );
    let least_span = (least * DAY as f64).ceil() as i64;
    let needed = ((least_span / step) as f64).max(least_rows);
    let text = |broken: bool| {
        let has = format!(
            "column `{}` has {} usable rows over {}",
            column.declaration.column,
            rows.len(),
            show_length(span)
        );
        match broken {
            true => format!(
                "{has}; at least {least_rows} rows over {} are needed",
                show_length(least_span)
            ),
            false => has,
        }
    };
    let remedy = format!(
        "give a longer history: {needed} rows at one every {}",
        show_length(step)
    );
    let short = span < least_span;
    let outcome = Outcome::new(span as f64 / DAY as f64, text(short)).remedy(&remedy);
    inspection.judge(Rule::History, short, outcome);
    let few = (rows.len() as f64) < least_rows;
    let outcome = Outcome::new(rows.len() as f64, text(few)).remedy(&remedy);
    inspection.judge(Rule::Rows, few, outcome);
}

fn spacing(instants: &[i64], without_value: &[i64], step: i64, inspection: &mut Inspection<'_>) {
    // Rows that are left out because they are censored or empty leave no gap.
    let mut all: Vec<i64> = instants.iter().chain(without_value).copied().collect();
    all.sort_unstable();
    all.dedup();
    let odd = observations::irregular(&all, step);
    let text = match odd > 0.0 {
        true => format!(
            "{:.1} % of the spacings are no whole number of steps of {}",
            100.0 * odd,
            show_length(step)
        ),
        false => format!("rows come every {}", show_length(step)),
    };
    let outcome =
        Outcome::new(odd, text).remedy("export with one step, or give the longer one with --step");
    inspection.at_most(Rule::Cadence, outcome);

    let gaps = observations::gaps(&all, step);
    let missing: i64 = gaps.iter().map(|gap| gap.seconds).sum();
    let whole = match (all.first(), all.last()) {
        (Some(first), Some(last)) => last - first + step,
        _ => step,
    };
    let text = match gaps.iter().max_by_key(|gap| gap.seconds) {
        None => "no step is without a row".to_owned(),
        Some(longest) => {
            let places = match gaps.len() {
                1 => "1 gap".to_owned(),
                count => format!("{count} gaps"),
            };
            format!(
                "{places}, {} without observations, the longest {} after {}",
                show_length(missing),
                show_length(longest.seconds),
                show_instant(longest.after)
            )
        }
    };
    let outcome = Outcome::new(missing as f64 / whole as f64, text)
        .remedy("fill the gaps at the source, or say with --gaps how they are to be taken")
        .at(gaps.iter().map(|gap| (gap.after, gap.after + gap.seconds)));
    inspection.at_most(Rule::Gaps, outcome);
}

fn sizes(unit: Option<&Unit>, instants: &[i64], values: &[f64], inspection: &mut Inspection<'_>) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A bare number may be a balance or a difference; everything else counts or measures something.
    let has_none = unit.is_some_and(|unit| *unit != Unit::One);
    let below: Vec<(i64, i64)> = instants
        .iter()
        .zip(values)
        .filter(|(_, value)| has_none && **value < 0.0)
        .map(|(at, _)| (*at, *at))
        .collect();
    let text = match below.len() {
        0 => "no value is negative that must not be".to_owned(),
        count => format!("{count} values are negative, down to {low}: this unit has none"),
    };
    let outcome = Outcome::new(below.len() as f64, text)
        .remedy("look for a difference of two metrics, or give the unit 1")
        .at(below);
    inspection.at_most(Rule::Negative, outcome);

    let same = values.iter().filter(|value| **value == values[0]).count();
    let constant = same as f64 / values.len() as f64;
    let text = match low == high {
        true => format!("the series is constant at {low}: so will its forecast be"),
        false => format!("values from {low} to {high}"),
    };
    let outcome = Outcome::new(constant, text)
        .remedy("see whether the metric is the right one, and whether it is still written");
    inspection.at_most(Rule::Constant, outcome);
    if low < high {
        inspection.ok(format!("values from {low} to {high}"));
    }
}

/// Counters, outliers and shifts; the instants of the outliers.
fn shape(
    walls: &[i64],
    instants: &[i64],
    values: &[f64],
    step: i64,
    inspection: &mut Inspection<'_>,
) -> Vec<i64> {
    let counter = counted(values);
    let broken = counter > inspection.limit(Rule::Counter);
    let text = match broken {
        true => "the values only rise, but for resets: this is a counter that was not rated",
        false => "the values rise and fall",
    };
    let outcome = Outcome::new(counter, text)
        .remedy("rate it first: rate(NAME[5m]) in PromQL, or differences over time");
    inspection.judge(Rule::Counter, broken, outcome);

    let found = outliers::outliers(walls, values, step);
    let text = match found.iter().max_by(|a, b| {
        let size = |one: &Outlier| (values[one.at] - one.expected).abs();
        size(a).total_cmp(&size(b))
    }) {
        None => "no value stands out of its surroundings and its time of day".to_owned(),
        Some(largest) => format!(
            "{} values stand out of their surroundings and their time of day, the most {} where {:.6} was usual, at {}",
            found.len(),
            values[largest.at],
            largest.expected,
            show_instant(instants[largest.at])
        ),
    };
    let outcome = Outcome::new(found.len() as f64 / values.len() as f64, text)
        .remedy("see what happened then; --outliers drop leaves them out of the fit")
        .at(found.iter().map(|one| (instants[one.at], instants[one.at])));
    inspection.at_most(Rule::Outliers, outcome);

    // The days of a counter are all above each other.
    let moved = level_shift(walls, values).filter(|_| !broken);
    let limit = inspection.limit(Rule::LevelShift);
    let outcome = match moved {
        Some(shift) if shift.change.abs() > limit => {
            let at = walls.partition_point(|wall| *wall < shift.from);
            let from = instants.get(at).copied().unwrap_or(shift.from);
            let last = instants.last().copied().unwrap_or(from);
            let doubt = match shift.weekdays_known {
                true => "",
                false => ", or these weekdays were not seen before",
            };
            Outcome::new(
                shift.change.abs(),
                format!(
                    "the level moved by {:+.0} % at {}, from {:.4} to {:.4}, and stayed there{doubt}: what was learned before it may no longer hold",
                    100.0 * shift.change,
                    show_instant(from),
                    shift.before,
                    shift.after
                ),
            )
            .at([(from, last)])
        }
        Some(shift) => Outcome::new(
            shift.change.abs(),
            "no day's level moved by much and stayed",
        ),
        None => Outcome::new(0.0, "no day's level moved and stayed"),
    };
    let outcome = outcome.remedy("see what changed then; --max-train can begin after it");
    inspection.at_most(Rule::LevelShift, outcome);
    found.iter().map(|one| instants[one.at]).collect()
}
