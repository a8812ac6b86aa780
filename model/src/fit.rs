//! From spec and history to a model.

use crate::{
    error::{Error, Result},
    features::{Features, Mode},
    history::History,
    inputs::at,
    optimizer::{Column, Problem, Solution, solve},
    prophet::{Ends, ProphetModel},
    spec::{Growth, Resolved, Spec},
};
use scales::Scales;

mod design;
mod scales;

/// `sigma_obs` of a constant history, as Prophet sets it.
const CONSTANT_NOISE: f64 = 1e-9;

/// A model and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The model.
    pub model: ProphetModel,
    /// How the fit went.
    pub report: FitReport,
}

/// How a fit went.
#[derive(Debug, Clone, PartialEq)]
pub struct FitReport {
    /// The value of Stan's `lp__` at the fitted parameters; `None` for a constant history, which is not optimized.
    pub log_posterior: Option<f64>,
    /// Rounds of the optimizer.
    pub iterations: u32,
    /// Whether the posterior stood still at the end.
    pub converged: bool,
    /// Rows of the history.
    pub rows: usize,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// A yearly season on less than [`YEARLY_DAYS`] days is not identified by the history: its first harmonics are as good
/// as straight over it, and where they go beyond it the prior alone decides. Prophet's own prior, 10, lets them go
/// anywhere.
const YEARLY_DAYS: i64 = 730;

/// The standard deviation of the prior on the coefficients of such a season, in scaled values.
const SHORT_YEARLY_PRIOR: f64 = 0.01;

/// Fits `spec` to `history`. The same arguments give the same bits in every process.
///
/// The parameters are the maximum of Prophet's posterior, with one exception that the report's warnings state: a yearly
/// season that is forced on less than two years of history is held by a stronger prior than the spec's, for the exact
/// maximum forecasts worse there than Prophet's own, unconverged fit. [`fit_exactly`] makes no exception.
///
/// # Errors
/// As [`Spec::resolve`]; [`Error::FitFailed`] when the parameters are not finite.
pub fn fit(spec: &Spec, history: &History) -> Result<Fitted> {
    fit_with(spec, history, Some(SHORT_YEARLY_PRIOR))
}

/// As [`fit`], by the spec's own priors throughout: to refit a model of Prophet's, or to compare with it.
///
/// # Errors
/// As [`fit`].
pub fn fit_exactly(spec: &Spec, history: &History) -> Result<Fitted> {
    fit_with(spec, history, None)
}

fn fit_with(spec: &Spec, history: &History, short_yearly_prior: Option<f64>) -> Result<Fitted> {
    let resolved = spec.resolve(history)?;
    let scales = Scales::of(spec, history, &resolved.inputs);
    let mut warnings = resolved.warnings.clone();
    let constant = is_constant(spec, history);
    let solution = if constant {
        warnings.push("the history is constant; so is the forecast".to_owned());
        at_constant(&resolved, &scales, history)
    } else {
        let problem = problem(spec, &resolved, &scales, history)?;
        let held = short_yearly_prior
            .and_then(|prior| Some((prior, held_columns(&resolved.features, history, prior)?)));
        let solution = match held {
            None => solve(&problem),
            Some((prior, columns)) => {
                warnings.push(format!(
                    "its coefficients are held by a prior of {prior} instead of the spec's; without the yearly season forecasts are better still"
                ));
                let held = solve(&problem.with_columns(columns));
                Solution {
                    log_posterior: problem.log_posterior(&held),
                    ..held
                }
            }
        };
        if !solution.converged {
            warnings.push(format!(
                "the fit had not settled after {} rounds",
                solution.iterations
            ));
        }
        solution
    };
    let report = FitReport {
        log_posterior: (!constant).then_some(solution.log_posterior),
        iterations: solution.iterations,
        converged: solution.converged,
        rows: history.len(),
        warnings,
    };
    let model = model(spec, resolved, &scales, solution, history)?;
    Ok(Fitted { model, report })
}

/// The columns with a stronger prior on a yearly season that the history does not identify; `None` where there is none.
fn held_columns(features: &Features, history: &History, prior: f64) -> Option<Vec<Column>> {
    if history.last() - history.first() >= YEARLY_DAYS * 86_400 {
        return None;
    }
    let is_yearly = |column: &crate::features::Column<'_>| column.component == Some("yearly");
    let named = features.columns();
    named.iter().any(is_yearly).then(|| {
        let columns = columns(features).into_iter().zip(&named);
        columns
            .map(|(column, named)| Column {
                prior_scale: if is_yearly(named) {
                    column.prior_scale.min(prior)
                } else {
                    column.prior_scale
                },
                ..column
            })
            .collect()
    })
}

/// The value of Stan's `lp__` of `model`'s parameters on `history`: what [`fit_exactly`] maximises.
///
/// # Errors
/// As [`Spec::resolve`]; [`Error::Invalid`] for a history on which the model would have other columns or changepoints.
pub fn log_posterior(model: &ProphetModel, history: &History) -> Result<f64> {
    let spec = &model.spec;
    let resolved = spec.resolve(history)?;
    if resolved.features.width() != model.beta.len() || resolved.changepoints != model.changepoints
    {
        return Err(Error::invalid(
            "history",
            "on it the model would have other features or changepoints; give the history that it was fitted to",
        ));
    }
    let scales = Scales::of(spec, history, &resolved.inputs);
    let problem = problem(spec, &resolved, &scales, history)?;
    Ok(problem.log_posterior(&Solution {
        k: model.k,
        m: model.m,
        delta: model.delta.clone(),
        beta: model.beta.clone(),
        sigma_obs: model.sigma_obs,
        log_posterior: f64::NAN,
        iterations: 0,
        converged: true,
    }))
}

/// The problem in the optimizer's units.
fn problem(
    spec: &Spec,
    resolved: &Resolved,
    scales: &Scales,
    history: &History,
) -> Result<Problem> {
    let Resolved {
        features,
        inputs,
        changepoints,
        ..
    } = resolved;
    let scaled = |(i, value): (usize, &f64)| scales.value(inputs, i, *value);
    let t: Vec<f64> = history.ds().iter().map(|ds| scales.time(*ds)).collect();
    let y: Vec<f64> = history.y().iter().enumerate().map(scaled).collect();
    let cap: Vec<f64> = if spec.growth == Growth::Logistic {
        let cap = |i| at(&inputs.cap, i).unwrap_or(f64::NAN);
        (0..history.len())
            .map(|i| scales.value(inputs, i, cap(i)))
            .collect()
    } else {
        Vec::new()
    };
    Ok(Problem::new(
        spec.growth,
        (&t, &y, &cap),
        design::design(features, history.ds(), inputs)?,
        columns(features),
        &scales.changepoints(changepoints),
        spec.changepoint_prior_scale,
    ))
}

fn columns(features: &Features) -> Vec<Column> {
    let column = |column: crate::features::Column<'_>| Column {
        prior_scale: column.prior_scale,
        multiplicative: column.mode == Mode::Multiplicative,
    };
    features.columns().into_iter().map(column).collect()
}

/// Prophet's shortcut is for constant histories of linear and flat growth.
fn is_constant(spec: &Spec, history: &History) -> bool {
    spec.growth != Growth::Logistic && history.y().iter().all(|y| *y == history.y()[0])
}

/// No optimizer sees a constant history.
fn at_constant(resolved: &Resolved, scales: &Scales, history: &History) -> Solution {
    Solution {
        k: 0.0,
        m: scales.value(&resolved.inputs, 0, history.y()[0]),
        delta: vec![0.0; resolved.changepoints.len().max(1)],
        beta: vec![0.0; resolved.features.width()],
        sigma_obs: CONSTANT_NOISE,
        log_posterior: f64::NAN,
        iterations: 0,
        converged: true,
    }
}

fn model(
    spec: &Spec,
    resolved: Resolved,
    scales: &Scales,
    mut solution: Solution,
    history: &History,
) -> Result<ProphetModel> {
    let parameters = [solution.k, solution.m, solution.sigma_obs];
    let finite = parameters
        .iter()
        .chain(&solution.delta)
        .chain(&solution.beta)
        .all(|parameter| parameter.is_finite());
    if !finite {
        return Err(Error::FitFailed {
            reason: "the parameters are not finite; look for values of absurd size".to_owned(),
        });
    }
    if resolved.changepoints.is_empty() {
        without_dummy(spec.growth, &mut solution);
    }
    Ok(ProphetModel {
        specified_changepoints: spec.changepoints.is_some(),
        y_scale: scales.y_scale,
        y_min: scales.y_min,
        start: scales.start,
        t_scale: scales.t_scale,
        changepoints_t: scales.changepoints(&resolved.changepoints),
        changepoints: resolved.changepoints,
        features: resolved.features,
        logistic_floor: scales.logistic_floor,
        k: solution.k,
        m: solution.m,
        delta: solution.delta,
        beta: solution.beta,
        sigma_obs: solution.sigma_obs,
        log_posterior: solution
            .log_posterior
            .is_finite()
            .then_some(solution.log_posterior),
        ends: Ends::of(history, &resolved.inputs),
        spec: spec.clone(),
    })
}

/// Where no changepoints were asked for, the change of rate at the dummy, time 0, joins the rate. With logistic growth
/// the offset moves with it, so that the curve stays what was fitted (Prophet leaves the offset, and so bends it).
fn without_dummy(growth: Growth, solution: &mut Solution) {
    let rate = solution.k + solution.delta.iter().sum::<f64>();
    if growth == Growth::Logistic {
        solution.m *= solution.k / rate;
    }
    solution.k = rate;
    solution.delta = vec![0.0];
}
