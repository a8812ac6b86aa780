//! One table for every model, level and horizon: the quantiles of the standard deviate, from [`super::inversion`].
//!
//! Tabulated is `q / (z sd)`, the ratio to the normal quantile, over three coordinates that make it smooth: z, the normal
//! quantile of the level; `c = n r`, which is a constant of an additive model; and `m = n / c^(2/3)`, which fixes the
//! noise's share of the variance, `1 / (1 + 2 m^3 / 3)`. Interpolated by six-point Lagrange in each.

use std::sync::LazyLock;

use super::{
    inversion::Inversion,
    normal,
    series::{self, variance},
};

/// The largest normal quantile of the table: levels down to 5.4e-6 from an end.
pub(super) const Z_MAX: f64 = 4.4;
/// Below this `c` there are an atom and a kink that the table does not resolve.
pub(super) const C_MIN: f64 = 0.3;

const Z_STEP: f64 = 0.13;
const C_STEP: f64 = 0.35;
const M_STEP: f64 = 0.13;
const Z_NODES: usize = 39;
const C_NODES: usize = 32;
const M_NODES: usize = 79;
/// The coordinates of the first cells.
const LN_C_MIN: f64 = -1.203_972_804_325_936;
const LN_M_MIN: f64 = -2.4;

/// Less noise than this does not show at the `n` where it occurs in the table.
const R_MIN: f64 = 0.02;

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// The table, built at its first use.
pub(super) fn table() -> &'static Table {
    &TABLE
}

#[derive(Debug)]
pub(super) struct Table {
    /// By c, then m, then z.
    ratios: Vec<f64>,
}

/// Where a coordinate lies: the first node of its stencil, and the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stencil {
    first: usize,
    weights: [f64; 6],
}

impl Stencil {
    /// How many nodes it weighs.
    pub(super) const NODES: usize = 6;
    /// How many of them lie before its cell.
    pub(super) const BEFORE: usize = 2;

    pub(super) fn of_z(z: f64) -> Self {
        Self::at(z.min(Z_MAX) / Z_STEP, Z_NODES)
    }

    pub(super) fn of_c(ln_c: f64) -> Self {
        Self::at((ln_c - LN_C_MIN) / C_STEP, C_NODES)
    }

    fn of_m(ln_m: f64) -> Self {
        Self::at((ln_m - LN_M_MIN) / M_STEP, M_NODES)
    }

    /// At `position` cells from the first, in a coordinate of `nodes` nodes; clamped to the table.
    pub(super) fn at(position: f64, nodes: usize) -> Self {
        let last = nodes - Self::NODES;
        let position = position.clamp(0.0, (last + 1) as f64);
        // Clamped above, so the cast only drops the fraction.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let first = (position as usize).min(last);
        let t = position - first as f64;
        let (a, b, d, e, f) = (t + 2.0, t + 1.0, t - 1.0, t - 2.0, t - 3.0);
        let weights = [
            b * t * d * e * f / -120.0,
            a * t * d * e * f / 24.0,
            a * b * d * e * f / -12.0,
            a * b * t * e * f / 12.0,
            a * b * t * d * f / -24.0,
            a * b * t * d * e / 120.0,
        ];
        Self { first, weights }
    }

    /// Its nodes and their weights.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (usize, f64)> {
        (self.first..).zip(self.weights)
    }

    /// The interpolated value.
    pub(super) fn dot(&self, values: &[f64]) -> f64 {
        let values = &values[self.first..self.first + Self::NODES];
        self.weights.iter().zip(values).map(|(w, v)| w * v).sum()
    }
}

/// The table at one level and one c, filled along m as points ask.
#[derive(Debug, Clone)]
pub(super) struct Row {
    z: Stencil,
    c: Stencil,
    ratios: [f64; M_NODES],
}

impl Row {
    pub(super) fn new(z: Stencil, c: Stencil) -> Self {
        Self {
            z,
            c,
            ratios: [f64::NAN; M_NODES],
        }
    }

    /// Forgets what belongs to another `c`.
    pub(super) fn turn_to(&mut self, c: Stencil) {
        if self.c != c {
            *self = Self::new(self.z, c);
        }
    }

    /// `q / (z sd)` at `m`.
    pub(super) fn ratio(&mut self, ln_m: f64) -> f64 {
        let m = Stencil::of_m(ln_m);
        for node in m.first..m.first + Stencil::NODES {
            if self.ratios[node].is_nan() {
                self.ratios[node] = table().contract(node, &self.c, &self.z);
            }
        }
        m.dot(&self.ratios)
    }
}

impl Table {
    fn build() -> Self {
        let mut ratios = Vec::with_capacity(C_NODES * M_NODES * Z_NODES);
        let node =
            |first: f64, step: f64, i: usize| first + step * (i as f64 - Stencil::BEFORE as f64);
        for c in (0..C_NODES).map(|i| node(LN_C_MIN, C_STEP, i).exp()) {
            for m in (0..M_NODES).map(|i| node(LN_M_MIN, M_STEP, i).exp()) {
                let n = m * c.powf(2.0 / 3.0);
                ratios.extend(ratios_at(n, (c / n).max(R_MIN)));
            }
        }
        Self { ratios }
    }

    fn contract(&self, m: usize, c: &Stencil, z: &Stencil) -> f64 {
        c.nodes()
            .map(|(node, weight)| {
                let start = (node * M_NODES + m) * Z_NODES;
                weight * z.dot(&self.ratios[start..start + Z_NODES])
            })
            .sum()
    }
}

/// `q / (z sd)` at every z node.
fn ratios_at(n: f64, r: f64) -> [f64; Z_NODES] {
    let mut ratios = [0.0; Z_NODES];
    let (positive, mirrored) = (Stencil::BEFORE.., (0..Stencil::BEFORE).rev());
    let z_of = |i: usize| (i - Stencil::BEFORE) as f64 * Z_STEP;
    if series::error(n, r) < 0.1 * series::ALLOWED {
        for i in positive.take(Z_NODES - Stencil::BEFORE) {
            ratios[i] = series::ratio(n, r, z_of(i));
        }
    } else {
        let sd = variance(n, r).sqrt();
        let inversion = Inversion::new(n, r, normal::tail(z_of(Z_NODES)));
        let (_, density) = inversion.central(0.0);
        let mut slope = normal::density(0.0) / density;
        let mut x = 0.0;
        ratios[Stencil::BEFORE] = slope / sd;
        for i in positive.skip(1).take(Z_NODES - Stencil::BEFORE - 1) {
            let next = inversion.quantile(normal::central(z_of(i)), x + slope * Z_STEP);
            slope = (next - x) / Z_STEP;
            x = next;
            ratios[i] = x / (z_of(i) * sd);
        }
    }
    // The ratio is even in z.
    for (i, mirror) in mirrored.zip(Stencil::BEFORE + 1..) {
        ratios[i] = ratios[mirror];
    }
    ratios
}
