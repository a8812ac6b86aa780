//! Time zones. Prophet knows none: a series with a zone is fitted and forecast on its wall clock, expressed as the
//! seconds that the same clock face would be in UTC.

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// An IANA time zone; UTC by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC, where wall clock and instant are the same number.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The wall clock at `instant` (epoch seconds), as if it were UTC. An instant beyond the calendar is taken as UTC.
    pub fn to_wall(&self, instant: i64) -> i64 {
        match Timestamp::from_second(instant) {
            Ok(timestamp) => instant + i64::from(self.0.to_offset(timestamp).seconds()),
            Err(_) => instant,
        }
    }

    /// The instant (epoch seconds) at which the wall clock shows `wall`. A time that a change of the clocks skips is
    /// moved forward by the change; of one that happens twice the earlier instant is taken.
    pub fn to_instant(&self, wall: i64) -> i64 {
        let resolve = || {
            let civil: DateTime = TimeZone::UTC.to_datetime(Timestamp::from_second(wall).ok()?);
            Some(self.0.to_timestamp(civil).ok()?.as_second())
        };
        resolve().unwrap_or(wall)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if matches!(name, "UTC" | "Etc/UTC" | "Z") {
            return Ok(Self::utc());
        }
        TimeZone::get(name).map(Self).map_err(|_| {
            let shown: String = name.chars().take(64).collect();
            Error::invalid(
                "time_zone",
                format!(
                    "{shown:?} is not a time zone; use an IANA name such as Europe/Berlin, or UTC"
                ),
            )
        })
    }
}

impl TryFrom<String> for Zone {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.to_string()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn nine_o_clock_stays_nine_o_clock_across_a_change() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        assert_eq!(
            berlin.to_wall(second("2026-03-28T08:00:00Z")),
            second("2026-03-28T09:00:00Z")
        );
        assert_eq!(
            berlin.to_wall(second("2026-03-29T07:00:00Z")),
            second("2026-03-29T09:00:00Z")
        );
        assert_eq!(
            berlin.to_instant(second("2026-03-29T09:00:00Z")),
            second("2026-03-29T07:00:00Z")
        );
    }

    #[test]
    fn skipped_and_repeated_hours_have_one_instant() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        // 02:30 does not exist on 2026-03-29, and exists twice on 2026-10-25.
        assert_eq!(
            berlin.to_instant(second("2026-03-29T02:30:00Z")),
            second("2026-03-29T01:30:00Z")
        );
        assert_eq!(
            berlin.to_instant(second("2026-10-25T02:30:00Z")),
            second("2026-10-25T00:30:00Z")
        );
    }

    #[test]
    fn names_round_trip_and_nonsense_is_refused() {
        for name in ["UTC", "Europe/Berlin", "America/New_York"] {
            assert_eq!(name.parse::<Zone>().unwrap().to_string(), name);
        }
        let error = "Mars/Olympus".parse::<Zone>().unwrap_err().to_string();
        assert!(
            error.starts_with("time_zone: ") && error.contains("IANA"),
            "{error}"
        );
    }
}
