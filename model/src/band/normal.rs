//! The normal distribution: tails and their inverse.

use std::f64::consts::{PI, SQRT_2};

/// The probability above `z`.
pub(super) fn tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

/// The probability between 0 and `z`.
pub(super) fn central(z: f64) -> f64 {
    0.5 * libm::erf(z / SQRT_2)
}

/// The density at `z`.
pub(super) fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// The `z >= 0` above which the probability is `tail`, in (0, 0.5]: Abramowitz and Stegun 26.2.23, then Halley's steps
/// to working precision.
pub(super) fn inverse_tail(tail_probability: f64) -> f64 {
    if tail_probability >= 0.5 {
        return 0.0;
    }
    // Below it the density would lose its digits.
    let wanted = tail_probability.max(1e-300);
    let t = (-2.0 * wanted.ln()).sqrt();
    let mut z = t
        - (2.515_517 + t * (0.802_853 + t * 0.010_328))
            / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    for _ in 0..3 {
        let step = (tail(z) - wanted) / density(z);
        z += step / (1.0 - 0.5 * z * step);
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_inverts_from_the_middle_to_the_far_tail() {
        for p in [0.499_999, 0.4, 0.1, 0.025, 1e-3, 1e-9, 1e-50, 1e-299] {
            let z = inverse_tail(p);
            assert!((tail(z) / p - 1.0).abs() < 1e-12, "{p}: {z}");
        }
        assert_eq!(inverse_tail(0.5), 0.0);
        assert!((inverse_tail(0.1) - 1.281_551_565_544_600_4).abs() < 1e-15);
        assert!((inverse_tail(0.025) - 1.959_963_984_540_054).abs() < 1e-15);
    }
}
