//! Sufficient statistics of the regression: one pass over the rows, after which no iteration touches a row.
//!
//! Columns are `[w t, w, features..., delta...]`, or `[w, features...]` without changes of the rate; `w` is 1 in a linear
//! model. The column of `delta_j` is the hinge `w (t - s_j)+`: over the rows behind `s_j` it is `w t - s_j w`, so its
//! products are those of the first two columns, summed from the end of the rows to `s_j`, and cost no width of their own.

use super::panels::{BLOCK, Lane};

/// Gram matrix, cross products and sum of squares.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Gram {
    /// Ridge-penalised columns: trend rate and level, features.
    pub(crate) smooth: usize,
    /// L1-penalised columns: changes of the rate.
    pub(crate) hinges: usize,
    /// `(smooth + hinges)` square, row-major.
    pub(crate) products: Vec<f64>,
    /// Cross products with the target.
    pub(crate) cross: Vec<f64>,
    /// Sum of squares of the target.
    pub(crate) squares: f64,
}

/// A change of the rate: the scaled time of it and the first row at or behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Changepoint {
    pub(crate) t: f64,
    pub(crate) row: usize,
}

impl Gram {
    /// Sums over `blocks` blocks of rows, last block first. `fill` writes block `b`: the `smooth` columns and the target,
    /// zero beyond the last row.
    pub(crate) fn new(
        blocks: usize,
        smooth: usize,
        changepoints: &[Changepoint],
        mut fill: impl FnMut(usize, &mut [Lane]),
    ) -> Self {
        let (hinges, side) = (changepoints.len(), smooth + 1);
        let n = smooth + hinges;
        let mut gram = Self {
            smooth,
            hinges,
            products: vec![0.0; n * n],
            cross: vec![0.0; n],
            squares: 0.0,
        };
        // The lower triangle of the products of all filled columns, over the rows from the end to the block at hand.
        let mut sums = vec![0.0; side * side];
        let mut lanes = vec![[0.0; BLOCK]; side];
        let mut behind = vec![(0.0, 0.0); side];
        let mut open = hinges;
        for b in (0..blocks).rev() {
            fill(b, &mut lanes);
            while let Some(j) = open.checked_sub(1)
                && changepoints[j].row >= b * BLOCK
            {
                open = j;
                let from = changepoints[j].row - b * BLOCK;
                if from >= BLOCK {
                    continue;
                }
                for (a, sums_behind) in behind.iter_mut().enumerate() {
                    let whole = (sums[at(side, 0, a)], sums[at(side, 1, a)]);
                    *sums_behind = (
                        whole.0 + dot(&lanes[0][from..], &lanes[a][from..]),
                        whole.1 + dot(&lanes[1][from..], &lanes[a][from..]),
                    );
                }
                gram.hinge(changepoints, j, &behind);
            }
            add_products(&mut sums, &lanes);
        }
        for a in 0..smooth {
            gram.products[a * n..=a * n + a].copy_from_slice(&sums[a * side..=a * side + a]);
        }
        gram.cross[..smooth].copy_from_slice(&sums[smooth * side..smooth * side + smooth]);
        gram.squares = sums[smooth * side + smooth];
        for a in 0..n {
            for b in 0..a {
                gram.products[b * n + a] = gram.products[a * n + b];
            }
        }
        gram
    }

    /// Writes the products of hinge `j`. `behind` are, for each column, its products with the first and the second over
    /// the rows behind the changepoint.
    fn hinge(&mut self, changepoints: &[Changepoint], j: usize, behind: &[(f64, f64)]) {
        let n = self.smooth + self.hinges;
        let s = changepoints[j].t;
        let row = self.smooth + j;
        for (a, (timed, plain)) in behind[..self.smooth].iter().enumerate() {
            self.products[row * n + a] = timed - s * plain;
        }
        let (timed, plain) = behind[self.smooth];
        self.cross[row] = timed - s * plain;
        let ((squared_time, time), (_, weight)) = (behind[0], behind[1]);
        for (b, other) in changepoints[..=j].iter().enumerate() {
            self.products[row * n + self.smooth + b] =
                squared_time - (s + other.t) * time + s * other.t * weight;
        }
    }

    /// The sum of squared residuals at `weights`.
    pub(crate) fn residual_squares(&self, weights: &[f64]) -> f64 {
        let n = weights.len();
        let quadratic: f64 = weights
            .iter()
            .enumerate()
            .filter(|(_, w)| **w != 0.0)
            .map(|(i, w)| {
                w * (dot(&self.products[i * n..(i + 1) * n], weights) - 2.0 * self.cross[i])
            })
            .sum();
        self.squares + quadratic
    }
}

/// Where the product of columns `a` and `b` is in the lower triangle.
fn at(side: usize, a: usize, b: usize) -> usize {
    a.max(b) * side + a.min(b)
}

/// The dot product, in four sums so that it runs in vector registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest
}

/// Columns of a tile of products, and sums that run side by side in each: as many as there are vector registers for.
const TALL: usize = 2;
const BROAD: usize = 4;
const WIDE: usize = 2;

/// Adds the products of all pairs of lanes to the lower triangle `sums`, a tile at a time.
fn add_products(sums: &mut [f64], lanes: &[Lane]) {
    let side = lanes.len();
    let last = side - 1;
    for i in (0..side).step_by(TALL) {
        let rows: [&Lane; TALL] = std::array::from_fn(|r| &lanes[(i + r).min(last)]);
        for j in (0..(i + TALL).min(side)).step_by(BROAD) {
            let columns: [&Lane; BROAD] = std::array::from_fn(|c| &lanes[(j + c).min(last)]);
            let tile = products(rows, columns);
            for (row, products) in (i..side).zip(&tile) {
                let to = row * side;
                for (sum, product) in sums[to + j..=to + row].iter_mut().zip(products) {
                    *sum += product;
                }
            }
        }
    }
}

/// The products of each row's lane with each column's.
#[inline(never)]
fn products(rows: [&Lane; TALL], columns: [&Lane; BROAD]) -> [[f64; BROAD]; TALL] {
    let mut sums = [[[0.0; WIDE]; BROAD]; TALL];
    for k in 0..BLOCK / WIDE {
        let part = |lane: &Lane| lane.as_chunks::<WIDE>().0[k];
        let (rows, columns) = (rows.map(part), columns.map(part));
        for (sums, a) in sums.iter_mut().zip(rows) {
            for (sums, b) in sums.iter_mut().zip(columns) {
                *sums = std::array::from_fn(|l| sums[l] + a[l] * b[l]);
            }
        }
    }
    sums.map(|row| row.map(|sums| sums.iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by the definition: a dense design matrix.
    fn dense(columns: &[Vec<f64>], changepoints: &[Changepoint]) -> (Vec<f64>, Vec<f64>) {
        let smooth = columns.len() - 1;
        let rows = columns[0].len();
        let mut design = columns[..smooth].to_vec();
        for changepoint in changepoints {
            design.push(
                (0..rows)
                    .map(|i| {
                        let hinge = columns[0][i] - changepoint.t * columns[1][i];
                        if i >= changepoint.row { hinge } else { 0.0 }
                    })
                    .collect(),
            );
        }
        let plain = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let products = design
            .iter()
            .flat_map(|a| design.iter().map(move |b| plain(a, b)))
            .collect();
        let cross = design.iter().map(|a| plain(a, &columns[smooth])).collect();
        (products, cross)
    }

    #[test]
    fn sums_from_the_end_give_what_the_design_matrix_gives() {
        for (rows, features) in [(1_usize, 1), (63, 2), (64, 3), (65, 1), (200, 4)] {
            let t: Vec<f64> = (0..rows).map(|i| i as f64 / rows as f64).collect();
            let weight: Vec<f64> = t.iter().map(|t| 1.0 + 0.3 * (5.0 * t).cos()).collect();
            let mut columns = vec![t.iter().zip(&weight).map(|(t, w)| t * w).collect(), weight];
            for feature in 0..=features {
                columns.push(
                    t.iter()
                        .map(|t| (f64::from(feature + 2) * 7.0 * t).sin())
                        .collect(),
                );
            }
            let changepoints: Vec<Changepoint> = [0.0, 0.2, 0.2, 0.5, 0.77, 0.999, 1.5]
                .map(|s| Changepoint {
                    t: s,
                    row: t.partition_point(|t| *t < s),
                })
                .to_vec();
            let smooth = columns.len() - 1;
            let gram = Gram::new(rows.div_ceil(BLOCK), smooth, &changepoints, |b, lanes| {
                for (lane, column) in lanes.iter_mut().zip(&columns) {
                    for (i, value) in lane.iter_mut().enumerate() {
                        *value = column.get(b * BLOCK + i).copied().unwrap_or(0.0);
                    }
                }
            });
            let (products, cross) = dense(&columns, &changepoints);
            let have = gram.products.iter().chain(&gram.cross);
            for (have, want) in have.zip(products.iter().chain(&cross)) {
                assert!((have - want).abs() < 1e-12, "{rows} rows: {have} {want}");
            }
            let squares: f64 = columns[smooth].iter().map(|y| y * y).sum();
            assert!((gram.squares - squares).abs() < 1e-12);
        }
    }
}
