//! What the gates look at: the model's own forecasts, its recipe's backtests, and the comparison with what is served.

use loadcast_model::artifact::decode_model_pr;
use loadcast_model::backtest::{self, Backtest, Origin, Plan};
use loadcast_model::error::Error as ModelError;
use loadcast_model::forecaster::{Forecaster, Question};
use loadcast_model::grid::Grid;

use super::AgainstChampion;
use crate::champion::{Champion, Served};
use crate::error::{Error, Result};
use crate::stage::prepare_features::Features;
use crate::stage::train::Trained;
use crate::time::{DAY, WEEK, show_length};

/// The most days at the end of the history that are held back, one after another.
pub const MAX_ORIGINS: u32 = 3;

/// The levels of the band whose coverage is measured.
const BAND: [f64; 2] = [0.1, 0.9];

/// The long horizon.
const MONTH_DAYS: i64 = 30;

/// The share of a day that must have come since the champion's cutoff, for a comparison over less than a day.
const LEAST_OF_A_DAY: i64 = 4;

/// The share of the largest value that counts as no error: less changes no decision.
const NEGLIGIBLE: f64 = 0.01;

/// What an autoscaler cannot tell from nothing, in any unit: KEDA hands its metrics on in thousandths.
const UNSEEN: f64 = 0.001;

/// What the model says of the time after the history, as a server will serve it: restored from its bytes, inside its
/// clamps.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Times and point forecast of the next day.
    pub(super) next_day: Vec<(i64, f64)>,
    /// The point forecast of the 30 days from then on.
    pub(super) month: Vec<f64>,
    /// Why there is none that is finite.
    pub(super) not_finite: Option<String>,
}

/// The backtests of a horizon.
#[derive(Debug, Default)]
pub(super) struct Rolled {
    pub(super) origins: Vec<Origin>,
    pub(super) backtest: Option<Backtest>,
    /// Why there is none.
    pub(super) missing: String,
}

/// What was measured of a model.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) days: Rolled,
    pub(super) month: Rolled,
    /// Or why there is no comparison.
    pub(super) against_champion: Result<AgainstChampion, String>,
    pub(super) movement: Option<f64>,
}

impl Ahead {
    pub(super) fn forecast(trained: &Trained) -> Result<Self> {
        let model = decode_model_pr(&trained.model_pr).map_err(Error::of_model)?;
        let grid = &trained.features.grid;
        let step = i64::from(grid.step_seconds);
        let end = grid.time(grid.values.len());
        let day = (DAY / step).max(1);
        let times: Vec<i64> = (0..day).map(|i| end + i * step).collect();
        // An hour is fine enough to see a trend explode.
        let coarse = step.max(3600);
        let later = (0..MONTH_DAYS * DAY / coarse).map(|i| end + DAY + i * coarse);
        let all: Vec<i64> = times.iter().copied().chain(later).collect();
        let forecast = Forecaster::new(model).and_then(|it| it.forecast(&Question::at(&all)));
        let mut yhat = match forecast {
            Ok(forecast) => forecast.yhat,
            Err(ModelError::NonFinite { reason }) => {
                return Ok(Self {
                    next_day: Vec::new(),
                    month: Vec::new(),
                    not_finite: Some(reason),
                });
            }
            Err(other) => return Err(Error::of_model(other)),
        };
        let clamps = trained.clamps.unwrap_or_default();
        for value in &mut yhat {
            *value = clamps.of(*value);
        }
        let month = yhat.split_off(times.len());
        Ok(Self {
            next_day: times.into_iter().zip(yhat).collect(),
            month,
            not_finite: None,
        })
    }
}

impl Measured {
    pub(super) fn measure(trained: &Trained, ahead: &Ahead, champion: &Champion) -> Result<Self> {
        let grid = &trained.features.grid;
        let days = days(trained)?;
        let month = month(trained);
        let against_champion = match champion {
            Champion::Nothing => Err("nothing is served yet".to_owned()),
            Champion::Unknown(why) => Err(why.clone()),
            Champion::NoAnswer(why) => Err(format!("the server did not say what it serves: {why}")),
            Champion::Served(served) => compare(trained, &days.origins, served)?,
        };
        let movement = champion
            .served()
            .and_then(|served| movement(&ahead.next_day, served, negligible(grid).max(UNSEEN)));
        Ok(Self {
            days,
            month,
            against_champion,
            movement,
        })
    }
}

impl Rolled {
    fn missing(why: String) -> Self {
        Self {
            missing: why,
            ..Self::default()
        }
    }

    fn roll(trained: &Trained, plan: &Plan) -> Result<Self> {
        let (features, grid) = (&trained.features, &trained.features.grid);
        match backtest::origins_after(&trained.method, grid, plan, |at| features.before(at)) {
            Err(ModelError::NotEnoughData { reason }) => Ok(Self::missing(reason)),
            Err(error @ ModelError::NonFinite { .. }) => Ok(Self::missing(error.to_string())),
            Err(other) => Err(Error::of_model(other)),
            Ok(origins) => {
                let clamps = trained.clamps.unwrap_or_default();
                let served = origins.into_iter().map(|origin| origin.clamped(clamps));
                let origins: Vec<Origin> = served.collect();
                Ok(Self {
                    backtest: Some(Backtest::of(&origins, grid, plan)),
                    origins,
                    missing: String::new(),
                })
            }
        }
    }
}

fn plan(horizon: i64, season: i64, origins: u32, features: &Features) -> Plan {
    let seconds = |length: i64| u32::try_from(length).unwrap_or(u32::MAX);
    Plan {
        horizon_seconds: seconds(horizon),
        season_seconds: seconds(season),
        origins,
        max_train_seconds: Some(seconds(
            i64::try_from(features.about.window)
                .unwrap_or(i64::MAX)
                .saturating_mul(i64::from(features.grid.step_seconds)),
        )),
        levels: BAND.to_vec(),
    }
}

/// One-day forecasts against "the same as the day before", or why there are none.
fn days(trained: &Trained) -> Result<Rolled> {
    let grid = &trained.features.grid;
    let step = i64::from(grid.step_seconds);
    if DAY % step != 0 {
        return Ok(Rolled::missing(format!(
            "a day is no whole number of steps of {}",
            show_length(step)
        )));
    }
    let days = grid.values.len() as i64 / (DAY / step);
    // The naive forecast needs a day to repeat and its scale one more.
    let origins = u32::try_from(days - 2).unwrap_or(0).min(MAX_ORIGINS);
    if origins == 0 {
        return Ok(Rolled::missing(format!(
            "{days} whole days of history leave none to hold back"
        )));
    }
    Rolled::roll(trained, &plan(DAY, DAY, origins, &trained.features))
}

/// The latest 30 days from one origin against "the same as the week before", or why there is none.
fn month(trained: &Trained) -> Rolled {
    let grid = &trained.features.grid;
    let step = i64::from(grid.step_seconds);
    let (horizon, days) = (MONTH_DAYS * DAY, grid.values.len() as i64 * step / DAY);
    if DAY % step != 0 || days < MONTH_DAYS + 2 * WEEK / DAY {
        return Rolled::missing(format!(
            "{days} days of history are not the {} it takes",
            MONTH_DAYS + 2 * WEEK / DAY
        ));
    }
    // The day decides; what cannot be measured at a month is not known.
    let rolled = Rolled::roll(trained, &plan(horizon, WEEK, 1, &trained.features));
    rolled.unwrap_or_else(|error| Rolled::missing(error.to_string()))
}

/// Candidate and champion over what came after both, or why there is nothing.
fn compare(
    trained: &Trained,
    days: &[Origin],
    served: &Served,
) -> Result<Result<AgainstChampion, String>> {
    let (features, grid) = (&trained.features, &trained.features.grid);
    let unseen = |origin: &&Origin| origin.ds.first().is_some_and(|ds| *ds > served.cutoff);
    let later: Vec<&Origin> = days.iter().filter(unseen).collect();
    if !later.is_empty() {
        return Ok(score(grid, &later, served));
    }
    let n = grid.values.len();
    let at = (0..n).rev().take_while(|i| grid.time(*i) > served.cutoff);
    let since = at.count();
    let step = i64::from(grid.step_seconds);
    let length = since as i64 * step;
    if LEAST_OF_A_DAY * length < DAY || since == n {
        return Ok(Err(format!(
            "only {} have come since it was trained",
            show_length(length)
        )));
    }
    let plan = plan(length, DAY.max(step), 1, features);
    match backtest::origin_after(&trained.method, &features.before(n - since), &plan) {
        Ok(origin) => {
            let origin = origin.clamped(trained.clamps.unwrap_or_default());
            Ok(score(grid, &[&origin], served))
        }
        Err(ModelError::NotEnoughData { reason }) => Ok(Err(reason)),
        Err(error @ ModelError::NonFinite { .. }) => Ok(Err(error.to_string())),
        Err(other) => Err(Error::of_model(other)),
    }
}

fn score(grid: &Grid, origins: &[&Origin], served: &Served) -> Result<AgainstChampion, String> {
    let (mut own, mut champions, mut values) = (0.0, 0.0, 0_usize);
    for origin in origins {
        for (i, (ds, point)) in origin.ds.iter().zip(&origin.model.point).enumerate() {
            let truth = grid.values.get(origin.at + i).copied().flatten();
            if let (Some(truth), Some(champion)) = (truth, served.forecast.get(ds)) {
                own += (truth - point).abs();
                champions += (truth - champion).abs();
                values += 1;
            }
        }
    }
    if values == 0 {
        return Err("its forecasts and the observations have no time in common".to_owned());
    }
    Ok(AgainstChampion {
        version: served.version,
        mae: own / values as f64,
        champion_mae: champions / values as f64,
        values,
    })
}

/// By how much the next day's mean or peak moves, the larger, relative to what is served.
/// Changes are relative to no less than `least`, so that noise around nothing is no move.
fn movement(next_day: &[(i64, f64)], served: &Served, least: f64) -> Option<f64> {
    let pairs = next_day.iter();
    let pairs = pairs.filter_map(|(time, value)| Some((*value, *served.forecast.get(time)?)));
    let pairs: Vec<(f64, f64)> = pairs.collect();
    let count = pairs.len() as f64;
    let of = |pick: fn(&(f64, f64)) -> f64| {
        let values: Vec<f64> = pairs.iter().map(pick).collect();
        let peak = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (values.iter().sum::<f64>() / count, peak)
    };
    if pairs.is_empty() {
        return None;
    }
    let ((mean, peak), (mean_before, peak_before)) = (of(|pair| pair.0), of(|pair| pair.1));
    let change = |after: f64, before: f64| match (after - before).abs() {
        0.0 => 0.0,
        by => (by / before.abs().max(least)).min(f64::MAX),
    };
    Some(change(mean, mean_before).max(change(peak, peak_before)))
}

/// An error or a difference that changes no decision about the series on `grid`, in its unit.
pub fn negligible(grid: &Grid) -> f64 {
    let observed = grid.values.iter().flatten();
    NEGLIGIBLE * observed.fold(0.0, |largest: f64, value| largest.max(value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_that_of_the_mean_or_of_the_peak() {
        let served = |values: [f64; 2]| Served {
            version: 1,
            mae: None,
            cutoff: 0,
            forecast: [(10, values[0]), (20, values[1])].into(),
        };
        let next = [(10, 1.0), (20, 3.0)];
        let moved = |next: &[(i64, f64)], values| movement(next, &served(values), 0.5);
        assert_eq!(moved(&next, [1.0, 3.0]), Some(0.0));
        assert_eq!(moved(&next, [3.0, 1.0]), Some(0.0));
        assert_eq!(moved(&next, [2.0, 2.0]), Some(0.5));
        // From nothing to something: relative to what would be noticed.
        assert_eq!(moved(&next, [0.0, 0.0]), Some(6.0));
        assert_eq!(moved(&[(30, 1.0)], [1.0, 1.0]), None);
    }
}
