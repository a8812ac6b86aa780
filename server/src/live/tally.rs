//! How good the forecasts of one lead were, as running means.
//!
//! Every mean is exponential over the forecasts that were scored, in the order of time, with the weight of one falling to
//! 1/e after a day of steps. With `keeps = exp(-step / 86,400 s)`, beginning with `s = w = 0`:
//!
//! ```text
//! s <- keeps * s + x        w <- keeps * w + 1        mean = s / w
//! ```
//!
//! `x` is `|observed - point|` for the MAE, 1 or 0 for coverage (inside the band from level 0.1 to 0.9, a billionth of the
//! value being rounding). Skill against a reference is `1 - (s of ours) / (s of the reference)`, both over the forecasts
//! for which there was the reference: "the same as a day before" (`y(t - 1 day)`) and "it stays as it is" (`y(t - lead)`).
//! It is computed in this order and nothing else, so that whoever has the observations finds the same numbers.

use serde::{Deserialize, Serialize};

use super::past::DAY;

/// The levels of the band whose coverage is measured; those of the trainer's backtest.
pub const BAND: [f64; 2] = [0.1, 0.9];

/// What is measured of one lead. A mean that is no number any more is "not measured".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    error: Mean,
    inside: Mean,
    seasonal_naive: Versus,
    last_value: Versus,
}

/// A forecast beside what came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) observed: f64,
    pub(crate) point: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// The observation a day before.
    pub(crate) day_before: Option<f64>,
    /// The last observation when the forecast was made.
    pub(crate) last: Option<f64>,
}

/// Scores of one lead. Absent is "not measured", never zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeadScores {
    /// Seconds from the last observation to the step that was forecast.
    pub lead_seconds: i64,
    /// Forecasts that were scored.
    pub rows: u64,
    /// Mean absolute error, in the series' unit.
    pub mae: Option<f64>,
    /// Share of observations inside the band from level 0.1 to 0.9, 0 to 1; absent where the band takes paths to find.
    pub coverage: Option<f64>,
    /// Above zero beats "the same as a day before".
    pub skill: Option<f64>,
    /// Mean absolute error of "the same as a day before".
    pub seasonal_naive_mae: Option<f64>,
    /// Above zero beats "it stays as it is".
    pub skill_last_value: Option<f64>,
    /// Mean absolute error of "it stays as it is".
    pub last_value_mae: Option<f64>,
    /// Forecasts that `skill` is of.
    pub skill_rows: u64,
}

/// A running mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    rows: u64,
    sum: f64,
    weight: f64,
}

/// Our errors and a reference's, over the same forecasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Versus {
    ours: Mean,
    theirs: Mean,
}

impl Mean {
    fn add(&mut self, keeps: f64, value: f64) {
        self.rows += 1;
        self.sum = keeps * self.sum + value;
        self.weight = keeps * self.weight + 1.0;
    }

    fn value(&self) -> Option<f64> {
        let mean = (self.rows > 0).then(|| self.sum / self.weight);
        mean.filter(|mean| mean.is_finite())
    }
}

impl Versus {
    fn add(&mut self, keeps: f64, ours: f64, theirs: f64) {
        self.ours.add(keeps, ours);
        self.theirs.add(keeps, theirs);
    }

    fn skill(&self) -> Option<f64> {
        let skill = (self.theirs.sum > 0.0).then(|| 1.0 - self.ours.sum / self.theirs.sum);
        skill.filter(|skill| skill.is_finite())
    }
}

impl Tally {
    /// Takes in one forecast of a series with this step.
    pub(crate) fn add(&mut self, step: i64, row: &Row) {
        let keeps = (-(step as f64) / DAY as f64).exp();
        let error = (row.observed - row.point).abs();
        self.error.add(keeps, error);
        if row.low.is_finite() && row.high.is_finite() {
            let inside = loadcast_model::score::inside(row.observed, row.low, row.high);
            self.inside.add(keeps, f64::from(u8::from(inside)));
        }
        if let Some(before) = row.day_before {
            let theirs = (row.observed - before).abs();
            self.seasonal_naive.add(keeps, error, theirs);
        }
        if let Some(last) = row.last {
            let theirs = (row.observed - last).abs();
            self.last_value.add(keeps, error, theirs);
        }
    }

    /// The scores at a lead.
    pub(crate) fn scores(&self, lead_seconds: i64) -> LeadScores {
        LeadScores {
            lead_seconds,
            rows: self.error.rows,
            mae: self.error.value(),
            coverage: self.inside.value(),
            skill: self.seasonal_naive.skill(),
            seasonal_naive_mae: self.seasonal_naive.theirs.value(),
            skill_last_value: self.last_value.skill(),
            last_value_mae: self.last_value.theirs.value(),
            skill_rows: self.seasonal_naive.ours.rows,
        }
    }

    /// What a file says makes sense.
    pub(crate) fn is_sound(&self) -> bool {
        let means = [
            self.error,
            self.inside,
            self.seasonal_naive.ours,
            self.seasonal_naive.theirs,
            self.last_value.ours,
            self.last_value.theirs,
        ];
        let sound =
            |mean: &Mean| mean.sum.is_finite() && mean.sum >= 0.0 && mean.weight.is_finite();
        means.iter().all(sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(observed: f64, point: f64, reference: Option<f64>) -> Row {
        Row {
            observed,
            point,
            low: point - 1.0,
            high: point + 1.0,
            day_before: reference,
            last: reference,
        }
    }

    #[test]
    fn scores_by_hand() {
        let mut tally = Tally::default();
        tally.add(300, &row(10.0, 9.0, None));
        tally.add(300, &row(10.0, 7.0, Some(4.0)));
        let keeps = (-300.0_f64 / 86_400.0).exp();
        let scores = tally.scores(900);
        assert_eq!(
            (scores.lead_seconds, scores.rows, scores.skill_rows),
            (900, 2, 1)
        );
        assert_eq!(scores.mae, Some((keeps + 3.0) / (keeps + 1.0)));
        assert_eq!(scores.coverage, Some(keeps / (keeps + 1.0)));
        assert_eq!(
            (scores.skill, scores.seasonal_naive_mae),
            (Some(0.5), Some(6.0))
        );
    }

    #[test]
    fn what_is_beyond_all_numbers_is_not_measured() {
        let mut tally = Tally::default();
        tally.add(300, &row(f64::MAX, -f64::MAX, Some(-f64::MAX)));
        let scores = tally.scores(300);
        assert_eq!((scores.rows, scores.skill_rows), (1, 1));
        assert_eq!((scores.mae, scores.skill), (None, None));
        assert_eq!(
            (scores.skill_last_value, scores.last_value_mae),
            (None, None)
        );
    }

    #[test]
    fn what_was_not_measured_is_absent_and_a_perfect_reference_gives_no_skill() {
        let mut tally = Tally::default();
        let none = tally.scores(300);
        assert_eq!(
            (none.rows, none.mae, none.coverage, none.skill),
            (0, None, None, None)
        );
        tally.add(300, &row(1.0, 2.0, Some(1.0)));
        assert_eq!(tally.scores(300).skill, None);
        assert_eq!(tally.scores(300).seasonal_naive_mae, Some(0.0));
    }
}
