//! The search and its backtest: no leak, honest bands, a distillation that says what it was distilled from.
#![allow(clippy::unwrap_used, reason = "a test may")]

use loadcast_model::{
    backtest::{Backtest, Method, Plan, backtest, origin},
    forecaster::{Forecaster, Question},
    grid::Grid,
    recipe::{Candidate, SearchOptions, search},
};

const DAY: u32 = 86_400;

/// 2026-01-05, a Monday.
const START: i64 = 1_767_571_200;

/// Noise in (-1, 1) that is the same in every run: a linear congruential generator (Knuth's MMIX constants).
fn noise() -> impl FnMut() -> f64 {
    let mut state = 20_260_101_u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

fn grid(step: u32, days: u32, value: impl Fn(f64) -> f64, spread: f64) -> Grid {
    let mut noise = noise();
    let steps = days * DAY / step;
    let day = |i: u32| f64::from(i) * f64::from(step) / f64::from(DAY);
    Grid {
        start: START,
        step_seconds: step,
        values: (0..steps)
            .map(|i| Some(value(day(i)) + spread * noise()))
            .collect(),
    }
}

/// Office hours on five days of the week.
fn office(day: f64) -> f64 {
    let hour = day.fract() * 24.0;
    let open = if (day as u32) % 7 < 5 { 1.0 } else { 0.2 };
    100.0 + 400.0 * open * (-((hour - 13.0) / 4.0).powi(2)).exp()
}

fn wave(day: f64) -> f64 {
    50.0 + 20.0 * (std::f64::consts::TAU * day).sin()
}

fn plan(origins: u32) -> Plan {
    Plan {
        horizon_seconds: DAY,
        season_seconds: DAY,
        origins,
        max_train_seconds: Some(28 * DAY),
        levels: vec![0.1, 0.9],
    }
}

fn tested(grid: &Grid, origins: u32) -> Backtest {
    backtest(&Method::Search, grid, &plan(origins)).unwrap()
}

#[test]
fn what_comes_after_an_origin_changes_no_bit_of_its_forecast() {
    let clean = grid(3_600, 24, office, 20.0);
    let at = clean.values.len() - 48;
    let mut garbage = clean.clone();
    let mut noise = noise();
    for (i, value) in garbage.values[at..].iter_mut().enumerate() {
        *value = (i % 3 > 0).then(|| 1e9 * noise());
    }
    for method in [Method::Search, Method::Spec(Box::default())] {
        let bytes = |grid: &Grid| format!("{:?}", origin(&method, grid, at, &plan(2)).unwrap());
        assert_eq!(bytes(&clean), bytes(&garbage));
    }
}

#[test]
fn the_same_search_twice_has_the_same_bits() {
    let grid = grid(1_800, 16, office, 20.0);
    let searched = || search(&grid, &SearchOptions::default()).unwrap();
    assert_eq!(format!("{:?}", searched()), format!("{:?}", searched()));
    let tested = || serde_json::to_string(&tested(&grid, 4)).unwrap();
    assert_eq!(tested(), tested());
}

#[test]
fn the_distilled_model_says_the_first_day_as_it_was_combined() {
    for step in [300, 1_800, 3_600] {
        let searched = search(&grid(step, 21, office, 40.0), &SearchOptions::default()).unwrap();
        let (report, error) = (&searched.report, searched.report.expected_mae.unwrap());
        assert!(
            report.distillation_loss <= 0.01 * error,
            "step {step}: {report:?}"
        );
    }
}

#[test]
fn beyond_its_week_the_distilled_model_repeats_and_never_runs_away() {
    // Memory that grows by a third in two weeks.
    let grid = grid(3_600, 14, |day| 100.0 + 2.5 * day + 3.0 * wave(day), 1.0);
    let model = search(&grid, &SearchOptions::default()).unwrap().model;
    let forecaster = Forecaster::new(model).unwrap();
    let last = grid.time(grid.values.len() - 1);
    let week = |weeks: i64| {
        let ds: Vec<i64> = (1..=168)
            .map(|hour| last + (weeks * 168 + hour) * 3_600)
            .collect();
        forecaster.forecast(&Question::at(&ds)).unwrap().yhat
    };
    let highest = grid.values.iter().flatten().copied().fold(0.0, f64::max);
    let (next, later) = (week(0), week(8));
    for (a, b) in next.iter().zip(&later) {
        assert!((a - b).abs() < 1e-6 * highest, "{a} {b}");
        assert!((0.0..1.5 * highest).contains(a), "{a} of {highest}");
    }
}

#[test]
fn weeks_of_office_hours_are_forecast_better_than_yesterday_and_covered() {
    let found = tested(&grid(3_600, 35, office, 30.0), 7);
    assert!(found.skill.unwrap() > 0.4, "{found:?}");
    let coverage = found.model.coverage.unwrap();
    assert!((0.7..0.95).contains(&coverage), "{coverage}");
    let report = found.recipe.unwrap();
    let weight = |candidate| {
        let of_it = report.candidates.iter().find(|w| w.candidate == candidate);
        of_it.unwrap().weight
    };
    assert!(weight(Candidate::WeeklyProfile) > 1.5 * weight(Candidate::SeasonalNaive));
}

#[test]
fn a_weekly_shape_is_found_in_two_weeks_and_not_made_up_in_noise() {
    let weekly = |grid: &Grid| {
        let report = search(grid, &SearchOptions::default()).unwrap().report;
        let mut candidates = report.candidates.iter();
        candidates.any(|weighted| weighted.candidate == Candidate::WeeklyProfile)
    };
    assert!(weekly(&grid(3_600, 13, office, 10.0)));
    assert!(!weekly(&grid(3_600, 13, wave, 10.0)));
}

#[test]
fn growth_is_followed() {
    let found = tested(&grid(3_600, 21, |day| 100.0 + 10.0 * day, 1.0), 3);
    assert!(found.skill.unwrap() > 0.5, "{found:?}");
}

#[test]
fn what_only_yesterday_knows_is_left_to_yesterday_and_said() {
    // Each day is a copy of the one before it but for a new random step at noon, kept from then on.
    let mut noise = noise();
    let mut shape = [0.0; 24];
    let mut values = Vec::new();
    for day in 0..28 {
        for (hour, level) in shape.iter_mut().enumerate() {
            if (day + hour) % 24 == 0 {
                *level = 1_000.0 * noise();
            }
            values.push(Some(*level));
        }
    }
    let grid = Grid {
        start: START,
        step_seconds: 3_600,
        values,
    };
    let found = search(&grid, &SearchOptions::default()).unwrap();
    assert!(found.report.abstained, "{:?}", found.report);
    assert!(found.report.warnings[0].contains("same as yesterday"));
    let yesterday: Vec<f64> = grid.values[27 * 24..].iter().flatten().copied().collect();
    assert_eq!(found.undistilled, yesterday);
}

#[test]
fn counts_that_are_never_negative_get_no_negative_band() {
    let mut noise = noise();
    let mut grid = grid(3_600, 21, |_| 0.0, 0.0);
    for (i, value) in grid.values.iter_mut().enumerate() {
        let busy = (i % 24) > 8;
        *value = Some(if busy {
            (4.0 * (1.0 + noise())).floor()
        } else {
            0.0
        });
    }
    let at = grid.values.len() - 24;
    let made = origin(&Method::Search, &grid, at, &plan(1)).unwrap();
    for (level, values) in &made.model.quantiles {
        assert!(
            values.iter().all(|value| *value >= 0.0),
            "{level}: {values:?}"
        );
    }
    assert!(made.model.point.iter().all(|value| *value >= 0.0));
}

#[test]
fn constant_and_all_zero_series_are_forecast_as_they_are() {
    for level in [0.0, 7.5, -3.0] {
        let found = search(&grid(3_600, 10, |_| level, 0.0), &SearchOptions::default()).unwrap();
        assert!(
            found
                .undistilled
                .iter()
                .all(|value| (value - level).abs() < 1e-9)
        );
        assert_eq!(found.clamps.min, (level >= 0.0).then_some(0.0));
    }
}

#[test]
fn gaps_are_trained_over_and_not_scored() {
    let mut holed = grid(3_600, 28, office, 20.0);
    let n = holed.values.len();
    for i in (0..n).filter(|i| i % 7 == 3 || (100..130).contains(i) || *i == n - 25) {
        holed.values[i] = None;
    }
    let found = tested(&holed, 6);
    assert!(found.model.mase.unwrap().is_finite());
    assert!(found.skill.unwrap() > 0.0, "{found:?}");
}

#[test]
fn too_little_history_and_odd_steps_are_refused_by_name() {
    let refused = |grid: &Grid| {
        let error = search(grid, &SearchOptions::default()).unwrap_err();
        error.to_string()
    };
    let short = refused(&grid(3_600, 1, wave, 1.0));
    assert!(short.contains("at least 2 days"), "{short}");
    let odd = refused(&Grid {
        step_seconds: 420,
        ..grid(300, 4, wave, 1.0)
    });
    assert!(odd.starts_with("step: ") && odd.contains("5m"), "{odd}");
    let mut bad = plan(1);
    bad.levels = vec![0.9, 0.1];
    let error = backtest(
        &Method::Spec(Box::default()),
        &grid(3_600, 9, wave, 1.0),
        &bad,
    );
    assert!(error.unwrap_err().to_string().starts_with("levels: "));
}

#[test]
fn three_days_of_history_are_enough_for_a_forecast_that_says_how_little_it_rests_on() {
    let found = search(&grid(300, 2, wave, 1.0), &SearchOptions::default()).unwrap();
    assert!(found.calibration.is_none());
    assert_eq!(
        found.report.warnings.len(),
        2,
        "{:?}",
        found.report.warnings
    );
    let found = search(&grid(300, 3, wave, 1.0), &SearchOptions::default()).unwrap();
    assert!(found.report.origins >= 1, "{:?}", found.report);
}
