//! The rules of stage 1.

use loadcast_trainer::checks::Check as _;
use loadcast_trainer::stage::validate_data::rule::{Profile, Rule};
use loadcast_trainer::verdict::Level;

use crate::support::{DAY, START, STEP, good, inspected, noise, not_passed, rows};

/// Ten days, of which nothing is to be told.
const COUNT: i64 = 10 * DAY;

/// Rows that break `rule` and nothing else, and the row that is due now.
fn breaking(rule: Rule) -> (Vec<String>, i64) {
    let mut it = rows(COUNT, good);
    let mut now = COUNT - 1;
    let time = |i: i64| START + i * STEP;
    match rule {
        Rule::Schema => it.push("soon,2".to_owned()),
        Rule::Order => it.swap(100, 101),
        Rule::Duplicates => it.insert(100, it[100].clone()),
        Rule::Conflicts => it.insert(101, format!("{},{}", time(100), good(100) + 0.01)),
        Rule::Cadence => {
            for i in (3..COUNT).step_by(6) {
                it[i as usize] = format!("{},{}", time(i) + 360, good(i));
            }
        }
        Rule::Gaps => drop(it.drain(200..203)),
        Rule::Missing => it[300] = format!("{},", time(300)),
        Rule::Sparse => {
            for i in (0..COUNT).filter(|i| i % 5 < 3) {
                it[i as usize] = format!("{},NaN", time(i));
            }
        }
        Rule::Negative => it[360] = format!("{},-0.1", time(360)),
        Rule::Constant => it = rows(COUNT, |_| 2.0),
        Rule::Counter => {
            let mut sum = 0.0;
            for i in 0..COUNT {
                sum += good(i).max(0.0);
                it[i as usize] = format!("{},{sum}", time(i));
            }
        }
        Rule::Outliers => it[500] = format!("{},9", time(500)),
        Rule::LevelShift => {
            it = rows(COUNT, |i| {
                good(i) * if i < COUNT - 2 * DAY { 1.0 } else { 1.5 }
            });
        }
        Rule::Freshness => now += 3 * DAY,
        Rule::History => {
            it.truncate(144);
            now = 143;
        }
        Rule::Rows => {
            let sparse = (0..20).map(|i| format!("{},{}", time(i * 48), 2.0 + noise(i)));
            it = sparse.collect();
            now = 19 * 48;
        }
        Rule::Censored => {
            for (i, row) in it.iter_mut().enumerate() {
                row.push_str(if i % 10 == 0 { ",censored" } else { ",ok" });
            }
        }
    }
    (it, now)
}

#[test]
fn rows_that_nothing_is_wrong_with_break_no_rule() {
    let inspected = inspected(&rows(COUNT, good), COUNT - 1, &[]);
    assert_eq!(
        not_passed(&inspected.verdict),
        [""; 0],
        "{}",
        inspected.verdict
    );
    assert_eq!(inspected.verdict.level(), Level::Ok);
    // Every rule is told, passed or not.
    assert_eq!(
        inspected.verdict.table().lines().count(),
        1 + Rule::ALL.len()
    );
}

#[test]
fn every_rule_is_broken_by_rows_that_break_only_it() {
    for rule in Rule::ALL {
        let (rows, now) = breaking(*rule);
        let inspected = inspected(&rows, now, &[]);
        assert_eq!(
            not_passed(&inspected.verdict),
            [rule.name()],
            "{}",
            inspected.verdict.table()
        );
        let refused = rule.default_setting().consequence.refuses();
        assert_eq!(inspected.data.is_err(), refused, "{}", rule.name());
    }
}

#[test]
fn every_rule_can_be_told_repaired_or_refused() {
    for rule in Rule::ALL {
        let (rows, now) = breaking(*rule);
        for (word, level) in [
            ("info", Level::Ok),
            ("warning", Level::Warn),
            ("error", Level::Refused),
        ] {
            let set = format!("{}={word}", rule.name());
            let inspected = inspected(&rows, now, &[&set]);
            let found = inspected.verdict.not_passed().next().unwrap().0;
            assert_eq!(found.level, level, "{set}");
            match inspected.data {
                Ok(_) => assert_ne!(word, "error", "{set}"),
                Err(error) => {
                    assert_eq!(word, "error", "{set}: {error}");
                    let accept = format!("--rule {}=warning", rule.name());
                    assert!(error.remedy().contains(&accept), "{}", error.remedy());
                }
            }
        }
    }
}

#[test]
fn rows_ahead_of_now_are_told_as_another_zone() {
    let inspected = inspected(&rows(COUNT, good), COUNT - 1 - DAY, &[]);
    assert_eq!(not_passed(&inspected.verdict), ["freshness"]);
    assert!(
        inspected
            .verdict
            .to_string()
            .contains("ahead of now: its zone is another")
    );
}

#[test]
fn a_refusal_names_every_rule_that_is_an_error() {
    let mut it = rows(100, good);
    it.push("soon,2".to_owned());
    let error = inspected(&it, 99, &[]).data.unwrap_err().to_string();
    assert!(
        error.contains("line 102") && error.contains("broken too: history"),
        "{error}"
    );
}

#[test]
fn a_finding_is_json_with_its_value_limit_and_place() {
    let (rows, now) = breaking(Rule::Outliers);
    let verdict = inspected(&rows, now, &["outliers=warning:0.0001"]).verdict;
    let json = serde_json::to_value(&verdict).unwrap();
    let found = json["findings"].as_array().unwrap().iter();
    let found = found
        .clone()
        .find(|one| one["check"] == "outliers")
        .unwrap();
    assert_eq!(found["passed"], false);
    assert_eq!(
        (found["limit"].as_f64(), found["value"].as_f64()),
        (Some(0.0001), Some(1.0 / 960.0))
    );
    assert_eq!(found["spans"][0]["from"], "2026-01-06T05:00:00Z");
    assert_eq!(
        serde_json::from_value::<loadcast_trainer::verdict::Verdict>(json).unwrap(),
        verdict
    );
}

#[test]
fn the_profile_of_the_original_wants_a_thousand_rows_and_no_value_missing() {
    let original = Profile::Original.rules();
    let rules = |now: i64| loadcast_trainer::stage::validate_data::Rules {
        checks: original.clone(),
        now: Some(START + now * STEP),
        ..Default::default()
    };
    let refused = |rows: &[String], now: i64| {
        let column = crate::support::column(rows);
        let inspected = loadcast_trainer::stage::validate_data::inspect(column, &rules(now));
        inspected.data.err().map(|error| error.to_string())
    };
    let error = refused(&rows(999, good), 999).unwrap();
    assert!(
        error.contains("999 usable rows") && error.contains("at least 1000 rows"),
        "{error}"
    );
    let mut it = rows(1001, good);
    assert_eq!(refused(&it, 1001), None);
    it[7] = format!("{},", START + 7 * STEP);
    assert!(refused(&it, 1001).unwrap().contains("1 values missing"));
}
