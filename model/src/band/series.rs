//! Quantiles of nearly normal deviates: the Cornish-Fisher expansion (1938; Abramowitz and Stegun 26.2.49).

/// The variance of the standard deviate: a jump, Laplace times uniform, has variance 2/3.
pub(super) fn variance(n: f64, r: f64) -> f64 {
    2.0 / 3.0 * n + r * r
}

/// How large [`error`] may be for quantiles good to 1e-5.
pub(super) const ALLOWED: f64 = 2.5e-8;

/// A measure of what [`ratio`] leaves out: the eighth cumulant over the fourth power of the variance, but for a factor.
pub(super) fn error(n: f64, r: f64) -> f64 {
    n / variance(n, r).powi(4)
}

/// `q / (z sd)` at the normal quantile `z`, from the fourth and sixth cumulants, `n (2 k)! / (2 k + 1)`.
pub(super) fn ratio(n: f64, r: f64, z: f64) -> f64 {
    let v = variance(n, r);
    let fourth = 24.0 / 5.0 * n / v.powi(2);
    let sixth = 720.0 / 7.0 * n / v.powi(3);
    let z2 = z * z;
    1.0 + fourth / 24.0 * (z2 - 3.0) + sixth / 720.0 * ((z2 - 10.0) * z2 + 15.0)
        - fourth.powi(2) / 384.0 * ((3.0 * z2 - 24.0) * z2 + 29.0)
}
