//! What a correction promises, on series whose truth is known.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::forecaster::Quantile;

const STEP: u32 = 300;
const DAY: usize = 288;

/// Paths of a day with a forecast of 100, each residual `keeps` times the one before and noise of up to 1 on either side.
fn paths(count: usize, keeps: f64) -> Vec<Path> {
    let mut random = ChaCha12Rng::seed_from_u64(7);
    let mut noise = || f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0;
    let mut path = || {
        let mut residual = 0.0;
        let observed = (0..DAY).map(|_| {
            residual = keeps * residual + noise();
            Some(100.0 + residual)
        });
        Path {
            observed: observed.collect(),
            forecast: vec![100.0; DAY],
        }
    };
    (0..count).map(|_| path()).collect()
}

fn fitted(keeps: f64) -> Correction {
    Correction::fit(&paths(30, keeps), STEP, 14.0)
        .unwrap()
        .unwrap()
}

fn forecast(points: usize) -> Forecast {
    let quantile = |level: f64, value: f64| Quantile {
        level,
        values: vec![value; points],
    };
    Forecast {
        trend: vec![100.0; points],
        yhat: vec![100.0; points],
        components: Vec::new(),
        quantiles: vec![quantile(0.1, 90.0), quantile(0.9, 110.0)],
    }
}

/// The state after residuals at every step from the first after the cutoff, 0, on.
fn seen(correction: &Correction, residuals: &[f64]) -> (State, i64) {
    let mut state = State::new(0);
    let mut ds = 0;
    for residual in residuals {
        ds += i64::from(STEP);
        assert!(state.observe(correction, ds, 100.0 + residual, 100.0));
    }
    (state, ds)
}

#[test]
fn the_fitted_weights_are_those_of_the_autoregression() {
    let correction = fitted(0.9);
    let [first, quarter, hour, ..] = correction.leads() else {
        panic!("{correction:?}");
    };
    assert_eq!((first.lead_seconds, first.memory_seconds), (300, 0));
    assert!((first.weight - 0.9).abs() < 0.05, "{first:?}");
    assert!(
        (quarter.weight - 0.9_f64.powi(3)).abs() < 0.08,
        "{quarter:?}"
    );
    assert!(hour.weight < 0.45 && first.mae_with < 0.7 * first.mae_without);
}

#[test]
fn noise_without_memory_is_not_corrected() {
    let correction = fitted(0.0);
    assert_eq!(correction.leads(), []);
    let (state, last) = seen(&correction, &[0.9; 20]);
    let mut answer = forecast(1);
    correction.apply(&state, last + 300, &[last + 300], &mut answer);
    assert_eq!(answer, forecast(1));
    assert_eq!(Correction::fit(&paths(5, 0.9), STEP, 14.0).unwrap(), None);
}

#[test]
fn the_shift_decays_with_the_lead_and_ends() {
    let correction = fitted(0.9);
    let (state, last) = seen(&correction, &[0.5; 20]);
    let leads: Vec<i64> = (1..600).map(|i| last + i * i64::from(STEP)).collect();
    let mut answer = forecast(leads.len());
    assert!(correction.apply(&state, last + 300, &leads, &mut answer));
    let shifts: Vec<f64> = answer.yhat.iter().map(|yhat| yhat - 100.0).collect();
    assert!(
        shifts[0] > 0.4 && shifts.is_sorted_by(|a, b| a >= b),
        "{shifts:?}"
    );
    assert_eq!(shifts[599 - 1], 0.0);
    assert_eq!(answer.quantiles[1].values[598], 110.0);
}

#[test]
fn without_recent_observations_the_answer_is_the_uncorrected_one_to_the_bit() {
    let correction = fitted(0.9);
    let (state, last) = seen(&correction, &[0.5; 20]);
    let ds = [last + 3_600];
    let plain = forecast(1);
    for (state, now) in [
        (&State::new(0), 300),
        (&state, last + 1_501),
        (&state, last + 86_400),
    ] {
        let mut answer = plain.clone();
        assert!(!correction.apply(state, now, &ds, &mut answer));
        assert_eq!(answer, plain);
    }
    let mut answer = plain.clone();
    assert!(correction.apply(&state, last + 1_200, &ds, &mut answer));
    assert_ne!(answer, plain);
}

#[test]
fn what_is_past_is_not_rewritten() {
    let correction = fitted(0.9);
    let (state, last) = seen(&correction, &[0.5; 20]);
    let mut answer = forecast(2);
    correction.apply(&state, last + 300, &[last - 300, last], &mut answer);
    assert_eq!(answer, forecast(2));
}

#[test]
fn a_level_that_jumped_is_followed_within_three_steps_and_the_band_holds_a_return() {
    let correction = fitted(0.5);
    assert!(correction.jump_beyond().is_some());
    for jump in [50.0, -50.0] {
        let mut residuals = vec![0.1; 20];
        residuals.extend([jump; 3]);
        let (state, last) = seen(&correction, &residuals);
        let ds = [last + 300, last + 3_600];
        let mut answer = forecast(2);
        correction.apply(&state, last + 300, &ds, &mut answer);
        for yhat in &answer.yhat {
            assert!((yhat - 100.0 - jump).abs() < 0.1 * jump.abs(), "{answer:?}");
        }
        // On the side that it came from the band still holds 100, on the other it is as narrow as before.
        let (low, high) = (&answer.quantiles[0].values, &answer.quantiles[1].values);
        let (back, on) = if jump > 0.0 {
            (low[0], high[0])
        } else {
            (high[0], low[0])
        };
        assert!(
            (back - 100.0).abs() < 6.0 && (on - 100.0 - jump).abs() < 3.0,
            "{answer:?}"
        );

        residuals.extend([jump; 60]);
        let (state, last) = seen(&correction, &residuals);
        let mut settled = forecast(1);
        correction.apply(&state, last + 300, &[last + 300], &mut settled);
        let (low, high) = (
            settled.quantiles[0].values[0],
            settled.quantiles[1].values[0],
        );
        assert!(high - low < 6.0, "the doubt has faded: {settled:?}");
    }
}

#[test]
fn a_spike_of_one_step_is_no_jump_and_a_return_undoes_one() {
    let correction = fitted(0.5);
    let mut residuals = vec![0.1; 20];
    residuals.push(50.0);
    residuals.push(0.1);
    assert_eq!(seen(&correction, &residuals).0.jump(), None);
    residuals.extend([50.0; 4]);
    assert!(seen(&correction, &residuals).0.jump().is_some());
    residuals.extend([0.1; 4]);
    let (state, last) = seen(&correction, &residuals);
    assert!(state.jump().is_none_or(|(offset, _)| offset.abs() < 5.0));
    let mut answer = forecast(1);
    correction.apply(&state, last + 300, &[last + 300], &mut answer);
    assert!((answer.yhat[0] - 100.0).abs() < 5.0, "{answer:?}");
}

#[test]
fn an_observation_counts_once_in_order_and_only_after_the_beginning() {
    let correction = fitted(0.9);
    let mut state = State::new(900);
    assert!(!state.observe(&correction, 900, 5.0, 0.0));
    assert!(!state.observe(&correction, 1_200, f64::NAN, 0.0));
    assert!(state.observe(&correction, 1_200, 5.0, 0.0));
    let once = state.clone();
    assert!(!state.observe(&correction, 1_200, 7.0, 0.0));
    assert!(!state.observe(&correction, 1_100, 7.0, 0.0));
    assert_eq!(state, once);
}

#[test]
fn corrected_bands_hold_what_they_say() {
    let correction = fitted(0.9);
    let (mut inside, mut asked) = (0_u32, 0_u32);
    for path in paths(60, 0.9).split_off(30) {
        let mut state = State::new(0);
        for (i, (observed, forecast_at)) in path.observed.iter().zip(&path.forecast).enumerate() {
            let ds = (i as i64 + 1) * i64::from(STEP);
            let mut answer = forecast(1);
            if i > 12 && correction.apply(&state, ds, &[ds], &mut answer) {
                let (low, high) = (answer.quantiles[0].values[0], answer.quantiles[1].values[0]);
                let truth = observed.unwrap();
                inside += u32::from(low <= truth && truth <= high);
                asked += 1;
            }
            state.observe(&correction, ds, observed.unwrap(), *forecast_at);
        }
    }
    let coverage = f64::from(inside) / f64::from(asked);
    assert!((0.76..0.88).contains(&coverage), "{coverage}");
}

#[test]
fn the_peak_of_an_hour_holds_as_many_maxima_as_it_says() {
    let correction = fitted(0.9);
    let peak = correction.peak().unwrap();
    let (mut below, mut asked) = (0_u32, 0_u32);
    for path in paths(60, 0.9).split_off(30) {
        let mut state = State::new(0);
        for i in 0..DAY - 12 {
            let ds = (i as i64 + 1) * i64::from(STEP);
            state.observe(&correction, ds, path.observed[i].unwrap(), path.forecast[i]);
            let ahead: Vec<i64> = (1..=12).map(|k| ds + k * i64::from(STEP)).collect();
            let mut answer = forecast(12);
            correction.apply(&state, ds + i64::from(STEP), &ahead, &mut answer);
            let largest = path.observed[i + 1..=i + 12].iter().flatten().copied();
            let largest = largest.fold(f64::NEG_INFINITY, f64::max);
            below += u32::from(largest <= peak.peak(0.9, &answer.yhat, 3_600).unwrap());
            asked += 1;
        }
    }
    let coverage = f64::from(below) / f64::from(asked);
    assert!((0.86..0.96).contains(&coverage), "{coverage}");
}

#[test]
fn it_survives_json_and_nonsense_is_refused_by_name() {
    let correction = fitted(0.9);
    let json = serde_json::to_string(&correction).unwrap();
    assert_eq!(
        serde_json::from_str::<Correction>(&json).unwrap(),
        correction
    );
    let weight = format!("\"weight\":{}", correction.leads()[0].weight);
    assert!(json.contains(&weight));
    for bad in [
        json.replacen(&weight, "\"weight\":1.5", 1),
        json.replacen(&weight, "\"weight\":0.0", 1),
        json.replacen("\"lead_seconds\":300", "\"lead_seconds\":0", 1),
        json.replacen("\"memory_seconds\":0", "\"memory_seconds\":7", 1),
        json.replacen("\"step_seconds\":300", "\"step_seconds\":0", 1),
    ] {
        let error = serde_json::from_str::<Correction>(&bad).unwrap_err();
        assert!(error.to_string().contains("correction"), "{error}");
    }
}

#[test]
fn what_no_shift_reaches_is_not_said_to_be_corrected() {
    let correction = fitted(0.9);
    let (state, now) = seen(&correction, &[0.5; 12]);
    let last = i64::from(correction.leads().last().unwrap().lead_seconds);
    let later = now + i64::from(REACH) * last;
    for (ds, corrected) in [
        (vec![now - 600, now], false),
        (vec![later + 1, later + 600], false),
        (vec![now, now + 300], true),
    ] {
        let mut answer = forecast(2);
        assert_eq!(
            correction.apply(&state, now, &ds, &mut answer),
            corrected,
            "{ds:?}"
        );
        assert_eq!(answer != forecast(2), corrected, "{ds:?}");
    }
}
