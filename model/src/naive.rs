//! The forecast that every model must beat: the same as last season.

/// The seasonal-naive forecast of the `horizon` values after `history`: the last `season` values (in steps), repeated.
/// Empty where there is no history.
pub fn seasonal_naive(history: &[f64], season: usize, horizon: usize) -> Vec<f64> {
    let last = &history[history.len().saturating_sub(season)..];
    last.iter().copied().cycle().take(horizon).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_repeats_the_last_season() {
        let history = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        assert_eq!(
            seasonal_naive(&history, 3, 5),
            [10.0, 20.0, 30.0, 10.0, 20.0]
        );
        assert_eq!(seasonal_naive(&history, 3, 1), [10.0]);
        assert_eq!(seasonal_naive(&[], 3, 2), [0.0; 0]);
    }
}
