//! The three ways against a finer inversion, and the properties that a band must have.

use std::f64::consts::PI;

use super::*;

/// `P(0 < Z < x)` by Gil-Pelaez's integral: the trapezoid rule in small steps, each sine computed. The steps are so small
/// that less than 1e-15 lies beyond the period, and the sum goes on until 1e-17 is left.
struct Reference {
    step: f64,
    phi: Vec<f64>,
}

impl Reference {
    fn new(n: f64, r: f64) -> Self {
        let step = PI / inversion::upper_bound(n, r, 1e-15);
        let phi = (1..3_000_000)
            .map(|k| f64::from(k) * step)
            .map(|u| (n * (u.atan() / u - 1.0) - 0.5 * (r * u).powi(2)).exp())
            .take_while(|phi| *phi > 1e-17);
        Self {
            step,
            phi: phi.collect(),
        }
    }

    fn central(&self, x: f64) -> f64 {
        let terms = (1_u32..).zip(&self.phi).map(|(k, phi)| {
            let k = f64::from(k);
            phi * (k * self.step * x).sin() / k
        });
        (0.5 * self.step * x + terms.sum::<f64>()) / PI
    }

    fn quantile(&self, central: f64, near: f64) -> f64 {
        let (mut low, mut high) = (0.9 * near, 1.1 * near);
        for _ in 0..60 {
            let x = 0.5 * (low + high);
            if self.central(x) < central {
                low = x;
            } else {
                high = x;
            }
            if high - low < 1e-9 * high {
                break;
            }
        }
        0.5 * (low + high)
    }
}

fn ours(n: f64, r: f64, level: f64) -> f64 {
    // At lead 1 with jumps of scale 1, rate is n and sigma is r.
    Band::new(n, 1.0, r)
        .deviations(Level::new(level).unwrap())
        .at(1.0, 1.0)
}

/// Uniform in (0, 1), the same each time: additive recurrence with the golden ratio's relatives.
fn spread_out(i: u32, axis: usize) -> f64 {
    // Powers of 1/1.2207..., the root of x^4 = x + 1 (Roberts' R3 sequence).
    [
        0.819_172_513_396_164_4,
        0.671_043_606_703_789_2,
        0.549_700_477_901_960_6,
    ][axis]
        * f64::from(i)
        % 1.0
}

#[test]
fn quantiles_are_exact_to_a_ten_thousandth_at_every_n_noise_and_level() {
    for i in 1..1_500 {
        let n = (-9.0 + 16.0 * spread_out(i, 0)).exp();
        let r = (-5.3 + 8.0 * spread_out(i, 1)).exp();
        let level = 1.0 - 0.5 * (-8.5 * spread_out(i, 2)).exp();
        let have = ours(n, r, level);
        let exact = Reference::new(n, r).quantile(level - 0.5, have);
        // Near the median the distance itself goes to 0; there a part of the standard deviation is the measure.
        let scale = exact.max(0.25 * series::variance(n, r).sqrt());
        // Noise below a hundredth of the jumps blurs them as a hundredth does.
        let allowed = if jumps::owns(n, r) && r < 0.01 {
            5e-3
        } else {
            1e-4
        };
        assert!(
            (have - exact).abs() <= allowed * scale,
            "n {n}, r {r}, level {level}: {have} is not {exact}"
        );
    }
}

#[test]
fn levels_order_their_quantiles_and_mirror_them_to_the_bit() {
    let levels: Vec<f64> = (1..2_000).map(|i| f64::from(i) / 2_000.0).collect();
    let far = [1.0 - 1e-12, 1.0 - 1e-9, 1.0 - 1e-6, 0.999_99];
    for (n, r) in [
        (0.0, 1.0),
        (0.01, 0.001),
        (0.3, 0.0),
        (0.5, 0.5),
        (3.0, 0.02),
        (5.0, 2.0),
        (9.9, 0.05),
        (10.1, 0.05),
        (40.0, 0.3),
        (2_000.0, 0.0),
    ] {
        let quantiles: Vec<f64> = levels.iter().map(|level| ours(n, r, *level)).collect();
        assert!(quantiles.is_sorted(), "n {n}, r {r}");
        assert_eq!(quantiles[999], 0.0, "the median is the point forecast");
        let outer: Vec<f64> = far.iter().rev().map(|level| ours(n, r, *level)).collect();
        assert!(
            quantiles[1_998] < outer[0] && outer.is_sorted(),
            "{outer:?}"
        );
        for (low, high) in [(0.1, 0.9), (0.025, 0.975), (0.2, 0.8), (0.001, 0.999)] {
            assert_eq!(ours(n, r, low), -ours(n, r, high), "n {n}, r {r}");
        }
    }
}

#[test]
fn a_value_depends_on_its_own_point_alone() {
    let band = Band::new(25.0, 0.1, 0.03);
    let points: Vec<(f64, f64)> = (0..400)
        .map(|i| (0.002 * f64::from(i), 1.0 + 0.3 * f64::from(i % 7)))
        .collect();
    let level = Level::new(0.9).unwrap();
    let mut together = band.deviations(level);
    let forth: Vec<f64> = points.iter().map(|p| together.at(p.0, p.1)).collect();
    for (point, have) in points.iter().zip(&forth).rev() {
        let alone = band.deviations(level).at(point.0, point.1);
        assert_eq!(alone.to_bits(), have.to_bits());
        assert_eq!(together.at(point.0, point.1).to_bits(), have.to_bits());
    }
}

#[test]
fn the_noise_alone_is_what_history_and_flat_trends_have() {
    let level = Level::new(0.9).unwrap();
    let z = normal::inverse_tail(0.1);
    let inside = Band::new(25.0, 0.1, 0.5).deviations(level).at(0.0, 1.0);
    assert_eq!(inside, 0.5 * z);
    assert_eq!(Band::noise(0.5).deviations(level).at(3.0, 1.0), 0.5 * z);
    let no_trend_left = Band::new(25.0, 0.1, 0.5).deviations(level).at(3.0, 0.0);
    assert_eq!(no_trend_left, 0.5 * z);
    let certain = Band::noise(0.0).deviations(level).at(3.0, 1.0);
    assert_eq!(certain, 0.0);
}

#[test]
fn extremes_stay_finite() {
    for rate in [0.0, 1e-300, 1.0, 1e4, 1e12] {
        for jump in [0.0, 1e-300, 1e-8, 1e8] {
            for sigma in [0.0, 1e-300, 1e-9, 1e9] {
                for lead in [-1.0, 0.0, 1e-12, 1.0, 1e6] {
                    for level in [1e-300, 1e-7, 0.3, 0.9, 1.0 - 1e-16] {
                        let level = Level::new(level).unwrap();
                        let mut quantile = Band::new(rate, jump, sigma).deviations(level);
                        let have = quantile.at(lead, 1.0);
                        assert!(
                            have.is_finite(),
                            "rate {rate} jump {jump} sigma {sigma} lead {lead} {level:?}: {have}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_level_outside_is_refused_by_its_value() {
    for bad in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
        let error = Level::new(bad).unwrap_err().to_string();
        assert!(
            error.contains("levels") && error.contains(&bad.to_string()),
            "{error}"
        );
    }
}
