//! From a model to forecasts. Pure, `Send + Sync`; identical questions have identical answers, to the bit.

use crate::{
    error::{Error, Result},
    features::Mode,
    prophet::ProphetModel,
    spec::Growth,
};

/// The most points of one question.
pub const MAX_POINTS: usize = 1_000_000;

/// A model that answers.
#[derive(Debug, Clone)]
pub struct Forecaster {
    model: ProphetModel,
    /// For each stretch between changepoints: where it begins, its rate and its offset.
    stretches: Vec<Stretch>,
}

#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: f64,
    rate: f64,
    offset: f64,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    ds: &'a [i64],
    components: bool,
    levels: &'a [f64],
}

impl<'a> Question<'a> {
    /// Trend and yhat at the times `ds`, in seconds of the wall clock, in any order.
    pub fn at(ds: &'a [i64]) -> Self {
        Self {
            ds,
            components: false,
            levels: &[],
        }
    }

    /// Every component too.
    pub fn with_components(self, components: bool) -> Self {
        Self { components, ..self }
    }

    /// The pointwise quantiles at `levels`, each in (0, 1).
    pub fn with_levels(self, levels: &'a [f64]) -> Self {
        Self { levels, ..self }
    }
}

/// The answer: columns as long as the question's times.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// In the series' unit.
    pub trend: Vec<f64>,
    /// In the series' unit.
    pub yhat: Vec<f64>,
    /// Where asked for, by Prophet's names in alphabetical order.
    pub components: Vec<Component>,
}

/// One component of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// As Prophet's predict() names it.
    pub name: String,
    /// Whether the values are in the series' unit or factors on the trend.
    pub mode: Mode,
    /// One for each time.
    pub values: Vec<f64>,
}

impl Component {
    /// Whether the values are factors on the trend.
    pub fn is_multiplicative(&self) -> bool {
        self.mode == Mode::Multiplicative
    }
}

impl Forecaster {
    /// A forecaster from parameters alone.
    ///
    /// # Errors
    /// [`Error::NonFinite`] when a parameter is not a finite number; [`Error::Unsupported`] for what cannot be
    /// evaluated; [`Error::Invalid`] when lengths do not match.
    pub fn new(model: ProphetModel) -> Result<Self> {
        if model.growth() == Growth::Logistic {
            return Err(Error::unsupported(
                "growth logistic",
                "this build evaluates linear and flat trends",
            ));
        }
        let features = &model.features;
        if features
            .columns()
            .iter()
            .any(|column| column.mode == Mode::Multiplicative)
        {
            return Err(Error::unsupported(
                "multiplicative seasonality",
                "this build evaluates additive seasonality",
            ));
        }
        if model.delta.len() != model.changepoints_t.len() || model.beta.len() != features.width() {
            return Err(Error::invalid(
                "params",
                "delta and beta do not match changepoints and features; get the artifact again",
            ));
        }
        let scalars = [
            model.y_scale,
            model.y_min,
            model.start,
            model.t_scale,
            model.k,
            model.m,
            model.sigma_obs,
        ];
        let all = scalars
            .iter()
            .chain(&model.changepoints_t)
            .chain(&model.delta)
            .chain(&model.beta);
        if let Some(bad) = all.into_iter().find(|value| !value.is_finite()) {
            return Err(Error::NonFinite {
                reason: format!("a parameter of the model is {bad}"),
            });
        }
        Ok(Self {
            stretches: stretches(&model),
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &ProphetModel {
        &self.model
    }

    /// Answers `question`. Each value depends on its own time alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`MAX_POINTS`] times; [`Error::NonFinite`] when the arithmetic overflows;
    /// [`Error::Unsupported`] for quantile levels, which this build does not compute yet.
    pub fn forecast(&self, question: &Question<'_>) -> Result<Forecast> {
        let Question {
            ds,
            components,
            levels,
        } = *question;
        if !levels.is_empty() {
            return Err(Error::unsupported(
                "levels",
                "this build computes point forecasts and no bands yet; leave levels out",
            ));
        }
        if ds.len() > MAX_POINTS {
            return Err(Error::invalid(
                "ds",
                format!("{} points; at most {MAX_POINTS}", ds.len()),
            ));
        }
        let model = &self.model;
        let mut parts = vec![Vec::new(); model.features.seasonalities.len()];
        let mut trend = Vec::with_capacity(ds.len());
        let mut additive = Vec::with_capacity(ds.len());
        let mut row = vec![0.0; model.features.width()];
        for &time in ds {
            trend.push(self.trend(time) * model.y_scale + model.floor());
            let mut total = 0.0;
            let mut beta = model.beta.as_slice();
            for (seasonality, part) in model.features.seasonalities.iter().zip(&mut parts) {
                let row = &mut row[..seasonality.columns()];
                seasonality.row(time, row);
                let (own, others) = beta.split_at(row.len());
                let value: f64 = row.iter().zip(own).map(|(x, b)| x * b).sum();
                total += value;
                beta = others;
                if components {
                    part.push(value * model.y_scale);
                }
            }
            additive.push(total * model.y_scale);
        }
        let yhat: Vec<f64> = trend.iter().zip(&additive).map(|(t, a)| t + a).collect();
        if let Some(i) = yhat.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite {
                reason: format!("yhat is {} at point {i}", yhat[i]),
            });
        }
        Ok(Forecast {
            components: if components {
                self.components(parts, additive)
            } else {
                Vec::new()
            },
            trend,
            yhat,
        })
    }

    fn components(&self, parts: Vec<Vec<f64>>, additive: Vec<f64>) -> Vec<Component> {
        let none = vec![0.0; additive.len()];
        let seasonal = self.model.features.seasonalities.iter().zip(parts);
        let mut components: Vec<Component> = seasonal
            .map(|(seasonality, values)| Component {
                name: seasonality.name.clone(),
                mode: seasonality.mode,
                values,
            })
            .collect();
        components.push(Component {
            name: "additive_terms".to_owned(),
            mode: Mode::Additive,
            values: additive,
        });
        components.push(Component {
            name: "multiplicative_terms".to_owned(),
            mode: Mode::Multiplicative,
            values: none,
        });
        components.sort_by(|a, b| a.name.cmp(&b.name));
        components
    }

    /// The scaled trend at time `ds`: Prophet's `piecewise_linear` (or `flat_trend`).
    fn trend(&self, ds: i64) -> f64 {
        let t = self.model.scaled_time(ds);
        let begun = self.stretches.partition_point(|stretch| t >= stretch.from);
        let stretch = &self.stretches[begun.saturating_sub(1)];
        stretch.rate * t + stretch.offset
    }
}

/// Cumulated rates and offsets: behind changepoint `s` the rate has grown by `delta`, the offset fallen by `s delta`.
fn stretches(model: &ProphetModel) -> Vec<Stretch> {
    let flat = model.growth() == Growth::Flat;
    let mut stretch = Stretch {
        from: f64::NEG_INFINITY,
        rate: if flat { 0.0 } else { model.k },
        offset: model.m,
    };
    let mut stretches = vec![stretch];
    if flat {
        return stretches;
    }
    for (from, delta) in model.changepoints_t.iter().zip(&model.delta) {
        stretch = Stretch {
            from: *from,
            rate: stretch.rate + delta,
            offset: stretch.offset - from * delta,
        };
        stretches.push(stretch);
    }
    stretches
}
