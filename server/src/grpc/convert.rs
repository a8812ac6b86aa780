//! Between the wire and our own values: strict on the way in (the field is named), infallible on the way out.

pub(crate) mod answer;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod live;
pub(crate) mod model;
pub(crate) mod question;
pub(crate) mod recommendation;

use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, Result};

/// An instant on its way out.
pub(crate) fn timestamp_out(instant: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (instant.as_second(), instant.subsec_nanosecond());
    if nanos < 0 {
        seconds -= 1;
        nanos += 1_000_000_000;
    }
    prost_types::Timestamp { seconds, nanos }
}

/// Whole epoch seconds on their way out.
pub(crate) fn seconds_out(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// A span of whole seconds on its way out.
pub(crate) fn span_out(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// A duration on its way out.
pub(crate) fn duration_out(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// An instant on its way in.
pub(crate) fn timestamp_in(field: &str, wire: &prost_types::Timestamp) -> Result<Timestamp> {
    Timestamp::new(wire.seconds, wire.nanos)
        .ok()
        .filter(|_| (0..1_000_000_000).contains(&wire.nanos))
        .ok_or_else(|| {
            Error::invalid(
                field,
                "not an instant; write RFC 3339, for example 2026-01-31T12:00:00Z",
            )
        })
}

/// An instant on a whole second on its way in.
pub(crate) fn whole_second_in(field: &str, wire: &prost_types::Timestamp) -> Result<i64> {
    let instant = timestamp_in(field, wire)?;
    if instant.subsec_nanosecond() != 0 {
        return Err(Error::invalid(
            field,
            "has a fraction of a second; the grid is of whole seconds",
        ));
    }
    Ok(instant.as_second())
}

/// A positive duration of whole seconds on its way in.
pub(crate) fn whole_seconds_in(field: &str, wire: &prost_types::Duration) -> Result<i64> {
    if wire.nanos != 0 {
        return Err(Error::invalid(
            field,
            "has a fraction of a second; give whole seconds, for example 300s",
        ));
    }
    if wire.seconds <= 0 {
        return Err(Error::invalid(
            field,
            "it must be longer than nothing; give for example 300s",
        ));
    }
    Ok(wire.seconds)
}

/// A step on its way in: positive whole seconds that a u32 holds.
pub(crate) fn step_in(field: &str, wire: &prost_types::Duration) -> Result<u32> {
    u32::try_from(whole_seconds_in(field, wire)?)
        .map_err(|_| Error::invalid(field, "longer than a century; give for example 300s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_round_trip_and_nonsense_is_refused() {
        for text in ["2026-11-24T12:00:00.25Z", "1969-12-31T23:59:59.75Z"] {
            let instant: Timestamp = text.parse().unwrap();
            let wire = timestamp_out(instant);
            assert!((0..1_000_000_000).contains(&wire.nanos));
            assert_eq!(timestamp_in("at", &wire).unwrap(), instant);
        }
        for (seconds, nanos) in [(i64::MAX, 0), (0, -1), (0, 1_000_000_000)] {
            let error = timestamp_in("as_of", &prost_types::Timestamp { seconds, nanos });
            assert!(error.unwrap_err().to_string().starts_with("as_of"));
        }
    }

    #[test]
    fn a_step_of_zero_names_the_field_and_the_remedy() {
        for (seconds, nanos) in [(0, 0), (-5, 0), (1, 5), (i64::MAX, 0)] {
            let error = step_in("step", &prost_types::Duration { seconds, nanos })
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("step: ") && error.contains("300s"),
                "{error}"
            );
        }
    }
}
