//! Bands in closed form: how far the quantiles of a forecast lie from its point.
//!
//! Prophet's future for a linear trend: after the last row the rate changes at the times of a Poisson process, as often
//! as the history's changepoints (their number per unit of scaled time), each time by a Laplace jump whose scale is the
//! mean |delta| of the history; and each observation has normal noise. At scaled time h after the last row the sum over
//! the jumps of `jump * (time left)` plus the noise is `jump h |factor|` times a standard deviate Z with two parameters:
//! `n = rate h`, the mean number of jumps, and `r = sigma / (jump h |factor|)`, the noise; factor is what multiplies the
//! trend. Its quantiles come from whichever of three ways is exact where the point lies, to 1e-4 of
//! the distance (of a quarter of the standard deviation near the median; 5e-3 where the noise is below a hundredth of the
//! jumps; see the tests):
//!
//! - `series`: the Cornish-Fisher expansion where Z is nearly normal (small h, or many jumps);
//! - `table`: one table for every model, level and horizon, built once per process at its first use ([`prepare`]);
//! - `jumps`: a mixture over the number of jumps where they are few and the noise tiny beside them.
//!
//! A flat trend and points inside the history have the noise alone. Horizons are true time, not rows: Python's
//! vectorised sampler counts rows, and gives a far point that is asked alone a band far too narrow.
//!
//! Every value depends on its own lead, factor and level alone, and no level needs preparing. Levels nearer to an end
//! than 5.4e-6 get an upper bound of their distance.

mod inversion;
mod jumps;
mod normal;
mod sampled;
mod series;
mod table;

pub(crate) use self::sampled::{Logistic, Point};
pub use self::sampled::{MAX_BENDS, PATHS};
use self::table::{C_MIN, Row, Stencil, Z_MAX};
use crate::error::{Error, Result};

/// A quantile level, strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    probability: f64,
    /// Of the nearer end.
    tail: f64,
    /// The normal quantile of `1 - tail`.
    z: f64,
}

impl Level {
    /// A level.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the level when it is not strictly between 0 and 1.
    pub fn new(probability: f64) -> Result<Self> {
        if !(probability > 0.0 && probability < 1.0) {
            return Err(Error::invalid(
                "levels",
                format!(
                    "{probability} is not strictly between 0 and 1; give levels such as 0.1,0.9"
                ),
            ));
        }
        let tail = if probability <= 0.5 {
            probability
        } else {
            // 1 - 0.9 is a little less than 0.1; mirrored levels shall have mirrored quantiles to the bit.
            let tail = 1.0 - probability;
            if tail > 1e-9 {
                (tail * 1e15).round() / 1e15
            } else {
                tail
            }
        };
        Ok(Self {
            probability,
            tail,
            z: normal::inverse_tail(tail),
        })
    }

    /// Whether its quantile lies as far on the other side of the median.
    pub(crate) fn mirrors(self, other: Self) -> bool {
        self.tail == other.tail && (self.probability < 0.5) != (other.probability < 0.5)
    }

    /// Its normal quantile.
    pub(crate) fn signed_z(self) -> f64 {
        if self.probability < 0.5 {
            -self.z
        } else {
            self.z
        }
    }

    /// Between 0 and 1.
    pub fn probability(self) -> f64 {
        self.probability
    }
}

/// How uncertain a model with a linear or flat trend is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    rate: f64,
    jump: f64,
    sigma: f64,
}

impl Band {
    /// `rate` changes of the trend's rate per unit of scaled time, each Laplace with scale `jump` (value per scaled
    /// time), and noise `sigma` (value), all finite and not negative.
    pub fn new(rate: f64, jump: f64, sigma: f64) -> Self {
        Self { rate, jump, sigma }
    }

    /// Noise alone: a flat trend.
    pub fn noise(sigma: f64) -> Self {
        Self::new(0.0, 0.0, sigma)
    }

    /// Whether no point is counted jump by jump, up to a doubling of the trend by its factor.
    pub(crate) fn is_quick(&self) -> bool {
        self.rate * self.sigma >= 2.0 * jumps::C_MAX * self.jump
    }

    /// The quantile at `level`, point by point.
    pub fn deviations(&self, level: Level) -> Deviations {
        Deviations {
            band: *self,
            level,
            factor: f64::NAN,
            c: f64::NAN,
            ln_m_of_n: f64::NAN,
            row: Row::new(Stencil::of_z(level.z), Stencil::of_c(0.0)),
        }
    }
}

/// One quantile of a model's forecasts. What it keeps between points is a cache and changes no value.
#[derive(Debug, Clone)]
pub struct Deviations {
    band: Band,
    level: Level,
    /// The last point's; with it `c = n r` and `ln m - ln n`, which no lead changes.
    factor: f64,
    c: f64,
    ln_m_of_n: f64,
    row: Row,
}

impl Deviations {
    /// How far above (below, if negative) the point forecast the quantile lies, at scaled time `lead` after the
    /// history's last row, where the trend is multiplied by `factor`.
    pub fn at(&mut self, lead: f64, factor: f64) -> f64 {
        let distance = self.distance(lead, factor.abs());
        if self.level.probability < 0.5 {
            -distance
        } else {
            distance
        }
    }

    fn distance(&mut self, lead: f64, factor: f64) -> f64 {
        let Band { rate, jump, sigma } = self.band;
        let scale = jump * lead * factor;
        if self.level.z == 0.0 || lead <= 0.0 || rate <= 0.0 || scale <= 0.0 {
            return self.level.z * sigma;
        }
        let (n, r) = (rate * lead, sigma / scale);
        let z = self.level.z.min(Z_MAX);
        // Beyond the table: distances grow at most as the logarithm of the tail, as z squared.
        let beyond = (self.level.z / Z_MAX).max(1.0);
        let ratio = if series::error(n, r) <= series::ALLOWED {
            series::ratio(n, r, z)
        } else {
            self.turn_to(factor);
            if jumps::owns(n, r) {
                let tail = self.level.tail.max(normal::tail(Z_MAX));
                return beyond.powi(2) * scale * jumps::quantile(n, r, normal::central(z), tail);
            }
            self.row.ratio(n.ln() + self.ln_m_of_n)
        };
        let sd = (2.0 / 3.0 * n * scale * scale + sigma * sigma).sqrt();
        ratio * beyond * self.level.z * sd
    }

    fn turn_to(&mut self, factor: f64) {
        if factor != self.factor {
            let Band { rate, jump, sigma } = self.band;
            self.factor = factor;
            self.c = rate * sigma / (jump * factor);
            let ln_c = self.c.max(C_MIN).ln();
            self.ln_m_of_n = -2.0 / 3.0 * ln_c;
            self.row.turn_to(Stencil::of_c(ln_c));
        }
    }
}

/// Builds now what the first question would wait for: some tens of milliseconds, once per process.
pub fn prepare() {
    table::table();
}

#[cfg(test)]
mod tests;
