//! From spec and history to a model, through augurs-prophet's options and data preparation.

use std::{cell::RefCell, num::NonZeroU32};

use augurs_prophet::{
    GrowthType, IntervalWidth, PositiveFloat, Prophet, ProphetOptions, Scaling as AugursScaling,
    SeasonalityOption, TrainingData,
    optimizer::{
        Data, Error as OptimizeError, InitialParams, OptimizeOpts, OptimizedParams, Optimizer,
    },
};

use crate::{
    error::{Error, Result},
    features::{Features, Mode},
    history::History,
    optimizer::{MapOptimizer, Solution, gather, scatter, to_augurs},
    prophet::{Ends, ProphetModel},
    spec::{Growth, Resolved, Scaling, Spec},
};

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

/// Fits `spec` to `history`. The same arguments give the same bits in every process.
///
/// # Errors
/// As [`Spec::resolve`]; [`Error::FitFailed`] when the parameters are not finite.
pub fn fit(spec: &Spec, history: &History) -> Result<Fitted> {
    let resolved = spec.resolve(history)?;
    refuse_what_is_not_fitted(spec, &resolved.features)?;
    let scales = Scales::of(spec, history);
    let mut warnings = resolved.warnings.clone();
    let is_constant = history.y().iter().all(|y| *y == history.y()[0]);
    let solution = if is_constant {
        warnings.push("the history is constant; so is the forecast".to_owned());
        constant(&resolved, &scales, history)
    } else {
        let prophet = fit_by_augurs(spec, &resolved, history)?;
        if !prophet.converged {
            warnings.push(format!(
                "the fit had not settled after {} rounds",
                prophet.iterations
            ));
        }
        prophet
    };
    let report = FitReport {
        log_posterior: (!is_constant).then_some(solution.log_posterior),
        iterations: solution.iterations,
        converged: solution.converged,
        rows: history.len(),
        warnings,
    };
    let model = model(spec, resolved, &scales, solution, history)?;
    Ok(Fitted { model, report })
}

fn refuse_what_is_not_fitted(spec: &Spec, features: &Features) -> Result<()> {
    if spec.growth == Growth::Logistic {
        return Err(Error::unsupported(
            "growth logistic",
            "this build fits linear and flat trends; use one of those",
        ));
    }
    let own = !spec.seasonalities.is_empty()
        || !features.holidays.is_empty()
        || !features.regressors.is_empty();
    if own {
        return Err(Error::unsupported(
            "a fit with holidays, regressors or seasonalities of one's own",
            "this build fits the built-in seasonalities; leave them out",
        ));
    }
    if features
        .columns()
        .iter()
        .any(|c| c.mode == Mode::Multiplicative)
    {
        return Err(Error::unsupported(
            "seasonality_mode multiplicative",
            "this build fits additive seasonality; use additive",
        ));
    }
    Ok(())
}

/// Scales of values and times, as Prophet takes them.
struct Scales {
    y_scale: f64,
    y_min: f64,
    start: f64,
    t_scale: f64,
}

impl Scales {
    fn of(spec: &Spec, history: &History) -> Self {
        let y = history.y();
        let min = y.iter().copied().fold(f64::INFINITY, f64::min);
        let max = y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (y_min, y_scale) = match spec.scaling {
            Scaling::Absmax => (0.0, max.abs().max(min.abs())),
            Scaling::Minmax => (min, max - min),
        };
        Self {
            y_scale: if y_scale == 0.0 { 1.0 } else { y_scale },
            y_min,
            start: history.first() as f64,
            t_scale: (history.last() - history.first()) as f64,
        }
    }

    fn scaled(&self, y: f64) -> f64 {
        (y - self.y_min) / self.y_scale
    }

    fn changepoints_t(&self, changepoints: &[i64]) -> Vec<f64> {
        if changepoints.is_empty() {
            return vec![0.0];
        }
        changepoints
            .iter()
            .map(|ds| (*ds as f64 - self.start) / self.t_scale)
            .collect()
    }
}

/// Prophet's shortcut: no optimizer sees a constant history.
fn constant(resolved: &Resolved, scales: &Scales, history: &History) -> Solution {
    Solution {
        k: 0.0,
        m: scales.scaled(history.y()[0]),
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
        // Prophet: where no changepoints were asked for, the dummy's change of rate joins the rate.
        solution.k += solution.delta.iter().sum::<f64>();
        solution.delta = vec![0.0];
    }
    Ok(ProphetModel {
        specified_changepoints: spec.changepoints.is_some(),
        y_scale: scales.y_scale,
        y_min: scales.y_min,
        start: scales.start,
        t_scale: scales.t_scale,
        changepoints_t: scales.changepoints_t(&resolved.changepoints),
        changepoints: resolved.changepoints,
        features: resolved.features,
        logistic_floor: spec.growth == Growth::Logistic && !resolved.inputs.floor.is_empty(),
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

fn fit_by_augurs(spec: &Spec, resolved: &Resolved, history: &History) -> Result<Solution> {
    let failed = |error: augurs_prophet::Error| Error::FitFailed {
        reason: error.to_string(),
    };
    let capture = Capture {
        columns: canonical_columns(resolved, history)?,
        captured: RefCell::new(None),
    };
    let training =
        TrainingData::new(history.ds().to_vec(), history.y().to_vec()).map_err(failed)?;
    let mut prophet = Prophet::new(augurs_options(spec, resolved)?, &capture);
    prophet
        .fit(training, OptimizeOpts::default())
        .map_err(failed)?;
    capture.captured.take().ok_or_else(|| Error::FitFailed {
        reason: "the optimizer was not called".to_owned(),
    })
}

/// The spec as augurs' options, every choice already made: no rule of augurs' own is left to act.
pub(crate) fn augurs_options(spec: &Spec, resolved: &Resolved) -> Result<ProphetOptions> {
    let positive = |field: &str, value: f64| {
        PositiveFloat::try_new(value).map_err(|error| Error::invalid(field, error.to_string()))
    };
    let choice = |name: &str| {
        let order = resolved
            .features
            .seasonalities
            .iter()
            .find(|seasonality| seasonality.name == name)
            .and_then(|seasonality| NonZeroU32::new(seasonality.fourier_order));
        order.map_or(SeasonalityOption::Manual(false), SeasonalityOption::Fourier)
    };
    Ok(ProphetOptions {
        growth: match spec.growth {
            Growth::Linear => GrowthType::Linear,
            Growth::Logistic => GrowthType::Logistic,
            Growth::Flat => GrowthType::Flat,
        },
        changepoints: Some(resolved.changepoints.clone()),
        yearly_seasonality: choice("yearly"),
        weekly_seasonality: choice("weekly"),
        daily_seasonality: choice("daily"),
        seasonality_prior_scale: positive("seasonality_prior_scale", spec.seasonality_prior_scale)?,
        changepoint_prior_scale: positive("changepoint_prior_scale", spec.changepoint_prior_scale)?,
        interval_width: IntervalWidth::try_new(spec.interval_width)
            .map_err(|error| Error::invalid("interval_width", error.to_string()))?,
        uncertainty_samples: 0,
        scaling: match spec.scaling {
            Scaling::Absmax => AugursScaling::AbsMax,
            Scaling::Minmax => AugursScaling::MinMax,
        },
        ..ProphetOptions::default()
    })
}

/// The feature columns in our order, each over all rows.
fn canonical_columns(resolved: &Resolved, history: &History) -> Result<Vec<Vec<f64>>> {
    let matrix = resolved.features.matrix(history.ds(), &resolved.inputs)?;
    let column = |c: usize| {
        let from = matrix.values.iter().skip(c);
        from.step_by(matrix.width).copied().collect()
    };
    Ok((0..matrix.width).map(column).collect())
}

/// An optimizer that solves in our order of columns and remembers the solution in it. augurs orders columns as its hash
/// maps fall out; they are recognised by their content.
#[derive(Debug)]
struct Capture {
    columns: Vec<Vec<f64>>,
    captured: RefCell<Option<Solution>>,
}

impl Optimizer for &Capture {
    fn optimize(
        &self,
        _init: &InitialParams,
        data: &Data,
        _opts: &OptimizeOpts,
    ) -> std::result::Result<OptimizedParams, OptimizeError> {
        let order = self.recognise(data).map_err(OptimizeError::string)?;
        let ours = Data {
            X: gather(&data.X, order.len(), &order),
            sigmas: order.iter().map(|&c| data.sigmas[c]).collect(),
            ..data.clone()
        };
        let solution = MapOptimizer.solve(&ours).map_err(OptimizeError::string)?;
        let mut theirs = solution.clone();
        theirs.beta = scatter(&solution.beta, &order);
        self.captured.replace(Some(solution));
        to_augurs(&theirs)
    }
}

impl Capture {
    /// For each of our columns, which of augurs' it is. Equal columns are interchangeable.
    fn recognise(&self, data: &Data) -> std::result::Result<Vec<usize>, String> {
        let width = data.sigmas.len();
        if width != self.columns.len() {
            return Err(format!(
                "{width} feature columns where {} were expected",
                self.columns.len()
            ));
        }
        let mut free: Vec<usize> = (0..width).collect();
        self.columns
            .iter()
            .map(|ours| {
                let place = free
                    .iter()
                    .position(|&theirs| {
                        ours.iter()
                            .zip(data.X[theirs..].iter().step_by(width))
                            .all(|(a, b)| (a - b).abs() <= 1e-9)
                    })
                    .ok_or("a feature column is not among those that were prepared")?;
                Ok(free.swap_remove(place))
            })
            .collect()
    }
}
