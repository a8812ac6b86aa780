//! Sufficient statistics of the regression: one pass over the rows, after which no iteration touches a row.
//!
//! Columns are `[k, m, features..., delta...]` (linear) or `[m, features...]` (flat). The column of `delta_j` is the
//! hinge `(t - s_j)+`; over the rows behind `s_j` it is linear in `t`, so its products come from suffix sums of
//! `x`, `t x` and `1, t, t^2` and cost no width of their own.

/// Gram matrix, cross products and sum of squares.
#[derive(Debug)]
pub(crate) struct Gram {
    /// Ridge-penalised columns: trend level and rate, features.
    pub(crate) smooth: usize,
    /// L1-penalised columns: changes of the rate.
    pub(crate) hinges: usize,
    /// `(smooth + hinges)` square, row-major.
    pub(crate) products: Vec<f64>,
    /// Cross products with `y`.
    pub(crate) cross: Vec<f64>,
    /// Sum of squares of `y`.
    pub(crate) squares: f64,
}

/// The rows: scaled times ascending, scaled values, features row-major, changepoints ascending.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) t: &'a [f64],
    pub(crate) y: &'a [f64],
    pub(crate) features: &'a [f64],
    pub(crate) width: usize,
    pub(crate) changepoints: &'a [f64],
    pub(crate) flat: bool,
}

impl Rows<'_> {
    fn features(&self, i: usize) -> &[f64] {
        &self.features[i * self.width..(i + 1) * self.width]
    }

    /// The sum of squared residuals of the parameters, row by row. `k`, `m` and `delta` as in Prophet.
    pub(crate) fn residual_squares(&self, k: f64, m: f64, beta: &[f64], delta: &[f64]) -> f64 {
        (0..self.t.len())
            .map(|i| {
                let t = self.t[i];
                let bends: f64 = self
                    .changepoints
                    .iter()
                    .zip(delta)
                    .take_while(|(s, _)| t >= **s)
                    .map(|(s, delta)| delta * (t - s))
                    .sum();
                let trend = if self.flat { m } else { k * t + m + bends };
                let seasonal: f64 = self.features(i).iter().zip(beta).map(|(x, b)| x * b).sum();
                (self.y[i] - trend - seasonal).powi(2)
            })
            .sum()
    }
}

impl Gram {
    pub(crate) fn new(rows: Rows<'_>) -> Self {
        let base = if rows.flat { 1 } else { 2 };
        let smooth = base + rows.width;
        let hinges = if rows.flat {
            0
        } else {
            rows.changepoints.len()
        };
        let n = smooth + hinges;
        let mut gram = Self {
            smooth,
            hinges,
            products: vec![0.0; n * n],
            cross: vec![0.0; n],
            squares: rows.y.iter().map(|y| y * y).sum(),
        };
        let mut row = vec![0.0; smooth];
        // Sums over the rows from the end down to the one at hand: of each smooth column x and of y, plain and times t.
        let mut plain = vec![0.0; smooth + 1];
        let mut timed = vec![0.0; smooth + 1];
        let mut squared_time = 0.0;
        let mut open = hinges;
        for i in (0..rows.t.len()).rev() {
            let (t, y) = (rows.t[i], rows.y[i]);
            while open > 0 && rows.changepoints[open - 1] > t {
                open -= 1;
                gram.hinge(&rows, open, &plain, &timed, squared_time);
            }
            if !rows.flat {
                row[0] = t;
            }
            row[base - 1] = 1.0;
            row[base..].copy_from_slice(rows.features(i));
            for (a, x) in row.iter().enumerate() {
                gram.cross[a] += x * y;
                let products = &mut gram.products[a * n..=a * n + a];
                for (product, other) in products.iter_mut().zip(&row) {
                    *product += x * other;
                }
            }
            for (a, x) in row.iter().chain([&y]).enumerate() {
                plain[a] += x;
                timed[a] += t * x;
            }
            squared_time += t * t;
        }
        while open > 0 {
            open -= 1;
            gram.hinge(&rows, open, &plain, &timed, squared_time);
        }
        for a in 0..n {
            for b in 0..a {
                gram.products[b * n + a] = gram.products[a * n + b];
            }
        }
        gram
    }

    /// Writes the products of hinge `j`, now that the sums are those of the rows behind its changepoint.
    fn hinge(
        &mut self,
        rows: &Rows<'_>,
        j: usize,
        plain: &[f64],
        timed: &[f64],
        squared_time: f64,
    ) {
        let n = self.smooth + self.hinges;
        let s = rows.changepoints[j];
        let at = self.smooth + j;
        for a in 0..self.smooth {
            self.products[at * n + a] = timed[a] - s * plain[a];
        }
        self.cross[at] = timed[self.smooth] - s * plain[self.smooth];
        // Of the columns [t, 1, ...]: the sums of t and of 1 over the rows behind.
        let (sum, count) = (plain[0], plain[1]);
        for (b, other) in rows.changepoints[..=j].iter().enumerate() {
            self.products[at * n + self.smooth + b] =
                squared_time - (s + other) * sum + s * other * count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by the definition: a dense design matrix.
    fn dense(rows: Rows<'_>) -> (Vec<f64>, Vec<f64>) {
        let design: Vec<Vec<f64>> = (0..rows.t.len())
            .map(|i| {
                let t = rows.t[i];
                let mut row = vec![t, 1.0];
                row.extend_from_slice(rows.features(i));
                row.extend(rows.changepoints.iter().map(|s| (t - s).max(0.0)));
                row
            })
            .collect();
        let n = design[0].len();
        let mut products = vec![0.0; n * n];
        let mut cross = vec![0.0; n];
        for (row, y) in design.iter().zip(rows.y) {
            for a in 0..n {
                cross[a] += row[a] * y;
                for b in 0..n {
                    products[a * n + b] += row[a] * row[b];
                }
            }
        }
        (products, cross)
    }

    #[test]
    fn suffix_sums_give_what_the_design_matrix_gives() {
        let t: Vec<f64> = (0..50).map(|i| f64::from(i) / 49.0).collect();
        let y: Vec<f64> = t.iter().map(|t| (9.0 * t).sin()).collect();
        let features: Vec<f64> = t
            .iter()
            .flat_map(|t| [(20.0 * t).sin(), (20.0 * t).cos()])
            .collect();
        let changepoints = [0.0, 0.2, t[20], 0.77, 0.999];
        let rows = Rows {
            t: &t,
            y: &y,
            features: &features,
            width: 2,
            changepoints: &changepoints,
            flat: false,
        };
        let gram = Gram::new(rows);
        let (products, cross) = dense(rows);
        for (have, want) in gram
            .products
            .iter()
            .zip(&products)
            .chain(gram.cross.iter().zip(&cross))
        {
            assert!((have - want).abs() < 1e-12, "{have} {want}");
        }
    }
}
