//! Short leads: a model that is trained once a day is asked at every step, and knows what was observed until then.

use serde::Serialize;

use super::{Method, in_parallel};
use crate::{
    correction::Correction,
    error::{Error, Result},
    grid::Grid,
    live::LiveModel,
    score::mean,
};

const DAY: u32 = 86_400;

/// The levels of the band whose coverage is measured.
const BAND: [f64; 2] = [0.1, 0.9];

/// What is asked, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadPlan {
    /// Seconds from the last observation to the step that is asked for; rounded up to a step.
    pub leads_seconds: Vec<u32>,
    /// Days at the end of the history, each with a model that was trained just before it.
    pub days: u32,
    /// The longest history that is trained on, in seconds; `None` is all of it.
    pub max_train_seconds: Option<u32>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeadTable {
    /// Days, each with a model of its own.
    pub days: u32,
    /// By lead, as asked.
    pub leads: Vec<LeadScores>,
    /// What the last model declares.
    pub correction: Option<Correction>,
}

/// Mean absolute errors of one lead, in the series' unit, all at the same times. Absent is "not measured".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeadScores {
    /// As asked.
    pub lead_seconds: u32,
    /// Steps from the last observation.
    pub steps: usize,
    /// How many forecasts were compared.
    pub asked: u32,
    /// Of what would have been served.
    pub corrected: Option<f64>,
    /// Of the same without observations since the cutoff.
    pub uncorrected: Option<f64>,
    /// Of "it stays as it is": the last value that had been observed.
    pub last_value: Option<f64>,
    /// Of "the same as a day before", or as many days before as were over when it was asked.
    pub seasonal_naive: Option<f64>,
    /// Share of observations inside the band from 0.1 to 0.9 of what would have been served.
    pub coverage: Option<f64>,
    /// The same without observations.
    pub coverage_uncorrected: Option<f64>,
}

/// Errors of one question.
struct Asked {
    lead: usize,
    corrected: f64,
    uncorrected: f64,
    last_value: f64,
    seasonal_naive: f64,
    inside: bool,
    inside_uncorrected: bool,
}

/// Asks models of `method` on `grid` at every step of the last days for the given leads.
///
/// # Errors
/// [`Error::Invalid`] for a plan without leads or days; [`Error::NotEnoughData`] below two days before the first of them;
/// errors of training.
pub fn leads(method: &Method, grid: &Grid, plan: &LeadPlan) -> Result<LeadTable> {
    let step = grid.step_seconds.max(1);
    if plan.leads_seconds.is_empty() || plan.leads_seconds.contains(&0) || plan.days == 0 {
        return Err(Error::invalid(
            "leads",
            "give at least one lead and one day",
        ));
    }
    let day = (DAY / step).max(1) as usize;
    let n = grid.values.len();
    let needed = (plan.days as usize + 2).saturating_mul(day);
    if n < needed {
        return Err(Error::NotEnoughData {
            reason: format!("{n} steps; these leads take at least {needed}"),
        });
    }
    let known = carried(&grid.values);
    let steps: Vec<usize> = plan
        .leads_seconds
        .iter()
        .map(|lead| lead.div_ceil(step) as usize)
        .collect();
    let starts: Vec<usize> = (1..=plan.days as usize)
        .rev()
        .map(|back| n - back * day)
        .collect();
    let of_day = |start: &usize| one_day(method, grid, &known, *start, &steps, plan);
    let days = in_parallel(&starts, of_day);
    let days = days.into_iter().collect::<Result<Vec<_>>>()?;
    let correction = days
        .last()
        .and_then(|(model, _)| model.correction().cloned());
    let asked: Vec<Asked> = days.into_iter().flat_map(|(_, asked)| asked).collect();
    let scores = |(lead, steps): (usize, &usize)| {
        let of: Vec<&Asked> = asked.iter().filter(|asked| asked.lead == lead).collect();
        let average = |pick: fn(&Asked) -> f64| mean(of.iter().map(|asked| pick(asked)));
        LeadScores {
            lead_seconds: plan.leads_seconds[lead],
            steps: *steps,
            asked: u32::try_from(of.len()).unwrap_or(u32::MAX),
            corrected: average(|asked| asked.corrected),
            uncorrected: average(|asked| asked.uncorrected),
            last_value: average(|asked| asked.last_value),
            seasonal_naive: average(|asked| asked.seasonal_naive),
            coverage: average(|asked| f64::from(u8::from(asked.inside))),
            coverage_uncorrected: average(|asked| f64::from(u8::from(asked.inside_uncorrected))),
        }
    };
    Ok(LeadTable {
        days: plan.days,
        leads: steps.iter().enumerate().map(scores).collect(),
        correction,
    })
}

/// Of each step the last value that had been observed by its end; `None` before the first.
fn carried(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let carry = |last: &mut Option<f64>, value: &Option<f64>| {
        *last = value.or(*last);
        Some(*last)
    };
    values.iter().scan(None, carry).collect()
}

/// What two forecasts without a model say before step `at` of the step `steps` later than the one before it: the last
/// value, and that of whole days of `day` steps ago, as few as were over; `known` is [`carried`]. `None` where nothing
/// had been observed.
fn naive(known: &[Option<f64>], at: usize, steps: usize, day: usize) -> Option<(f64, f64)> {
    let last = at.checked_sub(1)?;
    let ago = (last + steps).checked_sub(steps.div_ceil(day) * day)?;
    Some(((*known.get(last)?)?, (*known.get(ago)?)?))
}

/// One model, trained on what comes before step `start`, asked at every step of the day from there on.
fn one_day(
    method: &Method,
    grid: &Grid,
    known: &[Option<f64>],
    start: usize,
    steps: &[usize],
    plan: &LeadPlan,
) -> Result<(LiveModel, Vec<Asked>)> {
    let step = grid.step_seconds.max(1);
    let day = (DAY / step).max(1) as usize;
    let most = plan
        .max_train_seconds
        .map_or(usize::MAX, |most| (most / step) as usize);
    let mut model = LiveModel::train(method, &grid.part(start.saturating_sub(most)..start))?;
    let mut found = Vec::new();
    for at in start..(start + day).min(grid.values.len()) {
        let now = grid.time(at);
        for (lead, steps) in steps.iter().enumerate() {
            // Lead 1 is the first step that has not been observed.
            let target = at - 1 + steps;
            let Some(truth) = grid.values.get(target).copied().flatten() else {
                continue;
            };
            let Some((last_value, seasonal_naive)) = naive(known, at, *steps, day) else {
                continue;
            };
            let ds = [grid.time(target)];
            let served = model.forecast(now, &ds, &BAND)?;
            let bare = model.uncorrected(&ds, &BAND)?;
            let inside = |forecast: &crate::forecaster::Forecast| {
                let at = |i: usize| forecast.quantiles[i].values[0];
                at(0) <= truth && truth <= at(1)
            };
            found.push(Asked {
                lead,
                corrected: (truth - served.yhat[0]).abs(),
                uncorrected: (truth - bare.yhat[0]).abs(),
                last_value: (truth - last_value).abs(),
                seasonal_naive: (truth - seasonal_naive).abs(),
                inside: inside(&served),
                inside_uncorrected: inside(&bare),
            });
        }
        if let Some(value) = grid.values[at] {
            model.observe(grid.time(at), value)?;
        }
    }
    Ok((model, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_without_a_model_know_nothing_from_the_step_that_asks_on() {
        let day = 4;
        let values: Vec<Option<f64>> = (0..20)
            .map(|i| (i != 10 && i != 6).then(|| f64::from(i)))
            .collect();
        // Step 10 is a hole when step 11 is asked: 9 is the last value, whatever 11 becomes.
        for (steps, ago) in [(1, 7.0), (4, 9.0), (5, 7.0), (8, 9.0), (9, 7.0)] {
            assert_eq!(
                naive(&carried(&values), 11, steps, day),
                Some((9.0, ago)),
                "{steps}"
            );
            let mut other = values.clone();
            other[11..].fill(Some(99.0));
            assert_eq!(
                naive(&carried(&other), 11, steps, day),
                naive(&carried(&values), 11, steps, day)
            );
        }
        assert_eq!(naive(&carried(&[None, None]), 1, 1, 1), None);
    }
}
