//! Instants and durations, in and out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::error::Error;

const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// An instant that must be there.
pub(crate) fn timestamp(
    field: &str,
    value: Option<prost_types::Timestamp>,
) -> Result<Timestamp, Error> {
    optional_timestamp(field, value)?.ok_or_else(|| Error::protocol(field, "missing"))
}

/// An instant, if it is there.
pub(crate) fn optional_timestamp(
    field: &str,
    value: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Error> {
    let Some(prost_types::Timestamp { seconds, nanos }) = value else {
        return Ok(None);
    };
    if !(0..NANOS_PER_SECOND).contains(&nanos) {
        return Err(Error::protocol(
            field,
            format!("{nanos} nanoseconds are not within a second"),
        ));
    }
    Timestamp::new(seconds, nanos)
        .map(Some)
        .map_err(|_| Error::protocol(field, format!("{seconds} s is outside years -9999 to 9999")))
}

/// A duration of either sign that must be there.
pub(crate) fn signed_duration(
    field: &str,
    value: Option<prost_types::Duration>,
) -> Result<SignedDuration, Error> {
    let Some(prost_types::Duration { seconds, nanos }) = value else {
        return Err(Error::protocol(field, "missing"));
    };
    let mixed = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if mixed || nanos <= -NANOS_PER_SECOND || nanos >= NANOS_PER_SECOND {
        return Err(Error::protocol(
            field,
            format!("{seconds} s and {nanos} ns are not one duration"),
        ));
    }
    Ok(SignedDuration::new(seconds, nanos))
}

/// A duration, not negative, that must be there.
pub(crate) fn duration(
    field: &str,
    value: Option<prost_types::Duration>,
) -> Result<Duration, Error> {
    Duration::try_from(signed_duration(field, value)?)
        .map_err(|_| Error::protocol(field, "must not be negative"))
}

/// The same, if it is there.
pub(crate) fn optional_duration(
    field: &str,
    value: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Error> {
    value.map(|value| duration(field, Some(value))).transpose()
}

/// A step: longer than nothing.
pub(crate) fn step(field: &str, value: Option<prost_types::Duration>) -> Result<Duration, Error> {
    match duration(field, value)? {
        Duration::ZERO => Err(Error::protocol(field, "must be longer than nothing")),
        step => Ok(step),
    }
}

/// An instant for the wire, where nanoseconds always count forward.
pub(crate) fn timestamp_out(value: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (value.as_second(), value.subsec_nanosecond());
    if nanos < 0 {
        prost_types::Timestamp {
            seconds: seconds.saturating_sub(1),
            nanos: nanos + NANOS_PER_SECOND,
        }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

/// A duration for the wire; one that is longer than the wire can say becomes the longest.
pub(crate) fn duration_out(value: Duration) -> prost_types::Duration {
    let value = SignedDuration::try_from(value).unwrap_or(SignedDuration::MAX);
    prost_types::Duration {
        seconds: value.as_secs(),
        nanos: value.subsec_nanos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pb_time(seconds: i64, nanos: i32) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos })
    }

    fn pb_duration(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos })
    }

    #[test]
    fn instants_survive_the_wire_on_both_sides_of_1970() {
        for (seconds, nanos) in [(0, 0), (1_700_000_000, 5), (-1, 999_999_999), (-86_400, 0)] {
            let time = timestamp("t", pb_time(seconds, nanos)).unwrap();
            assert_eq!(Some(timestamp_out(time)), pb_time(seconds, nanos));
        }
    }

    #[test]
    fn instants_that_are_none_are_refused() {
        for bad in [
            None,
            pb_time(0, -1),
            pb_time(0, 1_000_000_000),
            pb_time(i64::MAX, 0),
            pb_time(i64::MIN, 0),
        ] {
            let error = timestamp("as_of", bad).unwrap_err();
            assert!(
                matches!(&error, Error::Protocol { field, .. } if field == "as_of"),
                "{bad:?}: {error:?}"
            );
        }
    }

    #[test]
    fn durations_are_of_one_sign_and_steps_longer_than_nothing() {
        assert_eq!(
            duration("d", pb_duration(1, 500_000_000)),
            Ok(Duration::from_millis(1500))
        );
        assert_eq!(
            signed_duration("d", pb_duration(-2, 0)),
            Ok(SignedDuration::from_secs(-2))
        );
        for bad in [
            pb_duration(1, -1),
            pb_duration(-1, 0),
            pb_duration(0, i32::MAX),
            None,
        ] {
            assert!(duration("d", bad).is_err(), "{bad:?}");
        }
        assert!(step("step", pb_duration(0, 0)).is_err());
    }

    #[test]
    fn the_longest_duration_does_not_wrap() {
        let out = duration_out(Duration::MAX);
        assert_eq!(out.seconds, i64::MAX);
    }
}
