//! Tables of what is asked and what is advised.

use super::*;

const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

const QUANTILE: Policy = Policy::Quantile {
    request: REQUEST_LEVEL,
    limit: LIMIT_LEVEL,
};

fn ask(policy: Policy, window: Window) -> Ask {
    Ask {
        window,
        policy,
        replicas: None,
        as_of: None,
    }
}

fn evidence<'a>(yhat: &'a [f64], low: &'a [f64], high: &'a [f64]) -> Evidence<'a> {
    Evidence {
        yhat,
        quantiles: Some((low, high)),
        history_days: 1e9,
        trained_peak: None,
        observed_peak: None,
    }
}

fn cpu(ask: Ask, evidence: Evidence<'_>, clamps: Clamps) -> Recommendation {
    ask.size(Resource::Cpu, 1_000.0, evidence, clamps).unwrap()
}

fn memory(ask: Ask, evidence: Evidence<'_>, clamps: Clamps) -> Result<Recommendation> {
    ask.size(Resource::Memory, 1.0 / MIB, evidence, clamps)
}

fn clamps(min: Option<f64>, max: Option<f64>) -> Clamps {
    Clamps { min, max }
}

#[test]
fn quantile_takes_the_windows_maximum_of_each_level_and_rounds_up() {
    let day = ask(QUANTILE, Window::NextDay);
    let of = evidence(&[1.0, 2.0], &[1.0, 2.0001, 0.5], &[1.5, 3.0, 2.5]);
    let advice = cpu(day, of, Clamps::default());
    assert_eq!((advice.request, advice.limit), (2_001, 3_001));
}

#[test]
fn multiplier_is_the_originals_arithmetic_of_the_mean_and_says_that_it_is_no_confidence() {
    for (window, request, limit) in [
        (Window::NextDay, 1_600, 2_400),
        (Window::NextWeek, 1_600, 2_400),
        (Window::NextWeekend, 1_600, 2_400),
        (Window::NextMonth, 1_400, 3_000),
    ] {
        let of = Evidence {
            quantiles: None,
            // A short history widens nothing here.
            history_days: 0.5,
            ..evidence(&[1.0, 3.0], &[], &[])
        };
        let advice = cpu(ask(Policy::Multiplier, window), of, Clamps::default());
        let have = (advice.request, advice.limit);
        // What is truncated may lie one below.
        assert!(
            (request - 1..=request).contains(&have.0) && (limit - 1..=limit).contains(&have.1),
            "{window:?}: {have:?}"
        );
        assert!(advice.notes[0].contains("no confidence"), "{advice:?}");
    }
}

#[test]
fn a_short_history_widens_the_limit_as_the_vpa_does_and_says_by_how_much() {
    for (days, factor, said) in [
        (0.5, 3.0, "200 %"),
        (1.0, 2.0, "100 %"),
        (7.0, 1.0 + 1.0 / 7.0, "14 %"),
        (28.0, 1.0 + 1.0 / 28.0, "4 %"),
        (0.0, 25.0, "2400 %"),
    ] {
        let of = Evidence {
            history_days: days,
            ..evidence(&[1.0], &[1.0], &[2.0])
        };
        let advice = cpu(ask(QUANTILE, Window::NextDay), of, Clamps::default());
        assert_eq!(advice.request, 1_000, "{days}");
        let limit: f64 = 2_000.0 * factor;
        assert_eq!(advice.limit, limit.ceil() as i64, "{days}");
        assert!(advice.notes[1].contains(said), "{days}: {advice:?}");
    }
}

#[test]
fn a_memory_limit_is_never_below_the_observed_peak_whatever_the_policy() {
    for policy in [QUANTILE, Policy::Multiplier] {
        for replicas in [None, NonZeroU32::new(3)] {
            let ask = Ask {
                replicas,
                ..ask(policy, Window::NextDay)
            };
            let of = Evidence {
                observed_peak: Some(4.0 * GIB + 1.0),
                ..evidence(&[GIB], &[GIB], &[GIB])
            };
            let advice = memory(ask, of, Clamps::default()).unwrap();
            let pods = f64::from(replicas.map_or(1, NonZeroU32::get));
            let peak = (4.0 * GIB + 1.0) / MIB / pods;
            assert!(advice.limit as f64 >= peak, "{advice:?}");
            let told = advice.notes.iter().any(|note| note.contains("raised from"));
            assert!(told, "{advice:?}");
        }
    }
}

#[test]
fn that_the_model_does_not_know_its_peak_is_told_whatever_was_observed_since() {
    let unknown = "the model does not say";
    for (trained_peak, observed_peak, limit) in [
        (None, None, 2_048),
        (None, Some(3.0 * GIB), 3_072),
        (Some(3.0 * GIB), None, 3_072),
        (Some(GIB), Some(3.0 * GIB), 3_072),
        (Some(4.0 * GIB), Some(3.0 * GIB), 4_096),
    ] {
        let of = Evidence {
            trained_peak,
            observed_peak,
            ..evidence(&[GIB], &[GIB], &[2.0 * GIB])
        };
        let advice = memory(ask(QUANTILE, Window::NextDay), of, Clamps::default()).unwrap();
        let told = advice.notes.iter().any(|note| note.contains(unknown));
        assert!((limit..=limit + 1).contains(&advice.limit), "{advice:?}");
        assert_eq!(told, trained_peak.is_none(), "{advice:?}");
    }
}

#[test]
fn a_clamp_below_the_observed_peak_is_refused_by_its_field() {
    let of = Evidence {
        observed_peak: Some(4.0 * GIB),
        ..evidence(&[GIB], &[GIB], &[GIB])
    };
    let day = ask(QUANTILE, Window::NextDay);
    let error = memory(day, of, clamps(None, Some(1_024.0))).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("memory_clamps_mib.max: ") && error.contains("4096 MiB"),
        "{error}"
    );
    // CPU is throttled, not killed.
    let advice = cpu(day, of, clamps(None, Some(500.0)));
    assert_eq!((advice.request, advice.limit), (500, 500));
}

#[test]
fn clamps_hold_and_are_told() {
    let day = ask(QUANTILE, Window::NextDay);
    let of = evidence(&[1.0], &[0.01], &[9.0]);
    let advice = cpu(day, of, clamps(Some(100.0), Some(2_000.0)));
    assert_eq!((advice.request, advice.limit), (100, 2_000));
    let notes = advice.notes.join("\n");
    assert!(notes.contains("request clamped from 10 to 100"), "{notes}");
    assert!(
        notes.contains("limit clamped from 9001 to 2000")
            || notes.contains("limit clamped from 9000 to 2000"),
        "{notes}"
    );
    assert!(notes.contains("at least 100, at most 2000"), "{notes}");
}

#[test]
fn a_falling_forecast_never_becomes_a_negative_or_a_zero_quantity() {
    for policy in [QUANTILE, Policy::Multiplier] {
        let of = evidence(&[-66.0], &[-66.0], &[-1.0]);
        let advice = cpu(ask(policy, Window::NextDay), of, Clamps::default());
        assert_eq!((advice.request, advice.limit), (1, 1), "{policy:?}");
        let notes = advice.notes.join("\n");
        assert!(
            notes.contains("below zero") && notes.contains("takes zero for none"),
            "{notes}"
        );
    }
}

#[test]
fn per_pod_is_the_total_divided_by_the_replicas() {
    let ask = Ask {
        replicas: NonZeroU32::new(4),
        ..ask(QUANTILE, Window::NextWeek)
    };
    let advice = cpu(ask, evidence(&[8.0], &[8.0], &[8.0]), Clamps::default());
    assert_eq!(advice.request, 2_000);
    assert!(advice.notes.join("\n").contains("divided by 4"));
}

#[test]
fn a_unit_that_is_not_the_resources_is_refused_by_name_with_the_remedy() {
    let mut series = Series::new("web.x".parse().unwrap());
    for (resource, unit, says) in [
        (Resource::Cpu, None, "not said"),
        (Resource::Cpu, Some(Unit::Percent), "\"percent\""),
        (Resource::Cpu, Some(Unit::Bytes), "\"bytes\""),
        (Resource::Memory, Some(Unit::Cores), "\"cores\""),
    ] {
        series.unit = unit;
        let error = resource.factor(&series).unwrap_err().to_string();
        assert!(
            error.starts_with(resource.field()) && error.contains(says) && error.contains("train"),
            "{error}"
        );
    }
    series.unit = Some(Unit::Bytes);
    assert_eq!(Resource::Memory.factor(&series).unwrap(), 1.0 / MIB);
}

#[test]
fn what_has_run_away_is_an_error_and_no_number() {
    for value in [1e300, f64::INFINITY, f64::NAN] {
        let values = [value];
        let of = evidence(&values, &values, &values);
        let day = ask(QUANTILE, Window::NextDay);
        let sized = day.size(Resource::Cpu, 1_000.0, of, Clamps::default());
        assert!(sized.is_err(), "{value}: {sized:?}");
    }
}

#[test]
fn a_month_of_seconds_is_asked_in_steps_that_one_answer_holds() {
    let mut series = Series::new("web.cpu".parse().unwrap());
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    for (step, expected) in [(1, 52), (15, 60), (60, 60), (300, 300)] {
        series.step_seconds = step;
        let question = ask(QUANTILE, Window::NextMonth).question(&series, now);
        assert_eq!(question.step_seconds, Some(expected));
        question.grid(&series, now).unwrap();
    }
}
