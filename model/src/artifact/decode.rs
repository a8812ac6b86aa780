//! Reading `model.pr`: every model that Python's Prophet 1.x writes.

mod shape;

use std::borrow::Cow;

use crate::{
    artifact::{
        MAX_ARTIFACT_BYTES,
        bounded::{EndsOf, Fields, List, Pandas, corrupt},
        mlmodel::NO_PICKLE,
        pandas,
    },
    error::{Error, Result},
    features::{Features, MAX_COLUMNS, Mode, Regressor, Seasonality},
    holiday::{self, Holiday, HolidayColumn, MAX_HOLIDAYS},
    inputs::Inputs,
    prophet::{Ends, ProphetModel},
    spec::{
        BUILT_IN, CustomSeasonality, ExtraRegressor, Growth, MAX_CHANGEPOINTS, MAX_FOURIER_ORDER,
        Scaling, SeasonalityChoice, Spec, format_wall_time, usable_name,
    },
};

use shape::{
    ComponentRow, HistoryRow, HolidayRow, MAX_NAMED, Parameter, Properties, RegressorProps,
    SeasonalityProps,
};

/// The most changepoints of a model, as a number of elements.
const CHANGEPOINTS: usize = MAX_CHANGEPOINTS as usize;

/// The fields of `model_to_dict` that are read.
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "growth", "n_changepoints", "specified_changepoints", "changepoint_range", "yearly_seasonality",
    "weekly_seasonality", "daily_seasonality", "seasonality_mode", "seasonality_prior_scale",
    "changepoint_prior_scale", "holidays_prior_scale", "interval_width", "y_scale", "y_min", "scaling",
    "logistic_floor", "country_holidays", "holidays_mode", "changepoints", "train_holiday_names", "start", "t_scale",
    "holidays", "history", "train_component_cols", "changepoints_t", "seasonalities", "extra_regressors", "params",
];

/// The parameters that are read.
const PARAMS: &[&str] = &["k", "m", "delta", "beta", "sigma_obs", "lp__"];

/// Reads a model.pr, or the plain JSON that Prophet's `model_to_json` writes. What is read is bounded before it is
/// allocated; of the history the ends are kept.
///
/// # Errors
/// [`Error::Corrupt`] naming the field for bytes that are no such thing; [`Error::Unsupported`] naming the feature for
/// a sound model that cannot be evaluated.
pub fn decode_model_pr(bytes: &[u8]) -> Result<ProphetModel> {
    if bytes.len() > MAX_ARTIFACT_BYTES {
        return Err(corrupt(format!(
            "{} bytes; at most {MAX_ARTIFACT_BYTES} are read",
            bytes.len()
        )));
    }
    if let [0x80, 2..=5, ..] = bytes {
        return Err(Error::unsupported("a file that Python pickled", NO_PICKLE));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| corrupt(error.to_string()))?;
    let dict = if text.trim_start().starts_with('"') {
        // Encoded twice, as MLflow does: a string that holds the object.
        let inner: String =
            serde_json::from_str(text).map_err(|error| corrupt(error.to_string()))?;
        Cow::Owned(inner)
    } else {
        Cow::Borrowed(text)
    };
    Dict {
        params: Fields::read(
            Fields::read(&dict, "", &["params"])?.raw("params")?,
            "params.",
            PARAMS,
        )?,
        fields: Fields::read(&dict, "", FIELDS)?,
    }
    .model()
}

/// The object of `model_to_dict`.
struct Dict<'a> {
    fields: Fields<'a>,
    params: Fields<'a>,
}

impl Dict<'_> {
    fn model(&self) -> Result<ProphetModel> {
        let k = self.scalar("k")?;
        let growth: Growth = self.fields.parse("growth")?;
        let specified_changepoints: bool = self.fields.parse("specified_changepoints")?;
        let changepoints = self.changepoints()?;
        let features = self.features()?;
        let scaling: Scaling = self.fields.parse_or_default("scaling")?;
        let logistic_floor =
            growth == Growth::Logistic && self.fields.parse_or_default("logistic_floor")?;
        let model = ProphetModel {
            spec: self.spec(&features, specified_changepoints, &changepoints)?,
            specified_changepoints,
            y_scale: self.fields.number("y_scale")?,
            // Written since Prophet 1.1.5; absmax scaling, all there was before, does not use it.
            y_min: if scaling == Scaling::Minmax || self.fields.has("y_min") {
                self.fields.number("y_min")?
            } else {
                0.0
            },
            start: self.fields.number("start")?,
            t_scale: self.fields.number("t_scale")?,
            changepoints,
            changepoints_t: self.changepoints_t()?,
            features,
            logistic_floor,
            k,
            m: self.scalar("m")?,
            delta: self.parameter("delta")?,
            beta: self.parameter("beta")?,
            sigma_obs: self.scalar("sigma_obs")?,
            log_posterior: self.scalar("lp__").ok(),
            ends: self.ends(growth)?,
        };
        self.check(&model)?;
        Ok(model)
    }

    /// A string that holds the JSON of a pandas object.
    fn pandas<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let text: String = self.fields.parse(name)?;
        let pandas: Pandas<T> =
            serde_json::from_str(&text).map_err(|error| corrupt(format!("{name}: {error}")))?;
        Ok(pandas.data)
    }

    fn parameter(&self, name: &str) -> Result<Vec<f64>> {
        let Parameter { row, rows } = self.params.parse(name)?;
        match rows {
            0 => Err(corrupt(format!("params.{name} is empty"))),
            1 => Ok(row),
            _ => Err(Error::unsupported(
                format!("a model with {rows} MCMC samples"),
                "fit it with mcmc_samples=0 and log it again",
            )),
        }
    }

    fn scalar(&self, name: &str) -> Result<f64> {
        match self.parameter(name)?.as_slice() {
            [value] => Ok(*value),
            more => Err(corrupt(format!(
                "params.{name} has {} values, not one",
                more.len()
            ))),
        }
    }

    fn changepoints(&self) -> Result<Vec<i64>> {
        let times: List<String, CHANGEPOINTS> = self.pandas("changepoints")?;
        let time = |text: &String| {
            pandas::read_time(text).ok_or_else(|| corrupt("changepoints: not a time"))
        };
        times.0.iter().map(time).collect()
    }

    /// A list, or a list written as a string.
    fn changepoints_t(&self) -> Result<Vec<f64>> {
        let List(times): List<f64, CHANGEPOINTS> =
            if self.fields.raw("changepoints_t")?.starts_with('"') {
                let text: String = self.fields.parse("changepoints_t")?;
                serde_json::from_str(&text)
                    .map_err(|error| corrupt(format!("changepoints_t: {error}")))?
            } else {
                self.fields.parse("changepoints_t")?
            };
        Ok(times)
    }

    fn features(&self) -> Result<Features> {
        let seasonality_mode: Mode = self.fields.parse("seasonality_mode")?;
        let holidays_mode: Option<Mode> = self.fields.parse_or_default("holidays_mode")?;
        let (holidays, holiday_names) = self.holiday_columns()?;
        Ok(Features {
            seasonalities: self.seasonalities()?,
            holidays,
            holiday_names,
            // Written since Prophet 1.1.5; before, holidays joined as seasonalities did.
            holidays_mode: holidays_mode.unwrap_or(seasonality_mode),
            regressors: self.regressors()?,
        })
    }

    /// A pair of names in order and an object of properties by name.
    fn named<T: serde::de::DeserializeOwned>(
        &self,
        field: &'static str,
    ) -> Result<Vec<(String, T)>> {
        let wrong = |reason: String| corrupt(format!("{field}: {reason}"));
        let (List(names), properties): (List<String, MAX_NAMED>, &serde_json::value::RawValue) =
            serde_json::from_str(self.fields.raw(field)?)
                .map_err(|error| wrong(error.to_string()))?;
        let mut all: Properties<T> =
            serde_json::from_str(properties.get()).map_err(|error| wrong(error.to_string()))?;
        let named = names.into_iter().map(|name| {
            if !BUILT_IN.contains(&name.as_str()) {
                usable_name(field, &name).map_err(|error| corrupt(error.to_string()))?;
            }
            match all.0.remove(&name) {
                Some(properties) => Ok((name, properties)),
                None => Err(wrong(format!("{name} has no properties"))),
            }
        });
        named.collect()
    }

    fn seasonalities(&self) -> Result<Vec<Seasonality>> {
        let seasonality = |(name, properties): (String, SeasonalityProps)| {
            let wrong = |reason: &str| corrupt(format!("seasonalities: {name}.{reason}"));
            let order = properties.fourier_order;
            if !(1.0..=f64::from(MAX_FOURIER_ORDER)).contains(&order) || order.fract() != 0.0 {
                return Err(wrong(&format!("fourier_order {order} is out of range")));
            }
            if !(properties.period > 0.0 && properties.period.is_finite()) {
                return Err(wrong("period is not positive"));
            }
            if !(properties.prior_scale > 0.0 && properties.prior_scale.is_finite()) {
                return Err(wrong("prior_scale is not positive"));
            }
            // Checked just now: a whole number that a u32 holds.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let fourier_order = order as u32;
            Ok(Seasonality {
                name,
                period: properties.period,
                fourier_order,
                prior_scale: properties.prior_scale,
                mode: properties.mode,
                condition_name: properties.condition_name,
            })
        };
        let named = self.named("seasonalities")?;
        named.into_iter().map(seasonality).collect()
    }

    fn regressors(&self) -> Result<Vec<Regressor>> {
        let regressor = |(name, properties): (String, RegressorProps)| {
            let RegressorProps {
                prior_scale,
                mu,
                std,
                ..
            } = properties;
            if !(mu.is_finite() && std.is_finite() && std != 0.0 && prior_scale > 0.0) {
                return Err(corrupt(format!(
                    "extra_regressors: {name} has mu {mu}, std {std} and prior_scale {prior_scale}"
                )));
            }
            Ok(Regressor {
                name,
                prior_scale,
                standardize: properties.standardize,
                mu,
                std,
                mode: properties.mode,
            })
        };
        let named = self.named("extra_regressors")?;
        named.into_iter().map(regressor).collect()
    }

    fn holiday_rows(&self) -> Result<Vec<Holiday>> {
        if !self.fields.has("holidays") {
            return Ok(Vec::new());
        }
        let List(rows): List<HolidayRow, MAX_HOLIDAYS> = self.pandas("holidays")?;
        let row = |row: HolidayRow| {
            let day = |days: f64| {
                if days.fract() != 0.0 || days.abs() > 1e6 {
                    return Err(corrupt(format!("holidays: a window of {days} days")));
                }
                // Checked just now: a whole number that an i32 holds.
                #[allow(clippy::cast_possible_truncation)]
                Ok(days as i32)
            };
            let ds =
                pandas::read_day(&row.ds).ok_or_else(|| corrupt("holidays: ds is not a time"))?;
            // Prophet takes a row with half a window for one without.
            let (lower_window, upper_window) = match (row.lower_window, row.upper_window) {
                (Some(lower), Some(upper)) => (day(lower)?, day(upper)?),
                _ => (0, 0),
            };
            Ok(Holiday {
                holiday: row.holiday,
                ds,
                lower_window,
                upper_window,
                prior_scale: row.prior_scale,
            })
        };
        rows.into_iter().map(row).collect()
    }

    /// Of the holidays that training saw; those without any date, a country's, are columns without days.
    fn holiday_columns(&self) -> Result<(Vec<HolidayColumn>, Vec<String>)> {
        let of_holidays = |error: Error| corrupt(error.to_string());
        let prior_scale = self.fields.number("holidays_prior_scale")?;
        let mut rows = self.holiday_rows()?;
        let names = if self.fields.has("train_holiday_names") {
            let List(names): List<String, MAX_COLUMNS> = self.pandas("train_holiday_names")?;
            rows.retain(|row| names.contains(&row.holiday));
            Some(names)
        } else {
            None
        };
        for row in &rows {
            usable_name("holidays", &row.holiday).map_err(of_holidays)?;
        }
        let (mut columns, seen) = holiday::columns(&rows, prior_scale).map_err(of_holidays)?;
        let names = names.unwrap_or_else(|| seen.clone());
        for name in names.iter().filter(|name| !seen.contains(name)) {
            usable_name("train_holiday_names", name).map_err(of_holidays)?;
            columns.push(HolidayColumn {
                name: name.clone(),
                offset: 0,
                prior_scale,
                days: Vec::new(),
            });
        }
        holiday::sort(&mut columns);
        Ok((columns, names))
    }

    fn ends(&self, growth: Growth) -> Result<Ends> {
        let rows: EndsOf<HistoryRow> = self.pandas("history")?;
        let Some(first) = rows.first else {
            return Err(corrupt("history has no rows"));
        };
        let last = rows.last.as_ref().unwrap_or(&first);
        let end = |row: &HistoryRow| {
            let ds =
                pandas::read_time(&row.ds).ok_or_else(|| corrupt("history: ds is not a time"))?;
            Ok((ds, row.y))
        };
        let beside = |of: fn(&HistoryRow) -> Option<f64>| match (of(&first), of(last)) {
            (Some(first), Some(last)) if growth == Growth::Logistic => vec![first, last],
            _ => Vec::new(),
        };
        Ok(Ends {
            first: end(&first)?,
            last: end(last)?,
            inputs: Inputs {
                cap: beside(|row| row.cap),
                floor: beside(|row| row.floor),
                ..Inputs::default()
            },
        })
    }

    /// The arguments that would fit such a model again.
    fn spec(&self, features: &Features, specified: bool, changepoints: &[i64]) -> Result<Spec> {
        let seasonality_mode: Mode = self.fields.parse("seasonality_mode")?;
        let spec = Spec {
            growth: self.fields.parse("growth")?,
            changepoints: specified.then(|| {
                let times = changepoints.iter();
                times.map(|ds| format_wall_time(*ds)).collect()
            }),
            n_changepoints: self.fields.parse("n_changepoints")?,
            changepoint_range: self.fields.number("changepoint_range")?,
            yearly_seasonality: self.fields.parse("yearly_seasonality")?,
            weekly_seasonality: self.fields.parse("weekly_seasonality")?,
            daily_seasonality: self.fields.parse("daily_seasonality")?,
            seasonalities: Vec::new(),
            seasonality_mode,
            seasonality_prior_scale: self.fields.number("seasonality_prior_scale")?,
            holidays: self.holiday_rows()?,
            country_holidays: self.fields.parse_or_default("country_holidays")?,
            holidays_mode: Some(features.holidays_mode).filter(|mode| *mode != seasonality_mode),
            holidays_prior_scale: self.fields.number("holidays_prior_scale")?,
            extra_regressors: features.regressors.iter().map(argument).collect(),
            changepoint_prior_scale: self.fields.number("changepoint_prior_scale")?,
            interval_width: self.fields.number("interval_width")?,
            scaling: self.fields.parse_or_default("scaling")?,
            cap: None,
            floor: None,
        };
        let own = features.seasonalities.iter();
        let own = own.filter(|seasonality| !is_built_in(&spec, seasonality));
        let own = own.map(|seasonality| CustomSeasonality {
            name: seasonality.name.clone(),
            period: seasonality.period,
            fourier_order: seasonality.fourier_order,
            prior_scale: Some(seasonality.prior_scale),
            mode: Some(seasonality.mode),
            condition_name: seasonality.condition_name.clone(),
        });
        Ok(Spec {
            seasonalities: own.collect(),
            ..spec
        })
    }

    fn check(&self, model: &ProphetModel) -> Result<()> {
        let width = model.features.width();
        if width > MAX_COLUMNS {
            return Err(corrupt(format!(
                "{width} feature columns; at most {MAX_COLUMNS}"
            )));
        }
        let List(trained): List<ComponentRow, MAX_COLUMNS> = self.pandas("train_component_cols")?;
        if model.beta.len() != width || trained.len() != width {
            return Err(corrupt(format!(
                "{width} feature columns, but {} of params.beta and {} of train_component_cols",
                model.beta.len(),
                trained.len()
            )));
        }
        for (i, (column, trained)) in model.features.columns().iter().zip(&trained).enumerate() {
            let is = |mode| f64::from(u8::from(column.component.is_some() && column.mode == mode));
            if [trained.additive_terms, trained.multiplicative_terms]
                != [is(Mode::Additive), is(Mode::Multiplicative)]
            {
                return Err(corrupt(format!(
                    "train_component_cols: row {i} does not join the trend as {} does",
                    column.component.unwrap_or("a model without features")
                )));
            }
        }
        check_parameters(model)
    }
}

/// What holds of the parameters of every model, whatever it was written as.
pub(super) fn check_parameters(model: &ProphetModel) -> Result<()> {
    let (times, deltas) = (model.changepoints_t.len(), model.delta.len());
    if times != deltas || times == 0 {
        return Err(corrupt(format!(
            "{times} of changepoints_t, {deltas} of params.delta"
        )));
    }
    if !model.changepoints_t.is_sorted() {
        return Err(corrupt("changepoints_t is not sorted"));
    }
    if model.t_scale <= 0.0 || model.y_scale == 0.0 || model.sigma_obs < 0.0 {
        return Err(corrupt(
            "t_scale and y_scale must not be zero, sigma_obs not negative",
        ));
    }
    Ok(())
}

fn argument(regressor: &Regressor) -> ExtraRegressor {
    ExtraRegressor {
        name: regressor.name.clone(),
        prior_scale: Some(regressor.prior_scale),
        standardize: regressor.standardize,
        mode: Some(regressor.mode),
    }
}

/// Whether Prophet would make this seasonality by itself.
#[allow(clippy::float_cmp, reason = "the very constants are meant")]
fn is_built_in(spec: &Spec, seasonality: &Seasonality) -> bool {
    let (period, default_order, choice) = match seasonality.name.as_str() {
        "yearly" => (365.25, 10, spec.yearly_seasonality),
        "weekly" => (7.0, 3, spec.weekly_seasonality),
        "daily" => (1.0, 4, spec.daily_seasonality),
        _ => return false,
    };
    let order = match choice {
        SeasonalityChoice::Order(order) => order,
        SeasonalityChoice::Auto(_) | SeasonalityChoice::Enabled(true) => default_order,
        SeasonalityChoice::Enabled(false) => 0,
    };
    seasonality.period == period
        && seasonality.fourier_order == order
        && seasonality.prior_scale == spec.seasonality_prior_scale
        && seasonality.mode == spec.seasonality_mode
        && seasonality.condition_name.is_none()
}
