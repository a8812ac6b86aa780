//! What the HPA is made from: a metric's name and target. Pure functions of the metadata; no model, no clock, no state.

use loadcast_model::{artifact::sha256_hex, series::SeriesName};

/// With KEDA's prefix `s12-` a name stays within 63 characters, as labels of metrics systems like it.
const MAX_READABLE: usize = 40;

/// Digits that keep the names of two series apart whose readable parts are the same.
const HASH_DIGITS: usize = 8;

/// The name of the metric: `[a-z0-9-]`, of the series alone, so that it outlives restarts, versions and changes of every
/// other key.
pub fn metric_name(series: &SeriesName) -> String {
    let mut readable = String::new();
    for c in series.as_ref().chars().map(|c| c.to_ascii_lowercase()) {
        let c = if c.is_ascii_alphanumeric() { c } else { '-' };
        if !(c == '-' && readable.ends_with('-')) {
            readable.push(c);
        }
    }
    readable.truncate(MAX_READABLE);
    let readable = readable.trim_matches('-');
    let hash = sha256_hex(series.as_ref().as_bytes());
    format!("loadcast-{readable}-{}", &hash[..HASH_DIGITS])
}

/// `value` as KEDA up to 2.16 reads it: whole, and rather too much than too little.
pub fn whole(value: f64) -> i64 {
    // Saturates, and is 0 for what is no number; finite values up to 9e15 are exact.
    value.ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(series: &str) -> String {
        metric_name(&series.parse().unwrap())
    }

    #[test]
    fn a_name_is_of_the_permitted_characters_and_of_one_series_alone() {
        assert_eq!(name("shop.web.cpu"), "loadcast-shop-web-cpu-4fbf7550");
        let names = ["a.b", "a-b", "a_b", "A.b", "a..b"].map(name);
        for (i, name) in names.iter().enumerate() {
            assert!(!names[..i].contains(name), "{name}");
        }
        for series in ["x".repeat(128), "A__--..".repeat(18), "0".to_owned()] {
            let name = name(&series);
            assert!(name.len() <= 59, "{name}");
            let permitted = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(name.chars().all(permitted), "{name}");
        }
    }

    #[test]
    fn whole_numbers_are_rounded_up() {
        for (value, expected) in [
            (0.0, 0),
            (0.2, 1),
            (2.0, 2),
            (2.1, 3),
            (9e15, 9_000_000_000_000_000),
        ] {
            assert_eq!(whole(value), expected, "{value}");
        }
    }
}
