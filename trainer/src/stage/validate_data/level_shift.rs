//! A level that moved and stayed: whole days on the other side of every day before.
//!
//! The history is cut into days that end with the last row, so that the newest is whole. Each has a level, its median;
//! where the history holds two weeks before the days in question, a day is compared as a ratio to what its weekday
//! usually is, so that a weekend is none. The level shifted at a day when every day after it (up to a week) lies beyond
//! every day before it (up to a week, three at least), and by more than the days before it differ from each other.

use loadcast_model::order::{median, spread};

use crate::time::DAY;

/// Days to either side that are compared, at most.
const WINDOW: usize = 7;

/// Days before a shift, at least.
const LEAST_BEFORE: usize = 3;

/// Robust standard deviations of the days before that are no shift.
const NOISE: f64 = 4.0;

/// A shift of the level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shift {
    /// The first time at the new level.
    pub(super) from: i64,
    /// The usual level before, in the values' unit.
    pub(super) before: f64,
    /// The usual level after.
    pub(super) after: f64,
    /// Change of the level relative to what it was, seasons apart.
    pub(super) change: f64,
    /// Whether a weekday could be compared with itself.
    pub(super) weekdays_known: bool,
}

/// The clearest shift in `values` at `times`, in order; `None` where there is none, or where days cannot be compared.
pub(super) fn level_shift(times: &[i64], values: &[f64]) -> Option<Shift> {
    let levels = daily_levels(times, values);
    let shifts = (LEAST_BEFORE..levels.len()).filter_map(|day| shift_at(&levels, day));
    let clearest = shifts.max_by(|a, b| a.1.total_cmp(&b.1));
    clearest.map(|(shift, _)| shift)
}

/// A day that ends a whole number of days before the last row.
#[derive(Debug, Clone, Copy)]
struct Day {
    from: i64,
    level: f64,
}

fn daily_levels(times: &[i64], values: &[f64]) -> Vec<Day> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return Vec::new();
    };
    let count = (last - first + 1) / DAY;
    let mut days = Vec::new();
    for back in (0..count).rev() {
        let (after, until) = (last - (back + 1) * DAY, last - back * DAY);
        let from = times.partition_point(|time| *time <= after);
        let to = times.partition_point(|time| *time <= until);
        // A day that was not observed has no level; the days around it are compared across the gap.
        if from < to {
            let level = median(&mut values[from..to].to_vec());
            days.push(Day {
                from: times[from],
                level,
            });
        }
    }
    days
}

/// The shift at `day`, and how clear it is: the statistic of CUSUM, which is largest where both sides are whole.
fn shift_at(levels: &[Day], day: usize) -> Option<(Shift, f64)> {
    let weekdays_known = day >= 2 * WINDOW;
    let usual = usual_of_weekday(&levels[..day], weekdays_known);
    let ratio = |i: usize| {
        // Weekdays are counted back from the shift, so that they meet on both sides of it.
        let usual = usual[(i + WINDOW * levels.len() - day) % WINDOW];
        if usual == 0.0 {
            f64::NAN
        } else {
            levels[i].level / usual
        }
    };
    let before: Vec<f64> = (day.saturating_sub(WINDOW)..day).map(ratio).collect();
    let after: Vec<f64> = (day..(day + WINDOW).min(levels.len())).map(ratio).collect();
    if before.iter().chain(&after).any(|ratio| !ratio.is_finite()) {
        return None;
    }
    let (level_before, level_after) = (median(&mut before.clone()), median(&mut after.clone()));
    let apart = |above: &[f64], below: &[f64]| {
        let lowest = above.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        lowest > highest
    };
    let noise: Vec<f64> = before.iter().map(|ratio| ratio - level_before).collect();
    let jump = level_after - level_before;
    if !(apart(&after, &before) || apart(&before, &after)) || jump.abs() <= NOISE * spread(&noise) {
        return None;
    }
    let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
    let (left, right) = (before.len() as f64, after.len() as f64);
    let clear = (mean(&after) - mean(&before)).abs() * (left * right / (left + right)).sqrt();
    let level = |days: &[Day]| median(&mut days.iter().map(|day| day.level).collect::<Vec<f64>>());
    let shift = Shift {
        from: levels[day].from,
        before: level(&levels[day.saturating_sub(WINDOW)..day]),
        after: level(&levels[day..(day + WINDOW).min(levels.len())]),
        change: jump / level_before.abs(),
        weekdays_known,
    };
    Some((shift, clear))
}

/// What a weekday usually is, by days after the shift modulo a week; all the same where weekdays are not known.
fn usual_of_weekday(before: &[Day], known: bool) -> [f64; WINDOW] {
    let mut all: Vec<f64> = before.iter().map(|day| day.level).collect();
    if !known {
        return [median(&mut all); WINDOW];
    }
    std::array::from_fn(|weekday| {
        let count = before.len();
        let same = (0..count).filter(|i| (i + WINDOW * count - count) % WINDOW == weekday);
        median(&mut same.map(|i| before[i].level).collect::<Vec<f64>>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours of `days` days with a daily shape and noise of a few percent; `level(day)` times that.
    fn shift(days: i64, level: impl Fn(i64) -> f64) -> Option<Shift> {
        let times: Vec<i64> = (0..days * 24).map(|hour| hour * 3600).collect();
        let value = |hour: i64| {
            let noise = ((hour * 7919) % 101) as f64 / 101.0 - 0.5;
            level(hour / 24) * (10.0 + 3.0 * (hour as f64 * 0.2618).sin() + 0.6 * noise)
        };
        let values: Vec<f64> = (0..days * 24).map(value).collect();
        level_shift(&times, &values)
    }

    #[test]
    fn the_last_two_days_half_as_high_again_are_a_shift_at_that_day() {
        for days in [6, 10, 28] {
            let found = shift(days, |day| if day < days - 2 { 1.0 } else { 1.5 }).unwrap();
            assert_eq!(found.from, (days - 2) * DAY, "{days}");
            assert!((found.change - 0.5).abs() < 0.05, "{found:?}");
        }
    }

    #[test]
    fn a_shift_in_the_middle_is_found_too() {
        let found = shift(28, |day| if day < 15 { 1.0 } else { 0.4 }).unwrap();
        assert_eq!(found.from, 15 * DAY);
        assert!((found.change + 0.6).abs() < 0.05, "{found:?}");
    }

    #[test]
    fn a_weekend_seen_before_a_slope_and_a_single_odd_day_are_no_shift() {
        let weekend = |day: i64| if day % 7 < 5 { 1.0 } else { 0.5 };
        assert_eq!(shift(28, weekend).filter(|s| s.change.abs() > 0.1), None);
        assert_eq!(shift(14, weekend).filter(|s| s.change.abs() > 0.1), None);
        assert_eq!(
            shift(28, |day| 1.0 + 0.03 * day as f64).filter(|s| s.change.abs() > 0.25),
            None
        );
        assert_eq!(
            shift(28, |day| if day == 14 { 2.0 } else { 1.0 }).filter(|s| s.change.abs() > 0.1),
            None
        );
    }
}
