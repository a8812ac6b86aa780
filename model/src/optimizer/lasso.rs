//! The lasso on a Gram matrix, exactly.
//!
//! Minimises `x'Sx / 2 - q'x + lambda |x|_1` by feature-sign search (Lee, Battle, Raina and Ng, "Efficient sparse coding
//! algorithms", NIPS 2006): solve the quadratic on the active set with its signs held, walk to the best point on the way
//! there, drop what reached zero, take up the coordinate that violates optimality most; every step lowers the objective,
//! and there are finitely many sign patterns.

use super::cholesky::Cholesky;

/// Relative slack of the optimality conditions.
const TOLERANCE: f64 = 1e-11;

/// Sign patterns that are visited at most, per coordinate. Far more than it takes; a bound so that rounding cannot loop.
const STEPS_PER_COORDINATE: usize = 20;

/// The minimiser, starting from `start`. `s` is `n` by `n`, row-major, positive semidefinite.
pub(crate) fn lasso(s: &[f64], q: &[f64], lambda: f64, start: &[f64]) -> Vec<f64> {
    let n = q.len();
    let mut x = start.to_vec();
    let scale = lambda.max(q.iter().fold(0.0_f64, |most, q| most.max(q.abs())));
    let slack = TOLERANCE * scale;
    let mut sign: Vec<f64> = x.iter().map(|x| sign_of(*x)).collect();
    for _ in 0..STEPS_PER_COORDINATE * (n + 1) {
        let gradient = gradient(s, q, &x);
        let settled = (0..n)
            .filter(|&i| x[i] != 0.0)
            .all(|i| (gradient[i] + lambda * sign[i]).abs() <= slack);
        if settled {
            let worst = (0..n)
                .filter(|&i| x[i] == 0.0)
                .max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()));
            match worst {
                Some(i) if gradient[i].abs() > lambda + slack => sign[i] = -sign_of(gradient[i]),
                _ => return x,
            }
        }
        if !step(s, q, lambda, &mut x, &mut sign) {
            return x;
        }
    }
    x
}

/// One feature-sign step on the coordinates with a sign; false when it does not move.
fn step(s: &[f64], q: &[f64], lambda: f64, x: &mut [f64], sign: &mut [f64]) -> bool {
    let n = q.len();
    let active: Vec<usize> = (0..n).filter(|&i| sign[i] != 0.0).collect();
    let sub: Vec<f64> = active
        .iter()
        .flat_map(|&i| active.iter().map(move |&j| s[i * n + j]))
        .collect();
    let rhs: Vec<f64> = active.iter().map(|&i| q[i] - lambda * sign[i]).collect();
    let target = Cholesky::new(&sub, active.len()).solve(&rhs);
    // Where the way from x to the target crosses a zero the objective has a kink; it may turn at one.
    let mut shares: Vec<f64> = active
        .iter()
        .zip(&target)
        .filter(|&(&i, &to)| x[i] != 0.0 && sign_of(to) != sign_of(x[i]))
        .map(|(&i, &to)| x[i] / (x[i] - to))
        .filter(|share| *share > 0.0 && *share < 1.0)
        .collect();
    shares.push(1.0);
    let at = |share: f64| -> Vec<f64> {
        let mut point = x.to_vec();
        for (&i, &to) in active.iter().zip(&target) {
            let moved = x[i] + share * (to - x[i]);
            // Exactly at its own crossing a coordinate is zero, whatever rounding says.
            let crosses = x[i] != 0.0 && share == x[i] / (x[i] - to);
            point[i] = if crosses { 0.0 } else { moved };
        }
        point
    };
    let before = objective(s, q, lambda, x);
    let best = shares
        .into_iter()
        .map(|share| {
            let point = at(share);
            (objective(s, q, lambda, &point), point)
        })
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let Some((after, point)) = best else {
        return false;
    };
    if after.is_nan() || after > before || point == x {
        return false;
    }
    x.copy_from_slice(&point);
    for (sign, x) in sign.iter_mut().zip(x.iter()) {
        *sign = sign_of(*x);
    }
    true
}

fn sign_of(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn gradient(s: &[f64], q: &[f64], x: &[f64]) -> Vec<f64> {
    let n = q.len();
    (0..n)
        .map(|i| {
            let row = &s[i * n..(i + 1) * n];
            row.iter().zip(x).map(|(s, x)| s * x).sum::<f64>() - q[i]
        })
        .collect()
}

fn objective(s: &[f64], q: &[f64], lambda: f64, x: &[f64]) -> f64 {
    let gradient = gradient(s, q, x);
    x.iter()
        .zip(gradient.iter().zip(q))
        .map(|(x, (g, q))| 0.5 * x * (g - q) + lambda * x.abs())
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_coordinate_is_soft_thresholding() {
        for (q, start, want) in [(3.0, 0.0, 1.0), (-3.0, 5.0, -1.0), (0.5, 0.3, 0.0)] {
            let x = lasso(&[2.0], &[q], 1.0, &[start]);
            assert!((x[0] - want).abs() < 1e-15, "{q} from {start}: {x:?}");
        }
    }

    proptest! {
        /// The optimality conditions hold at the result, from any start.
        #[test]
        fn the_result_is_optimal(
            rows in prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, 6), 12),
            y in prop::collection::vec(-1.0..1.0_f64, 12),
            start in prop::collection::vec(-1.0..1.0_f64, 6),
            lambda in 0.01..2.0_f64,
        ) {
            let n = 6;
            let mut s = vec![0.0; n * n];
            let mut q = vec![0.0; n];
            for (row, y) in rows.iter().zip(&y) {
                for i in 0..n {
                    q[i] += row[i] * y;
                    for j in 0..n {
                        s[i * n + j] += row[i] * row[j];
                    }
                }
            }
            let x = lasso(&s, &q, lambda, &start);
            for (i, g) in gradient(&s, &q, &x).into_iter().enumerate() {
                if x[i] == 0.0 {
                    prop_assert!(g.abs() <= lambda + 1e-8);
                } else {
                    prop_assert!((g + lambda * x[i].signum()).abs() <= 1e-8);
                }
            }
        }
    }
}
