//! Order statistics: what a few wild values do not move.

/// The median; 0 of nothing. Reorders `values`.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The quantile of ascending `sorted` at `level`, linear between order statistics (Hyndman and Fan's type 7); 0 of
/// nothing.
pub fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = level * last as f64;
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let share = place - below as f64;
    if share <= 0.0 {
        return sorted[below];
    }
    sorted[below] + share * (sorted[above] - sorted[below])
}

/// The standard deviation of a normal distribution with the same median absolute deviation from zero; 0 of nothing.
pub fn spread(residuals: &[f64]) -> f64 {
    /// 1 over the 75 % quantile of the standard normal distribution.
    const NORMAL: f64 = 1.482_602_218_505_602;
    let mut sizes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    NORMAL * median(&mut sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_linear_between_order_statistics() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.0), 1.0);
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut []), 0.0);
    }
}
