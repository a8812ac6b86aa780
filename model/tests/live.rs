//! A model in use: corrected by what is observed, calibrated in its peaks, and quick to follow a level that jumps.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use loadcast_model::backtest::{LeadPlan, Method, leads, level_shift};
use loadcast_model::grid::Grid;
use loadcast_model::live::LiveModel;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const STEP: u32 = 300;
const DAY: usize = 288;

/// A daily shape with noise that fades within hours.
fn history(days: usize, seed: u64) -> Grid {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut drift = 0.0;
    let value = |i: usize| {
        let noise = f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0;
        drift = 0.95 * drift + noise;
        let angle = std::f64::consts::TAU * i as f64 / DAY as f64;
        Some(50.0 + 20.0 * angle.sin() + drift)
    };
    Grid {
        start: 0,
        step_seconds: STEP,
        values: (0..days * DAY).map(value).collect(),
    }
}

fn plan(days: u32) -> LeadPlan {
    LeadPlan {
        leads_seconds: vec![300, 900, 3_600],
        days,
        max_train_seconds: None,
    }
}

#[test]
fn observations_lower_the_error_of_short_leads_below_that_of_the_last_value() {
    let table = leads(&Method::Search, &history(12, 3), &plan(4)).unwrap();
    for lead in &table.leads {
        let (corrected, last) = (lead.corrected.unwrap(), lead.last_value.unwrap());
        assert!(
            corrected < lead.uncorrected.unwrap() && corrected < 1.02 * last,
            "{lead:?}"
        );
        assert!((0.7..0.93).contains(&lead.coverage.unwrap()), "{lead:?}");
    }
    assert!(table.correction.is_some());
}

#[test]
fn a_level_that_jumps_by_half_is_followed_within_the_hour() {
    let shifts = level_shift(&Method::Search, &history(12, 4), &plan(3), &[1.5, 0.5]).unwrap();
    for shift in shifts {
        let settled = shift.corrected_settled.unwrap();
        assert!(
            shift.corrected.unwrap() < 0.2 * shift.uncorrected.unwrap(),
            "{shift:?}"
        );
        assert!(
            settled < 2.0 * shift.last_value_settled.unwrap(),
            "{shift:?}"
        );
    }
}

#[test]
fn without_factors_no_model_is_trained_for_jumps() {
    // One day, on which none could be.
    let shifts = level_shift(&Method::Search, &history(1, 4), &plan(3), &[]);
    assert_eq!(shifts.unwrap(), []);
}

#[test]
fn the_peak_of_a_window_holds_as_many_maxima_as_it_says_and_more_than_the_maximum_of_quantiles() {
    let grid = history(40, 5);
    let steps = 12_u32;
    let (mut held, mut by_quantiles, mut asked) = (0_u32, 0_u32, 0_u32);
    for start in (14 * DAY..39 * DAY).step_by(2 * DAY) {
        let model = LiveModel::train(&Method::Search, &grid.part(start - 14 * DAY..start)).unwrap();
        for at in (start + 48..start + DAY).step_by(steps as usize) {
            // Long after the last observation, so that nothing is corrected.
            let (now, first) = (grid.time(at), grid.time(at));
            let peak = model.peak(now, first, steps, STEP, 0.9).unwrap().unwrap();
            let ds: Vec<i64> = (at..at + steps as usize).map(|i| grid.time(i)).collect();
            let quantile = model
                .uncorrected(&ds, &[0.9])
                .unwrap()
                .quantiles
                .remove(0)
                .values;
            let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN, f64::max);
            let truth = largest(
                &mut grid.values[at..at + steps as usize]
                    .iter()
                    .flatten()
                    .copied(),
            );
            held += u32::from(truth <= peak);
            by_quantiles += u32::from(truth <= largest(&mut quantile.into_iter()));
            asked += 1;
        }
    }
    let share = f64::from(held) / f64::from(asked);
    assert!((0.84..=0.97).contains(&share), "{share} of {asked}");
    assert!(held > by_quantiles, "{held} and {by_quantiles} of {asked}");
}

#[test]
fn a_model_that_was_told_nothing_answers_as_the_uncorrected_one() {
    let grid = history(10, 6);
    let model = LiveModel::train(&Method::Search, &grid.part(0..9 * DAY)).unwrap();
    let ds = [grid.time(9 * DAY)];
    let late = grid.time(9 * DAY + 60);
    let levels = [0.1, 0.9];
    assert_eq!(
        model.forecast(late, &ds, &levels),
        model.uncorrected(&ds, &levels)
    );
    assert_ne!(
        model.forecast(grid.time(9 * DAY), &ds, &levels),
        model.uncorrected(&ds, &levels)
    );
}
