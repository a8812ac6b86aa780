//! Strings and numbers of the wire that mean "not said" when they are empty or zero.

use crate::error::Error;

/// Hex characters of a SHA-256.
const SHA256_HEX: usize = 64;

/// An empty string says nothing.
pub(crate) fn non_empty(value: String) -> Option<String> {
    Some(value).filter(|value| !value.is_empty())
}

/// A string that must say something.
pub(crate) fn required(field: &str, value: String) -> Result<String, Error> {
    non_empty(value).ok_or_else(|| Error::protocol(field, "missing"))
}

/// Versions count from 1; 0 is none.
pub(crate) fn non_zero(value: u64) -> Option<u64> {
    Some(value).filter(|value| *value != 0)
}

/// A version that must be there.
pub(crate) fn version(field: &str, value: u64) -> Result<u64, Error> {
    non_zero(value).ok_or_else(|| Error::protocol(field, "missing; versions count from 1"))
}

/// The lower-case hex of a SHA-256.
pub(crate) fn sha256(field: &str, value: String) -> Result<String, Error> {
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if value.len() == SHA256_HEX && value.bytes().all(hex) {
        Ok(value)
    } else {
        Err(Error::protocol(
            field,
            format!("{value:?} is not the lower-case hex of a SHA-256"),
        ))
    }
}

/// The same, where empty means none.
pub(crate) fn optional_sha256(field: &str, value: String) -> Result<Option<String>, Error> {
    non_empty(value)
        .map(|value| sha256(field, value))
        .transpose()
}

/// A column of numbers, one for each point.
pub(crate) fn column(field: &str, values: Vec<f64>, points: usize) -> Result<Vec<f64>, Error> {
    if values.len() != points {
        return Err(Error::protocol(
            field,
            format!("{} values for {points} points", values.len()),
        ));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::protocol(
            format!("{field}[{index}]"),
            format!("{} is not a finite number", values[index]),
        )),
        None => Ok(values),
    }
}

/// A number that must be finite.
pub(crate) fn finite(field: &str, value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::protocol(
            field,
            format!("{value} is not a finite number"),
        ))
    }
}

/// A quantile level: inside (0, 1).
pub(crate) fn level(field: &str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(Error::protocol(field, format!("{value} is not in (0, 1)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        match result {
            Err(Error::Protocol { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn digests_are_64_lower_case_hex_characters() {
        assert!(sha256("sha", "a".repeat(64)).is_ok());
        for bad in ["", "abc", &"A".repeat(64), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(field_of(sha256("sha", bad.to_owned())), "sha", "{bad:?}");
        }
        assert_eq!(optional_sha256("sha", String::new()), Ok(None));
    }

    #[test]
    fn columns_have_one_finite_value_for_each_point() {
        assert_eq!(column("yhat", vec![1.0, 2.0], 2), Ok(vec![1.0, 2.0]));
        assert_eq!(field_of(column("yhat", vec![1.0], 2)), "yhat");
        assert_eq!(field_of(column("yhat", vec![1.0, f64::NAN], 2)), "yhat[1]");
        assert_eq!(field_of(column("yhat", vec![f64::INFINITY], 1)), "yhat[0]");
    }

    #[test]
    fn levels_are_inside_zero_and_one() {
        assert_eq!(level("level", 0.5), Ok(0.5));
        for bad in [0.0, 1.0, -0.1, f64::NAN] {
            assert_eq!(field_of(level("level", bad)), "level");
        }
    }
}
