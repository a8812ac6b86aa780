//! What holds for every model: drawn at random, from growth to regressors.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use loadcast_model::{
    artifact::{decode_model_pr, encode_model_pr},
    features::{Mode, Standardize},
    forecaster::{Forecast, Forecaster, Question},
    history::History,
    holiday::Holiday,
    inputs::Inputs,
    prophet::{Ends, ProphetModel},
    spec::{CustomSeasonality, ExtraRegressor, Growth, Scaling, SeasonalityChoice, Spec},
};
use proptest::prelude::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// 2026-01-05, a Monday.
const START: i64 = 1_767_571_200;
const ROWS: usize = 24 * 20;
const AHEAD: usize = 100;

/// A model and what a question of it must bring.
#[derive(Debug, Clone)]
struct Case {
    model: ProphetModel,
    inputs: Inputs,
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Additive), Just(Mode::Multiplicative)]
}

fn growth() -> impl Strategy<Value = Growth> {
    prop_oneof![
        Just(Growth::Linear),
        Just(Growth::Flat),
        Just(Growth::Logistic)
    ]
}

prop_compose! {
    fn seasonality(name: &'static str)(
        period in prop_oneof![Just(1.0), Just(7.0), Just(1.0 / 24.0), 0.05..40.0_f64],
        fourier_order in 1..8_u32,
        mode in proptest::option::of(mode()),
        conditional in any::<bool>(),
    ) -> CustomSeasonality {
        CustomSeasonality {
            name: name.to_owned(),
            period,
            fourier_order,
            prior_scale: None,
            mode,
            condition_name: conditional.then(|| "is open".to_owned()),
        }
    }
}

prop_compose! {
    fn holiday()(
        name in 0..3_usize,
        day in 0..40_i64,
        lower_window in -2..=0_i32,
        upper_window in 0..=2_i32,
    ) -> Holiday {
        let ds = jiff::Timestamp::from_second(START + day * DAY).unwrap();
        Holiday {
            holiday: ["patch day", "a-z", "Neujahr, \"ö\""][name].to_owned(),
            ds: jiff::tz::Offset::UTC.to_datetime(ds).date(),
            lower_window,
            upper_window,
            prior_scale: None,
        }
    }
}

fn regressor(name: &str, mode: Option<Mode>) -> ExtraRegressor {
    ExtraRegressor {
        name: name.to_owned(),
        prior_scale: Some(2.5),
        standardize: Standardize::default(),
        mode,
    }
}

prop_compose! {
    fn spec()(
        growth in growth(),
        minmax in any::<bool>(),
        modes in (mode(), proptest::option::of(mode()), proptest::option::of(mode())),
        own in (proptest::option::of(seasonality("own")), proptest::option::of(seasonality("weekly"))),
        holidays in proptest::collection::vec(holiday(), 0..6),
        regressor_count in 0..3_usize,
        n_changepoints in 0..9_u32,
        daily in any::<bool>(),
    ) -> Spec {
        let regressors = [regressor("queue", modes.2), regressor("promo", None)];
        Spec {
            growth,
            scaling: if minmax { Scaling::Minmax } else { Scaling::Absmax },
            seasonality_mode: modes.0,
            holidays_mode: modes.1,
            seasonalities: [own.0, own.1].into_iter().flatten().collect(),
            holidays,
            extra_regressors: regressors.into_iter().take(regressor_count).collect(),
            n_changepoints,
            daily_seasonality: SeasonalityChoice::Enabled(daily),
            ..Spec::default()
        }
    }
}

fn times(count: usize) -> Vec<i64> {
    (0..i64::try_from(count).unwrap())
        .map(|i| START + i * HOUR)
        .collect()
}

fn columns(count: usize) -> Inputs {
    let wave = |i: usize| (i as f64 * 0.7).sin();
    Inputs {
        cap: (0..count).map(|i| 30.0 + wave(i)).collect(),
        floor: vec![-2.0],
        regressors: [
            (
                "queue".to_owned(),
                (0..count).map(|i| 5.0 + wave(i)).collect(),
            ),
            (
                "promo".to_owned(),
                (0..count).map(|i| f64::from(i % 7 == 0)).collect(),
            ),
        ]
        .into(),
        conditions: [(
            "is open".to_owned(),
            (0..count).map(|i| i % 24 > 7).collect(),
        )]
        .into(),
        holidays: Vec::new(),
    }
}

prop_compose! {
    fn case()(
        spec in spec(),
        numbers in proptest::collection::vec(-0.5..0.5_f64, 120),
        k in 0.5..2.0_f64,
        y_scale in 1e-6..1e9_f64,
    ) -> Case {
        let y = (0..ROWS).map(|i| 10.0 + (i as f64 * 0.3).sin()).collect();
        let history = History::new(times(ROWS), y).unwrap().with_inputs(columns(ROWS)).unwrap();
        let resolved = spec.resolve(&history).unwrap();
        let t_scale = (history.last() - history.first()) as f64;
        let changepoints_t: Vec<f64> = if resolved.changepoints.is_empty() {
            vec![0.0]
        } else {
            resolved.changepoints.iter().map(|ds| (ds - START) as f64 / t_scale).collect()
        };
        let mut numbers = numbers.into_iter().cycle();
        let delta = changepoints_t.iter().map(|_| numbers.next().unwrap() * 0.05).collect();
        let beta = (0..resolved.features.width()).map(|_| numbers.next().unwrap()).collect();
        // Questions are of y_scale's size, and so are capacities.
        let mut inputs = columns(ROWS + AHEAD);
        inputs.cap.iter_mut().chain(&mut inputs.floor).for_each(|value| *value *= y_scale);
        let model = ProphetModel {
            specified_changepoints: false,
            y_scale,
            y_min: if spec.scaling == Scaling::Minmax { 0.25 * y_scale } else { 0.0 },
            start: START as f64,
            t_scale,
            changepoints: resolved.changepoints,
            changepoints_t,
            features: resolved.features,
            logistic_floor: spec.growth == Growth::Logistic,
            k,
            m: 0.3,
            delta,
            beta,
            sigma_obs: 0.1,
            log_posterior: None,
            ends: Ends::of(&history, &resolved.inputs),
            spec,
        };
        Case { model, inputs }
    }
}

fn ask(model: &ProphetModel, ds: &[i64], inputs: &Inputs) -> Forecast {
    let question = Question::at(ds).with_inputs(inputs).with_components(true);
    Forecaster::new(model.clone())
        .unwrap()
        .forecast(&question)
        .unwrap()
}

fn assert_close(have: &[f64], want: &[f64], tolerance: f64) {
    let scale = want
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    for (i, (have, want)) in have.iter().zip(want).enumerate() {
        assert!(
            (have - want).abs() <= tolerance * scale,
            "point {i}: {have} is not {want}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_model_written_and_read_forecasts_identically(case in case()) {
        let bytes = encode_model_pr(&case.model).unwrap();
        let again = decode_model_pr(&bytes).unwrap();
        prop_assert_eq!(&encode_model_pr(&again).unwrap(), &bytes);
        let ds = times(ROWS + AHEAD);
        prop_assert_eq!(ask(&again, &ds, &case.inputs), ask(&case.model, &ds, &case.inputs));
    }

    #[test]
    fn yhat_is_the_trend_times_its_factor_and_what_is_added(case in case()) {
        let ds = times(ROWS + AHEAD);
        let forecast = ask(&case.model, &ds, &case.inputs);
        let total = |name: &str| {
            let component = forecast.components.iter().find(|c| c.name == name);
            component.unwrap().values.clone()
        };
        let (additive, multiplicative) = (total("additive_terms"), total("multiplicative_terms"));
        let rebuilt = forecast.trend.iter().zip(additive.iter().zip(&multiplicative));
        let rebuilt: Vec<f64> = rebuilt.map(|(t, (a, m))| t * (1.0 + m) + a).collect();
        let scale = case.model.y_scale;
        for (have, want) in rebuilt.iter().zip(&forecast.yhat) {
            prop_assert!((have - want).abs() <= 1e-12 * scale * 1e3, "{} {}", have, want);
        }
    }

    #[test]
    fn forecaster_and_feature_matrix_say_the_same(case in case()) {
        let Case { model, inputs } = &case;
        let ds = times(ROWS + AHEAD);
        let matrix = model.features.matrix(&ds, inputs).unwrap();
        let forecast = ask(model, &ds, inputs);
        let sum = |of: &[bool]| -> Vec<f64> {
            let rows = matrix.values.chunks_exact(matrix.width);
            rows.map(|row| {
                let columns = row.iter().zip(&model.beta).zip(of);
                columns.filter(|(_, of)| **of).map(|((x, b), _)| x * b).sum()
            })
            .collect()
        };
        let (additive, multiplicative) = (sum(&matrix.additive), sum(&matrix.multiplicative));
        for (i, yhat) in forecast.yhat.iter().enumerate() {
            let want = forecast.trend[i] * (1.0 + multiplicative[i]) + additive[i] * model.y_scale;
            prop_assert!((yhat - want).abs() <= 1e-9 * model.y_scale, "point {}: {} {}", i, yhat, want);
        }
    }

    #[test]
    fn scaling_values_scales_the_forecast(case in case(), factor in 1e-6..1e6_f64) {
        let ds = times(ROWS + AHEAD);
        let mut scaled = case.clone();
        scaled.model.y_scale *= factor;
        scaled.model.y_min *= factor;
        let columns = scaled.inputs.cap.iter_mut().chain(&mut scaled.inputs.floor);
        columns.for_each(|value| *value *= factor);
        let base = ask(&case.model, &ds, &case.inputs).yhat;
        let want: Vec<f64> = base.iter().map(|y| y * factor).collect();
        assert_close(&ask(&scaled.model, &ds, &scaled.inputs).yhat, &want, 1e-11);
    }

    #[test]
    fn moving_time_by_whole_periods_moves_the_forecast(case in case(), weeks in -500..500_i64) {
        let mut case = case;
        // Periods that a week holds a whole number of; holidays stand on days of the calendar.
        for seasonality in &mut case.model.features.seasonalities {
            seasonality.period = [7.0, 1.0, 0.5][seasonality.fourier_order as usize % 3];
        }
        let mut moved = case.model.clone();
        moved.start += (weeks * WEEK) as f64;
        for holiday in &mut moved.features.holidays {
            holiday.days.iter_mut().for_each(|day| *day += 7 * weeks);
        }
        let ds = times(ROWS + AHEAD);
        let later: Vec<i64> = ds.iter().map(|ds| ds + weeks * WEEK).collect();
        let base = ask(&case.model, &ds, &case.inputs);
        let moved = ask(&moved, &later, &case.inputs);
        assert_close(&moved.yhat, &base.yhat, 1e-9);
        assert_close(&moved.trend, &base.trend, 1e-12);
    }

    #[test]
    fn a_time_has_one_value_in_a_grid_alone_and_backwards(case in case()) {
        let mut case = case;
        // One value for all points, so that points can be asked about one by one.
        case.inputs.cap.truncate(1);
        case.inputs.regressors.values_mut().for_each(|column| column.truncate(1));
        case.inputs.conditions.values_mut().for_each(|column| column.truncate(1));
        let ds = times(ROWS + AHEAD);
        let grid = ask(&case.model, &ds, &case.inputs);
        let backwards: Vec<i64> = ds.iter().rev().copied().collect();
        let mut backwards = ask(&case.model, &backwards, &case.inputs);
        backwards.yhat.reverse();
        prop_assert_eq!(&grid.yhat, &backwards.yhat);
        for (i, ds) in ds.iter().enumerate().step_by(61) {
            let alone = ask(&case.model, &[*ds], &case.inputs);
            prop_assert_eq!(alone.yhat[0].to_bits(), grid.yhat[i].to_bits());
            for (alone, grid) in alone.components.iter().zip(&grid.components) {
                prop_assert_eq!(alone.values[0].to_bits(), grid.values[i].to_bits());
            }
        }
    }
}
