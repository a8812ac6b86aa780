//! Rows that break nothing, and the stages one by one.

use std::collections::BTreeMap;

use loadcast_model::backtest::Method;
use loadcast_trainer::champion::Champion;
use loadcast_trainer::checks::{Checks, Override};
use loadcast_trainer::source::table::Table;
use loadcast_trainer::stage::prepare_features::{Features, Preparation, prepare_features};
use loadcast_trainer::stage::train::train;
use loadcast_trainer::stage::validate_data::rule::Rule;
use loadcast_trainer::stage::validate_data::{Column, Inspected, Rules, inspect, validate_data};
use loadcast_trainer::stage::validate_model::gate::Gate;
use loadcast_trainer::stage::validate_model::{Bar, Judgement, validate_model};
use loadcast_trainer::verdict::{Judged as _, Verdict};

/// 2026-01-01 00:00:00 UTC, a Thursday.
pub(crate) const START: i64 = 1_767_225_600;

/// A quarter of an hour.
pub(crate) const STEP: i64 = 900;

/// Steps in a day.
pub(crate) const DAY: i64 = 96;

/// A number between -0.5 and 0.5 that looks random, the same for the same `i`.
pub(crate) fn noise(i: i64) -> f64 {
    let mut bits = (i as u64)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
}

/// A day's shape between 0.3 and 2.3.
pub(crate) fn shape(i: i64) -> f64 {
    1.3 + (i as f64 * std::f64::consts::TAU / DAY as f64).sin()
}

/// What nothing is wrong with.
pub(crate) fn good(i: i64) -> f64 {
    shape(i) + 0.2 * noise(i)
}

/// Rows `time,cpu` of `count` steps.
pub(crate) fn rows(count: i64, value: impl Fn(i64) -> f64) -> Vec<String> {
    let row = |i| format!("{},{}", START + i * STEP, value(i));
    (0..count).map(row).collect()
}

/// The column `cpu` of rows under the header `time,cpu` and perhaps `,mask`.
pub(crate) fn column(rows: &[String]) -> Column {
    let masked = rows.iter().any(|row| row.matches(',').count() == 2);
    let header = if masked { "time,cpu,mask" } else { "time,cpu" };
    let csv = format!("{header}\n{}\n", rows.join("\n"));
    let table = Table::new("rows.csv", csv.into_bytes()).unwrap();
    let declaration = "shop.cpu=cpu:cores".parse().unwrap();
    let column = Column::new(&table, declaration, None, BTreeMap::new()).unwrap();
    match masked {
        true => column.with_mask(&table, "mask").unwrap(),
        false => column,
    }
}

/// What the rules say of `rows`, a minute after row `now` was due, with some settings.
pub(crate) fn inspected(rows: &[String], now: i64, set: &[&str]) -> Inspected {
    let set: Vec<Override<Rule>> = set.iter().map(|text| text.parse().unwrap()).collect();
    let rules = Rules {
        checks: Checks::default().with(&set),
        now: Some(START + now * STEP + 60),
        ..Rules::default()
    };
    inspect(column(rows), &rules)
}

/// The names of the checks that were not passed.
pub(crate) fn not_passed(verdict: &Verdict) -> Vec<String> {
    let checks = verdict.not_passed();
    checks
        .map(|(_, checked)| checked.check.to_string())
        .collect()
}

pub(crate) fn features(rows: &[String], preparation: &Preparation) -> Features {
    let valid = validate_data(column(rows), &Rules::default()).unwrap();
    prepare_features(valid, preparation).unwrap()
}

/// A judgement of what `method` makes of `rows`.
pub(crate) fn judged(
    rows: &[String],
    preparation: &Preparation,
    method: Method,
    champion: Champion,
    set: &[&str],
) -> Judgement {
    let set: Vec<Override<Gate>> = set.iter().map(|text| text.parse().unwrap()).collect();
    let trained = train(features(rows, preparation), method).unwrap();
    let bar = Bar {
        gates: Checks::default().with(&set),
        champion,
    };
    validate_model(trained, &bar).unwrap()
}

/// The gates that a judgement did not pass.
pub(crate) fn gates(judgement: &Judgement) -> Vec<String> {
    not_passed(judgement.verdict())
}
