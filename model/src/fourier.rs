//! Sines, cosines and Fourier sums, by arithmetic alone: the same bits on every machine, and several lanes at once.
//!
//! A sine is a table of 64 slices of the circle and a Taylor polynomial within one (the angle is reduced with the
//! constant split in three, after Cody and Waite), good to 2e-16. Harmonics of one angle are powers of
//! `cos + i sin`, so a Fourier sum is Horner's rule in the complex plane.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Angles beyond this (some 10^9 slices) are left to the standard library.
const MAX_ANGLE: f64 = 1e8;

/// Slices in a radian, and a slice in radians, split so that products with a number of slices are exact.
const SLICES_PER_RADIAN: f64 = 10.185916357881302;
const SLICE: [f64; 3] = [
    0.09817475080490112,
    1.9619776026047475e-08,
    3.889607607435383e-15,
];

/// 1.5 * 2^52: adding it rounds to a whole number and leaves that number in the lowest bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// The sine of `k` slices, up to a quarter of the circle.
#[rustfmt::skip]
const QUARTER: [f64; 17] = [
    0.0, 0.0980171403295606, 0.19509032201612828, 0.2902846772544624, 0.3826834323650898, 0.47139673682599764,
    0.5555702330196022, 0.6343932841636455, FRAC_1_SQRT_2, 0.773010453362737, 0.8314696123025452,
    0.881921264348355, 0.9238795325112867, 0.9569403357322088, 0.9807852804032304, 0.9951847266721969, 1.0,
];

/// Sine and cosine of each slice.
static CIRCLE: [[f64; 2]; 64] = circle();

const fn circle() -> [[f64; 2]; 64] {
    let mut circle = [[0.0; 2]; 64];
    let mut k = 0;
    while k < 64 {
        circle[k] = [sine(k), sine((k + 16) % 64)];
        k += 1;
    }
    circle
}

const fn sine(k: usize) -> f64 {
    match k {
        0..=16 => QUARTER[k],
        17..=32 => QUARTER[32 - k],
        33..=48 => -QUARTER[k - 32],
        _ => -QUARTER[64 - k],
    }
}

/// Sine and cosine of `angle`, in radians.
pub(crate) fn sin_cos(angle: f64) -> (f64, f64) {
    let ([sine], [cosine]) = sin_cos_lanes(&[angle]);
    (sine, cosine)
}

/// Each lane's sine and cosine; a lane's bits do not depend on the others.
fn sin_cos_lanes<const N: usize>(angles: &[f64; N]) -> ([f64; N], [f64; N]) {
    if !angles.iter().all(|angle| angle.abs() <= MAX_ANGLE) {
        return far(angles);
    }
    let (mut sines, mut cosines) = ([0.0; N], [0.0; N]);
    for l in 0..N {
        let rounded = angles[l] * SLICES_PER_RADIAN + ROUNDER;
        let slices = rounded - ROUNDER;
        let x = ((angles[l] - slices * SLICE[0]) - slices * SLICE[1]) - slices * SLICE[2];
        // Six bits: an index of 64 at most, on any machine.
        #[allow(clippy::cast_possible_truncation)]
        let [sine, cosine] = CIRCLE[(rounded.to_bits() & 63) as usize];
        let xx = x * x;
        // sin x, and cos x - 1.
        let s = x + x * xx * (-1.0 / 6.0 + xx * (1.0 / 120.0 - xx * (1.0 / 5_040.0)));
        let c = xx * (-0.5 + xx * (1.0 / 24.0 + xx * (-1.0 / 720.0 + xx * (1.0 / 40_320.0))));
        sines[l] = sine + (sine * c + cosine * s);
        cosines[l] = cosine + (cosine * c - sine * s);
    }
    (sines, cosines)
}

/// Some lane is far out: each goes its own way, so that none depends on another.
#[cold]
fn far<const N: usize>(angles: &[f64; N]) -> ([f64; N], [f64; N]) {
    let each = angles.map(|angle| {
        if angle.abs() <= MAX_ANGLE {
            sin_cos(angle)
        } else {
            angle.sin_cos()
        }
    });
    (each.map(|(sine, _)| sine), each.map(|(_, cosine)| cosine))
}

/// Up to this many turns a day harmonics are powers; above it each has an angle of its own. Prophet rounds each
/// harmonic's angle, which is some 2e4 days long: at this rate a power differs from Prophet's value by 2e-10.
const MOST_TURNS_AS_POWERS: f64 = 6.0;

/// The angle of one turn a day at `ds` seconds of the wall clock, rounded as Prophet rounds it.
pub(crate) fn daily_angle(ds: f64) -> f64 {
    ds / 86_400.0 * PI * 2.0
}

fn has_powers(period: f64, order: usize) -> bool {
    order as f64 / period <= MOST_TURNS_AS_POWERS
}

/// Writes sin, cos, sin, cos ... of the harmonics of `period` (days) at `daily_angle` into `row`.
pub(crate) fn row(daily_angle: f64, period: f64, row: &mut [f64]) {
    if has_powers(period, row.len() / 2) {
        let (sine, cosine) = sin_cos(daily_angle / period);
        let (mut s, mut c) = (sine, cosine);
        for pair in row.chunks_exact_mut(2) {
            (pair[0], pair[1]) = (s, c);
            (s, c) = (s * cosine + c * sine, c * cosine - s * sine);
        }
    } else {
        for (pair, order) in row.chunks_exact_mut(2).zip(1_u32..) {
            (pair[0], pair[1]) = sin_cos(daily_angle * f64::from(order) / period);
        }
    }
}

/// A Fourier series with its coefficients.
#[derive(Debug, Clone)]
pub(crate) struct FourierSum {
    period: f64,
    /// Of sine and cosine, lowest order first.
    coefficients: Vec<[f64; 2]>,
    powers: bool,
}

impl FourierSum {
    /// `beta`: sin, cos, sin, cos ... of the harmonics of `period` (days).
    pub(crate) fn new(period: f64, beta: &[f64]) -> Self {
        let pairs = beta.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        let coefficients: Vec<[f64; 2]> = pairs.collect();
        Self {
            period,
            powers: has_powers(period, coefficients.len()),
            coefficients,
        }
    }

    /// The sum at each of `daily_angles`; a lane's bits do not depend on the others.
    pub(crate) fn at<const N: usize>(&self, daily_angles: &[f64; N]) -> [f64; N] {
        if !self.powers {
            return self.term_by_term(daily_angles);
        }
        let (sines, cosines) = sin_cos_lanes(&daily_angles.map(|angle| angle / self.period));
        // The sum is the real part of the polynomial of z = cos + i sin with coefficients cos - i sin.
        let (mut re, mut im) = ([0.0; N], [0.0; N]);
        for [sine, cosine] in self.coefficients.iter().rev() {
            for l in 0..N {
                let (r, i) = (re[l] + cosine, im[l] - sine);
                re[l] = r * cosines[l] - i * sines[l];
                im[l] = r * sines[l] + i * cosines[l];
            }
        }
        re
    }

    fn term_by_term<const N: usize>(&self, daily_angles: &[f64; N]) -> [f64; N] {
        let mut sums = [0.0; N];
        for ([sine, cosine], order) in self.coefficients.iter().zip(1_u32..) {
            let angles = daily_angles.map(|angle| angle * f64::from(order) / self.period);
            let (sines, cosines) = sin_cos_lanes(&angles);
            for l in 0..N {
                sums[l] += sine * sines[l] + cosine * cosines[l];
            }
        }
        sums
    }

    /// Heap bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.coefficients.capacity() * size_of::<[f64; 2]>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sines_are_good_to_the_last_bits_near_and_far() {
        for i in -40_000..40_000 {
            for angle in [
                f64::from(i) * 0.00031,
                f64::from(i) * 41.37,
                f64::from(i) * 2_003.7,
                1e9 + f64::from(i),
            ] {
                let (sine, cosine) = sin_cos(angle);
                let (want_sine, want_cosine) = angle.sin_cos();
                assert!(
                    (sine - want_sine).abs() <= 2.5e-16,
                    "sin {angle}: {sine} {want_sine}"
                );
                assert!(
                    (cosine - want_cosine).abs() <= 2.5e-16,
                    "cos {angle}: {cosine} {want_cosine}"
                );
            }
        }
        assert!(sin_cos(f64::NAN).0.is_nan());
    }

    #[test]
    fn sums_rows_and_prophets_own_arithmetic_agree() {
        for (period, order) in [
            (1.0, 4_u32),
            (7.0, 3),
            (365.25, 10),
            (1.0, 12),
            (1.0 / 24.0, 8),
        ] {
            let beta: Vec<f64> = (0..2 * order).map(|i| f64::from(i * 7 % 5) - 2.0).collect();
            let sum = FourierSum::new(period, &beta);
            for i in 0..2_000 {
                let angle = daily_angle(1.8e9 + f64::from(i) * 977.0);
                let mut have = vec![0.0; beta.len()];
                row(angle, period, &mut have);
                let by_row: f64 = have.iter().zip(&beta).map(|(x, b)| x * b).sum();
                let prophet: f64 = (1..=order)
                    .zip(beta.chunks_exact(2))
                    .map(|(n, b)| {
                        let angle = angle * f64::from(n) / period;
                        b[0] * angle.sin() + b[1] * angle.cos()
                    })
                    .sum();
                let [at] = sum.at(&[angle]);
                let scale: f64 = beta.iter().map(|b| b.abs()).sum();
                assert!((at - by_row).abs() <= 1e-14 * scale, "{period} {order}");
                assert!(
                    (at - prophet).abs() <= 3e-10 * scale,
                    "{period} {order}: {at} {prophet}"
                );
            }
        }
    }

    #[test]
    fn a_lane_does_not_depend_on_its_neighbours() {
        let sum = FourierSum::new(7.0, &[1.0, -2.0, 0.3, 0.7, -0.1, 0.2]);
        let angles = [1.0, 1e12, 125_000.7, -3.0, f64::NAN, 0.0, 7.7e7, 125_000.8];
        let together = sum.at(&angles);
        for (angle, value) in angles.iter().zip(together) {
            let [alone] = sum.at(&[*angle]);
            assert_eq!(alone.to_bits(), value.to_bits(), "{angle}");
        }
    }
}
