//! A KEDA trigger: what an autoscaler asks of a series, and the number it gets. Pure, so that a server, a replay of
//! history and a test say the same.
//!
//! The window is `[now, now + leadTime]`, up to and including the step that holds its end. Of the forecast there, a point
//! or a quantile, the demand is `aggregate * scale * (1 + margin)`, where asked for at least the last observation, inside
//! `clampMin` and `clampMax`, and never below 0. The trigger is active where the demand is above `activationTarget`.

mod settings;

use crate::{
    artifact::Clamps,
    error::{Error, Result},
    forecaster::Forecast,
    series::SeriesName,
};

pub use settings::{MAX_VALUE, is_set, unknown_keys};

/// The longest window that is looked at, in seconds: 7 days.
pub const MAX_LEAD_SECONDS: u32 = 7 * 86_400;

/// A trigger's settings; [`Trigger::read`] reads them from metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// `series`: what is forecast.
    pub series: SeriesName,
    /// `target`: what one pod takes, in the series' unit; above 0.
    pub target: f64,
    /// `leadTime`: how far ahead is looked, in seconds; default 5 minutes.
    pub lead_seconds: u32,
    /// `aggregate`: what is made of the window.
    pub aggregate: Aggregate,
    /// `quantile`: what is asked at each step of it.
    pub level: Level,
    /// `activationTarget`: active above it, in the series' unit; default 0.
    pub activation_target: f64,
    /// `scale`: a multiplier, above 0; default 1.
    pub scale: f64,
    /// `margin`: a fraction that is added, at least 0; default 0.
    pub margin: f64,
    /// `clampMin`, `clampMax`: bounds of the demand, in the series' unit.
    pub clamps: Clamps,
    /// `floorAtObserved`: never below the last observation.
    pub floor_at_observed: bool,
    /// `onUnavailable`: what is said where there is no forecast to trust.
    pub on_unavailable: OnUnavailable,
    /// `maxModelAge`, in seconds; `None`: what the series has.
    pub max_model_age_seconds: Option<u32>,
    /// `maxDataAge`, in seconds; `None`: what the series has.
    pub max_data_age_seconds: Option<u32>,
    /// `minSkill`: the least skill against the seasonal naive; `None`: no gate.
    pub min_skill: Option<f64>,
}

/// What is made of a window's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aggregate {
    /// The largest. Of quantiles it is the maximum of quantiles, not the quantile of the maximum.
    #[default]
    Max,
    /// Their mean.
    Avg,
    /// That of the step which holds the window's end.
    Last,
}

/// What is asked of the forecast at each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// yhat.
    Point,
    /// The quantile at this level, in (0, 1).
    Quantile(f64),
}

/// What is said where there is no forecast to trust.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum OnUnavailable {
    /// An error with a reason; KEDA's fallback decides.
    #[default]
    Error,
    /// The last demand that was given, for so many seconds after it was; then an error.
    LastGood {
        /// Seconds.
        seconds: u32,
    },
    /// This number, in the series' unit.
    Value(f64),
}

/// What a trigger answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// In the series' unit, of the whole workload; finite, at least 0.
    pub value: f64,
    /// `value` is above the activation target.
    pub active: bool,
    /// `value` was moved by `clampMin` or `clampMax`.
    pub clamped: bool,
}

/// The way from a forecast to a demand, in order; in the series' unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// Of the window's values.
    pub aggregate: f64,
    /// Times `scale`.
    pub scaled: f64,
    /// And `margin` more.
    pub widened: f64,
    /// At least the last observation, where `floorAtObserved` says so.
    pub floored: f64,
    /// At least 0, inside the clamps: the demand.
    pub value: f64,
}

impl Trigger {
    /// The instants of the window at `now`, on the epoch-aligned grid of `step_seconds`: from the step that holds `now`
    /// to the one that holds `now + leadTime`. Within a step bucket of both they are the same.
    pub fn window(&self, now: i64, step_seconds: u32) -> Vec<i64> {
        let step = i64::from(step_seconds.max(1));
        let end = now.saturating_add(i64::from(self.lead_seconds));
        let (first, last) = (now.div_euclid(step), end.div_euclid(step));
        (first..=last)
            .map(|index| index.saturating_mul(step))
            .collect()
    }

    /// The first and the last instant of the [`window`](Self::window).
    pub fn ends(&self, now: i64, step_seconds: u32) -> (i64, i64) {
        let step = i64::from(step_seconds.max(1));
        let floor = |at: i64| at.div_euclid(step).saturating_mul(step);
        let end = now.saturating_add(self.lead_seconds.into());
        (floor(now), floor(end))
    }

    /// The levels to ask a forecaster for at these instants: one, or none for the point.
    pub fn levels(&self) -> &[f64] {
        match &self.level {
            Level::Point => &[],
            Level::Quantile(level) => std::slice::from_ref(level),
        }
    }

    /// The demand that `forecast`, at the instants of the [`window`](Self::window), makes; `observed` is the last
    /// observation, which counts where `floorAtObserved` says so.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the forecast has no value or lacks the level; [`Error::NonFinite`] when the demand is no
    /// finite number.
    pub fn demand(&self, forecast: &Forecast, observed: Option<f64>) -> Result<Demand> {
        let Terms { floored, value, .. } = self.terms(forecast, observed)?;
        if !floored.is_finite() || !value.is_finite() {
            return Err(Error::NonFinite {
                reason: format!("the demand is {floored}"),
            });
        }
        Ok(Demand {
            value,
            active: value > self.activation_target,
            clamped: value != floored.max(0.0),
        })
    }

    /// The way from `forecast` to the [`demand`](Self::demand), term by term.
    ///
    /// # Errors
    /// As [`demand`](Self::demand).
    pub fn terms(&self, forecast: &Forecast, observed: Option<f64>) -> Result<Terms> {
        let values = match self.level {
            Level::Point => Some(&forecast.yhat),
            Level::Quantile(level) => {
                let mut quantiles = forecast.quantiles.iter();
                quantiles
                    .find(|quantile| quantile.level == level)
                    .map(|quantile| &quantile.values)
            }
        };
        let values = values.map_or(&[][..], Vec::as_slice);
        let aggregate = self.aggregate.of(values).ok_or_else(|| {
            Error::invalid(
                "forecast",
                "nothing at the trigger's level; ask for its window and levels",
            )
        })?;
        let scaled = aggregate * self.scale;
        let widened = scaled * (1.0 + self.margin);
        // `max` swallows what is not a number.
        if !widened.is_finite() {
            return Err(Error::NonFinite {
                reason: format!("the demand is {widened}"),
            });
        }
        let observed = observed.filter(|_| self.floor_at_observed);
        let floored = observed.map_or(widened, |observed| widened.max(observed));
        Ok(Terms {
            aggregate,
            scaled,
            widened,
            floored,
            value: self.clamps.of(floored.max(0.0)),
        })
    }
}

impl Aggregate {
    /// Of values in the order of time; `None` of nothing. A value that is not a number makes the result none.
    fn of(self, values: &[f64]) -> Option<f64> {
        let last = *values.last()?;
        Some(match self {
            // `max` would leave it out.
            _ if values.iter().any(|value| value.is_nan()) => f64::NAN,
            Self::Max => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Avg => values.iter().sum::<f64>() / values.len() as f64,
            Self::Last => last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecaster::Quantile;

    type Settings<'a> = &'a [(&'a str, &'a str)];

    fn trigger(more: Settings<'_>) -> Trigger {
        let base = [("series", "shop.web.cpu"), ("target", "2")];
        let pairs = base.iter().chain(more).copied();
        Trigger::read(&pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()).unwrap()
    }

    fn forecast(values: &[f64]) -> Forecast {
        Forecast {
            trend: Vec::new(),
            yhat: values.to_vec(),
            components: Vec::new(),
            quantiles: vec![Quantile {
                level: 0.9,
                values: values.iter().map(|value| value + 10.0).collect(),
            }],
        }
    }

    #[test]
    fn the_window_reaches_to_the_step_that_holds_its_end() {
        for (now, lead, step, expected) in [
            (600, "5m", 300, vec![600, 900]),
            (899, "5m", 300, vec![600, 900]),
            (600, "299s", 300, vec![600]),
            (601, "299s", 300, vec![600, 900]),
            (0, "15m", 300, vec![0, 300, 600, 900]),
            (1_499, "5m", 1_800, vec![0]),
            (1_500, "5m", 1_800, vec![0, 1_800]),
            (-1, "1s", 60, vec![-60, 0]),
        ] {
            let window = trigger(&[("leadTime", lead)]).window(now, step);
            assert_eq!(window, expected, "{now} {lead} {step}");
            let ends = trigger(&[("leadTime", lead)]).ends(now, step);
            assert_eq!(ends, (window[0], window[window.len() - 1]));
        }
    }

    #[test]
    fn a_demand_is_aggregated_scaled_widened_and_clamped_in_this_order() {
        let cases: [(Settings<'_>, f64, bool); 13] = [
            (&[], 16.0, false),
            (&[("quantile", "point")], 6.0, false),
            (&[("aggregate", "avg"), ("quantile", "point")], 3.0, false),
            (&[("aggregate", "last"), ("quantile", "point")], 2.0, false),
            (&[("scale", "2"), ("quantile", "point")], 12.0, false),
            (&[("margin", "0.5"), ("quantile", "point")], 9.0, false),
            (&[("scale", "2"), ("margin", "0.5")], 48.0, false),
            (&[("clampMin", "20")], 20.0, true),
            (&[("clampMax", "15")], 15.0, true),
            (&[("clampMin", "1"), ("clampMax", "99")], 16.0, false),
            (&[("scale", "2"), ("clampMax", "20")], 20.0, true),
            (&[("floorAtObserved", "true")], 30.0, false),
            (
                &[("floorAtObserved", "true"), ("clampMax", "25")],
                25.0,
                true,
            ),
        ];
        for (settings, value, clamped) in cases {
            let demand = trigger(settings).demand(&forecast(&[1.0, 6.0, 2.0]), Some(30.0));
            let demand = demand.unwrap();
            assert_eq!(
                (demand.value, demand.clamped),
                (value, clamped),
                "{settings:?}"
            );
        }
    }

    #[test]
    fn activation_is_strictly_above_its_target() {
        for (target, active) in [("5.999", true), ("6", false), ("6.5", false)] {
            let trigger = trigger(&[("quantile", "point"), ("activationTarget", target)]);
            let demand = trigger.demand(&forecast(&[1.0, 6.0]), None).unwrap();
            assert_eq!(demand.active, active, "{target}");
        }
        let idle = trigger(&[("quantile", "point")]);
        assert!(!idle.demand(&forecast(&[0.0, 0.0]), None).unwrap().active);
    }

    #[test]
    fn a_negative_forecast_is_no_negative_demand() {
        let demand = trigger(&[("quantile", "point")]).demand(&forecast(&[-4.0]), None);
        assert_eq!(demand.unwrap().value, 0.0);
    }

    #[test]
    fn what_is_no_number_is_an_error_and_never_a_demand_of_zero() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for aggregate in ["max", "avg", "last"] {
                let settings = [("quantile", "point"), ("aggregate", aggregate)];
                let result = trigger(&settings).demand(&forecast(&[bad]), Some(1.0));
                assert!(matches!(result, Err(Error::NonFinite { .. })), "{bad}");
            }
        }
        let floored = trigger(&[("quantile", "point"), ("floorAtObserved", "true")]);
        assert!(floored.demand(&forecast(&[f64::NAN]), Some(1.0)).is_err());
        let hidden =
            trigger(&[("quantile", "point")]).demand(&forecast(&[1.0, f64::NAN, 2.0]), None);
        assert!(hidden.is_err());
        let nothing = trigger(&[]).demand(&forecast(&[]), None);
        assert!(matches!(nothing, Err(Error::Invalid { .. })));
        let other_level = trigger(&[("quantile", "0.8")]).demand(&forecast(&[1.0]), None);
        assert!(matches!(other_level, Err(Error::Invalid { .. })));
    }
}
