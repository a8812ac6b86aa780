//! Order statistics: what a few wild values do not move.

/// The median; 0 of nothing. Reorders `values`.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The quantile of ascending `sorted` at `level`, the nearest order statistic below; at 0.5 of an even count the mean of
/// both in the middle. 0 of nothing.
pub(super) fn quantile(sorted: &[f64], level: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = level * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    (sorted[below.min(last)] + sorted[above.min(last)]) / 2.0
}

/// The standard deviation of a normal distribution with the same median absolute deviation from zero.
pub(super) fn spread(residuals: &[f64]) -> f64 {
    /// 1 over the 75 % quantile of the standard normal distribution.
    const NORMAL: f64 = 1.482_602_218_505_602;
    let mut sizes: Vec<f64> = residuals.iter().map(|residual| residual.abs()).collect();
    NORMAL * median(&mut sizes)
}
