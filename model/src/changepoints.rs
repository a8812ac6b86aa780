//! Where the trend may bend, placed as Python's Prophet places it.

/// Up to `n` times out of the first `range` of `ds`: numpy's `linspace(0, size - 1, n + 1).round()`, half to even, as
/// indices, without the first.
pub(crate) fn place(ds: &[i64], n: u32, range: f64) -> Vec<i64> {
    // The product is at most ds.len(), so the cast is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let size = (ds.len() as f64 * range).floor() as usize;
    let n = (n as usize).min(size.saturating_sub(1));
    let step = size.saturating_sub(1) as f64 / n.max(1) as f64;
    (1..=n)
        .filter_map(|i| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let index = if i == n {
                size - 1
            } else {
                (i as f64 * step).round_ties_even() as usize
            };
            ds.get(index).copied()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_where_numpy_puts_them() {
        let ds: Vec<i64> = (0..337).collect();
        // g02 of Python's Prophet 1.5.0: 25 of 337 rows.
        assert_eq!(
            place(&ds, 25, 0.8),
            [
                11, 21, 32, 43, 54, 64, 75, 86, 96, 107, 118, 129, 139, 150, 161, 172, 182, 193,
                204, 214, 225, 236, 247, 257, 268
            ]
        );
    }

    #[test]
    fn a_short_history_has_fewer_and_two_rows_have_none() {
        assert_eq!(place(&[0, 1], 25, 0.8), [] as [i64; 0]);
        assert_eq!(place(&[0, 1, 2], 25, 0.8), [1]);
        assert_eq!(place(&[0, 1, 2], 0, 0.8), [] as [i64; 0]);
        assert_eq!(place(&[0, 1, 2, 3, 4], 25, 1.0), [1, 2, 3, 4]);
    }
}
