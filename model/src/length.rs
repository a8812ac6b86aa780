//! Lengths of time as people write them: a run of numbers with units, `90s`, `5m`, `6h`, `28d`, `2w`, `1h30m`.

/// Seconds in a minute.
pub const MINUTE: i64 = 60;
/// Seconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Seconds in a day without a clock change.
pub const DAY: i64 = 24 * HOUR;
/// Seconds in a week without a clock change.
pub const WEEK: i64 = 7 * DAY;

/// Reads a length of time in whole seconds; positive.
///
/// # Errors
/// An empty text, an unknown unit, a length of zero or one beyond a century.
pub fn read_length(text: &str) -> std::result::Result<i64, String> {
    const MOST: i64 = 36_525 * DAY;
    let wrong = || format!("`{text}` is no length of time: write 30s, 5m, 6h, 28d, 2w or 1h30m");
    let mut total = 0_i64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let units = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(units);
        let unit = match unit {
            "s" => 1,
            "m" | "min" => MINUTE,
            "h" => HOUR,
            "d" => DAY,
            "w" => WEEK,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(unit).ok_or_else(wrong)?;
        total = total
            .checked_add(part)
            .filter(|t| *t <= MOST)
            .ok_or_else(wrong)?;
        rest = tail;
    }
    if total == 0 { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_runs_of_numbers_with_units() {
        assert_eq!(read_length("28d"), Ok(28 * DAY));
        assert_eq!(read_length("1h30m"), Ok(90 * MINUTE));
        for text in [
            "",
            "5",
            "m",
            "0s",
            "5 m",
            "99999999999999999999d",
            "40000d",
            "-5m",
        ] {
            let error = read_length(text).unwrap_err();
            assert!(error.contains("write 30s"), "{error}");
        }
    }
}
