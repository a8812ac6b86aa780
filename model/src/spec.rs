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

/// A spec with every choice made for one history.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// In Prophet's order: yearly, weekly, daily.
    pub seasonalities: Vec<Seasonality>,
    /// Ascending, in seconds of the wall clock.
    pub changepoints: Vec<i64>,
    /// What a person should know about these choices.
    pub warnings: Vec<String>,
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

    /// Makes every choice for `history`, by Prophet's own rules.
    ///
    /// # Errors
    /// As [`Spec::validate`], and [`Error::Invalid`] for given changepoints outside the history.
    pub fn resolve(&self, history: &History) -> Result<Resolved> {
        self.validate()?;
        let span = history.last() - history.first();
        let spacing = history
            .ds()
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .min()
            .unwrap_or(span);
        let mut seasonalities = Vec::new();
        let mut add = |name: &str, period, choice, auto: bool, default_order| {
            let order = match choice {
                SeasonalityChoice::Auto(Auto::Auto) if auto => default_order,
                SeasonalityChoice::Enabled(true) => default_order,
                SeasonalityChoice::Order(order) => order,
                SeasonalityChoice::Auto(Auto::Auto) | SeasonalityChoice::Enabled(false) => 0,
            };
            if order > 0 {
                seasonalities.push(Seasonality {
                    name: name.to_owned(),
                    period,
                    fourier_order: order,
                    prior_scale: self.seasonality_prior_scale,
                    mode: self.seasonality_mode,
                });
            }
        };
        add(
            "yearly",
            365.25,
            self.yearly_seasonality,
            span >= 730 * DAY,
            10,
        );
        add(
            "weekly",
            7.0,
            self.weekly_seasonality,
            span >= 14 * DAY && spacing < 7 * DAY,
            3,
        );
        add(
            "daily",
            1.0,
            self.daily_seasonality,
            span >= 2 * DAY && spacing < DAY,
            4,
        );
        let mut warnings = Vec::new();
        if span < 730 * DAY && seasonalities.iter().any(|s| s.name == "yearly") {
            warnings.push(format!(
                "yearly seasonality was forced on {} days of history; below 730 days it is not identified and forecasts beyond the history are unreliable",
                span / DAY
            ));
        }
        let changepoints = match &self.changepoints {
            Some(given) => {
                let mut times = given
                    .iter()
                    .map(|text| parse_wall_time(text))
                    .collect::<Result<Vec<_>>>()?;
                times.sort_unstable();
                times.dedup();
                if let Some(outside) = times
                    .iter()
                    .find(|time| !(history.first()..=history.last()).contains(*time))
                {
                    return Err(Error::invalid(
                        "changepoints",
                        format!(
                            "{} is outside the history, {} to {}; leave it out",
                            format_wall_time(*outside),
                            format_wall_time(history.first()),
                            format_wall_time(history.last())
                        ),
                    ));
                }
                times
            }
            None => changepoints::place(history.ds(), self.n_changepoints, self.changepoint_range),
        };
        Ok(Resolved {
            seasonalities,
            changepoints,
            warnings,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn history(days: i64, step: i64) -> History {
        let ds: Vec<i64> = (0..)
            .map(|i| i * step)
            .take_while(|ds| *ds <= days * DAY)
            .collect();
        let y = vec![1.0; ds.len()];
        History::new(ds, y).unwrap()
    }

    fn names(days: i64, step: i64) -> Vec<String> {
        let resolved = Spec::default().resolve(&history(days, step)).unwrap();
        resolved.seasonalities.into_iter().map(|s| s.name).collect()
    }

    #[test]
    fn auto_seasonalities_follow_prophets_rule() {
        assert_eq!(names(1, 300), [] as [&str; 0]);
        assert_eq!(names(2, 300), ["daily"]);
        assert_eq!(names(13, 3_600), ["daily"]);
        assert_eq!(names(14, 3_600), ["weekly", "daily"]);
        assert_eq!(names(729, DAY), ["weekly"]);
        assert_eq!(names(730, DAY), ["yearly", "weekly"]);
        assert_eq!(names(735, 7 * DAY), ["yearly"]);
    }

    #[test]
    fn yearly_forced_on_a_short_history_is_said() {
        let spec = Spec {
            yearly_seasonality: SeasonalityChoice::Enabled(true),
            ..Spec::default()
        };
        let warnings = spec.resolve(&history(28, 3_600)).unwrap().warnings;
        assert!(warnings[0].contains("28 days"), "{warnings:?}");
    }

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
    fn what_is_not_fitted_yet_is_refused_by_name() {
        let logistic = Spec {
            growth: Growth::Logistic,
            ..Spec::default()
        };
        assert!(
            logistic
                .validate()
                .unwrap_err()
                .to_string()
                .starts_with("growth logistic is not supported")
        );
        let multiplicative = Spec {
            seasonality_mode: Mode::Multiplicative,
            ..Spec::default()
        };
        assert!(
            multiplicative
                .validate()
                .unwrap_err()
                .to_string()
                .starts_with("seasonality_mode multiplicative is not supported")
        );
    }

    #[test]
    fn changepoints_may_come_unsorted_but_not_from_outside() {
        let with = |given: &[&str]| Spec {
            changepoints: Some(given.iter().map(|text| (*text).to_owned()).collect()),
            ..Spec::default()
        };
        let resolved = with(&["1970-01-03", "1970-01-02 12:00:00", "1970-01-03"])
            .resolve(&history(5, 3_600))
            .unwrap();
        assert_eq!(resolved.changepoints, [DAY + DAY / 2, 2 * DAY]);
        let error = with(&["1970-02-01"])
            .resolve(&history(5, 3_600))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("changepoints: 1970-02-01 00:00:00"),
            "{error}"
        );
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
