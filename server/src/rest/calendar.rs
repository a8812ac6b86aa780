//! The instants that the original's endpoints mean, on the wall clock of a zone.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use loadcast_model::{
    length::{DAY, HOUR},
    zone::Zone,
};

use crate::{
    error::{Error, Result},
    window::days_to_saturday,
};

/// Now, as a zone's wall clock shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar<'a> {
    zone: &'a Zone,
    now: Timestamp,
    /// Days since 1970-01-01, a Thursday.
    today: i64,
}

impl<'a> Calendar<'a> {
    pub(super) fn new(now: Timestamp, zone: &'a Zone) -> Self {
        Self {
            zone,
            now,
            today: zone.to_wall(now.as_second()).div_euclid(DAY),
        }
    }

    /// 12:00 so many days from today.
    pub(super) fn noon_in(&self, days: i64) -> i64 {
        self.zone.to_instant((self.today + days) * DAY + 12 * HOUR)
    }

    /// 10:00 of the next Saturday after today.
    pub(super) fn next_saturday(&self) -> i64 {
        let tomorrow = self.today + 1;
        let saturday = tomorrow + days_to_saturday(tomorrow);
        self.zone.to_instant(saturday * DAY + 10 * HOUR)
    }

    /// What the wall clock shows at `instant` (epoch seconds).
    pub(super) fn wall(&self, instant: i64) -> DateTime {
        let shown = Timestamp::from_second(self.zone.to_wall(instant));
        TimeZone::UTC.to_datetime(shown.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// What it shows now.
    pub(super) fn now(&self) -> DateTime {
        self.wall(self.now.as_second())
    }
}

/// `2026-01-31T12:00:00` on the zone's wall clock; with `Z` or an offset, that instant.
pub(super) fn instant_of(text: &str, zone: &Zone) -> Result<i64> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant.as_second());
    }
    let wall: DateTime = text.parse().map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        Error::invalid(
            "datetime_str",
            format!(
                "{shown:?} is not a time; write it like 2026-01-31T12:00:00, or with Z, or with an offset whose + is \
                 sent as %2B"
            ),
        )
    })?;
    let as_utc = TimeZone::UTC.to_timestamp(wall).map_err(|_| {
        Error::invalid(
            "datetime_str",
            "outside the calendar; ask for a time near now",
        )
    })?;
    Ok(zone.to_instant(as_utc.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_saturday_that_has_begun_is_not_the_next_one() {
        // 2026-11-28 is a Saturday.
        for (now, saturday) in [
            ("2026-11-24T12:00:00Z", "2026-11-28T10:00:00Z"),
            ("2026-11-27T23:59:59Z", "2026-11-28T10:00:00Z"),
            ("2026-11-28T00:00:00Z", "2026-12-05T10:00:00Z"),
            ("2026-11-29T12:00:00Z", "2026-12-05T10:00:00Z"),
        ] {
            let zone = Zone::utc();
            let calendar = Calendar::new(now.parse().unwrap(), &zone);
            assert_eq!(calendar.next_saturday(), second(saturday), "{now}");
        }
    }

    #[test]
    fn noon_is_the_zones_noon() {
        let auckland: Zone = "Pacific/Auckland".parse().unwrap();
        // 20:00 UTC is already the 25th there.
        let calendar = Calendar::new("2026-11-24T20:00:00Z".parse().unwrap(), &auckland);
        let noon = calendar.noon_in(1);
        assert_eq!(noon, second("2026-11-25T23:00:00Z"));
        assert_eq!(calendar.wall(noon).to_string(), "2026-11-26T12:00:00");
    }

    #[test]
    fn times_with_and_without_a_zone_are_understood_and_nonsense_is_told_how_to_write_one() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        for (text, instant) in [
            ("2026-01-31T12:00:00", "2026-01-31T11:00:00Z"),
            ("2026-01-31 12:00:00", "2026-01-31T11:00:00Z"),
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00:00+05:30", "2026-01-31T06:30:00Z"),
        ] {
            assert_eq!(
                instant_of(text, &berlin).unwrap(),
                second(instant),
                "{text}"
            );
        }
        for bad in [
            "",
            "tomorrow",
            "2026-02-30T00:00:00",
            "12:00",
            "2026-01-31T12:00:00 05:30",
        ] {
            let error = instant_of(bad, &berlin).unwrap_err().to_string();
            assert!(error.starts_with("datetime_str: "), "{bad}: {error}");
        }
    }
}
