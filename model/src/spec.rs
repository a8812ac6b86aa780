//! What model to fit: Prophet's arguments by Prophet's names, with Prophet's defaults.

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    features::{Mode, Standardize},
    holiday::Holiday,
};

mod resolve;
mod validate;

pub use resolve::Resolved;
pub(crate) use resolve::check_capacity;
pub(crate) use validate::usable_name;

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

/// A seasonality of the user's own: the arguments of Prophet's `add_seasonality`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomSeasonality {
    /// Its name; the name of a built-in one replaces that.
    pub name: String,
    /// In days.
    pub period: f64,
    /// Pairs of sine and cosine.
    pub fourier_order: u32,
    /// Standard deviation of the prior on its coefficients; unset: `seasonality_prior_scale`.
    #[serde(default)]
    pub prior_scale: Option<f64>,
    /// How it joins the trend; unset: `seasonality_mode`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// The boolean column where it acts; unset: everywhere.
    #[serde(default)]
    pub condition_name: Option<String>,
}

/// A regressor: the arguments of Prophet's `add_regressor`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraRegressor {
    /// Its column's name.
    pub name: String,
    /// Standard deviation of the prior on its coefficient; unset: `holidays_prior_scale`.
    #[serde(default)]
    pub prior_scale: Option<f64>,
    /// Whether it is brought to mean 0 and deviation 1.
    #[serde(default)]
    pub standardize: Standardize,
    /// How it joins the trend; unset: `seasonality_mode`.
    #[serde(default)]
    pub mode: Option<Mode>,
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
    /// Seasonalities of the user's own; their columns come before the built-in ones.
    pub seasonalities: Vec<CustomSeasonality>,
    /// How seasonalities join the trend.
    pub seasonality_mode: Mode,
    /// Standard deviation of the prior on seasonal coefficients.
    pub seasonality_prior_scale: f64,
    /// Occurrences of holidays, those of the future too.
    pub holidays: Vec<Holiday>,
    /// The country whose holidays they are; a name only: the dates must stand in `holidays`.
    pub country_holidays: Option<String>,
    /// How holidays join the trend; unset: `seasonality_mode`.
    pub holidays_mode: Option<Mode>,
    /// Standard deviation of the prior on coefficients of holidays and regressors.
    pub holidays_prior_scale: f64,
    /// Columns of the data that explain it.
    pub extra_regressors: Vec<ExtraRegressor>,
    /// Scale of the Laplace prior on trend changes.
    pub changepoint_prior_scale: f64,
    /// The share of observations that the default band should hold; in (0, 1).
    pub interval_width: f64,
    /// How values are scaled before the fit.
    pub scaling: Scaling,
    /// Where logistic growth saturates, in the series' unit, where no column `cap` says so row by row.
    pub cap: Option<f64>,
    /// The floor of logistic growth, in the series' unit, where no column `floor` says so row by row.
    pub floor: Option<f64>,
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
            seasonalities: Vec::new(),
            seasonality_mode: Mode::Additive,
            seasonality_prior_scale: 10.0,
            holidays: Vec::new(),
            country_holidays: None,
            holidays_mode: None,
            holidays_prior_scale: 10.0,
            extra_regressors: Vec::new(),
            changepoint_prior_scale: 0.05,
            interval_width: 0.8,
            scaling: Scaling::Absmax,
            cap: None,
            floor: None,
        }
    }
}

impl Spec {
    /// Heap bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::capacity);
        let changepoints = self.changepoints.as_deref().unwrap_or_default();
        let seasonalities = self.seasonalities.iter();
        let seasonalities: usize = seasonalities
            .map(|s| s.name.capacity() + text(&s.condition_name))
            .sum();
        size_of_val(changepoints)
            + changepoints.iter().map(String::capacity).sum::<usize>()
            + self.seasonalities.capacity() * size_of::<CustomSeasonality>()
            + seasonalities
            + self.holidays.capacity() * size_of::<Holiday>()
            + self
                .holidays
                .iter()
                .map(|h| h.holiday.capacity())
                .sum::<usize>()
            + text(&self.country_holidays)
            + self.extra_regressors.capacity() * size_of::<ExtraRegressor>()
            + self
                .extra_regressors
                .iter()
                .map(|r| r.name.capacity())
                .sum::<usize>()
    }
}

/// The names of the built-in seasonalities, in Prophet's order.
pub(crate) const BUILT_IN: [&str; 3] = ["yearly", "weekly", "daily"];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_reads_prophets_words_and_refuses_others() {
        let spec: Spec = serde_json::from_str(r#"{"growth":"flat","weekly_seasonality":false,"daily_seasonality":8,"yearly_seasonality":"auto"}"#).unwrap();
        assert_eq!(spec.growth, Growth::Flat);
        assert_eq!(spec.weekly_seasonality, SeasonalityChoice::Enabled(false));
        assert_eq!(spec.daily_seasonality, SeasonalityChoice::Order(8));
        assert_eq!(spec.yearly_seasonality, SeasonalityChoice::AUTO);
        let error = serde_json::from_str::<Spec>(r#"{"grwoth":"flat"}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("grwoth"), "{error}");
    }
}
