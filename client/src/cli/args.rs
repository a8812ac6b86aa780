//! How values are written on the command line.

use std::time::Duration;

use clap::ValueEnum;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use loadcast_client::Window;

/// How a command shows what it found, where that is text for people or one JSON value.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Shown {
    /// How to show it
    #[arg(
        long,
        short,
        env = "LOADCAST_OUTPUT",
        value_enum,
        default_value = "text"
    )]
    pub(crate) output: Output,
}

/// See [`Shown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// A window of the calendar in the series' time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WindowArg {
    /// Tomorrow 00:00 to 24:00
    #[value(name = "next-day")]
    Day,
    /// The 7 days from tomorrow 00:00
    #[value(name = "next-week")]
    Week,
    /// The next Saturday 00:00 to Monday 00:00 that has not begun
    #[value(name = "next-weekend")]
    Weekend,
    /// The 30 days from tomorrow 00:00
    #[value(name = "next-month")]
    Month,
}

impl From<WindowArg> for Window {
    fn from(window: WindowArg) -> Self {
        match window {
            WindowArg::Day => Self::NextDay,
            WindowArg::Week => Self::NextWeek,
            WindowArg::Weekend => Self::NextWeekend,
            WindowArg::Month => Self::NextMonth,
        }
    }
}

/// `90s`, `15m`, `6h`, `1d`, `1h 30m`, `PT6H`; a day is 24 hours. Longer than nothing.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("{text:?} is not a duration; write it like 90s, 15m, 6h or 1d"))?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years have no fixed length; write days".to_owned())?;
    match Duration::try_from(duration) {
        Ok(duration) if duration > Duration::ZERO => Ok(duration),
        _ => Err("must be longer than nothing".to_owned()),
    }
}

/// RFC 3339, or a date or date and time without a zone, which is UTC.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .or_else(|_| {
            let local: DateTime = text.parse()?;
            Ok(local.to_zoned_datetime(TimeZone::UTC)?.timestamp())
        })
        .map_err(|_: jiff::Error| {
            format!("{text:?} is not a time; write it like 2026-01-31T18:00:00Z or 2026-01-31")
        })
}

/// A quantile level inside (0, 1).
pub(crate) fn level(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(level) if level > 0.0 && level < 1.0 => Ok(level),
        _ => Err(format!(
            "{text:?} is not a quantile level; it lies between 0 and 1, like 0.9"
        )),
    }
}

/// `key=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(format!(
            "{text:?} is not a label; write it like namespace=shop"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("6h", 21_600),
            ("1d", 86_400),
            ("1w", 604_800),
            ("1h 30m", 5_400),
            ("PT6H", 21_600),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "6", "h", "-1h", "0s", "1mo", "1y", "soon"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        let expected = instant("2026-01-31T18:00:00Z").unwrap();
        for same in [
            "2026-01-31T18:00:00",
            "2026-01-31 18:00",
            "2026-01-31T19:00:00+01:00",
        ] {
            assert_eq!(instant(same), Ok(expected), "{same}");
        }
        assert_eq!(
            instant("2026-01-31"),
            Ok(instant("2026-01-31T00:00:00Z").unwrap())
        );
        for bad in ["", "tomorrow", "2026-02-30", "12:00"] {
            assert!(instant(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn levels_lie_inside_zero_and_one() {
        assert_eq!(level("0.9"), Ok(0.9));
        for bad in ["0", "1", "90", "NaN", "x", ""] {
            assert!(level(bad).is_err(), "{bad:?}");
        }
    }
}
