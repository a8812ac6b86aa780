//! Writing `model.pr`, so that Python's `model_from_dict` reads it and its predict() says what we say.

use serde_json::{Map, Value, json};

use crate::{
    artifact::{MAX_ARTIFACT_BYTES, mlmodel::PROPHET_VERSION, pandas},
    error::{Error, Result},
    features::{Features, Mode},
    inputs::at,
    prophet::ProphetModel,
    spec::Growth,
};

/// The bytes of model.pr for `model`: what `mlflow.prophet.load_model` reads. The same model has the same bytes.
///
/// # Errors
/// [`Error::NonFinite`] when a parameter is not a finite number, which JSON cannot say; [`Error::Invalid`] for a model
/// of more than [`MAX_ARTIFACT_BYTES`].
pub fn encode_model_pr(model: &ProphetModel) -> Result<Vec<u8>> {
    let ends = [model.ends.first.1, model.ends.last.1];
    if !model.numbers().chain(ends).all(f64::is_finite) {
        return Err(Error::NonFinite {
            reason: "a parameter is not a finite number".to_owned(),
        });
    }
    let text = to_dict(model).to_string();
    let bytes = Value::String(text).to_string().into_bytes();
    if bytes.len() > MAX_ARTIFACT_BYTES {
        return Err(Error::invalid(
            "features",
            format!(
                "the model has {} bytes, at most {MAX_ARTIFACT_BYTES} are read; use fewer holidays and seasonalities",
                bytes.len()
            ),
        ));
    }
    Ok(bytes)
}

fn to_dict(model: &ProphetModel) -> Value {
    let (spec, features) = (&model.spec, &model.features);
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
        "holidays_prior_scale": spec.holidays_prior_scale,
        "mcmc_samples": 0,
        "interval_width": spec.interval_width,
        "uncertainty_samples": 1000,
        "y_scale": model.y_scale,
        "y_min": model.y_min,
        "scaling": spec.scaling,
        "logistic_floor": model.logistic_floor,
        // Where all dates are given they are all there is: Python must not add its own.
        "country_holidays": model.dateless_country(),
        "component_modes": component_modes(features),
        "holidays_mode": features.holidays_mode,
        "changepoints": pandas::times(&model.changepoints),
        "history_dates": pandas::times(&[model.ends.first.0, model.ends.last.0]),
        "train_holiday_names": train_holiday_names(features),
        "start": model.start,
        "t_scale": model.t_scale,
        "holidays": holidays(model),
        "history": history(model),
        "train_component_cols": component_columns(features),
        "changepoints_t": model.changepoints_t,
        "seasonalities": seasonalities(features),
        "extra_regressors": extra_regressors(features),
        "fit_kwargs": {},
        "params": params,
        "__prophet_version": PROPHET_VERSION,
    })
}

fn seasonalities(features: &Features) -> Value {
    let names: Vec<&str> = features
        .seasonalities
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    let properties = features.seasonalities.iter().map(|s| {
        let properties = json!({
            "period": s.period,
            "fourier_order": s.fourier_order,
            "prior_scale": s.prior_scale,
            "mode": s.mode,
            "condition_name": s.condition_name,
        });
        (s.name.clone(), properties)
    });
    json!([names, properties.collect::<Map<String, Value>>()])
}

fn extra_regressors(features: &Features) -> Value {
    let names: Vec<&str> = features
        .regressors
        .iter()
        .map(|r| r.name.as_str())
        .collect();
    let properties = features.regressors.iter().map(|r| {
        let properties = json!({
            "prior_scale": r.prior_scale,
            "standardize": r.standardize,
            "mu": r.mu,
            "std": r.std,
            "mode": r.mode,
            "predictor": null,
        });
        (r.name.clone(), properties)
    });
    json!([names, properties.collect::<Map<String, Value>>()])
}

/// Which components are in the series' unit and which are factors; the order is Prophet's.
fn component_modes(features: &Features) -> Value {
    let modes = [Mode::Additive, Mode::Multiplicative].map(|mode| {
        let mut names: Vec<&str> = Vec::new();
        let of_mode = features.seasonalities.iter().filter(|s| s.mode == mode);
        names.extend(of_mode.map(|s| s.name.as_str()));
        if features.holidays_mode == mode {
            names.extend(features.holiday_names.iter().map(String::as_str));
        }
        let of_mode = features.regressors.iter().filter(|r| r.mode == mode);
        names.extend(of_mode.map(|r| r.name.as_str()));
        names.extend(match mode {
            Mode::Additive => ["additive_terms", "extra_regressors_additive"],
            Mode::Multiplicative => ["multiplicative_terms", "extra_regressors_multiplicative"],
        });
        if features.holidays_mode == mode {
            names.push("holidays");
        }
        names
    });
    let [additive, multiplicative] = modes;
    json!({"additive": additive, "multiplicative": multiplicative})
}

fn train_holiday_names(features: &Features) -> Option<String> {
    let names = &features.holiday_names;
    (!names.is_empty()).then(|| pandas::series(None, names))
}

/// The rows that were given, those of holidays that training did not see too.
fn holidays(model: &ProphetModel) -> Option<String> {
    let fields = [
        ("holiday", "string"),
        ("ds", "datetime"),
        ("lower_window", "integer"),
        ("upper_window", "integer"),
        ("prior_scale", "number"),
    ];
    let rows = model.spec.holidays.iter().map(|row| {
        json!({
            "holiday": row.holiday,
            "ds": row.ds.strftime("%Y-%m-%dT00:00:00.000").to_string(),
            "lower_window": row.lower_window,
            "upper_window": row.upper_window,
            // Prophet reads a missing one as the default.
            "prior_scale": row.prior_scale,
        })
    });
    let rows: Vec<Value> = rows.collect();
    (!rows.is_empty()).then(|| pandas::table(&fields, rows))
}

/// The first and the last row: what Python insists on.
fn history(model: &ProphetModel) -> String {
    let mut fields = vec![
        ("ds", "datetime"),
        ("y", "number"),
        ("floor", "number"),
        ("t", "number"),
        ("y_scaled", "number"),
    ];
    let is_logistic = model.growth() == Growth::Logistic;
    if is_logistic {
        fields.extend([("cap", "number"), ("cap_scaled", "number")]);
    }
    let row = |i: usize, (ds, y): (i64, f64)| {
        let inputs = &model.ends.inputs;
        let own = at(&inputs.floor, i).filter(|_| model.logistic_floor);
        let floor = own.unwrap_or_else(|| model.floor());
        let mut row = json!({
            "ds": pandas::time(ds),
            "y": y,
            "floor": floor,
            "t": model.scaled_time(ds),
            "y_scaled": (y - floor) / model.y_scale,
        });
        if is_logistic {
            let cap = at(&inputs.cap, i);
            row["cap"] = json!(cap);
            row["cap_scaled"] = json!(cap.map(|cap| (cap - floor) / model.y_scale));
        }
        row
    };
    let rows = vec![row(0, model.ends.first), row(1, model.ends.last)];
    pandas::table(&fields, rows)
}

/// Which column belongs to which component: predict() in Python insists on its own columns in its own order.
fn component_columns(features: &Features) -> String {
    let components = features.components();
    let row = |owner: Option<&str>| {
        let belongs = |members: &[&str]| owner.is_some_and(|owner| members.contains(&owner));
        let row = components.iter().map(|component| {
            let belongs = belongs(&component.members);
            (component.name.to_owned(), json!(i32::from(belongs)))
        });
        Value::Object(row.collect())
    };
    let rows = features
        .columns()
        .iter()
        .map(|column| row(column.component))
        .collect();
    let fields: Vec<(&str, &str)> = components.iter().map(|c| (c.name, "integer")).collect();
    pandas::table(&fields, rows)
}
