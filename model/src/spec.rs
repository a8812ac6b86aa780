//! What model to fit: Prophet's arguments by Prophet's names, with Prophet's defaults.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::{
    changepoints,
    error::{Error, Result},
    features::{Mode, Seasonality},
    history::History,
};

const DAY: i64 = 86_400;

/// The most changepoints: each costs a dimension of the fit.
pub const MAX_CHANGEPOINTS: u32 = 1_000;

/// The highest Fourier order of one seasonality.
pub const MAX_FOURIER_ORDER: u32 = 500;

/// The shape of the trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// Piecewise linear.
    #[default]
    Linear,
    /// Saturating at a cap.
    Logistic,
    /// A constant.
    Flat,
}

/// How values are scaled before the fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// By the largest absolute value.
    #[default]
    Absmax,
    /// From the smallest to the largest value.
    Minmax,
}

/// Whether a seasonality is fitted: `"auto"`, `true`, `false` or its Fourier order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SeasonalityChoice {
    /// Prophet's own rule, by the length and spacing of the history.
    Auto(Auto),
    /// Yes, with the default order; or no.
    Enabled(bool),
    /// Yes, with this order; 0 is no.
    Order(u32),
}

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// `"auto"`.
    Auto,
}

impl SeasonalityChoice {
    /// `"auto"`.
    pub const AUTO: Self = Self::Auto(Auto::Auto);
}

/// What to fit. Field names, meanings and defaults are Prophet's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// The shape of the trend.
    pub growth: Growth,
    /// Where the trend may bend, as `YYYY-MM-DD[ HH:MM:SS]` of the series' wall clock; unset: placed evenly.
    pub changepoints: Option<Vec<String>>,
    /// How many changepoints are placed when none are given.
    pub n_changepoints: u32,
    /// The share of the history, from its start, in which they are placed; in (0, 1].
    pub changepoint_range: f64,
    /// Period 365.25 days, default order 10.
    pub yearly_seasonality: SeasonalityChoice,
    /// Period 7 days, default order 3.
    pub weekly_seasonality: SeasonalityChoice,
    /// Period 1 day, default order 4.
    pub daily_seasonality: SeasonalityChoice,
    /// How seasonalities join the trend.
    pub seasonality_mode: Mode,
    /// Standard deviation of the prior on seasonal coefficients.
    pub seasonality_prior_scale: f64,
    /// Scale of the Laplace prior on trend changes.
    pub changepoint_prior_scale: f64,
    /// The share of observations that the default band should hold; in (0, 1).
    pub interval_width: f64,
    /// How values are scaled before the fit.
    pub scaling: Scaling,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            growth: Growth::Linear,
            changepoints: None,
            n_changepoints: 25,
            changepoint_range: 0.8,
            yearly_seasonality: SeasonalityChoice::AUTO,
            weekly_seasonality: SeasonalityChoice::AUTO,
            daily_seasonality: SeasonalityChoice::AUTO,
            seasonality_mode: Mode::Additive,
            seasonality_prior_scale: 10.0,
            changepoint_prior_scale: 0.05,
            interval_width: 0.8,
            scaling: Scaling::Absmax,
        }
    }
}

impl Spec {
    /// Checks what can be checked without a history.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the argument; [`Error::Unsupported`] for logistic growth and multiplicative
    /// seasonality, which this build does not fit yet.
    pub fn validate(&self) -> Result<()> {
        let share = |field: &str, value: f64, one_is_fine: bool| {
            if value > 0.0 && (value < 1.0 || (one_is_fine && value == 1.0)) {
                return Ok(());
            }
            let bound = if one_is_fine { "at most 1" } else { "below 1" };
            Err(Error::invalid(
                field,
                format!("{value} is out of range; give a number above 0 and {bound}"),
            ))
        };
        share("changepoint_range", self.changepoint_range, true)?;
        share("interval_width", self.interval_width, false)?;
        for (field, value) in [
            ("seasonality_prior_scale", self.seasonality_prior_scale),
            ("changepoint_prior_scale", self.changepoint_prior_scale),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::invalid(
                    field,
                    format!("{value} is out of range; give a number above 0"),
                ));
            }
        }
        let changepoints = self
            .changepoints
            .as_ref()
            .map_or(u64::from(self.n_changepoints), |given| given.len() as u64);
        if changepoints > u64::from(MAX_CHANGEPOINTS) {
            return Err(Error::invalid(
                "n_changepoints",
                format!("{changepoints}; at most {MAX_CHANGEPOINTS}"),
            ));
        }
        for (field, choice) in [
            ("yearly_seasonality", self.yearly_seasonality),
            ("weekly_seasonality", self.weekly_seasonality),
            ("daily_seasonality", self.daily_seasonality),
        ] {
            if let SeasonalityChoice::Order(order) = choice
                && order > MAX_FOURIER_ORDER
            {
                return Err(Error::invalid(
                    field,
                    format!("order {order}; at most {MAX_FOURIER_ORDER}"),
                ));
            }
        }
        if self.growth == Growth::Logistic {
            return Err(Error::unsupported(
                "growth logistic",
                "this build fits linear and flat trends; use one of those",
            ));
        }
        if self.seasonality_mode == Mode::Multiplicative {
            return Err(Error::unsupported(
                "seasonality_mode multiplicative",
                "this build fits additive seasonality; use additive",
            ));
        }
        Ok(())
    }
}

/// Reads `YYYY-MM-DD[(T| )HH:MM:SS[.fff]]` as seconds of the wall clock; a fraction of a second is dropped.
///
/// # Errors
/// [`Error::Invalid`] naming `ds`.
pub fn parse_wall_time(text: &str) -> Result<i64> {
    let wrong = || {
        let shown: String = text.chars().take(64).collect();
        Error::invalid(
            "ds",
            format!("{shown:?} is not a time; write for example 2026-01-31 12:00:00"),
        )
    };
    let civil: DateTime = text.trim().parse().map_err(|_| wrong())?;
    let instant = jiff::tz::Offset::UTC
        .to_timestamp(civil)
        .map_err(|_| wrong())?;
    Ok(instant.as_second())
}

/// Writes seconds of the wall clock as `YYYY-MM-DD HH:MM:SS`; beyond the calendar, as the number.
pub fn format_wall_time(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => seconds.to_string(),
    }
}
