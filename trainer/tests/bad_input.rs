//! Every kind of bad input is refused with the field and the remedy, or repaired and told.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use jiff::Timestamp;
use loadcast_trainer::console::Console;
use loadcast_trainer::error::Error;
use loadcast_trainer::fleet;
use loadcast_trainer::pipeline::Plan;
use loadcast_trainer::report::RunReport;
use loadcast_trainer::verdict::{Level, Verdict};

/// 2026-01-01 00:00:00 UTC.
const START: i64 = 1_767_225_600;

/// A dry run of a file with this content; every series' error among the second.
async fn dry_run(content: &[u8]) -> Result<(RunReport, Vec<Error>), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, content).unwrap();
    let mut plan = Plan::new(path.to_str().unwrap(), Timestamp::UNIX_EPOCH);
    plan.series = vec!["shop.cpu=cpu:cores".parse().unwrap()];
    fleet::run(&plan, None, &mut Console::new(&mut std::io::sink())).await
}

/// The one error of a run that must fail.
async fn refusal(content: impl AsRef<[u8]>) -> Error {
    match dry_run(content.as_ref()).await {
        Err(error) => error,
        Ok((report, mut failures)) => failures
            .pop()
            .unwrap_or_else(|| panic!("accepted: {report:?}")),
    }
}

/// What stage 1 said of a run that must succeed.
async fn first_verdict(content: impl AsRef<[u8]>) -> Verdict {
    let (report, failures) = dry_run(content.as_ref()).await.unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    report.series[0].verdicts()[0].clone()
}

fn assert_says(error: &Error, what: &[&str], remedy: &str) {
    let text = error.to_string();
    for part in what {
        assert!(text.contains(part), "`{part}` not in: {text}");
    }
    assert!(
        error.remedy().contains(remedy),
        "`{remedy}` not in: {}",
        error.remedy()
    );
}

fn assert_warns(verdict: &Verdict, what: &str) {
    let warns =
        |f: &&loadcast_trainer::verdict::Finding| f.level == Level::Warn && f.text.contains(what);
    assert!(
        verdict.findings().iter().any(|f| warns(&f)),
        "no warning of `{what}` in:\n{verdict}"
    );
}

/// Four days of quarter-hours with a daily shape, as `time,cpu` rows.
fn good_rows() -> Vec<String> {
    (0..4 * 96)
        .map(|row| {
            let value = 2.0 + (f64::from(row) * std::f64::consts::TAU / 96.0).sin();
            format!("{},{value:.3}", START + i64::from(row) * 900)
        })
        .collect()
}

fn file(rows: &[String]) -> String {
    format!("time,cpu\n{}\n", rows.join("\n"))
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let plan = Plan::new("no/such/rows.csv", Timestamp::UNIX_EPOCH);
    let error = fleet::run(&plan, None, &mut Console::new(&mut std::io::sink()))
        .await
        .unwrap_err();
    assert_says(
        &error,
        &["no/such/rows.csv", "no such file"],
        "check the path",
    );
    assert!(matches!(error, Error::Source(_)));
}

#[tokio::test]
async fn a_url_this_build_cannot_read_is_named() {
    let plan = Plan::new("gopher://host/rows.csv", Timestamp::UNIX_EPOCH);
    let error = fleet::run(&plan, None, &mut Console::new(&mut std::io::sink()))
        .await
        .unwrap_err();
    assert_says(&error, &["gopher://"], "local path");
}

#[tokio::test]
async fn a_folder_is_not_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(folder.path().to_str().unwrap(), Timestamp::UNIX_EPOCH);
    let error = fleet::run(&plan, None, &mut Console::new(&mut std::io::sink()))
        .await
        .unwrap_err();
    assert_says(&error, &["is a folder"], "path of a file");
}

#[tokio::test]
async fn a_wrong_column_lists_the_columns_there_are() {
    let error = refusal("time,load\n1767225600,1\n").await;
    assert_says(
        &error,
        &["no column `cpu`", "time, load"],
        "--series NAME=COLUMN",
    );
}

#[tokio::test]
async fn a_missing_time_column_lists_the_columns_there_are() {
    let error = refusal("when,cpu\n1767225600,1\n").await;
    assert_says(
        &error,
        &["no time column", "when, cpu"],
        "--time-column NAME",
    );
}

#[tokio::test]
async fn an_unparsable_time_is_refused_with_its_line_and_text() {
    let mut rows = good_rows();
    rows[7] = "half past nine,1.5".into();
    let error = refusal(file(&rows)).await;
    assert_says(
        &error,
        &["line 9", "`time`", "`half past nine`"],
        "ISO 8601",
    );
}

#[tokio::test]
async fn an_unparsable_value_is_refused_with_its_line_and_text() {
    let mut rows = good_rows();
    rows[7] = format!("{START},lots");
    let error = refusal(file(&rows)).await;
    assert_says(
        &error,
        &["line 9", "`cpu`", "`lots`"],
        "leave the value empty",
    );
}

#[tokio::test]
async fn an_infinite_value_is_refused_with_its_line() {
    let mut rows = good_rows();
    rows[7] = format!("{},inf", START + 7 * 900);
    let error = refusal(file(&rows)).await;
    assert_says(
        &error,
        &["line 9", "`cpu`", "infinite"],
        "leave the value empty",
    );
}

#[tokio::test]
async fn two_values_for_one_time_are_refused_with_both_lines() {
    let mut rows = good_rows();
    rows.push(format!("{START},9.5"));
    let error = refusal(file(&rows)).await;
    assert_says(
        &error,
        &[
            "lines 2 and 386",
            "two values",
            "2026-01-01T00:00:00Z",
            "9.5",
        ],
        "one row per time",
    );
}

#[tokio::test]
async fn exact_repeats_are_left_out_with_a_warning() {
    let mut rows = good_rows();
    rows.insert(1, rows[0].clone());
    assert_warns(&first_verdict(file(&rows)).await, "1 rows repeat");
}

#[tokio::test]
async fn unsorted_rows_are_sorted_with_a_warning() {
    let mut rows = good_rows();
    rows.swap(10, 11);
    assert_warns(
        &first_verdict(file(&rows)).await,
        "out of order in 1 places",
    );
}

#[tokio::test]
async fn gaps_are_counted_and_the_longest_told() {
    let mut rows = good_rows();
    rows.drain(200..212);
    rows.remove(50);
    let verdict = first_verdict(file(&rows)).await;
    assert_warns(
        &verdict,
        "2 gaps, 3 h 15 min without observations, the longest 3 h after",
    );
}

#[tokio::test]
async fn missing_values_are_left_out_and_counted() {
    let mut rows = good_rows();
    for (row, missing) in [(3, "NaN"), (4, ""), (5, "null")] {
        rows[row] = format!("{},{missing}", START + row as i64 * 900);
    }
    assert_warns(
        &first_verdict(file(&rows)).await,
        "3 values missing (0.8 % of rows)",
    );
}

#[tokio::test]
async fn more_than_half_missing_is_refused() {
    let rows: Vec<String> = (0..300)
        .map(|row| format!("{},", START + row * 900))
        .collect();
    let error = refusal(file(&rows)).await;
    assert_says(
        &error,
        &["`cpu`", "300 of 300", "more than half"],
        "another column",
    );
}

#[tokio::test]
async fn negative_cores_are_told() {
    let mut rows = good_rows();
    rows[9] = format!("{},-3", START + 9 * 900);
    assert_warns(
        &first_verdict(file(&rows)).await,
        "1 values are negative, down to -3",
    );
}

#[tokio::test]
async fn a_constant_series_is_accepted_and_told() {
    let rows: Vec<String> = (0..384)
        .map(|row| format!("{},4.5", START + row * 900))
        .collect();
    let (report, failures) = dry_run(file(&rows).as_bytes()).await.unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert_warns(&report.series[0].verdicts()[0], "constant at 4.5");
    assert!(report.series[0].done().is_some());
}

#[tokio::test]
async fn three_rows_are_refused_with_how_many_are_needed() {
    let error = refusal(file(&good_rows()[..3])).await;
    assert_says(
        &error,
        &["3 usable rows", "at least 24 rows over 2 d"],
        "192 rows",
    );
}

#[tokio::test]
async fn an_empty_file_is_refused() {
    assert_says(&refusal("").await, &["is empty"], "header line");
    assert_says(&refusal("\n \n").await, &["is empty"], "header line");
}

#[tokio::test]
async fn a_header_without_rows_is_refused() {
    assert_says(
        &refusal("time,cpu\n").await,
        &["no rows"],
        "one row per observation",
    );
}

#[tokio::test]
async fn binary_garbage_is_refused() {
    let garbage: Vec<u8> = (0..4096_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    assert_says(&refusal(garbage).await, &["no text"], "UTF-8");
    assert_says(&refusal(b"time,cpu\n1,\0\n").await, &["no text"], "UTF-8");
}

#[tokio::test]
async fn a_ragged_row_is_refused_with_its_line() {
    let mut rows = good_rows();
    rows[3].push_str(",7");
    assert_says(
        &refusal(file(&rows)).await,
        &["line 5", "3 fields"],
        "repair that line",
    );
}

#[tokio::test]
async fn one_bad_series_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let rows: Vec<String> = good_rows().iter().map(|row| format!("{row},x")).collect();
    std::fs::write(&path, format!("time,cpu,bad\n{}\n", rows.join("\n"))).unwrap();
    let mut plan = Plan::new(path.to_str().unwrap(), Timestamp::UNIX_EPOCH);
    plan.series = vec!["a=bad".parse().unwrap(), "b=cpu:cores".parse().unwrap()];
    let run = fleet::run(&plan, None, &mut Console::new(&mut std::io::sink())).await;
    let (report, failures) = run.unwrap();
    assert_eq!(failures.len(), 1);
    assert!(
        failures[0].to_string().starts_with("a: "),
        "{}",
        failures[0]
    );
    assert!(report.series[0].done().is_none() && report.series[1].done().is_some());
}
