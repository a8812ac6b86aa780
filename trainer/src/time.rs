//! Times and lengths of time as people and exporters write them.
//!
//! A time is ISO 8601 with or without a zone, or seconds or milliseconds since 1970.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, Result};

pub use loadcast_model::length::{DAY, HOUR, MINUTE, WEEK, read_length};

/// Epoch numbers below this are refused: a date written `20260101` would be read as August 1970.
const LEAST_EPOCH_SECONDS: f64 = 1e8;
/// From here on a number means milliseconds: as seconds it would be the year 5138.
const LEAST_EPOCH_MILLIS: f64 = 1e11;
/// Beyond this a number is neither.
const MOST_EPOCH_MILLIS: f64 = 1e14;

/// A time as it was written: with a zone, or on some wall clock that others must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Seconds since 1970 in UTC; fractions of a second are cut off.
    Instant(i64),
    /// A time without a zone.
    WallClock(DateTime),
}

/// Reads one time, or says what times look like.
///
/// # Errors
/// A text that is no time in any of the accepted forms.
pub fn read_time(text: &str) -> std::result::Result<Written, &'static str> {
    const FORMS: &str = "write ISO 8601 (2026-01-31T14:30:00Z, 2026-01-31 14:30:00) or seconds or milliseconds since 1970";
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return epoch(number).ok_or(FORMS);
    }
    // Databases write "2026-01-31 14:30:00 UTC".
    let iso = text.strip_suffix(" UTC").map(|time| format!("{time}Z"));
    let iso = iso.as_deref().unwrap_or(text);
    if let Ok(instant) = iso.parse::<Timestamp>() {
        return Ok(Written::Instant(floor_seconds(instant)));
    }
    iso.parse::<DateTime>()
        .map(Written::WallClock)
        .map_err(|_| FORMS)
}

fn epoch(number: f64) -> Option<Written> {
    let seconds = match number.abs() {
        n if (LEAST_EPOCH_SECONDS..LEAST_EPOCH_MILLIS).contains(&n) => number,
        n if (LEAST_EPOCH_MILLIS..MOST_EPOCH_MILLIS).contains(&n) => number / 1000.0,
        _ => return None,
    };
    Some(Written::Instant(seconds.floor() as i64))
}

/// Whole seconds since 1970, rounded down also before it.
#[must_use]
pub fn floor_seconds(instant: Timestamp) -> i64 {
    instant.as_nanosecond().div_euclid(1_000_000_000) as i64
}

/// Reads an instant for a flag: a time without a zone is UTC.
///
/// # Errors
/// A text that is no time.
pub fn read_instant(text: &str) -> std::result::Result<Timestamp, String> {
    let seconds = match read_time(text)? {
        Written::Instant(seconds) => seconds,
        Written::WallClock(time) => wall_seconds(time),
    };
    Timestamp::from_second(seconds).map_err(|error| error.to_string())
}

/// A wall-clock time as seconds since 1970-01-01 00:00:00 on the same clock.
#[must_use]
pub fn wall_seconds(time: DateTime) -> i64 {
    time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0))
        .as_secs_f64()
        .floor() as i64
}

/// A length of time for people: the two largest units, `28 d`, `3 h 12 min`.
#[must_use]
pub fn show_length(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let mut rest = seconds.unsigned_abs();
    let mut parts = Vec::new();
    for (unit, name) in [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s")] {
        let unit = unit.unsigned_abs();
        if rest >= unit {
            parts.push(format!("{} {name}", rest / unit));
            rest %= unit;
        }
    }
    if parts.is_empty() {
        return "0 s".to_owned();
    }
    format!("{sign}{}", parts.join(" "))
}

/// An instant for people and files: `2026-01-31T14:30:00Z`.
#[must_use]
pub fn show_instant(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| format!("{seconds} s since 1970"), |t| t.to_string())
}

/// A wall-clock time as Prophet prints it: `2026-01-31 14:30:00`.
///
/// # Errors
/// Seconds outside the calendar's years.
pub fn show_wall_clock(seconds: i64) -> Result<String> {
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
        .checked_add(SignedDuration::from_secs(seconds))
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .map_err(|_| {
            Error::data(
                format!("time {seconds} s since 1970 is outside the calendar"),
                "give times between the years 1 and 9999",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> i64 {
        match read_time(text) {
            Ok(Written::Instant(seconds)) => seconds,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn times_with_a_zone_are_instants() {
        assert_eq!(instant("2014-02-14T14:30:00Z"), 1_392_388_200);
        assert_eq!(instant("2014-02-14 14:30:00 UTC"), 1_392_388_200);
        assert_eq!(instant("2014-02-14T15:30:00+01:00"), 1_392_388_200);
        assert_eq!(instant("2014-02-14 15:30:00.75+01:00"), 1_392_388_200);
    }

    #[test]
    fn numbers_are_epoch_seconds_or_milliseconds_by_size() {
        assert_eq!(instant("1392388200"), 1_392_388_200);
        assert_eq!(instant("1392388200.9"), 1_392_388_200);
        assert_eq!(instant("1392388200999"), 1_392_388_200);
        for text in ["20260101", "7", "nan", "1392388200999000000"] {
            assert!(read_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_without_a_zone_stay_on_their_wall_clock() {
        for text in [
            "2014-02-14 14:30:00",
            "2014-02-14T14:30:00",
            "2014-02-14T14:30",
        ] {
            let Ok(Written::WallClock(time)) = read_time(text) else {
                panic!("{text}");
            };
            assert_eq!(wall_seconds(time), 1_392_388_200);
        }
        assert_eq!(
            show_wall_clock(1_392_388_200).unwrap(),
            "2014-02-14 14:30:00"
        );
        assert!(read_time("yesterday").is_err());
    }

    #[test]
    fn lengths_are_shown_by_their_units() {
        assert_eq!(show_length(4321 * DAY + 3 * HOUR), "4321 d 3 h");
        assert_eq!(show_length(-90), "-1 min 30 s");
    }
}
