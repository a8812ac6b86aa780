//! A question to a model, and the grid of instants it means. Pure: the clock comes in as an argument.

use jiff::Timestamp;
use loadcast_model::{artifact::Clamps, inputs::Inputs, series::Series};

use crate::{
    error::{Error, Result},
    window::Window,
};

/// The most points of one answer. At 50,000 points a band of two levels is 1.2 MB on the wire.
pub const MAX_POINTS: u64 = 50_000;

/// How far from now a range may reach, either way: 5 years. Prophet's trend says nothing beyond, with confidence.
pub const MAX_LEAD_SECONDS: i64 = 5 * 366 * 86_400;

/// The most quantile levels of one question.
pub const MAX_LEVELS: usize = 32;

/// The part of time that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// Half-open, in epoch seconds.
    Between {
        /// The first instant.
        start: i64,
        /// After the last.
        end: i64,
    },
    /// This many seconds from now.
    Horizon(i64),
    /// A named window in the series' zone.
    Window(Window),
}

/// What is asked of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The part of time.
    pub range: Range,
    /// Seconds between points; `None`: the series' own step.
    pub step_seconds: Option<u32>,
    /// Quantile levels.
    pub levels: Vec<f64>,
    /// Levels of the range's maximum.
    pub peak_levels: Vec<f64>,
    /// Trend and components too.
    pub components: bool,
    /// Answer as if it were this instant; `None`: now.
    pub as_of: Option<Timestamp>,
    /// Bounds for every value of the answer.
    pub clamps: Clamps,
    /// What the model cannot know by itself.
    pub inputs: Inputs,
}

/// The instants a question means: `start + i * step` for `i < count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The instant that counts as now, floored to the epoch-aligned step.
    pub as_of: i64,
    /// The first point, in epoch seconds.
    pub start: i64,
    /// Seconds.
    pub step: u32,
    /// At least 1.
    pub count: u32,
}

impl Grid {
    /// The instants, in epoch seconds.
    pub fn instants(&self) -> impl Iterator<Item = i64> {
        let (start, step) = (self.start, i64::from(self.step));
        (0..i64::from(self.count)).map(move |i| start + i * step)
    }

    /// The last point, in epoch seconds.
    pub fn last(&self) -> i64 {
        self.start + i64::from(self.count - 1) * i64::from(self.step)
    }
}

/// Floors `second` to a multiple of `step` since the epoch.
pub fn floor_to_step(second: i64, step: u32) -> i64 {
    second - second.rem_euclid(i64::from(step))
}

impl Question {
    /// About the next step, for these quantile levels and nothing else.
    pub fn of_levels(levels: &[f64]) -> Self {
        Self {
            range: Range::Horizon(1),
            step_seconds: None,
            levels: levels.to_vec(),
            peak_levels: Vec::new(),
            components: false,
            as_of: None,
            clamps: Clamps::default(),
            inputs: Inputs::default(),
        }
    }

    /// About one instant, in epoch seconds.
    pub fn at(instant: i64, levels: &[f64]) -> Self {
        Self {
            range: Range::Between {
                start: instant,
                end: instant.saturating_add(1),
            },
            step_seconds: Some(1),
            ..Self::of_levels(levels)
        }
    }

    /// The grid that this question means for `series` at `now`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field when the range is empty, too long or too far.
    pub fn grid(&self, series: &Series, now: Timestamp) -> Result<Grid> {
        let step = self.step_seconds.unwrap_or(series.step_seconds);
        let as_of = floor_to_step(self.as_of.unwrap_or(now).as_second(), step);
        let as_of_instant = Timestamp::from_second(as_of)
            .map_err(|_| Error::invalid("as_of", "out of range; give an instant near now"))?;
        let (field, start, end) = match self.range {
            Range::Between { start, end } => ("time_range.end", start, end),
            Range::Horizon(seconds) => ("horizon", as_of, as_of.saturating_add(seconds)),
            Range::Window(window) => {
                let (start, end) = window.bounds(as_of_instant, &series.zone);
                ("window", start, end)
            }
        };
        if end <= start {
            return Err(match self.range {
                Range::Between { .. } => Error::invalid(
                    "time_range.end",
                    "it is not after time_range.start; the range is half-open, swap them or move the end",
                ),
                _ => Error::invalid(field, "it is not positive; give a duration such as 3600s"),
            });
        }
        if start < as_of.saturating_sub(MAX_LEAD_SECONDS) {
            return Err(Error::invalid(
                "time_range.start",
                "more than 5 years before now; ask for a nearer range",
            ));
        }
        if end > as_of.saturating_add(MAX_LEAD_SECONDS) {
            return Err(Error::invalid(
                field,
                "it reaches more than 5 years ahead, where no model here knows anything; ask for a nearer range",
            ));
        }
        let count = (end - start).unsigned_abs().div_ceil(u64::from(step));
        if count > MAX_POINTS {
            return Err(Error::invalid(
                field,
                format!(
                    "{count} points at a step of {step} s; at most {MAX_POINTS}: shorten the range or give a step of at least {} s",
                    (end - start).unsigned_abs().div_ceil(MAX_POINTS)
                ),
            ));
        }
        Ok(Grid {
            as_of,
            start,
            step,
            count: u32::try_from(count).map_err(|_| Error::invalid(field, "too many points"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        let mut series = Series::new("web.cpu".parse().unwrap());
        series.step_seconds = 300;
        series
    }

    fn question(range: Range) -> Question {
        Question {
            range,
            ..Question::of_levels(&[])
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn refused(range: Range, step: Option<u32>) -> String {
        let mut question = question(range);
        question.step_seconds = step;
        question
            .grid(&series(), at(1_800_000_123))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_horizon_begins_at_now_floored_to_the_step() {
        let grid = question(Range::Horizon(3_600))
            .grid(&series(), at(1_800_000_123))
            .unwrap();
        assert_eq!(grid.as_of, 1_800_000_000);
        assert_eq!(
            (grid.start, grid.step, grid.count),
            (1_800_000_000, 300, 12)
        );
        assert_eq!(grid.instants().last(), Some(grid.last()));
    }

    #[test]
    fn within_a_step_bucket_the_grid_is_the_same() {
        let question = question(Range::Horizon(3_600));
        let first = question.grid(&series(), at(1_800_000_000)).unwrap();
        assert_eq!(question.grid(&series(), at(1_800_000_299)).unwrap(), first);
        assert_ne!(question.grid(&series(), at(1_800_000_300)).unwrap(), first);
    }

    #[test]
    fn a_part_of_a_step_at_the_end_is_a_point_too() {
        let grid = question(Range::Between {
            start: 1_800_000_000,
            end: 1_800_000_301,
        })
        .grid(&series(), at(1_800_000_000))
        .unwrap();
        assert_eq!(grid.count, 2);
    }

    #[test]
    fn end_before_start_names_the_field_and_the_remedy() {
        let error = refused(Range::Between { start: 10, end: 10 }, None);
        assert!(
            error.starts_with("time_range.end") && error.contains("swap"),
            "{error}"
        );
        let error = refused(Range::Horizon(0), None);
        assert!(
            error.starts_with("horizon") && error.contains("3600s"),
            "{error}"
        );
    }

    #[test]
    fn a_hundred_years_are_refused_at_any_step() {
        let century = 100 * 365 * 86_400;
        for step in [None, Some(86_400 * 365)] {
            let error = refused(Range::Horizon(century), step);
            assert!(
                error.starts_with("horizon") && error.contains("5 years"),
                "{error}"
            );
        }
    }

    #[test]
    fn too_many_points_say_which_step_would_do() {
        let error = refused(Range::Horizon(5 * 365 * 86_400), Some(60));
        assert!(
            error.contains("50000") && error.contains("step of at least 3154 s"),
            "{error}"
        );
    }
}
