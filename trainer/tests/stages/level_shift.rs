//! A level that moved by half in the last two days: what the default spec, the search and the report say.

use loadcast_model::backtest::Method;
use loadcast_trainer::champion::Champion;
use loadcast_trainer::stage::prepare_features::Preparation;
use loadcast_trainer::stage::validate_model::{Conclusion, Judgement, Outcome};
use loadcast_trainer::verdict::Judged as _;

use crate::support::{DAY, good, inspected, judged, not_passed, rows};

const COUNT: i64 = 28 * DAY;

fn shifted(i: i64) -> f64 {
    good(i) * if i < COUNT - 2 * DAY { 1.0 } else { 1.5 }
}

/// Mean and mean absolute error of the next day's forecast, relative to the level that the last two days have.
fn of_new_level(judgement: &Judgement) -> (f64, f64) {
    let next = &judgement.evidence.next_day;
    let count = next.len() as f64;
    let mean = next.iter().map(|(_, value)| value).sum::<f64>() / count;
    let truth = |(i, (_, value)): (i64, &(i64, f64))| (value - 1.5 * good(COUNT + i)).abs();
    let error = (0_i64..).zip(next).map(truth).sum::<f64>() / count;
    let new = (COUNT - 2 * DAY..COUNT).map(shifted).sum::<f64>() / (2 * DAY) as f64;
    (mean / new, error / new)
}

#[test]
fn the_rule_names_the_shift_and_what_is_made_of_it_is_not_promoted() {
    let rows = rows(COUNT, shifted);
    let verdict = inspected(&rows, COUNT - 1, &[]).verdict;
    assert_eq!(not_passed(&verdict), ["level-shift"]);
    let text = verdict.to_string();
    assert!(
        text.contains("the level moved by +51 % at 2026-01-27T00:00:00Z"),
        "{text}"
    );

    let judge = |method| {
        judged(
            &rows,
            &Preparation::default(),
            method,
            Champion::Nothing,
            &[],
        )
    };
    let (spec, search) = (judge(Method::Spec(Box::default())), judge(Method::Search));
    // Neither is good so soon after: both extrapolate from 26 days of another level. The gates say so of both.
    for (what, judgement) in [("default spec", &spec), ("search", &search)] {
        let (mean, error) = of_new_level(judgement);
        println!(
            "{what}: mean {mean:.3}, mean absolute error {error:.3} of the new level\n{}",
            judgement.verdict()
        );
        let Outcome::Approved(approved) = &judgement.outcome else {
            panic!("{what} is rejected");
        };
        assert_eq!(approved.conclusion(), Conclusion::CandidateOnly);
        assert!(approved.skill().unwrap().skill.unwrap() < 0.0, "{what}");
    }
}
