//! Bands of a logistic trend, which has no closed form: [`PATHS`] sampled futures, drawn as Prophet draws them.
//!
//! Path i is stream i of a ChaCha generator whose seed is the model's: bends after the last row at exponential gaps,
//! each changing the rate by a Laplace jump, the offset moved so that the curve stays in one piece. A point's value
//! rests on its own time, capacity and factor and on the model; not on what else is asked, nor on when. The noise is
//! the paths' share of a stratified normal sample. Quantiles are those of the paths, interpolated (type 7 of Hyndman
//! and Fan 1996): beyond a level of `1 / PATHS` from an end they are the outermost path's.

use std::sync::LazyLock;

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng as _, SeedableRng as _},
};

use super::{Level, normal};
use crate::error::{Error, Result};

/// How many futures are sampled: twice Prophet's 1,000.
pub const PATHS: u32 = 2_000;

/// The most bends that a path may have in the mean: what bounds the time of an answer (a far point of a short history).
pub const MAX_BENDS: f64 = 2_000.0;

/// The noise of each path, in standard deviations: normal quantiles at multiples of the golden ratio, modulo 1.
static NOISE: LazyLock<Vec<f64>> = LazyLock::new(|| {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let shares = (0..PATHS).map(|i| (f64::from(i) + 0.5) * GOLDEN % 1.0);
    shares
        .map(|share| {
            let z = normal::inverse_tail(share.min(1.0 - share));
            if share < 0.5 { -z } else { z }
        })
        .collect()
});

/// A logistic trend at the end of its history, in scaled units, and what bends and blurs it from there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Logistic {
    /// Of the model, and nothing else.
    pub(crate) seed: [u8; 32],
    /// Of the last stretch: `cap / (1 + exp(-rate (t - offset)))`.
    pub(crate) rate: f64,
    /// Of the last stretch.
    pub(crate) offset: f64,
    /// Bends per unit of scaled time.
    pub(crate) bends: f64,
    /// The scale of a bend's Laplace jump.
    pub(crate) jump: f64,
    /// Standard deviation of the noise.
    pub(crate) sigma: f64,
}

/// A point to sample at, in scaled units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Time since the last row.
    pub(crate) lead: f64,
    /// The trend of the point forecast.
    pub(crate) trend: f64,
    /// The capacity.
    pub(crate) cap: f64,
    /// What the trend is multiplied by.
    pub(crate) factor: f64,
}

impl Logistic {
    /// For each level, how far above the point forecast its quantile lies at each point, in scaled units.
    pub(crate) fn deviations(&self, points: &[Point], levels: &[Level]) -> Result<Vec<Vec<f64>>> {
        let farthest = points.iter().map(|point| point.lead).fold(0.0, f64::max);
        if farthest * self.bends > MAX_BENDS {
            return Err(Error::invalid(
                "levels",
                format!(
                    "a point lies {farthest:.0} histories ahead; the band of a logistic trend is sampled, up to {:.0} histories: ask for nearer times or leave levels out",
                    MAX_BENDS / self.bends
                ),
            ));
        }
        let mut in_time: Vec<usize> = (0..points.len()).collect();
        in_time.sort_by(|&a, &b| points[a].lead.total_cmp(&points[b].lead));
        let mut deviations = vec![vec![0.0; points.len()]; levels.len()];
        let mut paths: Vec<Path> = Vec::new();
        let mut sample = Vec::with_capacity(NOISE.len());
        for i in in_time {
            let point = &points[i];
            if point.lead <= 0.0 {
                for (column, level) in deviations.iter_mut().zip(levels) {
                    column[i] = level.signed_z() * self.sigma;
                }
                continue;
            }
            if paths.is_empty() {
                paths.extend((0..PATHS).map(|i| Path::new(self, u64::from(i))));
            }
            sample.clear();
            sample.extend(paths.iter_mut().zip(NOISE.iter()).map(|(path, noise)| {
                path.advance(self, point.lead);
                let trend = path.at(1.0 + point.lead, point.cap);
                (trend - point.trend) * point.factor + noise * self.sigma
            }));
            sample.sort_unstable_by(f64::total_cmp);
            for (column, level) in deviations.iter_mut().zip(levels) {
                column[i] = quantile(&sample, level.probability());
            }
        }
        Ok(deviations)
    }
}

/// One sampled future, as far as it has been drawn.
struct Path {
    rng: ChaCha8Rng,
    rate: f64,
    offset: f64,
    /// When it bends next, in time since the last row.
    next: f64,
}

impl Path {
    fn new(trend: &Logistic, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::from_seed(trend.seed);
        rng.set_stream(stream);
        let mut path = Self {
            rng,
            rate: trend.rate,
            offset: trend.offset,
            next: 0.0,
        };
        path.next = path.gap(trend);
        path
    }

    fn advance(&mut self, trend: &Logistic, lead: f64) {
        while self.next < lead {
            let at = 1.0 + self.next;
            let share = self.uniform() - 0.5;
            let jump = -trend.jump * (1.0 - 2.0 * share.abs()).ln() * share.signum();
            let rate = self.rate + jump;
            // A rate of exactly zero has no offset; it has no probability either.
            if rate != 0.0 {
                self.offset += (at - self.offset) * (1.0 - self.rate / rate);
                self.rate = rate;
            }
            self.next += self.gap(trend);
        }
    }

    fn at(&self, t: f64, cap: f64) -> f64 {
        cap / (1.0 + (-self.rate * (t - self.offset)).exp())
    }

    fn gap(&mut self, trend: &Logistic) -> f64 {
        -self.uniform().ln() / trend.bends
    }

    /// In (0, 1).
    fn uniform(&mut self) -> f64 {
        ((self.rng.next_u64() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }
}

fn quantile(sorted: &[f64], level: f64) -> f64 {
    let place = level * (sorted.len() - 1) as f64;
    // Between 0 and the last place.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let below = place as usize;
    let low = sorted[below];
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + (place - below as f64) * (high - low)
}
