//! The two JSON forms of pandas that model.pr holds as strings: "split" series and "table" frames.

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
pub(super) fn read_time(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    parse_wall_time(text.strip_suffix('Z').unwrap_or(text)).ok()
}

/// A series of times, "split".
pub(super) fn times(seconds: &[i64]) -> String {
    let index: Vec<usize> = (0..seconds.len()).collect();
    let data: Vec<String> = seconds.iter().map(|ds| time(*ds)).collect();
    json!({"name": "ds", "index": index, "data": data}).to_string()
}

/// A frame of rows, "table": `fields` are names and pandas types.
pub(super) fn table(fields: &[(String, &str)], rows: Vec<Value>) -> String {
    let fields: Vec<Value> = fields
        .iter()
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    json!({"schema": {"fields": fields, "pandas_version": "1.4.0"}, "data": rows}).to_string()
}

/// The `data` of a series or frame that is written as a string.
pub(super) fn data(text: &str) -> Result<Vec<Value>, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match value.get_mut("data").map(Value::take) {
        Some(Value::Array(data)) => Ok(data),
        _ => Err("it has no array \"data\"".to_owned()),
    }
}
