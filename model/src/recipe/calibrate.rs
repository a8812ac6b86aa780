//! From the residuals inside the history to a calibration of the bands.

use std::iter::successors;

use super::experience::Residual;
use crate::{
    calibration::{BandCalibration, Knot, STORED_LEVELS, widened_quantile},
    error::Result,
};

const HOUR: f64 = 3_600.0;

/// The fewest residuals of a stretch; a stretch with fewer joins the next.
const LEAST_RESIDUALS: usize = 30;

/// The calibration that `residuals` at leads of `step` seconds give, found by `origins` origins spread over `days`;
/// `None` where there are too few. A knot is in the middle of each stretch of leads, and one
/// at the end of the last.
///
/// # Errors
/// As [`BandCalibration::new`], for residuals that are not finite.
pub(super) fn calibrate(
    residuals: &[Residual],
    step: u32,
    origins: u32,
    days: f64,
) -> Result<Option<BandCalibration>> {
    let horizon = residuals
        .iter()
        .map(|(lead, _)| lead + 1)
        .max()
        .unwrap_or(0);
    let mut knots = Vec::new();
    let mut from = 0;
    for until in ends(step, horizon) {
        let mut in_stretch: Vec<f64> = residuals
            .iter()
            .filter(|(lead, _)| (from..until).contains(lead))
            .map(|(_, residual)| *residual)
            .collect();
        if in_stretch.len() < LEAST_RESIDUALS {
            continue;
        }
        in_stretch.sort_unstable_by(f64::total_cmp);
        let widened = |level| widened_quantile(&in_stretch, level, days);
        // Lead 0 is one step after the cutoff.
        let middle = (from + until + 1) as f64 / 2.0;
        knots.push(Knot {
            lead_seconds: (middle * f64::from(step)) as i64,
            residuals: STORED_LEVELS.into_iter().map(widened).collect(),
        });
        from = until;
    }
    let Some(last) = knots.last().cloned() else {
        return Ok(None);
    };
    // The last stretch counts to its end.
    let end = horizon as i64 * i64::from(step);
    if last.lead_seconds < end {
        knots.push(Knot {
            lead_seconds: end,
            ..last
        });
    }
    BandCalibration::new(STORED_LEVELS.to_vec(), knots, origins, days).map(Some)
}

/// The steps at which stretches end, ascending, the last at `horizon`: after 1, 3, 6, 12, 24, 48, ... hours, because
/// errors grow fastest at first.
fn ends(step: u32, horizon: usize) -> Vec<usize> {
    let hours = [1.0, 3.0].into_iter();
    let hours = hours.chain(successors(Some(6.0), |hours| Some(2.0 * hours)));
    let steps = hours.map(|hours| (hours * HOUR / f64::from(step)) as usize);
    let mut ends: Vec<usize> = steps.take_while(|steps| *steps < horizon).collect();
    ends.push(horizon);
    ends.dedup();
    ends
}
