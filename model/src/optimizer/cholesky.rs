//! Solving symmetric positive definite systems, small and dense.

use super::gram::dot;

/// A Cholesky factor `L` with `L L' = A`, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

/// Where a pivot falls below this share of its diagonal, the system is singular to working precision and the pivot is
/// raised to it: the solution then stays bounded and orthogonal to the null direction.
const PIVOT_FLOOR: f64 = 1e-14;

impl Cholesky {
    /// Factors the `n` by `n` matrix `a` (row-major, lower triangle read).
    pub(crate) fn new(a: &[f64], n: usize) -> Self {
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let rest = a[i * n + j] - dot(&lower[i * n..i * n + j], &lower[j * n..j * n + j]);
                lower[i * n + j] = if i == j {
                    rest.max(PIVOT_FLOOR * a[i * n + i].abs())
                        .max(f64::MIN_POSITIVE)
                        .sqrt()
                } else {
                    rest / lower[j * n + j]
                };
            }
        }
        Self { n, lower }
    }

    /// Solves `A x = b`.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        self.backward(&self.forward(b))
    }

    /// Solves `L x = b`.
    pub(crate) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let (n, lower) = (self.n, &self.lower);
        let mut x = b.to_vec();
        for i in 0..n {
            let (known, rest) = x.split_at_mut(i);
            rest[0] = (rest[0] - dot(&lower[i * n..i * n + i], known)) / lower[i * n + i];
        }
        x
    }

    /// Solves `L' x = b`.
    pub(crate) fn backward(&self, b: &[f64]) -> Vec<f64> {
        let (n, lower) = (self.n, &self.lower);
        let mut x = b.to_vec();
        for i in (0..n).rev() {
            x[i] /= lower[i * n + i];
            let (rest, known) = x.split_at_mut(i);
            for (rest, lower) in rest.iter_mut().zip(&lower[i * n..i * n + i]) {
                *rest -= lower * known[0];
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_solves_by_hand() {
        let x = Cholesky::new(&[4.0, 2.0, 2.0, 3.0], 2).solve(&[8.0, 8.0]);
        assert!(
            (x[0] - 1.0).abs() < 1e-15 && (x[1] - 2.0).abs() < 1e-15,
            "{x:?}"
        );
    }

    #[test]
    fn a_singular_system_stays_finite() {
        let x = Cholesky::new(&[1.0, 1.0, 1.0, 1.0], 2).solve(&[1.0, 1.0]);
        assert!(x.iter().all(|x| x.is_finite()), "{x:?}");
        let x = Cholesky::new(&[0.0], 1).solve(&[0.0]);
        assert_eq!(x, [0.0]);
    }
}
