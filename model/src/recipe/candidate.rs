//! The candidates: few, different, and each robust in its own way.
//!
//! | candidate | what it says | needs |
//! |---|---|---|
//! | seasonal naive | the same as yesterday | 1 day |
//! | daily profile | the median of the last 7 days at this time of day | 1 day |
//! | smooth profile | the same, of half an hour on either side too | 1 day, and a step of at most that |
//! | Prophet | linear trend and Prophet's own choice of seasonalities, after winsorizing at 3 IQR | 2 days |
//! | weekly naive | the same as a week ago | 14 days |
//! | weekly profile | the median of the last 4 weeks at this time of the week | 7 days; below 14 it must earn its place |
//!
//! A candidate that models a shape carries its *shifts*: the medians of what the last hours lay above it. Adding one
//! anchors the shape to the level at the origin, which is most of a day-ahead error; where the values are mostly noise, a
//! median of few is too, and one of more hours is the better anchor. The two naive forecasts are left as they are: they
//! hold the combination back where an anchor would mislead.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    fit::fit,
    forecaster::{Forecaster, Question},
    history::History,
    naive::seasonal_naive,
    order::{median, quantile},
    spec::{SeasonalityChoice, Spec},
};

const HOUR: usize = 3_600;

/// What the smooth profile takes in on either side, in seconds.
const REACH: usize = HOUR / 2;

const DAYS_OF_PROFILE: usize = 7;
const WEEKS_OF_PROFILE: usize = 4;

/// The fewest weeks for the naive of a week ago: below, it is the profile.
const LEAST_WEEKS: usize = 2;

/// The hours that an anchor may be the median of.
pub(super) const ANCHOR_HOURS: [u32; 4] = [1, 3, 6, 12];

/// A shift for each of [`ANCHOR_HOURS`].
pub(super) type Shifts = [f64; ANCHOR_HOURS.len()];

/// The fewest rows that an anchor is the median of: one noisy point misleads.
const LEAST_ANCHOR_ROWS: usize = 3;

/// Prophet's trend is held stiffer than its default of 0.05, because the anchor follows the level.
const CHANGEPOINT_PRIOR_SCALE: f64 = 0.01;

/// Values further than this many interquartile ranges beyond the quartiles are pulled in before Prophet sees them.
const WINSOR_IQR: f64 = 3.0;

/// Which candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Candidate {
    /// The same as yesterday.
    SeasonalNaive,
    /// The median of the last 7 days at this time of day.
    DailyProfile,
    /// The median of the last 7 days at this time of day, half an hour on either side included.
    SmoothProfile,
    /// Prophet on winsorized values.
    Prophet,
    /// The same as a week ago.
    WeeklyNaive,
    /// The median of the last 4 weeks at this time of the week.
    WeeklyProfile,
}

/// What is known at an origin: values on the grid, gaps filled, and nothing later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past<'a> {
    /// The time of the first value.
    pub(super) start: i64,
    /// Spacing in seconds; divides a day.
    pub(super) step: u32,
    /// At least a day of them.
    pub(super) values: &'a [f64],
}

/// What a candidate says of the steps after an origin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub(super) candidate: Candidate,
    /// Not anchored.
    pub(super) values: Vec<f64>,
    /// To be added to anchor it to the last [`ANCHOR_HOURS`]; 0 for a candidate that is not anchored.
    pub(super) shifts: Shifts,
}

impl Past<'_> {
    /// Steps of a day.
    pub(super) fn day(&self) -> usize {
        (86_400 / self.step as usize).max(1)
    }

    /// The time `lead` steps after the last value; 0 is the first that is not known.
    pub(super) fn time(&self, index: usize) -> i64 {
        self.start + i64::try_from(index).unwrap_or(i64::MAX) * i64::from(self.step)
    }

    fn last(&self, rows: usize) -> &[f64] {
        &self.values[self.values.len().saturating_sub(rows)..]
    }

    /// The rows of so many hours, as far as there are.
    fn anchor_rows(&self, hours: u32) -> usize {
        (hours as usize * HOUR / self.step as usize)
            .max(LEAST_ANCHOR_ROWS)
            .min(self.values.len())
    }

    /// The medians of `errors`, the latest first, as far as they reach.
    fn shifts(&self, errors: impl Iterator<Item = f64>) -> Shifts {
        let most = ANCHOR_HOURS.iter().map(|hours| self.anchor_rows(*hours));
        let mut errors: Vec<f64> = errors.take(most.max().unwrap_or(0)).collect();
        ANCHOR_HOURS.map(|hours| {
            // Ascending hours: what is sorted already is among what is sorted next.
            let rows = self.anchor_rows(hours).min(errors.len());
            median(&mut errors[..rows])
        })
    }
}

/// What every candidate that `past` is long enough for says of the next `horizon` steps.
///
/// # Errors
/// As [`fit`].
pub(super) fn propose(past: &Past<'_>, horizon: usize) -> Result<Vec<Proposal>> {
    let (day, week) = (past.day(), 7 * past.day());
    let mut proposals = vec![
        naive(Candidate::SeasonalNaive, past, day, horizon),
        profile(
            Candidate::DailyProfile,
            past,
            day,
            DAYS_OF_PROFILE,
            0,
            horizon,
        ),
    ];
    let reach = REACH / past.step as usize;
    if reach > 0 {
        proposals.push(profile(
            Candidate::SmoothProfile,
            past,
            day,
            DAYS_OF_PROFILE,
            reach,
            horizon,
        ));
    }
    if past.values.len() >= 2 * day {
        proposals.push(prophet(past, horizon)?);
    }
    if past.values.len() >= LEAST_WEEKS * week {
        proposals.push(naive(Candidate::WeeklyNaive, past, week, horizon));
    }
    if past.values.len() >= week {
        proposals.push(profile(
            Candidate::WeeklyProfile,
            past,
            week,
            WEEKS_OF_PROFILE,
            0,
            horizon,
        ));
    }
    Ok(proposals)
}

fn naive(candidate: Candidate, past: &Past<'_>, season: usize, horizon: usize) -> Proposal {
    Proposal {
        candidate,
        values: seasonal_naive(past.values, season, horizon),
        shifts: Shifts::default(),
    }
}

fn profile(
    candidate: Candidate,
    past: &Past<'_>,
    season: usize,
    most: usize,
    reach: usize,
    horizon: usize,
) -> Proposal {
    let seasons = (past.values.len() / season).clamp(1, most);
    let last = past.last(seasons * season);
    let mut at_place = Vec::with_capacity(seasons);
    let shape: Vec<f64> = (0..season)
        .map(|place| {
            at_place.clear();
            for aside in 0..=2 * reach {
                // Around the place, the season's end joined to its beginning.
                let place = (place + season * reach + aside - reach) % season;
                at_place.extend(last.iter().skip(place).step_by(season));
            }
            median(&mut at_place)
        })
        .collect();
    // The row before the origin is at the last place of the season.
    let above = last.iter().rev().zip(shape.iter().rev().cycle());
    let shifts = past.shifts(above.map(|(y, fitted)| y - fitted));
    Proposal {
        candidate,
        shifts,
        values: shape.into_iter().cycle().take(horizon).collect(),
    }
}

fn prophet(past: &Past<'_>, horizon: usize) -> Result<Proposal> {
    let spec = Spec {
        changepoint_prior_scale: CHANGEPOINT_PRIOR_SCALE,
        yearly_seasonality: SeasonalityChoice::Enabled(false),
        ..Spec::default()
    };
    let rows = past.values.len();
    let ds = (0..rows).map(|i| past.time(i)).collect();
    let model = fit(&spec, &History::new(ds, winsorized(past.values))?)?.model;
    let seen = rows.min(past.day());
    let asked: Vec<i64> = (rows - seen..rows + horizon)
        .map(|i| past.time(i))
        .collect();
    let mut values = Forecaster::new(model)?
        .forecast(&Question::at(&asked))?
        .yhat;
    let ahead = values.split_off(seen);
    let above = past.last(seen).iter().zip(&values).rev();
    let shifts = past.shifts(above.map(|(y, fitted)| y - fitted));
    Ok(Proposal {
        candidate: Candidate::Prophet,
        values: ahead,
        shifts,
    })
}

/// Pulled in to [`WINSOR_IQR`] interquartile ranges beyond the quartiles. Where half of the values are one value there is
/// no such range, and nothing is pulled.
fn winsorized(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&sorted, 0.25), quantile(&sorted, 0.75));
    let reach = WINSOR_IQR * (high - low);
    if reach <= 0.0 {
        return values.to_vec();
    }
    values
        .iter()
        .map(|value| value.clamp(low - reach, high + reach))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(values: &[f64]) -> Past<'_> {
        Past {
            start: 0,
            step: 21_600,
            values,
        }
    }

    #[test]
    fn a_profile_is_the_median_per_place_and_its_shift_that_of_the_last_hour() {
        // Three days of four steps; the last three rows lie 1, 2 and 3 above the median day.
        let values = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0, 9.0, 3.0, 5.0, 7.0];
        let proposal = profile(Candidate::DailyProfile, &past(&values), 4, 7, 0, 6);
        assert_eq!(proposal.values, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0]);
        assert_eq!(proposal.shifts, [2.0; 4]);
    }

    #[test]
    fn a_smooth_profile_takes_in_its_neighbours_round_the_day() {
        let values = [8.0, 1.0, 2.0, 3.0];
        let smooth = profile(Candidate::SmoothProfile, &past(&values), 4, 7, 1, 4);
        assert_eq!(smooth.values, [3.0, 2.0, 2.0, 3.0]);
    }

    #[test]
    fn weekly_candidates_take_one_or_two_weeks() {
        let of_days = |days: usize| {
            let values: Vec<f64> = (0..4 * days).map(|i| (i % 4) as f64).collect();
            propose(&past(&values), 4).unwrap().len()
        };
        assert_eq!(
            (of_days(1), of_days(6), of_days(7), of_days(14)),
            (2, 3, 4, 5)
        );
    }

    #[test]
    fn one_wild_value_is_pulled_in_and_none_where_there_is_no_spread() {
        let mut values: Vec<f64> = (0..101).map(f64::from).collect();
        values[100] = 1e9;
        assert_eq!(winsorized(&values)[100], 75.0 + 3.0 * 50.0);
        let flat = [0.0, 0.0, 0.0, 0.0, 7.0];
        assert_eq!(winsorized(&flat), flat);
    }
}
