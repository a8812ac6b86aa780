//! The page that a team looks at before it switches a forecast on: one file, nothing to load.

use std::fmt::Write as _;

use super::{Plan, Policy, Replay, Run};
use crate::time::{DAY, show_instant, show_length};

const WIDTH: f64 = 1_080.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 24.0;

/// Of load, pods, and where they did not suffice.
const LOAD: &str = "#30363d";
const PODS: &str = "#0b62c4";
const SHORT: &str = "#c62828";
const GUIDE: &str = "#d0d7de";

const STYLE: &str = "body{font:14px/1.5 system-ui,sans-serif;color:#1f2328;max-width:1100px;margin:24px auto;padding:0 12px}\
table{border-collapse:collapse;margin:16px 0}td,th{padding:4px 12px;border-bottom:1px solid #d0d7de;text-align:right}\
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}h1{font-size:20px}h2{font-size:16px;margin:24px 0 4px}";

/// The page of a replay.
#[must_use]
pub fn html(column: &str, plan: &Plan, replay: &Replay) -> String {
    let column = escaped(column);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Replay of {column}</title><style>{STYLE}</style>\n<h1>Would it have helped? Replay of {column}</h1>\n<p>{} to {}. A pod is to carry {:.4} and can carry {:.4}; it is ready {} after its creation. Autoscaler: every {} s, tolerance {} %, {} to {} pods, down after {}. Lead time {}; the naive is the same metric of {} before. {} models were trained, one a day, each on what came before; {} of them declare a correction by fresh observations.</p>\n",
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
    );
    if replay.filled_hours > 0.0 {
        let _ = writeln!(
            html,
            "<p>{:.1} h of load were not observed and are filled in.</p>",
            replay.filled_hours
        );
    }
    table(&mut html, replay);
    for run in &replay.runs {
        let _ = writeln!(html, "<h2>{}</h2>", run.policy.title());
        plot(&mut html, plan, replay, run);
    }
    html.push_str("<p>Grey: load, in pods at target. Blue: ready pods. Red: the load was more than the ready pods can carry. Load is constant within a step.</p>\n</html>\n");
    html
}

fn table(html: &mut String, replay: &Replay) {
    html.push_str("<table><tr><th></th><th>minutes under-provisioned</th><th>load not carried</th><th>pod-hours</th><th>against reactive</th><th>scale events</th><th>oscillations</th><th>most pods</th></tr>\n");
    let reactive = replay
        .run(Policy::Reactive)
        .map_or(0.0, |run| run.figures.pod_hours);
    for Run {
        policy, figures, ..
    } in &replay.runs
    {
        let against = match reactive > 0.0 {
            true => format!("{:+.1} %", 100.0 * (figures.pod_hours / reactive - 1.0)),
            false => "-".to_owned(),
        };
        let _ = writeln!(
            html,
            "<tr><td>{}</td><td>{:.1}</td><td>{:.3} %</td><td>{:.1}</td><td>{against}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            policy.title(),
            figures.under_provisioned_minutes,
            100.0 * figures.unserved_share,
            figures.pod_hours,
            figures.scale_events,
            figures.oscillations,
            figures.most_pods,
        );
    }
    html.push_str("</table>\n");
}

/// One policy over time. Where many syncs share a pixel, the most load and the fewest pods are drawn.
fn plot(html: &mut String, plan: &Plan, replay: &Replay, run: &Run) {
    let syncs = replay.load.len().max(1);
    let per_pixel = syncs.div_ceil((WIDTH - LEFT - RIGHT) as usize).max(1);
    let most = run.ready.iter().map(|ready| f64::from(*ready));
    let most = most.chain(replay.load.iter().copied()).fold(1.0, f64::max);
    let x = |sync: usize| LEFT + (WIDTH - LEFT - RIGHT) * sync as f64 / syncs as f64;
    let y = |pods: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * pods / most;
    let _ = writeln!(
        html,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif" font-size="11"><rect width="{WIDTH}" height="{HEIGHT}" fill="none"/>"#
    );
    for share in [0.0, 0.5, 1.0] {
        let (value, at) = (most * share, y(most * share));
        let _ = writeln!(
            html,
            r#"<line x1="{LEFT}" x2="{}" y1="{at:.1}" y2="{at:.1}" stroke="{GUIDE}"/><text x="{}" y="{:.1}" text-anchor="end">{value:.0}</text>"#,
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0
        );
    }
    let sync = plan.hpa.sync_period.max(1);
    let mut midnight = (replay.from + DAY - 1).div_euclid(DAY) * DAY;
    while midnight < replay.until {
        let at = x(usize::try_from((midnight - replay.from) / sync).unwrap_or(0));
        let _ = writeln!(
            html,
            r#"<line x1="{at:.1}" x2="{at:.1}" y1="{TOP}" y2="{}" stroke="{GUIDE}"/><text x="{:.1}" y="{}">{}</text>"#,
            HEIGHT - BOTTOM,
            at + 3.0,
            HEIGHT - 8.0,
            // The last one would not fit.
            show_instant(midnight)
                .get(5..10)
                .filter(|_| at + 36.0 < WIDTH)
                .unwrap_or_default()
        );
        midnight += DAY;
    }
    let mut load = String::new();
    let mut pods = String::new();
    let mut short = String::new();
    let pairs = replay
        .load
        .chunks(per_pixel)
        .zip(run.ready.chunks(per_pixel));
    for (i, (of_load, of_pods)) in pairs.enumerate() {
        let at = x(i * per_pixel);
        let highest = of_load.iter().copied().fold(0.0, f64::max);
        let fewest = f64::from(of_pods.iter().copied().min().unwrap_or(0));
        let _ = write!(load, "{at:.1},{:.1} ", y(highest));
        let _ = write!(pods, "{at:.1},{:.1} ", y(fewest));
        let missed =
            |(load, ready): (&f64, &u32)| load * plan.target > f64::from(*ready) * plan.capacity;
        if of_load.iter().zip(of_pods).any(missed) {
            let _ = write!(short, "M{at:.1},{TOP}V{:.1}", TOP - 10.0);
        }
    }
    let _ = writeln!(
        html,
        r#"<polyline points="{load}" fill="none" stroke="{LOAD}" stroke-opacity="0.55"/><polyline points="{pods}" fill="none" stroke="{PODS}" stroke-width="1.4"/><path d="{short}" stroke="{SHORT}" stroke-width="1.2"/></svg>"#
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_s_name_is_text_and_not_markup() {
        assert_eq!(escaped("<script>&"), "&lt;script>&amp;");
    }
}
