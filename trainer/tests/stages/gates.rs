//! The gates of stage 4.

use loadcast_model::backtest::Method;
use loadcast_model::fit::fit;
use loadcast_model::forecaster::{Forecaster, Question};
use loadcast_model::spec::{Growth, SeasonalityChoice, Spec};
use loadcast_trainer::brake::Brake;
use loadcast_trainer::champion::{Champion, Served};
use loadcast_trainer::checks::Check as _;
use loadcast_trainer::stage::prepare_features::{GapPolicy, OutlierPolicy, Preparation};
use loadcast_trainer::stage::validate_model::gate::{Consequence, Gate};
use loadcast_trainer::stage::validate_model::{Conclusion, Judgement, Outcome};
use loadcast_trainer::verdict::Judged as _;

use crate::support::{DAY, START, STEP, features, gates, good, judged, noise, rows, shape};

/// What Prophet makes of it with its defaults.
fn defaults() -> Method {
    Method::Spec(Box::default())
}

/// A trend that follows the last hours wherever they go.
fn nervous() -> Method {
    Method::Spec(Box::new(Spec {
        changepoint_range: 1.0,
        changepoint_prior_scale: 50.0,
        n_changepoints: 200,
        daily_seasonality: SeasonalityChoice::Enabled(false),
        weekly_seasonality: SeasonalityChoice::Enabled(false),
        ..Spec::default()
    }))
}

fn judge(count: i64, value: impl Fn(i64) -> f64, method: Method) -> Judgement {
    let preparation = Preparation::default();
    judged(
        &rows(count, value),
        &preparation,
        method,
        Champion::Nothing,
        &[],
    )
}

/// A judgement that `gate` and nothing else speaks against.
fn against(gate: Gate) -> Judgement {
    match gate {
        Gate::Finite => judge(
            4 * DAY,
            |i| 4.3e305 * i as f64 * (1.0 + 0.1 * noise(i)),
            defaults(),
        ),
        // Nine days and a half of calm, then a climb that the trend goes on with.
        Gate::Range => judge(
            10 * DAY,
            |i| good(i) + 0.125 * (i - 10 * DAY + 48).max(0) as f64,
            nervous_daily(),
        ),
        // Four days of growth are no reason to grow for a month.
        Gate::Growth => judge(
            4 * DAY,
            |i| 10.0 + 0.05 * i as f64 + 0.4 * noise(i),
            defaults(),
        ),
        // A pattern that yesterday had too, and that four waves cannot draw.
        Gate::Skill => judge(14 * DAY, |i| 1.0 + pulses(i) + 0.02 * noise(i), defaults()),
        // The trend goes on with the last hours of a day, and no bound shows in a backtest.
        Gate::SkillFloor => {
            let preparation = Preparation {
                cap: Some(12.0),
                floor: Some(0.0),
                ..Preparation::default()
            };
            let value = |i: i64| 2.0 + 8.0 * (i % DAY) as f64 / DAY as f64 + 0.4 * noise(i);
            judged(
                &rows(10 * DAY, value),
                &preparation,
                nervous(),
                Champion::Nothing,
                &[],
            )
        }
        // A month of growth that then ended: the model goes on with it.
        Gate::MonthSkill => judge(
            62 * DAY,
            |i| 4.0 + 0.12 * i.min(32 * DAY) as f64 / DAY as f64 * 4.0 + good(i),
            defaults(),
        ),
        // The last days are much noisier than the band was learned from.
        Gate::Coverage => judge(
            28 * DAY,
            |i| shape(i) + if i < 25 * DAY { 0.1 } else { 1.2 } * noise(i),
            defaults(),
        ),
        // What is served knew what nobody can know.
        Gate::Champion => {
            let right = |i: i64| (START + i * STEP, good(i) + 0.01 * noise(-i));
            let champion = Champion::Served(Served {
                version: 7,
                mae: None,
                cutoff: START + 10 * DAY * STEP,
                forecast: (0..15 * DAY).map(right).collect(),
            });
            judged(
                &rows(14 * DAY, good),
                &Preparation::default(),
                defaults(),
                champion,
                &[],
            )
        }
        Gate::Censored => {
            let mut it = rows(14 * DAY, good);
            for (i, row) in it.iter_mut().enumerate() {
                row.push_str(if i % 10 == 0 { ",censored" } else { "," });
            }
            judged(
                &it,
                &Preparation::default(),
                defaults(),
                Champion::Nothing,
                &[],
            )
        }
    }
}

/// A trend that follows the last half day.
fn nervous_daily() -> Method {
    Method::Spec(Box::new(Spec {
        changepoint_range: 1.0,
        changepoint_prior_scale: 1.0,
        n_changepoints: 40,
        ..Spec::default()
    }))
}

/// Ten short bursts a day.
fn pulses(i: i64) -> f64 {
    if [3, 11, 12, 29, 37, 50, 51, 68, 77, 90].contains(&(i % DAY)) {
        3.0
    } else {
        0.0
    }
}

fn conclusion(judgement: &Judgement) -> Option<Conclusion> {
    match &judgement.outcome {
        Outcome::Approved(approved) => Some(approved.conclusion()),
        Outcome::Rejected(_) => None,
    }
}

#[test]
fn a_model_that_passes_every_gate_is_promoted() {
    let judgement = judge(14 * DAY, good, defaults());
    assert_eq!(gates(&judgement), [""; 0], "{}", judgement.verdict());
    assert_eq!(conclusion(&judgement), Some(Conclusion::Promote));
    assert_eq!(
        judgement.verdict().table().lines().count(),
        1 + Gate::ALL.len()
    );
}

#[test]
fn every_gate_is_closed_by_a_model_that_only_it_is_closed_to() {
    for gate in Gate::ALL {
        let judgement = against(*gate);
        assert_eq!(
            gates(&judgement),
            [gate.name()],
            "{}",
            judgement.verdict().table()
        );
        let expected = match gate.default_setting().consequence {
            Consequence::Warning => Some(Conclusion::Promote),
            Consequence::Candidate => Some(Conclusion::CandidateOnly),
            Consequence::Reject => None,
        };
        assert_eq!(conclusion(&judgement), expected, "{}", gate.name());
        match &judgement.outcome {
            Outcome::Approved(approved) => assert_eq!(approved.reasons()[0].code, gate.code()),
            Outcome::Rejected(rejected) => {
                assert_eq!(rejected.reasons()[0].code, gate.code());
                assert!(!rejected.error().remedy().is_empty());
            }
        }
    }
}

#[test]
fn what_follows_from_a_gate_can_be_set() {
    let rows = rows(14 * DAY, |i| 1.0 + pulses(i) + 0.02 * noise(i));
    for (set, expected) in [
        ("skill=warning", Some(Conclusion::Promote)),
        ("skill=candidate", Some(Conclusion::CandidateOnly)),
        ("skill=reject", None),
        ("skill=reject:-1000000", Some(Conclusion::Promote)),
    ] {
        let preparation = Preparation::default();
        let judgement = judged(&rows, &preparation, defaults(), Champion::Nothing, &[set]);
        assert_eq!(conclusion(&judgement), expected, "{set}");
    }
}

#[test]
fn a_skill_that_cannot_be_known_keeps_a_model_from_being_promoted() {
    let flat = Spec {
        growth: Growth::Flat,
        ..Spec::default()
    };
    let judgement = judge(2 * DAY, good, Method::Spec(Box::new(flat)));
    assert_eq!(gates(&judgement), ["skill"]);
    assert_eq!(conclusion(&judgement), Some(Conclusion::CandidateOnly));
    let text = judgement.verdict().to_string();
    assert!(
        text.contains("skill unknown, because 2 whole days of history"),
        "{text}"
    );
}

#[test]
fn a_champion_is_compared_only_where_neither_has_seen_what_came() {
    let champion = |cutoff: i64| {
        Champion::Served(Served {
            version: 3,
            mae: None,
            cutoff: START + cutoff * STEP,
            forecast: (0..15 * DAY)
                .map(|i| (START + i * STEP, shape(i) + 0.5))
                .collect(),
        })
    };
    let compared = |champion| {
        let judgement = judged(
            &rows(14 * DAY, good),
            &Preparation::default(),
            defaults(),
            champion,
            &[],
        );
        match judgement.outcome {
            Outcome::Approved(approved) => approved.against_champion().cloned(),
            Outcome::Rejected(_) => None,
        }
    };
    // Of the days after the 11th, 12th and 13th only those after its cutoff count.
    assert_eq!(compared(champion(10 * DAY)).unwrap().values, 3 * 96);
    assert_eq!(compared(champion(12 * DAY)).unwrap().values, 96);
    // Younger than a day: what has come since, if it is a quarter of one.
    let half = compared(champion(13 * DAY + 47)).unwrap();
    assert_eq!((half.version, half.values), (3, 48));
    assert!(
        (half.champion_mae - 0.5).abs() < 0.05 && half.mae < 0.1,
        "{half:?}"
    );
    assert_eq!(compared(champion(14 * DAY - 5)), None);
    assert_eq!(
        compared(Champion::Unknown("it does not answer".to_owned())),
        None
    );
}

#[test]
fn a_constant_series_is_promoted() {
    let judgement = judge(6 * DAY, |_| 4.5, defaults());
    assert_eq!(
        conclusion(&judgement),
        Some(Conclusion::Promote),
        "{}",
        judgement.verdict()
    );
}

/// A champion that was trained on all but the last four days, and says `value` from then on.
fn served(count: i64, value: f64) -> Champion {
    Champion::Served(Served {
        version: 2,
        mae: None,
        cutoff: START + (count - 4 * DAY) * STEP,
        forecast: (0..count + DAY)
            .map(|i| (START + i * STEP, value))
            .collect(),
    })
}

#[test]
fn idle_series_whose_champions_say_nothing_do_not_stop_the_fleet() {
    let idle = || {
        let judgement = judged(
            &rows(6 * DAY, |_| 1e-6),
            &Preparation::default(),
            defaults(),
            served(6 * DAY, 0.0),
            &[],
        );
        match judgement.outcome {
            Outcome::Approved(approved) => approved.movement(),
            Outcome::Rejected(_) => None,
        }
    };
    let moves: Vec<Option<f64>> = (0..3).map(|_| idle()).collect();
    assert!(moves.iter().all(Option::is_some), "{moves:?}");
    let stopped = Brake::default().judge(["a", "b", "c"].into_iter().zip(moves), 0);
    assert_eq!(stopped, None);
}

#[test]
fn a_hair_beside_a_champion_that_was_exact_is_not_worse() {
    let judgement = judged(
        &rows(6 * DAY, |_| 0.1),
        &Preparation::default(),
        Method::Search,
        served(6 * DAY, 0.1),
        &[],
    );
    let compared = match &judgement.outcome {
        Outcome::Approved(approved) => approved.against_champion().cloned(),
        Outcome::Rejected(_) => None,
    };
    let compared = compared.unwrap();
    assert!(
        compared.champion_mae == 0.0 && compared.mae > 0.0,
        "{compared:?}"
    );
    let closed = gates(&judgement);
    assert!(!closed.contains(&"champion".to_owned()), "{closed:?}");
}

#[test]
fn a_constant_that_no_double_holds_exactly_is_promoted_by_the_search() {
    for value in [0.1, 0.7, 536_870_912.3] {
        let judgement = judge(6 * DAY, |_| value, Method::Search);
        assert_eq!(
            conclusion(&judgement),
            Some(Conclusion::Promote),
            "{value}: {}",
            judgement.verdict()
        );
    }
}

#[test]
fn gaps_are_filled_before_an_origin_without_what_came_after_it() {
    let last_day = |raised: f64| {
        let value = |i: i64| good(i) + if i < 9 * DAY { 0.0 } else { raised };
        let mut it = rows(10 * DAY, value);
        it.drain(8 * DAY as usize..9 * DAY as usize);
        let preparation = Preparation {
            gaps: GapPolicy::Interpolate,
            ..Preparation::default()
        };
        let judgement = judged(&it, &preparation, defaults(), Champion::Nothing, &[]);
        let origin = judgement.evidence.days.last().cloned().unwrap();
        assert_eq!(origin.at as i64, 9 * DAY);
        (origin.rows as i64, origin.model.point)
    };
    assert_eq!(last_day(0.0), last_day(1.0));
    assert_eq!(last_day(0.0).0, 9 * DAY);
}

#[test]
fn an_origin_is_fitted_with_the_holes_that_the_model_itself_is_fitted_with() {
    let mut it = rows(10 * DAY, good);
    it.drain(7 * DAY as usize..8 * DAY as usize);
    let preparation = Preparation::default();
    let judgement = judged(&it, &preparation, defaults(), Champion::Nothing, &[]);
    let origin = judgement.evidence.days.last().unwrap();
    let past = features(&it, &preparation).before(origin.at);
    assert_eq!(past.values[7 * DAY as usize + 5], None);
    let fitted = fit(&Spec::default(), &past.to_history().unwrap()).unwrap();
    let asked = Question::at(&origin.ds);
    let forecast = Forecaster::new(fitted.model).unwrap().forecast(&asked);
    assert_eq!(origin.model.point, forecast.unwrap().yhat);
}

#[test]
fn a_model_is_judged_by_what_was_observed_whatever_it_is_trained_on() {
    let spike = 9 * DAY + 40;
    let mut it = rows(10 * DAY, good);
    it[spike as usize] = format!("{},40", START + spike * STEP);
    it.drain(9 * DAY as usize + 50..9 * DAY as usize + 60);
    let error = |gaps, outliers| {
        let preparation = Preparation {
            gaps,
            outliers,
            ..Preparation::default()
        };
        let judgement = judged(&it, &preparation, defaults(), Champion::Nothing, &[]);
        let values = &judgement.evidence.grid.values;
        assert_eq!(values[spike as usize], Some(40.0));
        assert_eq!(values[9 * DAY as usize + 55], None);
        match judgement.outcome {
            Outcome::Approved(approved) => approved.skill().unwrap().model.mae.unwrap(),
            Outcome::Rejected(rejected) => rejected.skill().unwrap().model.mae.unwrap(),
        }
    };
    let kept = error(GapPolicy::Keep, OutlierPolicy::Keep);
    assert_eq!(error(GapPolicy::Zero, OutlierPolicy::Keep), kept);
    assert_eq!(error(GapPolicy::Interpolate, OutlierPolicy::Drop), kept);
}

#[test]
fn a_backtest_is_scored_inside_the_bounds_that_are_served() {
    // Idle half of the day: unbounded, waves swing below zero and above the plateau.
    let value = |i: i64| {
        if i % DAY < DAY / 2 {
            0.0
        } else {
            4.0 + 0.2 * noise(i)
        }
    };
    let preparation = Preparation {
        floor: Some(0.0),
        cap: Some(4.2),
        ..Preparation::default()
    };
    let judgement = judged(
        &rows(10 * DAY, value),
        &preparation,
        defaults(),
        Champion::Nothing,
        &[],
    );
    let Outcome::Approved(approved) = &judgement.outcome else {
        panic!("{}", judgement.verdict());
    };
    let grid = &judgement.evidence.grid;
    let mut errors = Vec::new();
    for origin in &judgement.evidence.days {
        let line = &origin.model;
        let quantiles = line.quantiles.iter().flat_map(|(_, values)| values);
        let mut all = line.point.iter().chain(quantiles);
        assert!(all.all(|value| (0.0..=4.2).contains(value)), "{line:?}");
        for (point, truth) in line.point.iter().zip(&grid.values[origin.at..]) {
            errors.push((point - truth.unwrap()).abs());
        }
    }
    let mae = errors.iter().sum::<f64>() / errors.len() as f64;
    let scored = approved.skill().unwrap().model.mae.unwrap();
    assert!((mae - scored).abs() < 1e-12, "{mae} {scored}");
}

#[tokio::test]
async fn a_server_that_does_not_say_what_it_serves_keeps_a_model_from_being_promoted() {
    let (rows, preparation) = (rows(14 * DAY, good), Preparation::default());
    // Nobody listens where a listener was closed.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let client = loadcast_client::Client::new(&address).unwrap();
    let champion = Champion::ask(&client, &features(&rows, &preparation)).await;
    let judgement = judged(&rows, &preparation, defaults(), champion, &[]);
    assert_eq!(gates(&judgement), ["champion"]);
    assert_eq!(conclusion(&judgement), Some(Conclusion::CandidateOnly));
    let Outcome::Approved(approved) = &judgement.outcome else {
        panic!("{}", judgement.verdict());
    };
    let reason = &approved.reasons()[0];
    assert!(
        reason
            .message
            .contains("the server did not say what it serves: cannot reach"),
        "{reason:?}"
    );

    // Nobody was asked: nothing is held against the model.
    let unasked = Champion::Unknown("no server was asked (--dry-run)".to_owned());
    let judgement = judged(&rows, &preparation, defaults(), unasked, &[]);
    assert_eq!(conclusion(&judgement), Some(Conclusion::Promote));
}
