//! Named windows of the future, in a series' own time zone.

use jiff::Timestamp;
use loadcast_model::zone::Zone;

const DAY: i64 = 86_400;

/// A named, half-open window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Tomorrow 00:00 to 24:00.
    NextDay,
    /// The 7 days from tomorrow 00:00.
    NextWeek,
    /// The next Saturday 00:00 to Monday 00:00 that has not begun.
    NextWeekend,
    /// The 30 days from tomorrow 00:00.
    NextMonth,
}

impl Window {
    /// The window's first instant and the one after its last, in epoch seconds, seen from `now`.
    pub fn bounds(self, now: Timestamp, zone: &Zone) -> (i64, i64) {
        let today = zone.to_wall(now.as_second()).div_euclid(DAY);
        let tomorrow = today + 1;
        let (first, days) = match self {
            Self::NextDay => (tomorrow, 1),
            Self::NextWeek => (tomorrow, 7),
            Self::NextWeekend => (tomorrow + days_to_saturday(tomorrow), 2),
            Self::NextMonth => (tomorrow, 30),
        };
        (
            zone.to_instant(first * DAY),
            zone.to_instant((first + days) * DAY),
        )
    }
}

/// Days from `day` (counted from 1970-01-01, a Thursday) to the Saturday on or after it.
pub(crate) fn days_to_saturday(day: i64) -> i64 {
    (2 - day).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(window: Window, now: &str, zone: &str) -> (String, String) {
        let zone: Zone = zone.parse().unwrap();
        let (start, end) = window.bounds(now.parse().unwrap(), &zone);
        let show = |second| Timestamp::from_second(second).unwrap().to_string();
        (show(start), show(end))
    }

    fn expect(window: Window, now: &str, zone: &str, start: &str, end: &str) {
        assert_eq!(
            bounds(window, now, zone),
            (start.to_owned(), end.to_owned()),
            "{window:?} from {now} in {zone}"
        );
    }

    #[test]
    fn windows_begin_tomorrow_in_utc() {
        // 2026-11-24 is a Tuesday.
        let now = "2026-11-24T13:30:00Z";
        expect(
            Window::NextDay,
            now,
            "UTC",
            "2026-11-25T00:00:00Z",
            "2026-11-26T00:00:00Z",
        );
        expect(
            Window::NextWeek,
            now,
            "UTC",
            "2026-11-25T00:00:00Z",
            "2026-12-02T00:00:00Z",
        );
        expect(
            Window::NextWeekend,
            now,
            "UTC",
            "2026-11-28T00:00:00Z",
            "2026-11-30T00:00:00Z",
        );
        expect(
            Window::NextMonth,
            now,
            "UTC",
            "2026-11-25T00:00:00Z",
            "2026-12-25T00:00:00Z",
        );
    }

    #[test]
    fn a_weekend_that_has_begun_is_not_the_next_one() {
        let next = ("2026-12-05T00:00:00Z", "2026-12-07T00:00:00Z");
        for now in [
            "2026-11-28T00:00:00Z",
            "2026-11-28T09:00:00Z",
            "2026-11-29T23:59:59Z",
        ] {
            expect(Window::NextWeekend, now, "UTC", next.0, next.1);
        }
        let friday = "2026-11-27T23:59:59Z";
        expect(
            Window::NextWeekend,
            friday,
            "UTC",
            "2026-11-28T00:00:00Z",
            "2026-11-30T00:00:00Z",
        );
    }

    #[test]
    fn a_day_of_a_zone_is_23_or_25_hours_long_across_a_change() {
        // Berlin leaves summer time on 2026-10-25 and enters it on 2026-03-29.
        expect(
            Window::NextDay,
            "2026-10-24T12:00:00Z",
            "Europe/Berlin",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        );
        expect(
            Window::NextDay,
            "2026-03-28T12:00:00Z",
            "Europe/Berlin",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
    }

    #[test]
    fn tomorrow_is_the_zones_tomorrow() {
        // 20:00 UTC is already the 25th in Auckland.
        expect(
            Window::NextDay,
            "2026-11-24T20:00:00Z",
            "Pacific/Auckland",
            "2026-11-25T11:00:00Z",
            "2026-11-26T11:00:00Z",
        );
    }
}
