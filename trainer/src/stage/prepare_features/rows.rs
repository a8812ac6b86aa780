//! Rows summed by their step, and the grid of their averages.

use std::collections::BTreeMap;

use loadcast_model::grid::Grid;
use loadcast_model::history::MAX_ROWS;

use crate::error::{Error, Result};
use crate::time::show_length;

/// By the time of a step, the sum and the count of its rows.
pub(super) type Sums = BTreeMap<i64, (f64, u32)>;

/// A grid without a value from the first to the last of `sums`.
pub(super) fn empty(sums: &Sums, step_seconds: u32) -> Result<Grid> {
    let step = i64::from(step_seconds);
    let (start, end) = match (sums.first_key_value(), sums.last_key_value()) {
        (Some((first, _)), Some((last, _))) => (*first, *last),
        _ => (0, -step),
    };
    let steps = usize::try_from((end - start) / step + 1).unwrap_or(usize::MAX);
    if steps > MAX_ROWS {
        return Err(Error::settings(
            format!(
                "the history has {steps} steps of {}; at most {MAX_ROWS} are trained on",
                show_length(step)
            ),
            "give a longer --step or a shorter --max-train",
        ));
    }
    Ok(Grid {
        start,
        step_seconds,
        values: vec![None; steps],
    })
}

/// The averages of `sums` on an `empty` grid.
pub(super) fn placed(empty: &Grid, sums: &Sums) -> Grid {
    let mut grid = empty.clone();
    for (time, (sum, count)) in sums {
        let i = (time - grid.start) / i64::from(grid.step_seconds);
        if let Some(value) = usize::try_from(i).ok().and_then(|i| grid.values.get_mut(i)) {
            *value = Some(sum / f64::from(*count));
        }
    }
    grid
}
