//! The forecast that every model must beat: the same as last season.

/// The seasonal-naive forecast of the `horizon` values after `history`: each is the last observed value at the same
/// place of a `season` (in steps), up to `max_seasons` seasons back. `None` where none was observed.
pub fn seasonal_naive(
    history: &[Option<f64>],
    season: usize,
    horizon: usize,
    max_seasons: usize,
) -> Vec<Option<f64>> {
    let n = history.len();
    (0..horizon)
        .map(|lead| {
            let first = lead % season;
            (1..=max_seasons).find_map(|back| {
                let i = (n + first).checked_sub(back * season)?;
                *history.get(i)?
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_repeats_the_last_season_and_reaches_past_holes() {
        let history = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0].map(Some);
        assert_eq!(
            seasonal_naive(&history, 3, 5, 4),
            [10.0, 20.0, 30.0, 10.0, 20.0].map(Some)
        );
        let mut holes = history;
        holes[4] = None;
        assert_eq!(
            seasonal_naive(&holes, 3, 3, 4),
            [Some(10.0), Some(2.0), Some(30.0)]
        );
        assert_eq!(seasonal_naive(&holes, 3, 2, 1), [Some(10.0), None]);
    }
}
