//! What stage 2 does with gaps, outliers, censored rows, bounds and holidays.

use loadcast_model::backtest::Method;
use loadcast_trainer::stage::prepare_features::{Features, GapPolicy, OutlierPolicy, Preparation};
use loadcast_trainer::stage::train::train;
use loadcast_trainer::stage::validate_data::Rules;
use loadcast_trainer::verdict::Judged as _;

use crate::support::{DAY, START, STEP, column, features, good, rows};

fn with(change: impl Fn(&mut Preparation)) -> Preparation {
    let mut preparation = Preparation::default();
    change(&mut preparation);
    preparation
}

/// Five days: an hour without rows, a spike, a row that is censored.
fn holed() -> Vec<String> {
    let mut it = rows(5 * DAY, good);
    it[300] = format!("{},40", START + 300 * STEP);
    for (i, row) in it.iter_mut().enumerate() {
        row.push_str(if i == 400 { ",censored" } else { "," });
    }
    it.drain(200..204);
    it
}

#[test]
fn gaps_stay_empty_or_are_filled_as_asked_and_what_is_left_out_stays_out() {
    let empty = |features: &Features| -> Vec<usize> {
        let values = &features.window().values;
        (0..values.len()).filter(|i| values[*i].is_none()).collect()
    };
    let kept = features(&holed(), &Preparation::default());
    assert_eq!(empty(&kept), [200, 201, 202, 203, 400]);
    assert_eq!(kept.window().values[300], Some(40.0));

    let zero = features(&holed(), &with(|it| it.gaps = GapPolicy::Zero));
    assert_eq!(
        (empty(&zero), zero.window().values[201]),
        (vec![400], Some(0.0))
    );
    let text = zero.verdict().to_string();
    assert!(
        text.contains("4 steps without a row filled with zero"),
        "{text}"
    );

    let line = features(&holed(), &with(|it| it.gaps = GapPolicy::Interpolate));
    let between =
        (good(199) + 0.4 * (good(204) - good(199)) - line.window().values[201].unwrap()).abs();
    assert!(between < 1e-9 && empty(&line) == [400]);

    let dropped = features(
        &holed(),
        &with(|it| (it.outliers, it.gaps) = (OutlierPolicy::Drop, GapPolicy::Interpolate)),
    );
    assert_eq!(empty(&dropped), [300, 400]);
    assert!(
        dropped
            .verdict()
            .to_string()
            .contains("1 outliers left out of the fit")
    );
}

#[test]
fn history_before_the_window_judges_and_is_not_trained_on() {
    let prepared = features(&rows(40 * DAY, good), &Preparation::default());
    assert_eq!(prepared.window().values.len(), 28 * DAY as usize);
    assert_eq!(prepared.grid().values.len(), 40 * DAY as usize);
    let alone: Vec<String> = rows(40 * DAY, good).split_off(12 * DAY as usize);
    assert_eq!(
        prepared.data_sha256(),
        features(&alone, &Preparation::default()).data_sha256()
    );
}

#[test]
fn prepared_features_cross_processes_whole() {
    let prepared = features(&holed(), &with(|it| it.cap = Some(50.0)));
    let about = serde_json::to_string(prepared.about()).unwrap();
    let again = Features::new(
        prepared.grid().clone(),
        prepared.learned().clone(),
        serde_json::from_str(&about).unwrap(),
    )
    .unwrap();
    assert_eq!(again.about(), prepared.about());
    assert_eq!(again.data_sha256(), prepared.data_sha256());
    let mut grid = prepared.grid().clone();
    grid.values.truncate(3);
    let error = Features::new(grid.clone(), grid, prepared.about().clone()).unwrap_err();
    assert!(error.remedy().contains("prepare it again"));
}

#[test]
fn holidays_become_columns_of_the_model_and_the_search_refuses_them() {
    let holiday = loadcast_model::holiday::Holiday {
        holiday: "launch".to_owned(),
        ds: "2026-01-03".parse().unwrap(),
        lower_window: 0,
        upper_window: 1,
        prior_scale: None,
    };
    let preparation = with(|it| it.holidays = vec![holiday.clone()]);
    let busy = |i: i64| {
        good(i)
            + if (2 * DAY..4 * DAY).contains(&i) {
                3.0
            } else {
                0.0
            }
    };
    let prepared = features(&rows(10 * DAY, busy), &preparation);
    train(prepared.clone(), Method::Spec(Box::default())).unwrap();
    let error = train(prepared, Method::Search).unwrap_err();
    assert!(
        error.to_string().contains("the search knows no holidays"),
        "{error}"
    );
}

#[test]
fn a_floor_above_its_cap_is_refused() {
    let valid = loadcast_trainer::stage::validate_data::validate_data(
        column(&rows(5 * DAY, good)),
        &Rules::default(),
    );
    let preparation = with(|it| (it.floor, it.cap) = (Some(3.0), Some(2.0)));
    let refused =
        loadcast_trainer::stage::prepare_features::prepare_features(valid.unwrap(), &preparation);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("--floor 3 is not below --cap 2")
    );
}
