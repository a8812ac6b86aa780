//! What is fitted, in Prophet's scaled units, and the curve of given parameters.

use super::{
    gram::{Changepoint, Gram},
    panels::{BLOCK, Lane, Panels},
};
use crate::spec::Growth;

/// Scale of each column's coefficient and how it joins the trend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column {
    /// Standard deviation of the prior.
    pub(crate) prior_scale: f64,
    /// A factor on the trend, or added to it.
    pub(crate) multiplicative: bool,
}

/// A problem: rows in the order of their times, changepoints ascending.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    growth: Growth,
    /// Scaled times ascending, scaled values; with logistic growth scaled caps.
    series: Panels,
    features: Panels,
    columns: Vec<Column>,
    changepoints: Vec<Changepoint>,
    /// Scale of the prior on changes of the rate.
    tau: f64,
}

/// The curve's parameters. The trend's predictor is `rate t + level + sum delta_j (t - s_j)+`: the trend itself with
/// linear growth; with logistic growth the trend is `cap / (1 + exp(-predictor))`, which is Prophet's, for Prophet's
/// offsets make the predictor continuous at every changepoint; there `level = -k m`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) rate: f64,
    pub(crate) level: f64,
    pub(crate) delta: Vec<f64>,
    pub(crate) beta: Vec<f64>,
}

impl Problem {
    /// `t` ascending, `changepoints` in any order, `cap` empty unless growth is logistic.
    pub(crate) fn new(
        growth: Growth,
        (t, y, cap): (&[f64], &[f64], &[f64]),
        features: Panels,
        columns: Vec<Column>,
        changepoints: &[f64],
        tau: f64,
    ) -> Self {
        let rows = t.len();
        let series = match growth {
            Growth::Logistic => Panels::from_columns(rows, &[t, y, cap]),
            Growth::Linear | Growth::Flat => Panels::from_columns(rows, &[t, y]),
        };
        let mut changepoints: Vec<Changepoint> = changepoints
            .iter()
            .map(|&s| Changepoint {
                t: s,
                row: t.partition_point(|&t| t < s),
            })
            .collect();
        changepoints.sort_by(|a, b| a.t.total_cmp(&b.t));
        Self {
            growth,
            series,
            features,
            columns,
            changepoints,
            tau,
        }
    }

    pub(crate) fn growth(&self) -> Growth {
        self.growth
    }

    pub(crate) fn rows(&self) -> usize {
        self.series.rows()
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn changepoints(&self) -> &[Changepoint] {
        &self.changepoints
    }

    pub(crate) fn tau(&self) -> f64 {
        self.tau
    }

    /// Scaled time, value and cap (1 unless growth is logistic) of a row.
    pub(crate) fn row(&self, i: usize) -> (f64, f64, f64) {
        let lanes = self.series.block(i / BLOCK);
        let cap = lanes.get(2).map_or(1.0, |lane| lane[i % BLOCK]);
        (lanes[0][i % BLOCK], lanes[1][i % BLOCK], cap)
    }

    /// Whether the curve is linear in its parameters, so that one pass over the rows is enough.
    pub(crate) fn is_linear(&self) -> bool {
        self.growth != Growth::Logistic && !self.has_multiplicative()
    }

    pub(crate) fn has_multiplicative(&self) -> bool {
        self.columns.iter().any(|column| column.multiplicative)
    }

    /// The same with other priors and modes of its columns.
    pub(crate) fn with_columns(&self, columns: Vec<Column>) -> Self {
        Self {
            columns,
            ..self.clone()
        }
    }

    /// The same with all features added to the trend.
    pub(crate) fn additive(&self) -> Self {
        let added = |column: &Column| Column {
            multiplicative: false,
            ..*column
        };
        self.with_columns(self.columns.iter().map(added).collect())
    }

    /// Trend columns ahead of the features: rate and level, or level alone.
    pub(crate) fn base(&self) -> usize {
        if self.growth == Growth::Flat { 1 } else { 2 }
    }

    /// The changepoints that the curve can bend at.
    pub(crate) fn bends(&self) -> &[Changepoint] {
        if self.growth == Growth::Flat {
            &[]
        } else {
            &self.changepoints
        }
    }

    /// The sum of squared residuals of `parameters`, row by row.
    pub(crate) fn residual_squares(&self, parameters: &Parameters) -> f64 {
        let curve = Curve::new(self, parameters);
        let mut sums = [0.0; 4];
        for b in 0..self.series.blocks() {
            let at = curve.block(b);
            let (residuals, _) = at.residual[..].as_chunks::<4>();
            for residuals in residuals {
                for (sum, residual) in sums.iter_mut().zip(residuals) {
                    *sum += residual * residual;
                }
            }
        }
        (sums[0] + sums[2]) + (sums[1] + sums[3])
    }

    /// The regression that is the problem to first order around `parameters`; itself, where it is linear.
    pub(crate) fn linearised(&self, parameters: &Parameters) -> Gram {
        let curve = Curve::new(self, parameters);
        let base = self.base();
        let smooth = base + self.columns.len();
        Gram::new(self.series.blocks(), smooth, self.bends(), |b, lanes| {
            let series = self.series.block(b);
            let features = self.features.block(b);
            let rows = self.series.rows_of(b);
            if self.is_linear() {
                lanes[base - 1] = [0.0; BLOCK];
                lanes[base - 1][..rows].fill(1.0);
                if base == 2 {
                    lanes[0] = series[0];
                }
                lanes[base..smooth].copy_from_slice(features);
                lanes[smooth] = series[1];
                return;
            }
            let at = curve.block(b);
            if base == 2 {
                lanes[0] = times(&at.slope, &series[0]);
            }
            lanes[base - 1] = at.slope;
            for (lane, (feature, column)) in lanes[base..]
                .iter_mut()
                .zip(features.iter().zip(&self.columns))
            {
                *lane = if column.multiplicative {
                    times(feature, &at.trend)
                } else {
                    *feature
                };
            }
            // The residual, and what the columns give at these parameters.
            for (i, target) in lanes[smooth].iter_mut().enumerate() {
                *target = at.residual[i] + at.slope[i] * at.predictor[i] + at.seasonal[i];
            }
        })
    }
}

fn times(a: &Lane, b: &Lane) -> Lane {
    let mut product = [0.0; BLOCK];
    for (product, (a, b)) in product.iter_mut().zip(a.iter().zip(b)) {
        *product = a * b;
    }
    product
}

/// Adds `weight` times `lane`.
fn add(to: &mut Lane, weight: f64, lane: &Lane) {
    for (to, value) in to.iter_mut().zip(lane) {
        *to += weight * value;
    }
}

/// The curve of some parameters.
struct Curve<'a> {
    problem: &'a Problem,
    parameters: &'a Parameters,
    /// From which row on, and the predictor's rate and level there.
    segments: Vec<(usize, f64, f64)>,
}

/// The curve over a block; everything but the predictor is zero beyond the last row.
struct CurveBlock {
    predictor: Lane,
    trend: Lane,
    /// The curve's derivative in the predictor.
    slope: Lane,
    /// All that the features add to the trend.
    seasonal: Lane,
    residual: Lane,
}

impl<'a> Curve<'a> {
    fn new(problem: &'a Problem, parameters: &'a Parameters) -> Self {
        let mut segments = vec![(0, parameters.rate, parameters.level)];
        let (mut rate, mut level) = (parameters.rate, parameters.level);
        for (changepoint, delta) in problem.bends().iter().zip(&parameters.delta) {
            rate += delta;
            level -= changepoint.t * delta;
            segments.push((changepoint.row, rate, level));
        }
        Self {
            problem,
            parameters,
            segments,
        }
    }

    fn block(&self, b: usize) -> CurveBlock {
        let problem = self.problem;
        let series = problem.series.block(b);
        let rows = problem.series.rows_of(b);
        let mut at = CurveBlock {
            predictor: self.predictor(b, &series[0]),
            trend: [0.0; BLOCK],
            slope: [0.0; BLOCK],
            seasonal: [0.0; BLOCK],
            residual: [0.0; BLOCK],
        };
        at.slope[..rows].fill(1.0);
        match series.get(2) {
            None => at.trend[..rows].copy_from_slice(&at.predictor[..rows]),
            Some(cap) => {
                let lanes = at.trend.iter_mut().zip(&mut at.slope);
                let rows = lanes.zip(at.predictor.iter().zip(cap)).take(rows);
                for ((trend, slope), (predictor, cap)) in rows {
                    let share = 1.0 / (1.0 + (-predictor).exp());
                    *trend = cap * share;
                    *slope = *trend * (1.0 - share);
                }
            }
        }
        let features = problem.features.block(b).iter();
        let weighted = features.zip(problem.columns.iter().zip(&self.parameters.beta));
        let mut factor = [0.0; BLOCK];
        for (feature, (column, beta)) in weighted {
            let to = if column.multiplicative {
                &mut factor
            } else {
                &mut at.seasonal
            };
            add(to, *beta, feature);
        }
        if problem.has_multiplicative() {
            let lanes = at.seasonal.iter_mut().zip(&mut at.slope);
            for ((seasonal, slope), (trend, factor)) in lanes.zip(at.trend.iter().zip(&factor)) {
                *seasonal += trend * factor;
                *slope *= 1.0 + factor;
            }
        }
        let parts = at.trend.iter().zip(&at.seasonal);
        for (residual, (y, (trend, seasonal))) in
            at.residual.iter_mut().zip(series[1].iter().zip(parts))
        {
            *residual = y - trend - seasonal;
        }
        at
    }

    fn predictor(&self, b: usize, t: &Lane) -> Lane {
        let mut predictor = [0.0; BLOCK];
        let start = b * BLOCK;
        let first = self.segments.partition_point(|segment| segment.0 <= start) - 1;
        for (j, (row, rate, level)) in self.segments.iter().enumerate().skip(first) {
            if *row >= start + BLOCK {
                break;
            }
            let from = row.saturating_sub(start);
            let end = self.segments.get(j + 1).map_or(usize::MAX, |next| next.0);
            let to = (end - start).min(BLOCK);
            for (value, t) in predictor[from..to].iter_mut().zip(&t[from..to]) {
                *value = rate * t + level;
            }
        }
        predictor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows over three blocks, two additive and two multiplicative columns, changepoints within and between blocks.
    fn problem(growth: Growth, multiplicative: bool) -> Problem {
        let t: Vec<f64> = (0..150).map(|i| f64::from(i) / 149.0).collect();
        let y: Vec<f64> = t.iter().map(|t| 0.5 + 0.3 * (9.0 * t).sin()).collect();
        let cap: Vec<f64> = t.iter().map(|t| 1.5 + t).collect();
        let mut features = Panels::new(t.len(), 4);
        let mut columns = Vec::new();
        for c in 0..4 {
            let rate = 5.0 + 7.0 * c as f64;
            let column: Vec<f64> = t.iter().map(|t| (rate * t).cos()).collect();
            features.set_column(c, &column);
            columns.push(Column {
                prior_scale: 1.0,
                multiplicative: multiplicative && c % 2 == 0,
            });
        }
        let changepoints = [t[64], 0.77, 0.2];
        Problem::new(
            growth,
            (&t, &y, &cap),
            features,
            columns,
            &changepoints,
            0.05,
        )
    }

    fn parameters(problem: &Problem, at: &[f64]) -> Parameters {
        let flat = problem.base() == 1;
        Parameters {
            rate: if flat { 0.0 } else { at[0] },
            level: if flat { at[0] } else { at[1] },
            beta: at[problem.base()..problem.base() + 4].to_vec(),
            delta: if flat { vec![0.0; 3] } else { at[6..].to_vec() },
        }
    }

    #[test]
    fn the_linearised_problem_has_the_gradient_of_the_residuals() {
        for growth in [Growth::Linear, Growth::Flat, Growth::Logistic] {
            for multiplicative in [false, true] {
                let problem = problem(growth, multiplicative);
                let at = [0.7, -0.4, 0.11, -0.23, 0.31, 0.17, 0.9, -1.3, 0.4];
                let count = if growth == Growth::Flat { 5 } else { 9 };
                let at = &at[..count];
                let here = parameters(&problem, at);
                let gram = problem.linearised(&here);
                for i in 0..count {
                    let row = &gram.products[i * count..(i + 1) * count];
                    let fitted: f64 = row.iter().zip(at).map(|(p, w)| p * w).sum();
                    let gradient = 2.0 * (fitted - gram.cross[i]);
                    let step = 1e-6;
                    let moved = |by: f64| {
                        let mut to = at.to_vec();
                        to[i] += by;
                        problem.residual_squares(&parameters(&problem, &to))
                    };
                    let difference = (moved(step) - moved(-step)) / (2.0 * step);
                    assert!(
                        (gradient - difference).abs() <= 1e-7 * (1.0 + difference.abs()),
                        "{growth:?} {multiplicative} {i}: {gradient} {difference}"
                    );
                }
                let squares = gram.residual_squares(at);
                let want = problem.residual_squares(&here);
                assert!(
                    (squares - want).abs() <= 1e-12 * gram.squares,
                    "{squares} {want}"
                );
            }
        }
    }
}
