//! The optimizer as augurs-prophet takes one.

use augurs_prophet::{
    PositiveFloat, TrendIndicator,
    optimizer::{Data, Error, InitialParams, OptimizeOpts, OptimizedParams, Optimizer},
};

use super::{
    Solution,
    panels::Panels,
    problem::{Column, Problem},
    solve,
};
use crate::spec::Growth;

/// [`Optimizer`] for augurs-prophet: exact, deterministic, and without Stan.
///
/// Initial parameters and options are not needed and not used: the maximum does not depend on them. Columns are put in
/// an order of their own content before any arithmetic, so that the same data gives the same bits in every process,
/// however augurs' hash maps fall out.
#[derive(Debug, Clone, Copy, Default)]
pub struct MapOptimizer;

impl MapOptimizer {
    /// Solves the problem that `data` describes.
    ///
    /// # Errors
    /// A message naming what is not supported (logistic trend, multiplicative features) or malformed.
    pub fn solve(&self, data: &Data) -> Result<Solution, String> {
        let width = data.sigmas.len();
        let rows = data.t.len();
        if rows == 0 || data.y.len() != rows || data.X.len() != rows * width {
            return Err("rows, values and features do not match".to_owned());
        }
        if data.s_m.len() != width {
            return Err("features and their modes do not match".to_owned());
        }
        let growth = match data.trend_indicator {
            TrendIndicator::Linear => Growth::Linear,
            TrendIndicator::Logistic => Growth::Logistic,
            TrendIndicator::Flat => Growth::Flat,
        };
        if growth == Growth::Logistic && data.cap.len() != rows {
            return Err("rows and caps do not match".to_owned());
        }
        let order = content_order(&data.X, width, &data.sigmas);
        let mut by_time: Vec<usize> = (0..rows).collect();
        by_time.sort_by(|&a, &b| data.t[a].total_cmp(&data.t[b]));
        let sorted = |values: &[f64]| -> Vec<f64> {
            by_time
                .iter()
                .filter_map(|&i| values.get(i).copied())
                .collect()
        };
        let mut features = Panels::new(rows, width);
        for (place, &c) in order.iter().enumerate() {
            let column: Vec<f64> = by_time.iter().map(|&i| data.X[i * width + c]).collect();
            features.set_column(place, &column);
        }
        let columns = order
            .iter()
            .map(|&c| Column {
                prior_scale: *data.sigmas[c],
                multiplicative: data.s_m[c] != 0,
            })
            .collect();
        let mut changepoints: Vec<usize> = (0..data.t_change.len()).collect();
        changepoints.sort_by(|&a, &b| data.t_change[a].total_cmp(&data.t_change[b]));
        let mut solution = solve(&Problem::new(
            growth,
            (&sorted(&data.t), &sorted(&data.y), &sorted(&data.cap)),
            features,
            columns,
            &data.t_change,
            *data.tau,
        ));
        solution.beta = scatter(&solution.beta, &order);
        solution.delta = scatter(&solution.delta, &changepoints);
        Ok(solution)
    }
}

/// `to[order[i]] = from[i]`.
pub(crate) fn scatter(from: &[f64], order: &[usize]) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    for (value, &place) in from.iter().zip(order) {
        to[place] = *value;
    }
    to
}

/// The columns of row-major `x`, ordered by their values and then by their prior.
fn content_order(x: &[f64], width: usize, sigmas: &[PositiveFloat]) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..width).collect();
    columns.sort_by(|&a, &b| {
        x.chunks_exact(width.max(1))
            .map(|row| row[a].total_cmp(&row[b]))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| sigmas[a].total_cmp(&sigmas[b]))
    });
    columns
}

impl Optimizer for MapOptimizer {
    fn optimize(
        &self,
        _init: &InitialParams,
        data: &Data,
        _opts: &OptimizeOpts,
    ) -> Result<OptimizedParams, Error> {
        let solution = self.solve(data).map_err(Error::string)?;
        to_augurs(&solution)
    }
}

/// The solution as augurs wants it.
pub(crate) fn to_augurs(solution: &Solution) -> Result<OptimizedParams, Error> {
    Ok(OptimizedParams {
        k: solution.k,
        m: solution.m,
        sigma_obs: PositiveFloat::try_new(solution.sigma_obs).map_err(Error::custom)?,
        delta: solution.delta.clone(),
        beta: solution.beta.clone(),
        trend: Vec::new(),
    })
}
