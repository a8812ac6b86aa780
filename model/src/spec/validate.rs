//! What can be said of a spec without a history.

use std::collections::BTreeSet;

use crate::{
    error::{Error, Result},
    holiday::{self, DELIMITER, Holiday},
    spec::{BUILT_IN, MAX_CHANGEPOINTS, MAX_FOURIER_ORDER, SeasonalityChoice, Spec},
};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{CustomSeasonality, ExtraRegressor};

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
    fn names_that_prophet_needs_or_that_are_taken_are_refused() {
        let seasonality = |name: &str| CustomSeasonality {
            name: name.to_owned(),
            period: 2.0,
            fourier_order: 1,
            prior_scale: None,
            mode: None,
            condition_name: None,
        };
        let regressor = |name: &str| ExtraRegressor {
            name: name.to_owned(),
            prior_scale: None,
            standardize: crate::features::Standardize::default(),
            mode: None,
        };
        let with = |seasonality_name: &str, regressor_name: &str| Spec {
            seasonalities: vec![seasonality(seasonality_name)],
            extra_regressors: vec![regressor(regressor_name)],
            ..Spec::default()
        };
        with("weekly", "queue").validate().unwrap();
        for (spec, field) in [
            (with("a_delim_b", "queue"), "seasonalities"),
            (with("trend_lower", "queue"), "seasonalities"),
            (with("half", "weekly"), "extra_regressors"),
            (with("half", "cap"), "extra_regressors"),
            (with("half", "half"), "extra_regressors"),
            (with("", "queue"), "seasonalities"),
        ] {
            let error = spec.validate().unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
