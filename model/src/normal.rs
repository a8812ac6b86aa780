//! Quantiles of the normal distribution and of Student's t.

/// The standard normal quantile at `level`, in (0, 1): Acklam's rational approximation (2003), relative error below
/// 1.2e-9. Outside (0, 1) it is infinite.
pub(crate) fn normal_quantile(level: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] = [
        7.784_695_709_041_462e-3,
        3.224_671_290_700_398e-1,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
        1.0,
    ];
    const TAIL: f64 = 0.024_25;
    let horner = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if level <= 0.0 {
        f64::NEG_INFINITY
    } else if level >= 1.0 {
        f64::INFINITY
    } else if level < TAIL {
        let q = (-2.0 * level.ln()).sqrt();
        horner(&C, q) / horner(&D, q)
    } else if level > 1.0 - TAIL {
        -normal_quantile(1.0 - level)
    } else {
        let q = level - 0.5;
        let r = q * q;
        horner(&A, r) * q / horner(&B, r)
    }
}

/// Student's t quantile at `level` with `freedom` degrees of freedom, at least 1: the expansion of Abramowitz and Stegun,
/// 26.7.5. Good to a percent from 3 degrees on for the levels of a band; too narrow below.
pub(crate) fn student_quantile(level: f64, freedom: f64) -> f64 {
    let x = normal_quantile(level);
    let n = freedom.max(1.0);
    let (x2, x3) = (x * x, x * x * x);
    let g1 = (x3 + x) / 4.0;
    let g2 = (5.0 * x2 * x3 + 16.0 * x3 + 3.0 * x) / 96.0;
    let g3 = (3.0 * x2 * x2 * x3 + 19.0 * x2 * x3 + 17.0 * x3 - 15.0 * x) / 384.0;
    x + g1 / n + g2 / (n * n) + g3 / (n * n * n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (level, expected) in [
            (0.5, 0.0),
            (0.9, 1.281_551_565_5),
            (0.975, 1.959_963_984_5),
            (0.001, -3.090_232_306_2),
            (1e-9, -5.997_807_015),
        ] {
            let found = normal_quantile(level);
            assert!((found - expected).abs() < 1e-8, "{level}: {found}");
        }
        for (freedom, expected) in [(4.0, 1.533_206), (10.0, 1.372_184), (30.0, 1.310_415)] {
            let found = student_quantile(0.9, freedom);
            assert!((found - expected).abs() < 2e-3, "{freedom}: {found}");
        }
        assert_eq!(student_quantile(0.5, 5.0), 0.0);
    }
}
