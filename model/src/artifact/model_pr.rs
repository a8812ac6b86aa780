//! `model.pr`: a JSON string that contains the JSON of Prophet's `model_to_dict`.

use serde_json::{Map, Value, json};

use crate::{
    artifact::{mlmodel::PROPHET_VERSION, pandas},
    error::{Error, Result},
    features::{Features, Mode, Seasonality},
    inputs::Inputs,
    prophet::{Ends, ProphetModel},
    spec::{
        Growth, MAX_CHANGEPOINTS, MAX_FOURIER_ORDER, Scaling, SeasonalityChoice, Spec,
        format_wall_time,
    },
};

/// The longest model.pr that is read. A model with ten years of five-minute history is about 50 MB.
pub const MAX_ARTIFACT_BYTES: usize = 64 * 1024 * 1024;

/// The most seasonalities of one model.
const MAX_SEASONALITIES: usize = 64;

/// The most feature columns of one model.
const MAX_COLUMNS: usize = 10_000;

/// The bytes of model.pr for `model`: what `mlflow.prophet.load_model` reads. The same model has the same bytes.
///
/// # Errors
/// [`Error::NonFinite`] when a parameter is not a finite number, which JSON cannot say.
pub fn encode_model_pr(model: &ProphetModel) -> Result<Vec<u8>> {
    let scalars = [
        model.y_scale,
        model.y_min,
        model.start,
        model.t_scale,
        model.k,
        model.m,
        model.sigma_obs,
        model.ends.first.1,
        model.ends.last.1,
    ];
    let columns = model
        .delta
        .iter()
        .chain(&model.beta)
        .chain(&model.changepoints_t);
    if !scalars.iter().chain(columns).all(|value| value.is_finite()) {
        return Err(Error::NonFinite {
            reason: "a parameter is not a finite number".to_owned(),
        });
    }
    let text = to_dict(model).to_string();
    Ok(Value::String(text).to_string().into_bytes())
}

fn to_dict(model: &ProphetModel) -> Value {
    let spec = &model.spec;
    let names: Vec<&str> = model
        .features
        .seasonalities
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    let seasonalities: Map<String, Value> = model
        .features
        .seasonalities
        .iter()
        .map(|s| {
            let properties = json!({
                "period": s.period,
                "fourier_order": s.fourier_order,
                "prior_scale": s.prior_scale,
                "mode": s.mode,
                "condition_name": null,
            });
            (s.name.clone(), properties)
        })
        .collect();
    let mut params = json!({
        "k": [[model.k]],
        "m": [[model.m]],
        "delta": [model.delta],
        "sigma_obs": [[model.sigma_obs]],
        "beta": [model.beta],
    });
    if let Some(log_posterior) = model.log_posterior {
        params["lp__"] = json!([[log_posterior]]);
    }
    let mut additive = names.clone();
    additive.extend(["additive_terms", "extra_regressors_additive", "holidays"]);
    json!({
        "growth": spec.growth,
        "n_changepoints": if model.specified_changepoints { model.changepoints.len() as u64 } else { u64::from(spec.n_changepoints) },
        "specified_changepoints": model.specified_changepoints,
        "changepoint_range": spec.changepoint_range,
        "yearly_seasonality": spec.yearly_seasonality,
        "weekly_seasonality": spec.weekly_seasonality,
        "daily_seasonality": spec.daily_seasonality,
        "seasonality_mode": spec.seasonality_mode,
        "seasonality_prior_scale": spec.seasonality_prior_scale,
        "changepoint_prior_scale": spec.changepoint_prior_scale,
        "holidays_prior_scale": 10.0,
        "mcmc_samples": 0,
        "interval_width": spec.interval_width,
        "uncertainty_samples": 1000,
        "y_scale": model.y_scale,
        "y_min": model.y_min,
        "scaling": spec.scaling,
        "logistic_floor": false,
        "country_holidays": null,
        "component_modes": {
            "additive": additive,
            "multiplicative": ["multiplicative_terms", "extra_regressors_multiplicative"],
        },
        "holidays_mode": spec.seasonality_mode,
        "changepoints": pandas::times(&model.changepoints),
        "history_dates": pandas::times(&[model.ends.first.0, model.ends.last.0]),
        "train_holiday_names": null,
        "start": model.start,
        "t_scale": model.t_scale,
        "holidays": null,
        "history": history(model),
        "train_component_cols": component_columns(model),
        "changepoints_t": model.changepoints_t,
        "seasonalities": [names, seasonalities],
        "extra_regressors": [[], {}],
        "fit_kwargs": {},
        "params": params,
        "__prophet_version": PROPHET_VERSION,
    })
}

/// The first and the last row: what Python insists on.
fn history(model: &ProphetModel) -> String {
    let fields = [
        ("ds", "datetime"),
        ("y", "number"),
        ("floor", "number"),
        ("t", "number"),
        ("y_scaled", "number"),
    ]
    .map(|(name, kind)| (name.to_owned(), kind));
    let row = |(ds, y): (i64, f64)| {
        json!({
            "ds": pandas::time(ds),
            "y": y,
            "floor": model.floor(),
            "t": model.scaled_time(ds),
            "y_scaled": (y - model.floor()) / model.y_scale,
        })
    };
    let rows = vec![row(model.ends.first), row(model.ends.last)];
    pandas::table(&fields, rows)
}

/// Which column belongs to which component; predict() in Python insists on columns alphabetical, missing totals last.
fn component_columns(model: &ProphetModel) -> String {
    let owners: Vec<Option<&str>> = model
        .features
        .seasonalities
        .iter()
        .flat_map(|s| std::iter::repeat_n(Some(s.name.as_str()), s.columns()))
        .collect();
    let owners = if owners.is_empty() {
        vec![None]
    } else {
        owners
    };
    let mut names: Vec<&str> = owners.iter().flatten().copied().collect();
    if !names.is_empty() {
        names.push("additive_terms");
    }
    names.sort_unstable();
    names.dedup();
    for total in ["additive_terms", "multiplicative_terms"] {
        if !names.contains(&total) {
            names.push(total);
        }
    }
    let rows = owners
        .iter()
        .map(|owner| {
            let row: Map<String, Value> = names
                .iter()
                .map(|name| {
                    let belongs =
                        Some(*name) == *owner || (*name == "additive_terms" && owner.is_some());
                    ((*name).to_owned(), json!(i32::from(belongs)))
                })
                .collect();
            Value::Object(row)
        })
        .collect();
    let fields: Vec<(String, &str)> = names
        .iter()
        .map(|name| ((*name).to_owned(), "integer"))
        .collect();
    pandas::table(&fields, rows)
}

/// Reads a model.pr, or the plain JSON that Prophet's `model_to_json` writes.
///
/// # Errors
/// [`Error::Corrupt`] naming the field for bytes that are no such thing; [`Error::Unsupported`] naming the feature for
/// a sound model that this build cannot evaluate yet.
pub fn decode_model_pr(bytes: &[u8]) -> Result<ProphetModel> {
    if bytes.len() > MAX_ARTIFACT_BYTES {
        return Err(corrupt(format!(
            "{} bytes; at most {MAX_ARTIFACT_BYTES} are read",
            bytes.len()
        )));
    }
    let outer: Value = serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
    let dict = match outer {
        Value::String(text) => {
            serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?
        }
        other => other,
    };
    match dict {
        Value::Object(fields) => Fields(fields).model(),
        _ => Err(corrupt("it is not the JSON of a Prophet model".to_owned())),
    }
}

fn corrupt(reason: String) -> Error {
    Error::Corrupt {
        what: "model.pr",
        reason,
    }
}

/// The object of `model_to_dict`, read strictly.
struct Fields(Map<String, Value>);

impl Fields {
    fn get(&self, name: &str) -> Result<&Value> {
        self.0
            .get(name)
            .ok_or_else(|| corrupt(format!("{name} is missing")))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        T::deserialize(self.get(name)?).map_err(|error| corrupt(format!("{name}: {error}")))
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.get(name)?
            .as_f64()
            .filter(|number| number.is_finite())
            .ok_or_else(|| corrupt(format!("{name} is not a finite number")))
    }

    fn text(&self, name: &str) -> Result<&str> {
        self.get(name)?
            .as_str()
            .ok_or_else(|| corrupt(format!("{name} is not a string")))
    }

    /// The data of a pandas series or frame.
    fn data(&self, name: &str) -> Result<Vec<Value>> {
        pandas::data(self.text(name)?).map_err(|error| corrupt(format!("{name}: {error}")))
    }

    /// One row of a parameter; several are MCMC samples.
    fn parameter(&self, name: &str) -> Result<Vec<f64>> {
        let params = self.get("params")?;
        let rows: Vec<Vec<f64>> = params
            .get(name)
            .ok_or_else(|| corrupt(format!("params.{name} is missing")))
            .and_then(|value| {
                serde::Deserialize::deserialize(value)
                    .map_err(|error| corrupt(format!("params.{name}: {error}")))
            })?;
        match <[Vec<f64>; 1]>::try_from(rows) {
            Ok([row]) => Ok(row),
            Err(rows) if rows.is_empty() => Err(corrupt(format!("params.{name} is empty"))),
            Err(rows) => Err(Error::unsupported(
                format!("a model with {} MCMC samples", rows.len()),
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

    fn model(&self) -> Result<ProphetModel> {
        self.refuse_what_cannot_be_evaluated()?;
        let changepoints = self
            .data("changepoints")?
            .iter()
            .map(|value| {
                pandas::read_time(value)
                    .ok_or_else(|| corrupt("changepoints: not a time".to_owned()))
            })
            .collect::<Result<Vec<i64>>>()?;
        let seasonalities = self.seasonalities()?;
        let specified_changepoints: bool = self.parse("specified_changepoints")?;
        let model = ProphetModel {
            spec: self.spec(specified_changepoints, &changepoints)?,
            specified_changepoints,
            y_scale: self.number("y_scale")?,
            // Written since Prophet 1.1.5; absmax scaling, all there was before, does not use it.
            y_min: if self.0.contains_key("y_min") {
                self.number("y_min")?
            } else {
                0.0
            },
            start: self.number("start")?,
            t_scale: self.number("t_scale")?,
            changepoints,
            changepoints_t: self.changepoints_t()?,
            features: Features {
                seasonalities,
                ..Features::default()
            },
            logistic_floor: false,
            k: self.scalar("k")?,
            m: self.scalar("m")?,
            delta: self.parameter("delta")?,
            beta: self.parameter("beta")?,
            sigma_obs: self.scalar("sigma_obs")?,
            log_posterior: self.scalar("lp__").ok(),
            ends: self.ends()?,
        };
        self.check(&model)?;
        Ok(model)
    }

    fn refuse_what_cannot_be_evaluated(&self) -> Result<()> {
        let is_set = |name: &str| self.0.get(name).is_some_and(|value| !value.is_null());
        if self.parse::<Growth>("growth")? == Growth::Logistic {
            return Err(Error::unsupported(
                "growth logistic",
                "this build evaluates linear and flat trends",
            ));
        }
        if is_set("holidays") || is_set("country_holidays") || is_set("train_holiday_names") {
            return Err(Error::unsupported(
                "a model with holidays",
                "this build evaluates trend and seasonality; fit it without holidays",
            ));
        }
        let regressors = self
            .get("extra_regressors")?
            .get(0)
            .and_then(Value::as_array);
        match regressors {
            Some(names) if names.is_empty() => Ok(()),
            Some(_) => Err(Error::unsupported(
                "a model with extra regressors",
                "this build evaluates trend and seasonality; fit it without regressors",
            )),
            None => Err(corrupt("extra_regressors is not a pair".to_owned())),
        }
    }

    fn seasonalities(&self) -> Result<Vec<Seasonality>> {
        let wrong = |reason: &str| corrupt(format!("seasonalities: {reason}"));
        let pair = self.get("seasonalities")?;
        let names = pair
            .get(0)
            .and_then(Value::as_array)
            .ok_or_else(|| wrong("no list of names"))?;
        if names.len() > MAX_SEASONALITIES {
            return Err(wrong("too many"));
        }
        names
            .iter()
            .map(|name| {
                let name = name.as_str().ok_or_else(|| wrong("a name is not a string"))?;
                let properties = pair
                    .get(1)
                    .and_then(|all| all.get(name))
                    .ok_or_else(|| wrong("a name has no properties"))?;
                if properties.get("condition_name").is_some_and(|condition| !condition.is_null()) {
                    return Err(Error::unsupported(
                        format!("conditional seasonality {name}"),
                        "this build evaluates unconditional seasonality; fit it without conditions",
                    ));
                }
                let number = |field: &str| {
                    properties
                        .get(field)
                        .and_then(Value::as_f64)
                        .filter(|number| number.is_finite())
                        .ok_or_else(|| wrong(&format!("{name}.{field} is not a finite number")))
                };
                let mode: Mode = properties
                    .get("mode")
                    .ok_or_else(|| wrong(&format!("{name}.mode is missing")))
                    .and_then(|mode| serde::Deserialize::deserialize(mode).map_err(|error| wrong(&format!("{name}.mode: {error}"))))?;
                if mode == Mode::Multiplicative {
                    return Err(Error::unsupported(
                        format!("multiplicative seasonality {name}"),
                        "this build evaluates additive seasonality; fit it with seasonality_mode additive",
                    ));
                }
                let order = number("fourier_order")?;
                if !(1.0..=f64::from(MAX_FOURIER_ORDER)).contains(&order) || order.fract() != 0.0 {
                    return Err(wrong(&format!("{name}.fourier_order {order} is out of range")));
                }
                let period = number("period")?;
                if period <= 0.0 {
                    return Err(wrong(&format!("{name}.period {period} is not positive")));
                }
                // Checked just now: a whole number that a u32 holds.
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let fourier_order = order as u32;
                Ok(Seasonality {
                    name: name.to_owned(),
                    period,
                    fourier_order,
                    prior_scale: number("prior_scale")?,
                    mode,
                    condition_name: None,
                })
            })
            .collect()
    }

    /// A list, or a list written as a string.
    fn changepoints_t(&self) -> Result<Vec<f64>> {
        match self.get("changepoints_t")? {
            Value::String(text) => serde_json::from_str(text)
                .map_err(|error| corrupt(format!("changepoints_t: {error}"))),
            _ => self.parse("changepoints_t"),
        }
    }

    fn ends(&self) -> Result<Ends> {
        let rows = self.data("history")?;
        let row = |row: Option<&Value>| {
            let row = row?;
            Some((pandas::read_time(row.get("ds")?)?, row.get("y")?.as_f64()?))
        };
        match (row(rows.first()), row(rows.last())) {
            (Some(first), Some(last)) => Ok(Ends {
                first,
                last,
                inputs: Inputs::default(),
            }),
            _ => Err(corrupt("history has no rows of ds and y".to_owned())),
        }
    }

    fn spec(&self, specified_changepoints: bool, changepoints: &[i64]) -> Result<Spec> {
        let scaling = match self.0.get("scaling") {
            Some(_) => self.parse("scaling")?,
            None => Scaling::Absmax,
        };
        let choice = |name: &str| -> Result<SeasonalityChoice> { self.parse(name) };
        Ok(Spec {
            growth: self.parse("growth")?,
            changepoints: specified_changepoints.then(|| {
                changepoints
                    .iter()
                    .map(|ds| format_wall_time(*ds))
                    .collect()
            }),
            n_changepoints: self.parse("n_changepoints")?,
            changepoint_range: self.number("changepoint_range")?,
            yearly_seasonality: choice("yearly_seasonality")?,
            weekly_seasonality: choice("weekly_seasonality")?,
            daily_seasonality: choice("daily_seasonality")?,
            seasonality_mode: self.parse("seasonality_mode")?,
            seasonality_prior_scale: self.number("seasonality_prior_scale")?,
            changepoint_prior_scale: self.number("changepoint_prior_scale")?,
            interval_width: self.number("interval_width")?,
            scaling,
            ..Spec::default()
        })
    }

    fn check(&self, model: &ProphetModel) -> Result<()> {
        let columns = model.features.own_width();
        if columns > MAX_COLUMNS {
            return Err(corrupt(format!(
                "{columns} feature columns; at most {MAX_COLUMNS}"
            )));
        }
        let expected = columns.max(1);
        let trained = self.data("train_component_cols")?.len();
        if model.beta.len() != expected || trained != expected {
            return Err(corrupt(format!(
                "{expected} feature columns, but {} of params.beta and {trained} of train_component_cols",
                model.beta.len()
            )));
        }
        if model.changepoints_t.len() != model.delta.len()
            || model.delta.len() > MAX_CHANGEPOINTS as usize
        {
            return Err(corrupt(format!(
                "{} of changepoints_t, {} of params.delta",
                model.changepoints_t.len(),
                model.delta.len()
            )));
        }
        if model
            .changepoints_t
            .windows(2)
            .any(|pair| pair[0] > pair[1])
        {
            return Err(corrupt("changepoints_t is not sorted".to_owned()));
        }
        if model.t_scale <= 0.0 || model.y_scale == 0.0 {
            return Err(corrupt("t_scale and y_scale must not be zero".to_owned()));
        }
        Ok(())
    }
}
