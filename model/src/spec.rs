//! What model to fit: Prophet's arguments by Prophet's names, with Prophet's defaults.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    features::{Mode, Standardize},
    holiday::{self, DELIMITER, Holiday},
};

mod resolve;

pub use resolve::Resolved;

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
    /// Checks what can be checked without a history.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the argument.
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
            ("holidays_prior_scale", self.holidays_prior_scale),
            ("changepoint_prior_scale", self.changepoint_prior_scale),
        ] {
            positive(field, value)?;
        }
        let changepoints = self.changepoints.as_ref().map_or_else(
            || u64::from(self.n_changepoints),
            |given| given.len() as u64,
        );
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
        for (field, value) in [("cap", self.cap), ("floor", self.floor)] {
            if value.is_some_and(|value| !value.is_finite()) {
                return Err(Error::invalid(field, "not finite; give a number"));
            }
        }
        holiday::columns(&self.holidays, self.holidays_prior_scale)?;
        self.validate_seasonalities()?;
        for regressor in &self.extra_regressors {
            let field = format!("extra_regressors.{}", regressor.name);
            positive(&field, regressor.prior_scale.unwrap_or(1.0))?;
        }
        self.validate_names()
    }

    fn validate_seasonalities(&self) -> Result<()> {
        for seasonality in &self.seasonalities {
            let field = |field: &str| format!("seasonalities.{}.{field}", seasonality.name);
            positive(&field("period"), seasonality.period)?;
            positive(
                &field("prior_scale"),
                seasonality.prior_scale.unwrap_or(1.0),
            )?;
            if !(1..=MAX_FOURIER_ORDER).contains(&seasonality.fourier_order) {
                return Err(Error::invalid(
                    field("fourier_order"),
                    format!(
                        "{}; give a whole number of 1 to {MAX_FOURIER_ORDER}",
                        seasonality.fourier_order
                    ),
                ));
            }
            if let Some(condition) = &seasonality.condition_name {
                usable_name(&field("condition_name"), condition)?;
            }
        }
        Ok(())
    }

    /// Prophet's rules: no name is taken twice, none is one of its own columns.
    fn validate_names(&self) -> Result<()> {
        let seasonalities = self
            .seasonalities
            .iter()
            .map(|s| ("seasonalities", &s.name));
        let regressors = self
            .extra_regressors
            .iter()
            .map(|r| ("extra_regressors", &r.name));
        let mut taken = BTreeSet::new();
        for (field, name) in seasonalities.chain(regressors) {
            if !(field == "seasonalities" && BUILT_IN.contains(&name.as_str())) {
                usable_name(field, name)?;
            }
            if !taken.insert(name.as_str()) {
                return Err(Error::invalid(
                    field,
                    format!("{name:?} is there twice; give each its own name"),
                ));
            }
        }
        for Holiday { holiday, .. } in &self.holidays {
            usable_name("holidays", holiday)?;
            if taken.contains(holiday.as_str()) {
                return Err(Error::invalid(
                    "holidays",
                    format!("{holiday:?} is a seasonality or regressor too; rename one"),
                ));
            }
        }
        Ok(())
    }
}

/// The names of the built-in seasonalities, in Prophet's order.
pub(crate) const BUILT_IN: [&str; 3] = ["yearly", "weekly", "daily"];

/// The longest name of a seasonality, holiday or regressor, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 1_024;

/// Columns that Prophet makes itself.
const RESERVED: [&str; 8] = [
    "trend",
    "additive_terms",
    "multiplicative_terms",
    "holidays",
    "zeros",
    "extra_regressors_additive",
    "extra_regressors_multiplicative",
    "yhat",
];

/// Checks a name by Prophet's rules.
pub(crate) fn usable_name(field: &str, name: &str) -> Result<()> {
    let stem = name
        .strip_suffix("_lower")
        .or_else(|| name.strip_suffix("_upper"));
    let stem = stem.unwrap_or(name);
    let own = RESERVED.contains(&stem)
        || BUILT_IN.contains(&stem)
        || ["ds", "y", "t", "cap", "floor", "y_scaled", "cap_scaled"].contains(&name);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || own || name.contains(DELIMITER) {
        let shown: String = name.chars().take(64).collect();
        return Err(Error::invalid(
            field,
            format!(
                "{shown:?} cannot be a name, Prophet needs it itself; choose another of 1 to {MAX_NAME_BYTES} bytes without {DELIMITER:?}"
            ),
        ));
    }
    Ok(())
}

fn positive(field: &str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!("{value} is out of range; give a number above 0"),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_out_of_range_are_named() {
        let refused = |spec: Spec| spec.validate().unwrap_err().to_string();
        let default = Spec::default;
        for (spec, field) in [
            (
                Spec {
                    changepoint_range: 1.5,
                    ..default()
                },
                "changepoint_range",
            ),
            (
                Spec {
                    changepoint_range: f64::NAN,
                    ..default()
                },
                "changepoint_range",
            ),
            (
                Spec {
                    interval_width: 1.0,
                    ..default()
                },
                "interval_width",
            ),
            (
                Spec {
                    interval_width: 2.0,
                    ..default()
                },
                "interval_width",
            ),
            (
                Spec {
                    seasonality_prior_scale: 0.0,
                    ..default()
                },
                "seasonality_prior_scale",
            ),
            (
                Spec {
                    changepoint_prior_scale: f64::INFINITY,
                    ..default()
                },
                "changepoint_prior_scale",
            ),
            (
                Spec {
                    n_changepoints: 100_000,
                    ..default()
                },
                "n_changepoints",
            ),
            (
                Spec {
                    daily_seasonality: SeasonalityChoice::Order(9_999),
                    ..default()
                },
                "daily_seasonality",
            ),
        ] {
            let error = refused(spec);
            assert!(error.starts_with(field), "{error}");
        }
    }

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
