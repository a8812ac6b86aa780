//! The combined forecast of the next week in Prophet's own basis: a flat trend, a weekly and a daily seasonality.
//!
//! What the artifact says is that week, repeated: the first day as exactly as its step allows, because that is what is
//! acted on, the following days as closely as the weekly order allows; beyond it nothing grows. The trend is flat, so
//! the model's own band is that of its noise, in Python as here.
//!
//! A week on a regular grid is a discrete Fourier series, whose coefficients have a closed form. Harmonics of the week
//! up to an order are taken from it (those of the day left out: Prophet's daily seasonality has them), then the level
//! and the harmonics of the day from what is left of the first day. Both orders are the smallest with which no more is
//! lost than a share of what the forecast errs by anyway.

use std::f64::consts::PI;

use crate::{
    features::{Features, Mode, Seasonality},
    history::History,
    inputs::Inputs,
    prophet::{Ends, ProphetModel},
    spec::{Growth, SeasonalityChoice, Spec},
};

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;

/// Distilling may lose this share of the error that the backtest expects.
const TOLERANCE: f64 = 0.01;

/// The highest orders: five minutes of a day, two hours of a week.
const MAX_DAILY_ORDER: usize = 144;
const MAX_WEEKLY_ORDER: usize = 84;

/// What Prophet takes where nothing is said; the coefficients were not shrunk by it.
const PRIOR_SCALE: f64 = 10.0;

/// A forecast of a week from `start` on, on a regular grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Week<'a> {
    pub(super) start: i64,
    pub(super) values: &'a [f64],
}

/// Coefficients of sine and cosine, of orders 1, 2, ..., counted from the first step.
type Harmonics = Vec<(f64, f64)>;

/// The model that says `week`, with a noise of `sigma` (in the series' unit); `error` is what the forecast is expected
/// to err by.
pub(super) fn distil(
    week: Week<'_>,
    history: &History,
    sigma: f64,
    error: f64,
    interval_width: f64,
) -> ProphetModel {
    let allowed = TOLERANCE * error;
    let weekly = weekly(week.values, allowed);
    let first_day = &weekly.left[..week.values.len() / 7];
    let level = mean(first_day);
    let daily = daily(first_day, level, allowed);
    model(
        week,
        history,
        sigma,
        interval_width,
        level,
        &from_epoch(&weekly.harmonics, week.start, WEEK),
        &from_epoch(&daily, week.start, DAY),
    )
}

struct Weekly {
    harmonics: Harmonics,
    /// What they leave of the week.
    left: Vec<f64>,
}

/// The fewest harmonics of the week with which, the first day's remainder being repeated, all days together lose no more
/// than `allowed`; those that lose least where none reaches it.
fn weekly(week: &[f64], allowed: f64) -> Weekly {
    let day = week.len() / 7;
    let circle = Circle::new(week.len());
    let mut growing = Weekly {
        harmonics: Vec::new(),
        left: week.to_vec(),
    };
    let mut best: Option<(f64, usize)> = None;
    let mut lefts = Vec::new();
    for order in 0..=MAX_WEEKLY_ORDER.min((week.len() - 1) / 2) {
        if order > 0 {
            let pair = match order % 7 {
                // The day's own harmonics are the daily seasonality's.
                0 => (0.0, 0.0),
                _ => circle.harmonic(week, order),
            };
            circle.subtract(order, pair, &mut growing.left);
            growing.harmonics.push(pair);
        }
        let errors = growing.left.iter().zip(growing.left[..day].iter().cycle());
        let lost = errors
            .map(|(left, first)| (left - first).abs())
            .sum::<f64>()
            / week.len() as f64;
        if best.is_none_or(|(least, _)| lost < least) {
            best = Some((lost, order));
            lefts.clone_from(&growing.left);
        }
        if lost <= allowed {
            break;
        }
    }
    growing
        .harmonics
        .truncate(best.map_or(0, |(_, order)| order));
    Weekly {
        left: lefts,
        ..growing
    }
}

/// The fewest harmonics of the day with which `day` loses no more than `allowed`, among some orders; all of them where
/// none reaches it.
fn daily(day: &[f64], level: f64, allowed: f64) -> Harmonics {
    let circle = Circle::new(day.len());
    let mut harmonics = Vec::new();
    let mut left: Vec<f64> = day.iter().map(|value| value - level).collect();
    for order in 1..=MAX_DAILY_ORDER.min(day.len() / 2) {
        if left.iter().map(|left| left.abs()).sum::<f64>() <= allowed * day.len() as f64 {
            break;
        }
        let pair = circle.harmonic(day, order);
        circle.subtract(order, pair, &mut left);
        harmonics.push(pair);
    }
    harmonics
}

/// Sines and cosines of a period of `n` steps.
struct Circle {
    points: Vec<(f64, f64)>,
}

impl Circle {
    fn new(n: usize) -> Self {
        let angle = |i: usize| 2.0 * PI * i as f64 / n as f64;
        Self {
            points: (0..n).map(|i| angle(i).sin_cos()).collect(),
        }
    }

    fn at(&self, order: usize, i: usize) -> (f64, f64) {
        self.points[order * i % self.points.len()]
    }

    /// The Fourier coefficients of `values`, a whole period. At half as many orders as values there is no sine.
    fn harmonic(&self, values: &[f64], order: usize) -> (f64, f64) {
        let n = values.len();
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (i, value) in values.iter().enumerate() {
            let (s, c) = self.at(order, i);
            sine += value * s;
            cosine += value * c;
        }
        let scale = if 2 * order == n { 1.0 } else { 2.0 } / n as f64;
        (sine * scale, cosine * scale)
    }

    fn subtract(&self, order: usize, (sine, cosine): (f64, f64), from: &mut [f64]) {
        for (i, value) in from.iter_mut().enumerate() {
            let (s, c) = self.at(order, i);
            *value -= sine * s + cosine * c;
        }
    }
}

/// Harmonics counted from `start`, counted from the epoch as Prophet's features are.
fn from_epoch(harmonics: &[(f64, f64)], start: i64, period: i64) -> Harmonics {
    let phase = 2.0 * PI * start.rem_euclid(period) as f64 / period as f64;
    harmonics
        .iter()
        .zip(1_u32..)
        .map(|((sine, cosine), order)| {
            let (s, c) = (f64::from(order) * phase).sin_cos();
            (sine * c + cosine * s, cosine * c - sine * s)
        })
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn model(
    week: Week<'_>,
    history: &History,
    sigma: f64,
    interval_width: f64,
    level: f64,
    weekly: &[(f64, f64)],
    daily: &[(f64, f64)],
) -> ProphetModel {
    let largest = |values: &[f64]| values.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
    let y_scale = match largest(history.y()).max(largest(week.values)) {
        0.0 => 1.0,
        scale => scale,
    };
    let seasonality = |name: &str, period, harmonics: &[(f64, f64)]| Seasonality {
        name: name.to_owned(),
        period,
        fourier_order: u32::try_from(harmonics.len()).unwrap_or(0),
        prior_scale: PRIOR_SCALE,
        mode: Mode::Additive,
        condition_name: None,
    };
    let seasonalities: Vec<Seasonality> = [
        seasonality("weekly", 7.0, weekly),
        seasonality("daily", 1.0, daily),
    ]
    .into_iter()
    .filter(|seasonality| seasonality.fourier_order > 0)
    .collect();
    let mut beta: Vec<f64> = weekly
        .iter()
        .chain(daily)
        .flat_map(|(sine, cosine)| [sine / y_scale, cosine / y_scale])
        .collect();
    if beta.is_empty() {
        beta.push(0.0);
    }
    let order = |harmonics: &[(f64, f64)]| match u32::try_from(harmonics.len()) {
        Ok(0) | Err(_) => SeasonalityChoice::Enabled(false),
        Ok(order) => SeasonalityChoice::Order(order),
    };
    ProphetModel {
        spec: Spec {
            growth: Growth::Flat,
            n_changepoints: 0,
            yearly_seasonality: SeasonalityChoice::Enabled(false),
            weekly_seasonality: order(weekly),
            daily_seasonality: order(daily),
            seasonality_prior_scale: PRIOR_SCALE,
            interval_width,
            ..Spec::default()
        },
        specified_changepoints: false,
        y_scale,
        y_min: 0.0,
        start: history.first() as f64,
        t_scale: (history.last() - history.first()) as f64,
        changepoints: Vec::new(),
        changepoints_t: vec![0.0],
        features: Features {
            seasonalities,
            ..Features::default()
        },
        logistic_floor: false,
        k: 0.0,
        m: level / y_scale,
        delta: vec![0.0],
        beta,
        sigma_obs: sigma / y_scale,
        log_posterior: None,
        ends: Ends::of(history, Inputs::NONE),
    }
}
