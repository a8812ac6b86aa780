//! The page that a team looks at before it switches a forecast on: one file, nothing to load.

use maud::{Markup, PreEscaped, html};

use super::{Plan, Policy, Replay, Run};
use crate::page::document;
use crate::plot::{FORECAST, FOUND, OBSERVED, Plot, Stroke};
use crate::time::{show_instant, show_length};

const HEIGHT: f64 = 240.0;

/// Parts of the time that are told apart in a picture.
const PARTS: i64 = 1_000;

/// The page of a replay.
#[must_use]
pub fn html(column: &str, plan: &Plan, replay: &Replay) -> String {
    let body = html! {
        main { section {
            h1 { "Would it have helped? Replay of " (column) }
            p { (asked(plan, replay)) }
            @if replay.filled_hours > 0.0 {
                p { (format!("{:.1}", replay.filled_hours)) " h of load were not observed and are filled in." }
            }
            (table(replay))
            @for run in &replay.runs {
                h2 { (run.policy.title()) }
                (PreEscaped(picture(plan, replay, run)))
            }
            p.quiet { "Red: the load was more than the ready pods can carry. Load is constant within a step." }
        } }
    };
    document(&format!("Replay of {column}"), &body).into_string()
}

fn asked(plan: &Plan, replay: &Replay) -> String {
    format!(
        "{} to {}. A pod is to carry {:.4} and can carry {:.4}; it is ready {} after its creation. Autoscaler: every {} s, tolerance {} %, {} to {} pods, down after {}. Lead time {}; the naive is the same metric of {} before. {} models were trained, one a day, each on what came before; {} of them declare a correction by fresh observations.",
        show_instant(replay.from),
        show_instant(replay.until),
        plan.target,
        plan.capacity,
        show_length(plan.pod_start),
        plan.hpa.sync_period,
        100.0 * plan.hpa.tolerance,
        plan.hpa.min,
        plan.hpa.max,
        show_length(plan.hpa.behavior.down.stabilization),
        show_length(plan.trigger.lead_seconds.into()),
        show_length(replay.naive_season_seconds),
        replay.models,
        replay.corrected_models,
    )
}

fn table(replay: &Replay) -> Markup {
    let reactive = replay
        .run(Policy::Reactive)
        .map_or(0.0, |run| run.figures.pod_hours);
    let against = |pod_hours: f64| match reactive > 0.0 {
        true => format!("{:+.1} %", 100.0 * (pod_hours / reactive - 1.0)),
        false => "-".to_owned(),
    };
    html! {
        table {
            thead { tr {
                th {}
                th.number { "minutes under-provisioned" } th.number { "load not carried" }
                th.number { "pod-hours" } th.number { "against reactive" } th.number { "scale events" }
                th.number { "oscillations" } th.number { "most pods" }
            } }
            tbody {
                @for Run { policy, figures, .. } in &replay.runs {
                    tr {
                        td { (policy.title()) }
                        td.number { (format!("{:.1}", figures.under_provisioned_minutes)) }
                        td.number { (format!("{:.3} %", 100.0 * figures.unserved_share)) }
                        td.number { (format!("{:.1}", figures.pod_hours)) }
                        td.number { (against(figures.pod_hours)) }
                        td.number { (figures.scale_events) }
                        td.number { (figures.oscillations) }
                        td.number { (figures.most_pods) }
                    }
                }
            }
        }
    }
}

/// One policy over time.
fn picture(plan: &Plan, replay: &Replay, run: &Run) -> String {
    let times = || (0_i64..).map(|i| replay.from + i * plan.hpa.sync_period);
    let load: Vec<(i64, f64)> = times().zip(replay.load.iter().copied()).collect();
    let ready = run.ready.iter().map(|ready| f64::from(*ready));
    let pods: Vec<(i64, f64)> = times().zip(ready).collect();
    let values = load.iter().chain(&pods).map(|(_, value)| *value);
    let mut plot = Plot::new(
        run.policy.title(),
        HEIGHT,
        (replay.from, replay.until),
        values.chain([0.0]),
    );
    let short = load.iter().zip(&pods).filter(|(load, pods)| {
        // The load is in pods at target.
        load.1 * plan.target > pods.1 * plan.capacity
    });
    let apart = (replay.until - replay.from) / PARTS;
    for (from, to) in spans(short.map(|(load, _)| load.0), plan.hpa.sync_period, apart) {
        plot.shade(from, to, FOUND, 0.35);
    }
    let strokes = [
        ("load, in pods at target", Stroke::new(OBSERVED, 1.0), &load),
        ("ready pods", Stroke::new(FORECAST, 1.6), &pods),
    ];
    for (name, stroke, points) in strokes {
        plot.legend(name, stroke);
        plot.curve(points.iter().copied(), i64::MAX, stroke);
    }
    plot.finish()
}

/// Ascending `times`, each `length` long, as spans: those at most `apart` from each other are one.
fn spans(times: impl Iterator<Item = i64>, length: i64, apart: i64) -> Vec<(i64, i64)> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for time in times {
        match spans.last_mut() {
            Some(last) if time - last.1 <= apart => last.1 = time + length,
            _ => spans.push((time, time + length)),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use loadcast_model::trigger::Trigger;

    use super::*;
    use crate::replay::behavior::Behavior;
    use crate::replay::figures::Counter;
    use crate::replay::hpa::HpaSettings;

    #[test]
    fn a_column_s_name_is_text_and_not_markup() {
        let settings = [("series", "a"), ("target", "2")];
        let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let plan = Plan {
            hpa: HpaSettings {
                sync_period: 15,
                tolerance: 0.1,
                min: 1,
                max: 9,
                behavior: Behavior::default(),
            },
            target: 2.0,
            capacity: 2.2,
            pod_start: 90,
            metric_delay: 15,
            trigger: Trigger::read(&settings.into()).unwrap(),
            days: 1,
            max_train: 86_400,
        };
        let replay = Replay {
            from: 0,
            until: 60,
            step_seconds: 15,
            filled_hours: 0.0,
            naive_season_seconds: 86_400,
            models: 1,
            corrected_models: 0,
            runs: vec![Run {
                policy: Policy::Reactive,
                figures: Counter::new(15, 2.2).figures(),
                ready: vec![1, 1, 2, 2],
            }],
            load: vec![1.0, 1.5, 1.5, 1.0],
        };
        let page = html("<script>&", &plan, &replay);
        assert!(
            page.contains("Replay of &lt;script&gt;&amp;</h1>"),
            "{page}"
        );
        assert!(!page.contains("<script>"), "{page}");
        // One span of red: more load than a pod carries, until the second is ready.
        assert_eq!(page.matches(r#"fill-opacity="0.35""#).count(), 1);
    }

    #[test]
    fn what_is_closer_than_can_be_seen_is_one_span() {
        let times = [0, 15, 60, 300];
        assert_eq!(spans(times.into_iter(), 15, 30), [(0, 75), (300, 315)]);
    }
}
