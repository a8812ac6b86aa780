//! From the series' units to the optimizer's, as Prophet takes them.

use crate::{
    history::History,
    inputs::{Inputs, at},
    spec::{Growth, Scaling, Spec},
};

/// Scaled values are `(y - floor) / y_scale`, scaled times `(ds - start) / t_scale`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scales {
    pub(super) y_scale: f64,
    pub(super) y_min: f64,
    pub(super) start: f64,
    pub(super) t_scale: f64,
    /// Whether each row counts from a floor of its own.
    pub(super) logistic_floor: bool,
    scaling: Scaling,
}

impl Scales {
    pub(super) fn of(spec: &Spec, history: &History, inputs: &Inputs) -> Self {
        let y = history.y();
        let logistic_floor = spec.growth == Growth::Logistic && !inputs.floor.is_empty();
        let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::INFINITY, f64::min);
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
        let (y_min, y_scale) = if logistic_floor {
            let floor = |i| at(&inputs.floor, i).unwrap_or(0.0);
            let above = || y.iter().enumerate().map(|(i, y)| (y - floor(i)).abs());
            match spec.scaling {
                Scaling::Absmax => (least(&mut above()), most(&mut above())),
                Scaling::Minmax => {
                    let min = least(&mut inputs.floor.iter().copied());
                    (min, most(&mut inputs.cap.iter().copied()) - min)
                }
            }
        } else {
            let min = least(&mut y.iter().copied());
            let max = most(&mut y.iter().copied());
            match spec.scaling {
                Scaling::Absmax => (0.0, max.abs().max(min.abs())),
                Scaling::Minmax => (min, max - min),
            }
        };
        Self {
            y_scale: if y_scale == 0.0 { 1.0 } else { y_scale },
            y_min,
            start: history.first() as f64,
            t_scale: (history.last() - history.first()) as f64,
            logistic_floor,
            scaling: spec.scaling,
        }
    }

    fn floor(&self, inputs: &Inputs, i: usize) -> f64 {
        match self.scaling {
            _ if self.logistic_floor => at(&inputs.floor, i).unwrap_or(0.0),
            Scaling::Absmax => 0.0,
            Scaling::Minmax => self.y_min,
        }
    }

    /// A value or cap of row `i`, scaled.
    pub(super) fn value(&self, inputs: &Inputs, i: usize, value: f64) -> f64 {
        (value - self.floor(inputs, i)) / self.y_scale
    }

    pub(super) fn time(&self, ds: i64) -> f64 {
        (ds as f64 - self.start) / self.t_scale
    }

    /// Scaled changepoints; Prophet's dummy `[0]` where there are none.
    pub(super) fn changepoints(&self, changepoints: &[i64]) -> Vec<f64> {
        if changepoints.is_empty() {
            return vec![0.0];
        }
        changepoints.iter().map(|ds| self.time(*ds)).collect()
    }
}
