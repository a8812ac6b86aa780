//! The observations of the last day, step by step.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// A day, in seconds: the season of the seasonal naive.
pub(crate) const DAY: i64 = 86_400;

/// The most steps that are remembered of a series: a day of minutes. Of a series with a shorter step it is less than a
/// day, so that what needs a day is not measured there.
pub(crate) const MAX_STEPS: i64 = 1_440;

/// Observations by the beginning of their step, in epoch seconds; the oldest are forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// Seconds; at least 1.
    step: i64,
    /// The step of the last value.
    last: i64,
    /// NaN where nothing was observed; the last one is not.
    values: VecDeque<f64>,
}

impl Past {
    /// Nothing, on a grid of `step` seconds.
    pub(crate) fn new(step: u32) -> Self {
        Self {
            step: i64::from(step.max(1)),
            last: 0,
            values: VecDeque::new(),
        }
    }

    /// So many steps are remembered at most on a grid of `step` seconds: a day and one, or what is allowed.
    pub(crate) fn capacity(step: i64) -> usize {
        let steps = (DAY / step).min(MAX_STEPS) + 1;
        usize::try_from(steps).unwrap_or(1)
    }

    pub(crate) fn step(&self) -> i64 {
        self.step
    }

    /// The last observation.
    pub(crate) fn last(&self) -> Option<(i64, f64)> {
        self.values.back().map(|value| (self.last, *value))
    }

    /// The observation of the step at `at`.
    pub(crate) fn at(&self, at: i64) -> Option<f64> {
        let back = self.last.checked_sub(at)?;
        if back < 0 || back % self.step != 0 {
            return None;
        }
        let back = usize::try_from(back / self.step).ok()?;
        let index = self.values.len().checked_sub(1)?.checked_sub(back)?;
        self.values.get(index).copied().filter(|it| it.is_finite())
    }

    /// Takes the observation of the step at `at`, a multiple of the step; one that is not later than the last is left out.
    pub(crate) fn push(&mut self, at: i64, value: f64) -> bool {
        let capacity = Self::capacity(self.step);
        let ahead = match self.last() {
            Some((last, _)) => at.saturating_sub(last) / self.step,
            None => 1,
        };
        if ahead < 1 {
            return false;
        }
        match usize::try_from(ahead - 1) {
            Ok(holes) if holes < capacity => {
                self.values.extend(std::iter::repeat_n(f64::NAN, holes));
            }
            _ => self.values.clear(),
        }
        self.values.push_back(value);
        self.last = at;
        let surplus = self.values.len().saturating_sub(capacity);
        self.values.drain(..surplus);
        true
    }

    /// Every observation, in the order of time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, f64)> {
        let count = i64::try_from(self.values.len()).unwrap_or(0);
        let first = self.last - (count - 1) * self.step;
        let all = (0..).zip(&self.values);
        let all = all.map(move |(i, value): (i64, &f64)| (first + i * self.step, *value));
        all.filter(|(_, value)| value.is_finite())
    }

    /// The largest observation.
    pub(crate) fn peak(&self) -> Option<f64> {
        // NaN is never the larger one.
        let peak = self.values.iter().copied().reduce(f64::max);
        peak.filter(|peak| peak.is_finite())
    }

    /// How many bytes it has allocated.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.values.capacity() * size_of::<f64>()
    }

    /// What a file says makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        self.step >= 1
            && self.values.len() <= Self::capacity(self.step)
            && self.values.back().is_none_or(|last| last.is_finite())
            && self.last.rem_euclid(self.step) == 0
            && (0..=i64::from(u32::MAX) * 64).contains(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_remembered_with_its_holes_and_what_is_late_is_left_out() {
        let mut past = Past::new(300);
        assert!(past.push(600, 1.0) && past.push(1_500, 2.0));
        assert!(!past.push(1_500, 9.0) && !past.push(900, 9.0));
        assert_eq!(past.iter().collect::<Vec<_>>(), [(600, 1.0), (1_500, 2.0)]);
        assert_eq!(
            (past.at(600), past.at(900), past.at(1_800)),
            (Some(1.0), None, None)
        );
        assert_eq!((past.peak(), Past::new(300).peak()), (Some(2.0), None));
        assert!(past.push(1_500 + DAY, 1.5));
        assert_eq!(past.peak(), Some(2.0), "a day ago");
        assert!(past.push(1_800 + DAY, 1.0));
        assert_eq!(past.peak(), Some(1.5), "and no longer ago than that");
        assert_eq!((past.at(1_500), past.at(1_500 + DAY)), (None, Some(1.5)));
        assert!(past.push(1_500 + 100 * DAY, 4.0));
        assert_eq!(past.iter().collect::<Vec<_>>(), [(1_500 + 100 * DAY, 4.0)]);
        assert!(past.is_sound());
    }

    #[test]
    fn what_is_remembered_is_bounded_whatever_the_step() {
        for (step, steps) in [
            (1, 1_441),
            (60, 1_441),
            (300, 289),
            (86_400, 2),
            (200_000, 1),
        ] {
            let mut past = Past::new(step);
            for i in 1..=5_000 {
                past.push(i * i64::from(step), 1.0);
            }
            assert_eq!(past.values.len(), steps, "{step}");
            assert!(past.values.capacity() <= 2 * steps.max(2), "{step}");
        }
    }
}
