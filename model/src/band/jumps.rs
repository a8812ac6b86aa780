//! Quantiles where there are few jumps and little noise: the deviate counted jump by jump.
//!
//! With no jump Z is the noise alone, an atom that a narrow noise hardly blurs; a table over the level would have a kink
//! at its edge. So the distributions given 1, 2, ... jumps are tabulated, weighed with the Poisson probabilities, and the
//! noise alone is added exactly. Models come here whose noise is tiny beside the bends of their trend.

use std::{array, f64::consts::PI, sync::LazyLock};

use super::{inversion::upper_bound, normal, table::Stencil};

/// Above this mean number of jumps the atom, e^-n, is too small to matter.
const N_MAX: f64 = 10.0;

/// Below this `c = n r` the atom is too narrow for the table.
pub(super) const C_MAX: f64 = 0.8;

/// Whether a deviate that is not nearly normal is counted here.
pub(super) fn owns(n: f64, r: f64) -> bool {
    n < N_MAX && n * r < C_MAX
}

/// From here on the Poisson tail, below 1e-6 at [`N_MAX`], counts as this many jumps.
const MOST_JUMPS: usize = 30;
/// Noise below this blurs the jumps as this does; the noise alone stays exact.
const R_MIN: f64 = 0.01;
const LN_R_MIN: f64 = -4.605_170_185_988_091;
const R_STEP: f64 = 0.18;
const R_NODES: usize = 43;
/// A position s means `x = s sqrt(r^2 + (BEND s)^2)`: fine where the noise blurs, even where jumps decay, odd and smooth.
const BEND: f64 = 0.06;
const S_STEP: f64 = 0.16;
const S_NODES: usize = 162;
/// Half the period of the inversion, but for the noise: what lies beyond is below 1e-9, whatever the number of jumps.
const REACH: f64 = 40.0;
/// Where the noise's characteristic function is small enough.
const LAST_NOISE: f64 = 6.0;

static JUMPS: LazyLock<Jumps> = LazyLock::new(Jumps::build);

/// `P(0 < Z < x | j jumps)` by r, then position, then j - 1.
struct Jumps {
    given: Vec<[f64; MOST_JUMPS]>,
}

/// The x of a position, at noise `r`.
fn x_of(position: f64, r: f64) -> f64 {
    position * r.hypot(BEND * position)
}

/// And back.
fn position_of(x: f64, r: f64) -> f64 {
    x * (2.0 / (r * r + (r * r).hypot(2.0 * BEND * x))).sqrt()
}

impl Jumps {
    fn build() -> Self {
        let r_of = |i: usize| (LN_R_MIN + R_STEP * (i as f64 - Stencil::BEFORE as f64)).exp();
        let given = (0..R_NODES).flat_map(|i| Self::at_noise(r_of(i)));
        Self {
            given: given.collect(),
        }
    }

    /// The distributions at every x, by the midpoint rule of [`super::inversion`]: one jump has the characteristic
    /// function atan(u)/u.
    fn at_noise(r: f64) -> Vec<[f64; MOST_JUMPS]> {
        let step = PI / (REACH + LAST_NOISE * r);
        let terms: Vec<(f64, f64)> = (0_u32..)
            .map(|k| (f64::from(k) + 0.5, (f64::from(k) + 0.5) * step))
            .take_while(|(_, u)| r * u < LAST_NOISE)
            .map(|(k, u)| (u.atan() / u, (-0.5 * (r * u).powi(2)).exp() / (k * PI)))
            .collect();
        let at = |x: f64| {
            let (mut sin, mut cos) = (0.5 * step * x).sin_cos();
            let (turn_sin, turn_cos) = (step * x).sin_cos();
            let mut sums = [0.0; MOST_JUMPS];
            for (jump, weight) in &terms {
                let mut term = weight * sin;
                for sum in &mut sums {
                    term *= jump;
                    *sum += term;
                }
                (sin, cos) = (
                    sin * turn_cos + cos * turn_sin,
                    cos * turn_cos - sin * turn_sin,
                );
            }
            sums
        };
        let position = |node: usize| S_STEP * (node as f64 - Stencil::BEFORE as f64);
        (0..S_NODES)
            .map(|node| at(x_of(position(node), r)))
            .collect()
    }
}

/// The `x >= 0` with probability `central` between 0 and it, for up to [`N_MAX`] jumps in the mean.
pub(super) fn quantile(n: f64, r: f64, central: f64, tail: f64) -> f64 {
    let mixture = Mixture::new(n, r);
    let (mut low, mut high) = (0.0, upper_bound(n, r, tail).min(mixture.reach()));
    // Illinois: regula falsi that halves the weight of an end which stays.
    let (mut below, mut above) = (-central, mixture.central(high) - central);
    if above <= 0.0 {
        return high;
    }
    let mut last_moved = 0;
    for _ in 0..100 {
        if high - low <= 1e-10 * high {
            break;
        }
        let x = (low * above - high * below) / (above - below);
        let x = if x > low && x < high {
            x
        } else {
            0.5 * (low + high)
        };
        let error = mixture.central(x) - central;
        if error.abs() <= 1e-15 {
            return x;
        }
        if error < 0.0 {
            (low, below) = (x, error);
            if last_moved == -1 {
                above *= 0.5;
            }
            last_moved = -1;
        } else {
            (high, above) = (x, error);
            if last_moved == 1 {
                below *= 0.5;
            }
            last_moved = 1;
        }
    }
    0.5 * (low + high)
}

/// The deviate with `n` jumps in the mean and noise `r`.
struct Mixture {
    r: f64,
    no_jump: f64,
    /// What blurs the jumps.
    blur: f64,
    /// `P(0 < Z < x and at least one jump)` at the nodes.
    jumps: [f64; S_NODES],
}

impl Mixture {
    fn new(n: f64, r: f64) -> Self {
        let blur = r.max(R_MIN);
        let stencil = Stencil::at((blur.ln() - LN_R_MIN) / R_STEP, R_NODES);
        let no_jump = (-n).exp();
        let mut probability = no_jump;
        let mut rest = -(-n).exp_m1();
        let weights: [f64; MOST_JUMPS] = array::from_fn(|i| {
            if i + 1 == MOST_JUMPS {
                return rest.max(0.0);
            }
            probability *= n / (i + 1) as f64;
            rest -= probability;
            probability
        });
        let jumps = array::from_fn(|position| {
            let of_r = stencil.nodes().map(|(node, weight)| {
                let given = &JUMPS.given[node * S_NODES + position];
                let mixed: f64 = weights.iter().zip(given).map(|(w, g)| w * g).sum();
                weight * mixed
            });
            of_r.sum()
        });
        Self {
            r: r.max(f64::MIN_POSITIVE),
            blur,
            no_jump,
            jumps,
        }
    }

    /// The largest x of the table.
    fn reach(&self) -> f64 {
        x_of(S_STEP * (S_NODES - Stencil::NODES) as f64, self.blur)
    }

    fn central(&self, x: f64) -> f64 {
        let position = position_of(x, self.blur);
        let jumps = Stencil::at(position / S_STEP, S_NODES).dot(&self.jumps);
        self.no_jump * normal::central(x / self.r) + jumps
    }
}
