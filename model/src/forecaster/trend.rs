//! The trend: piecewise linear, logistic or flat.

use crate::{prophet::ProphetModel, spec::Growth};

/// A trend, compiled: between two changepoints it has one rate and one offset.
#[derive(Debug, Clone)]
pub(super) enum Trend {
    /// `rate * t + offset`.
    Linear(Vec<Stretch>),
    /// `cap / (1 + exp(-rate * (t - offset)))`.
    Logistic(Vec<Stretch>),
    /// A constant.
    Flat(f64),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    from: f64,
    rate: f64,
    offset: f64,
}

impl Stretch {
    pub(super) fn rate_and_offset(&self) -> (f64, f64) {
        (self.rate, self.offset)
    }
}

/// The stretch of the last time: the next time is mostly in it.
#[derive(Debug, Default)]
pub(super) struct Hint(usize);

impl Trend {
    pub(super) fn new(model: &ProphetModel) -> Self {
        match model.growth() {
            Growth::Linear => Self::Linear(linear(model)),
            Growth::Logistic => Self::Logistic(logistic(model)),
            Growth::Flat => Self::Flat(model.m),
        }
    }

    /// The scaled trend at scaled time `t`, with the scaled capacity `cap` there (logistic growth only).
    pub(super) fn at(&self, t: f64, cap: f64, hint: &mut Hint) -> f64 {
        match self {
            Self::Linear(stretches) => {
                let stretch = find(stretches, t, hint);
                stretch.rate * t + stretch.offset
            }
            Self::Logistic(stretches) => {
                let stretch = find(stretches, t, hint);
                cap / (1.0 + (-stretch.rate * (t - stretch.offset)).exp())
            }
            Self::Flat(level) => *level,
        }
    }

    /// Whether every rate and offset is a finite number.
    pub(super) fn is_finite(&self) -> bool {
        match self {
            Self::Linear(stretches) | Self::Logistic(stretches) => stretches
                .iter()
                .all(|stretch| stretch.rate.is_finite() && stretch.offset.is_finite()),
            Self::Flat(level) => level.is_finite(),
        }
    }

    /// Heap bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Linear(stretches) | Self::Logistic(stretches) => {
                stretches.capacity() * size_of::<Stretch>()
            }
            Self::Flat(_) => 0,
        }
    }
}

/// The last stretch that has begun at `t`.
fn find<'a>(stretches: &'a [Stretch], t: f64, hint: &mut Hint) -> &'a Stretch {
    let begun = |place: usize| {
        stretches
            .get(place)
            .is_some_and(|stretch| t >= stretch.from)
    };
    if !begun(hint.0) || begun(hint.0 + 1) {
        let count = stretches.partition_point(|stretch| t >= stretch.from);
        hint.0 = count.saturating_sub(1);
    }
    &stretches[hint.0]
}

/// Behind changepoint `s` the rate has grown by `delta`, the offset fallen by `s delta`.
fn linear(model: &ProphetModel) -> Vec<Stretch> {
    let mut stretch = first(model);
    let mut stretches = vec![stretch];
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

/// Behind changepoint `s` the offset moves so that the curve stays in one piece:
/// `rate (s - offset) = rate' (s - offset')`.
fn logistic(model: &ProphetModel) -> Vec<Stretch> {
    let mut stretch = first(model);
    let mut stretches = vec![stretch];
    for (from, delta) in model.changepoints_t.iter().zip(&model.delta) {
        let rate = stretch.rate + delta;
        stretch = Stretch {
            from: *from,
            rate,
            offset: stretch.offset + (from - stretch.offset) * (1.0 - stretch.rate / rate),
        };
        stretches.push(stretch);
    }
    stretches
}

fn first(model: &ProphetModel) -> Stretch {
    Stretch {
        from: f64::NEG_INFINITY,
        rate: model.k,
        offset: model.m,
    }
}
