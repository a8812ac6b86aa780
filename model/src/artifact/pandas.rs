//! The two JSON forms of pandas that model.pr holds as strings: "split" series and "table" frames.

use jiff::civil::DateTime;
use serde_json::{Value, json};

use crate::spec::parse_wall_time;

/// Seconds of the wall clock as pandas writes them: `YYYY-MM-DDTHH:MM:SS.000`.
pub(super) fn time(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(instant) => instant.strftime("%Y-%m-%dT%H:%M:%S.000").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// A time as pandas writes it; older versions put a `Z` behind.
pub(super) fn read_time(text: &str) -> Option<i64> {
    parse_wall_time(text.strip_suffix('Z').unwrap_or(text)).ok()
}

/// The day of a time as pandas writes it.
pub(super) fn read_day(text: &str) -> Option<jiff::civil::Date> {
    let time: DateTime = text.strip_suffix('Z').unwrap_or(text).parse().ok()?;
    Some(time.date())
}

/// A series, "split".
pub(super) fn series(name: Option<&str>, data: &[String]) -> String {
    let index: Vec<usize> = (0..data.len()).collect();
    json!({"name": name, "index": index, "data": data}).to_string()
}

/// A series of times, "split".
pub(super) fn times(seconds: &[i64]) -> String {
    let data: Vec<String> = seconds.iter().map(|ds| time(*ds)).collect();
    series(Some("ds"), &data)
}

/// A frame of rows, "table": `fields` are names and pandas types.
pub(super) fn table(fields: &[(&str, &str)], rows: Vec<Value>) -> String {
    let fields: Vec<Value> = fields
        .iter()
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    json!({"schema": {"fields": fields, "pandas_version": "1.4.0"}, "data": rows}).to_string()
}
