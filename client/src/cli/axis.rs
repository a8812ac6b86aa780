//! Where the axes of a chart are marked: at round numbers and at round times of the local clock.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The vertical axis has about this many intervals.
const INTERVALS: f64 = 4.0;

const SECOND: i64 = 1;
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What people count time in, in seconds.
const TIME_STEPS: [i64; 25] = [
    SECOND,
    5 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    5 * DAY,
    10 * DAY,
    30 * DAY,
    90 * DAY,
    180 * DAY,
    365 * DAY,
    2 * 365 * DAY,
    10 * 365 * DAY,
];

/// Round numbers that enclose all values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) low: f64,
    pub(crate) high: f64,
    step: f64,
}

/// A mark on the axis of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeMark {
    pub(crate) at: Timestamp,
    pub(crate) label: String,
}

impl Numbers {
    /// For at least one value, all finite.
    pub(crate) fn around(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        // A flat curve gets room of a tenth of its height, one at zero a unit.
        if high - low <= f64::EPSILON * 16.0 * high.abs().max(low.abs()) {
            let room = if high == 0.0 { 1.0 } else { high.abs() / 10.0 };
            (low, high) = if low == 0.0 {
                (0.0, room)
            } else {
                (low - room, high + room)
            };
        }
        let rough = high / INTERVALS - low / INTERVALS;
        let magnitude = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * magnitude)
            .find(|step| *step >= rough * (1.0 - 1e-9))
            .unwrap_or(rough);
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    /// From the lowest to the highest.
    pub(crate) fn marks(self) -> impl Iterator<Item = f64> {
        let last = (self.high / self.step - self.low / self.step).round();
        (0_u32..)
            .map(f64::from)
            .take_while(move |&i| i <= last)
            .map(move |i| self.low + i * self.step)
    }
}

/// Round local times from `start` to `end`, both included, at most `most`.
pub(crate) fn time_marks(
    start: Timestamp,
    end: Timestamp,
    zone: &TimeZone,
    most: i64,
) -> Vec<TimeMark> {
    let whole = end.duration_since(start).as_secs();
    let step = TIME_STEPS
        .into_iter()
        .find(|step| whole / step < most)
        .unwrap_or(10 * 365 * DAY);
    let midnight = start
        .to_zoned_datetime(zone.clone())
        .date()
        .to_datetime(Time::midnight());
    // Wall clocks are counted, not instants: marks stay on the hour when clocks change.
    let from_midnight = (0..).map_while(|i: i64| {
        let local = midnight
            .checked_add(SignedDuration::from_secs(step.checked_mul(i)?))
            .ok()?;
        let at = local.to_zoned_datetime(zone.clone()).ok()?.timestamp();
        (at <= end).then_some((at, local))
    });
    from_midnight
        .skip_while(|(at, _)| *at < start)
        .map(|(at, local)| TimeMark {
            at,
            label: label(local, step, whole > DAY),
        })
        .collect()
}

/// The shortest that says which one it is.
fn label(local: DateTime, step: i64, several_days: bool) -> String {
    let pattern = match step {
        ..MINUTE => "%H:%M:%S",
        MINUTE..DAY if several_days && local.time() == Time::midnight() => "%a %d",
        MINUTE..DAY => "%H:%M",
        DAY..=172_800 => "%a %d",
        172_801..15_552_000 => "%m-%d",
        _ => "%Y-%m",
    };
    local.strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_enclose_all_values() {
        let numbers = Numbers::around([0.42, 2.31].into_iter());
        assert_eq!(
            numbers.marks().collect::<Vec<_>>(),
            [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
        );
        for values in [
            [1e-9, 5e-9],
            [-7.0, 13.0],
            [0.0, 0.0],
            [99.0, 99.0],
            [1e12, 3e12],
        ] {
            let numbers = Numbers::around(values.into_iter());
            assert!(
                numbers.low <= values[0] && numbers.high >= values[1],
                "{numbers:?}"
            );
            let count = numbers.marks().count();
            assert!((2..=7).contains(&count), "{numbers:?}");
        }
    }

    fn labels(start: &str, end: &str, zone: &str, most: i64) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        time_marks(start.parse().unwrap(), end.parse().unwrap(), &zone, most)
            .into_iter()
            .map(|mark| mark.label)
            .collect()
    }

    #[test]
    fn times_are_round_on_the_local_clock() {
        assert_eq!(
            labels(
                "2026-10-07T22:00:00Z",
                "2026-10-08T22:00:00Z",
                "Europe/Berlin",
                6
            ),
            ["00:00", "06:00", "12:00", "18:00", "00:00"]
        );
        assert_eq!(
            labels("2026-10-08T14:35:00Z", "2026-10-08T20:35:00Z", "UTC", 8),
            ["15:00", "16:00", "17:00", "18:00", "19:00", "20:00"]
        );
        assert_eq!(
            labels("2026-10-10T00:00:00Z", "2026-10-12T00:00:00Z", "UTC", 8),
            ["Sat 10", "12:00", "Sun 11", "12:00", "Mon 12"]
        );
        assert_eq!(
            labels("2026-10-08T00:00:00Z", "2026-10-15T00:00:00Z", "UTC", 8).len(),
            8
        );
    }

    #[test]
    fn marks_stay_at_midnight_when_clocks_change() {
        assert_eq!(
            labels(
                "2026-10-23T22:00:00Z",
                "2026-10-26T23:00:00Z",
                "Europe/Berlin",
                4
            ),
            ["Sat 24", "Sun 25", "Mon 26", "Tue 27"]
        );
    }

    #[test]
    fn there_are_never_many() {
        for seconds in [1, 59, 300, 3_600, 90_000, 2_592_000, 157_680_000] {
            let start: Timestamp = "2026-10-08T14:35:17Z".parse().unwrap();
            let end = start + SignedDuration::from_secs(seconds);
            let marks = time_marks(start, end, &TimeZone::UTC, 9);
            assert!(marks.len() <= 10, "{seconds}: {marks:?}");
            assert!(marks.iter().all(|mark| (start..=end).contains(&mark.at)));
        }
    }
}
