//! Requests and limits for a window, from the forecast of what a workload will use. Pure.

use std::num::NonZeroU32;

use jiff::Timestamp;
use loadcast_model::{
    artifact::Clamps,
    inputs::Inputs,
    prophet::ProphetModel,
    series::{Series, Unit},
};

use crate::{
    answer::Answer,
    error::{Error, Result},
    question::{MAX_POINTS, Question, Range},
    window::Window,
};

/// The level of the request where none is asked for.
pub const REQUEST_LEVEL: f64 = 0.5;

/// The level of the limit where none is asked for.
pub const LIMIT_LEVEL: f64 = 0.95;

/// Beyond this a number of millicores or MiB is no advice, and not every integer has a double of its own.
const MOST: f64 = 9_007_199_254_740_992.0;

const DAY: f64 = 86_400.0;

/// How a forecast becomes a request and a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Policy {
    /// The maximum over the window of a pointwise quantile.
    Quantile {
        /// Of the request.
        request: f64,
        /// Of the limit; above that of the request.
        limit: f64,
    },
    /// Shares of the window's mean: 80 % and 120 %, of a month 70 % and 150 %. What the service before this one did; it
    /// knows nothing of how sure the forecast is.
    Multiplier,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    /// Whose needs.
    pub window: Window,
    /// How they become numbers.
    pub policy: Policy,
    /// The series are totals of so many pods, and one pod's share is asked for; `None`: the total.
    pub replicas: Option<NonZeroU32>,
    /// Answer as if it were this instant; `None`: now.
    pub as_of: Option<Timestamp>,
}

/// What is sized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// In millicores, from a series in cores.
    Cpu,
    /// In MiB, from a series in bytes.
    Memory,
}

/// The advice for one resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// In [`Resource::unit`].
    pub request: i64,
    /// In [`Resource::unit`]; not below the request.
    pub limit: i64,
    /// What it rests on, and what was clamped, widened or assumed, in words.
    pub notes: Vec<String>,
}

/// What is known of a workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// The point forecast of the window, in the series' unit; at least one point.
    pub yhat: &'a [f64],
    /// The pointwise quantiles of request and limit, where the policy asks for them.
    pub quantiles: Option<(&'a [f64], &'a [f64])>,
    /// Days from the first to the last observation that the model was trained on.
    pub history_days: f64,
    /// The largest observation that the model was trained on, where it says.
    pub trained_peak: Option<f64>,
    /// The largest observation that the server remembers, of the past day.
    pub observed_peak: Option<f64>,
}

impl Resource {
    /// `millicores` or `MiB`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "millicores",
            Self::Memory => "MiB",
        }
    }

    /// The field of the request that names the series.
    pub fn field(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_series",
            Self::Memory => "memory_series",
        }
    }

    fn clamps_field(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_clamps_millicores",
            Self::Memory => "memory_clamps_mib",
        }
    }

    /// What turns the series' unit into [`unit`](Self::unit).
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field, for a series in another unit: what a number means is never guessed.
    pub fn factor(self, series: &Series) -> Result<f64> {
        let (needed, factor) = match self {
            Self::Cpu => (Unit::Cores, 1_000.0),
            Self::Memory => (Unit::Bytes, 1.0 / 1_048_576.0),
        };
        if series.unit == Some(needed) {
            return Ok(factor);
        }
        let unit = series.unit.map_or_else(
            || "not said".to_owned(),
            |unit| format!("{:?}", unit.as_str()),
        );
        Err(Error::invalid(
            self.field(),
            format!(
                "the unit of {} is {unit}, and a recommendation needs {:?}; name a series in it, or train this one in it",
                series.name,
                needed.as_str()
            ),
        ))
    }
}

impl Ask {
    /// What to ask of a series.
    pub fn question(&self, series: &Series, now: Timestamp) -> Question {
        let as_of = self.as_of.unwrap_or(now);
        let (start, end) = self.window.bounds(as_of, &series.zone);
        let seconds = (end - start).unsigned_abs();
        let step = series.step_seconds.max(1);
        // A month of a step of seconds has more points than one answer; as few steps as fit are taken together.
        let together = seconds.div_ceil(MAX_POINTS).div_ceil(u64::from(step));
        let together = u32::try_from(together).unwrap_or(u32::MAX).max(1);
        Question {
            range: Range::Window(self.window),
            step_seconds: Some(step.saturating_mul(together)),
            levels: match self.policy {
                Policy::Quantile { request, limit } => vec![request, limit],
                Policy::Multiplier => Vec::new(),
            },
            components: false,
            as_of: Some(as_of),
            clamps: Clamps::default(),
            peak_levels: Vec::new(),
            inputs: Inputs::default(),
        }
    }

    /// The advice that `answer` to [`question`](Self::question) gives for `resource`, inside `clamps` (in the unit of the
    /// resource). `observed` is the largest observation that the server remembers, in the series' unit.
    ///
    /// # Errors
    /// [`Error::Gated`] when the answer is stale; [`Error::Invalid`] for a unit that is not the resource's, and for a
    /// clamp that would put the limit of memory below what was seen.
    pub fn advise(
        &self,
        resource: Resource,
        answer: &Answer,
        clamps: Clamps,
        observed: Option<f64>,
    ) -> Result<Recommendation> {
        answer.actionable()?;
        let series = &answer.served.loaded.metadata().series;
        let factor = resource.factor(series)?;
        let model = answer.served.loaded.forecaster().model();
        let quantiles = match &answer.forecast.quantiles[..] {
            [request, limit] => Some((&request.values[..], &limit.values[..])),
            _ => None,
        };
        let evidence = Evidence {
            yhat: &answer.forecast.yhat,
            quantiles,
            history_days: model.t_scale / DAY,
            trained_peak: trained_peak(model),
            observed_peak: observed,
        };
        let mut advice = self.size(resource, factor, evidence, clamps)?;
        if answer.grid.step > series.step_seconds {
            advice.notes.push(format!(
                "a point every {} s was looked at, not one every {} s: the window is long",
                answer.grid.step, series.step_seconds
            ));
        }
        if answer.clamps != Clamps::default() {
            advice.notes.push(format!(
                "the model declares bounds of its own: {}",
                shown(answer.clamps)
            ));
        }
        Ok(advice)
    }

    /// The arithmetic alone. `factor` turns the series' unit into the resource's.
    ///
    /// # Errors
    /// As [`advise`](Self::advise).
    pub fn size(
        &self,
        resource: Resource,
        factor: f64,
        evidence: Evidence<'_>,
        clamps: Clamps,
    ) -> Result<Recommendation> {
        let mut notes = Vec::new();
        let (request, limit) = self.raw(evidence, &mut notes)?;
        if !(request.is_finite() && limit.is_finite()) {
            return Err(run_away(resource, limit));
        }
        if request < 0.0 || limit < 0.0 {
            notes.push(
                "the forecast falls below zero, which nothing uses; zero was taken".to_owned(),
            );
        }
        let pods = f64::from(self.replicas.map_or(1, NonZeroU32::get));
        let per_pod = factor / pods;
        if let Some(replicas) = self.replicas {
            notes.push(format!(
                "per pod: the workload's total divided by {replicas}, as if each had the same share"
            ));
        }
        let unit = resource.unit();
        let (mut request, mut limit) = (request.max(0.0) * per_pod, limit.max(0.0) * per_pod);
        let peak = match resource {
            Resource::Cpu => None,
            Resource::Memory => {
                max_of(evidence.trained_peak, evidence.observed_peak).map(|peak| peak * per_pod)
            }
        };
        if let Some(peak) = peak
            && limit < peak
        {
            notes.push(format!(
                "limit raised from {} to {} {unit}: the largest observation that is known, of those that the \
                 model was trained on and those of the past day; less would have been killed then",
                limit.ceil(),
                peak.ceil()
            ));
            limit = peak;
        }
        if resource == Resource::Memory && evidence.trained_peak.is_none() {
            notes.push(
                "the model does not say what the largest observation was that it was trained on; the limit is not held \
                 above that"
                    .to_owned(),
            );
        }
        let (asked_request, asked_limit) = (request, limit);
        (request, limit) = (clamps.of(request), clamps.of(limit));
        if let Some(peak) = peak
            && limit < peak
        {
            return Err(Error::invalid(
                format!("{}.max", resource.clamps_field()),
                format!(
                    "it would put the limit below {} MiB, which was seen in use; raise it to at least that",
                    peak.ceil()
                ),
            ));
        }
        for (name, asked, given) in [
            ("request", asked_request, request),
            ("limit", asked_limit, limit),
        ] {
            if asked != given {
                notes.push(format!(
                    "{name} clamped from {} to {} {unit} ({})",
                    asked.ceil(),
                    given.ceil(),
                    shown(clamps)
                ));
            }
        }
        let round = match self.policy {
            Policy::Quantile { .. } => f64::ceil,
            // As the original did.
            Policy::Multiplier => f64::trunc,
        };
        let limit = whole(
            resource,
            match peak {
                // Truncation must not put it below, either.
                Some(peak) => round(limit).max(peak.ceil()),
                None => round(limit),
            },
        )?;
        let request = whole(resource, round(request))?.min(limit);
        Ok(Recommendation {
            request: at_least_one("request", request, unit, &mut notes),
            limit: at_least_one("limit", limit, unit, &mut notes),
            notes,
        })
    }

    /// Request and limit in the series' unit, as the policy has them.
    fn raw(&self, evidence: Evidence<'_>, notes: &mut Vec<String>) -> Result<(f64, f64)> {
        let absent = || Error::Internal("a window without points was sized".to_owned());
        match (self.policy, evidence.quantiles) {
            (Policy::Multiplier, _) => {
                let points = evidence.yhat.len();
                if points == 0 {
                    return Err(absent());
                }
                let mean = evidence.yhat.iter().sum::<f64>() / points as f64;
                let (request, limit) = match self.window {
                    Window::NextMonth => (0.7, 1.5),
                    Window::NextDay | Window::NextWeek | Window::NextWeekend => (0.8, 1.2),
                };
                notes.push(format!(
                    "MULTIPLIER: {:.0} % and {:.0} % of the window's mean, the arithmetic of the service that this one \
                     replaces; no confidence",
                    request * 100.0,
                    limit * 100.0
                ));
                Ok((mean * request, mean * limit))
            }
            (Policy::Quantile { request, limit }, Some((low, high))) => {
                let most = |values: &[f64]| values.iter().copied().reduce(f64::max);
                let (low, high) = most(low).zip(most(high)).ok_or_else(absent)?;
                notes.push(format!(
                    "QUANTILE: the maximum over the window of the pointwise quantile, {request} for the request and \
                     {limit} for the limit; not the quantile of the maximum, which lies higher"
                ));
                let widened = widening(evidence.history_days);
                notes.push(format!(
                    "limit widened by {:.0} %: the model knows {:.1} days (1 + 1/days, as the Vertical Pod Autoscaler \
                     widens its upper bound)",
                    (widened - 1.0) * 100.0,
                    evidence.history_days
                ));
                Ok((low, high.max(low) * widened))
            }
            (Policy::Quantile { .. }, None) => Err(absent()),
        }
    }
}

/// What the upper bound is multiplied with for a history of `days`: 1 + 1/days, the confidence multiplier of the Vertical
/// Pod Autoscaler's recommender (12 h: 3, 24 h: 2, 7 d: 1.14). Histories shorter than an hour count as one.
pub fn widening(days: f64) -> f64 {
    1.0 + 1.0 / days.max(1.0 / 24.0)
}

/// The largest observation that `model` was trained on. Values were scaled by it: by the largest absolute one, or under
/// minmax scaling by the span above the smallest. A floor that varies from row to row leaves it open.
pub fn trained_peak(model: &ProphetModel) -> Option<f64> {
    let peak = model.floor() + model.y_scale;
    (!model.logistic_floor && peak > 0.0).then_some(peak)
}

fn max_of(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

fn whole(resource: Resource, value: f64) -> Result<i64> {
    if (0.0..MOST).contains(&value) {
        // In range, and without a fraction.
        return Ok(value as i64);
    }
    Err(run_away(resource, value))
}

fn run_away(resource: Resource, value: f64) -> Error {
    Error::invalid(
        resource.field(),
        format!("its model says {value:e}, which is no size of anything; roll it back"),
    )
}

/// Kubernetes takes a quantity of zero for none at all.
fn at_least_one(name: &str, value: i64, unit: &str, notes: &mut Vec<String>) -> i64 {
    if value >= 1 {
        return value;
    }
    notes.push(format!(
        "{name} raised from 0 to 1 {unit}: Kubernetes takes zero for none"
    ));
    1
}

fn shown(clamps: Clamps) -> String {
    let of = |name: &str, bound: Option<f64>| bound.map(|bound| format!("{name} {bound}"));
    let bounds = [of("at least", clamps.min), of("at most", clamps.max)];
    bounds.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
