//! Instants in a series' own time zone, and lengths of time in words.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// The zone of that IANA name. One that this release does not know is shown as UTC, and said to be.
pub(crate) fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// `14:40 CEST`.
pub(crate) fn clock(time: Timestamp, zone: &TimeZone) -> String {
    formatted(time, zone, "%H:%M %Z")
}

/// `2026-10-08 14:40 CEST`.
pub(crate) fn date_and_clock(time: Timestamp, zone: &TimeZone) -> String {
    formatted(time, zone, "%Y-%m-%d %H:%M %Z")
}

/// By a strftime pattern.
pub(crate) fn formatted(time: Timestamp, zone: &TimeZone, pattern: &str) -> String {
    time.to_zoned_datetime(zone.clone())
        .strftime(pattern)
        .to_string()
}

/// A half-open range: `Thu 2026-10-08 00:00 to 24:00 UTC`, with the second date only when it is another.
pub(crate) fn range(start: Timestamp, end: Timestamp, zone: &TimeZone) -> String {
    let (from, to) = (
        start.to_zoned_datetime(zone.clone()),
        end.to_zoned_datetime(zone.clone()),
    );
    let head = from.strftime("%a %Y-%m-%d %H:%M");
    let zone = from.strftime("%Z");
    if to.date() == from.date() {
        return format!("{head} to {} {zone}", to.strftime("%H:%M"));
    }
    let midnight = to.time() == Time::midnight();
    match to.date().yesterday() {
        Ok(last) if midnight && last == from.date() => format!("{head} to 24:00 {zone}"),
        Ok(last) if midnight => format!("{head} to {} 24:00 {zone}", last.strftime("%a %m-%d")),
        _ => format!("{head} to {} {zone}", to.strftime("%a %m-%d %H:%M")),
    }
}

/// The largest whole unit that says it: `90 s`, `12 min`, `5 h`, `3 d`.
pub(crate) fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    match seconds.unsigned_abs() {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `next hour`, `next day`, `next 90 min`.
pub(crate) fn horizon_in_words(horizon: Duration) -> String {
    match horizon.as_secs() {
        3_600 => "next hour".to_owned(),
        86_400 => "next day".to_owned(),
        _ => {
            let horizon = SignedDuration::try_from(horizon).unwrap_or(SignedDuration::MAX);
            format!("next {}", in_words(horizon))
        }
    }
}

/// How old data is: `data 12 min old`.
pub(crate) fn data_age(age: SignedDuration) -> String {
    if age.is_negative() {
        let later = age.checked_neg().unwrap_or(SignedDuration::MAX);
        format!("data from {} later", in_words(later))
    } else {
        format!("data {} old", in_words(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_name_a_day_once() {
        let utc = TimeZone::UTC;
        assert_eq!(
            range(at("2026-10-08T00:00:00Z"), at("2026-10-09T00:00:00Z"), &utc),
            "Thu 2026-10-08 00:00 to 24:00 UTC"
        );
        assert_eq!(
            range(at("2026-10-08T09:00:00Z"), at("2026-10-08T15:00:00Z"), &utc),
            "Thu 2026-10-08 09:00 to 15:00 UTC"
        );
        assert_eq!(
            range(at("2026-10-10T00:00:00Z"), at("2026-10-12T00:00:00Z"), &utc),
            "Sat 2026-10-10 00:00 to Sun 10-11 24:00 UTC"
        );
        assert_eq!(
            range(at("2026-10-08T20:00:00Z"), at("2026-10-09T02:00:00Z"), &utc),
            "Thu 2026-10-08 20:00 to Fri 10-09 02:00 UTC"
        );
    }

    #[test]
    fn times_are_those_of_the_series() {
        let berlin = zone("Europe/Berlin");
        assert_eq!(clock(at("2026-07-01T12:40:00Z"), &berlin), "14:40 CEST");
        assert_eq!(
            range(
                at("2026-10-07T22:00:00Z"),
                at("2026-10-08T22:00:00Z"),
                &berlin
            ),
            "Thu 2026-10-08 00:00 to 24:00 CEST"
        );
        assert_eq!(
            clock(at("2026-07-01T12:40:00Z"), &zone("Not/AZone")),
            "12:40 UTC"
        );
    }

    #[test]
    fn lengths_are_in_the_unit_that_says_it() {
        for (seconds, words) in [
            (0, "0 s"),
            (90, "90 s"),
            (720, "12 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(in_words(SignedDuration::from_secs(seconds)), words);
        }
        assert_eq!(
            data_age(SignedDuration::from_secs(-300)),
            "data from 5 min later"
        );
        assert!(data_age(SignedDuration::MIN).ends_with(" d later"));
        assert_eq!(
            in_words(SignedDuration::from_secs(i64::MIN)),
            format!("{} d", i64::MIN / 86_400)
        );
    }
}
