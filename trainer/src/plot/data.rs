//! A picture of a whole history with what the rules found in it, and the forecast of the day after.

use super::{ASIDE, CHAMPION, FORECAST, FOUND, GUIDE, OBSERVED, Plot, Stroke};
use crate::checks::Check as _;
use crate::stage::validate_data::rule::Rule;
use crate::stage::validate_model::Evidence;
use crate::time::DAY;
use crate::verdict::{Span, Verdict};

const HEIGHT: f64 = 320.0;

/// How far ahead the picture reaches.
const AHEAD: i64 = DAY;

/// Draws the history of `evidence`, marked with what stage 1 `found`.
pub fn picture(title: &str, evidence: &Evidence, found: &Verdict) -> String {
    let (grid, zone) = (&evidence.grid, &evidence.zone);
    let (step, end) = (i64::from(grid.step_seconds), grid.time(grid.values.len()));
    let observed: Vec<(i64, f64)> = (0..grid.values.len())
        .filter_map(|i| Some((grid.time(i), (*grid.values.get(i)?)?)))
        .collect();
    let champion: Vec<(i64, f64)> = evidence
        .champion
        .served()
        .map(|served| {
            served
                .forecast
                .range(end..)
                .map(|(t, v)| (*t, *v))
                .collect()
        })
        .unwrap_or_default();
    let ahead = champion.iter().chain(&evidence.next_day);
    let all = observed.iter().chain(ahead).map(|(_, value)| *value);
    let mut plot = Plot::new(title, HEIGHT, (grid.start, end + AHEAD), all);

    let spans = |rule: Rule| -> Vec<(i64, i64)> {
        let of_rule = found
            .not_passed()
            .filter(|(_, checked)| checked.check == rule.name());
        let wall = |span: &Span| {
            (
                zone.to_wall(span.from.as_second()),
                zone.to_wall(span.to.as_second()),
            )
        };
        of_rule
            .flat_map(|(_, checked)| checked.spans.iter().map(wall))
            .collect()
    };
    let trained = grid.values.len().saturating_sub(evidence.window);
    if trained > 0 {
        plot.shade(grid.start, grid.time(trained), GUIDE, 0.45);
    }
    plot.legend("observed", Stroke::new(OBSERVED, 1.0));
    plot.legend("forecast of the next day", Stroke::new(FORECAST, 1.8));
    if !champion.is_empty() {
        plot.legend("champion's", Stroke::new(CHAMPION, 1.4));
    }
    for (rules, name, color) in [
        (&[Rule::Gaps, Rule::Missing][..], "nothing observed", FOUND),
        (&[Rule::Censored], "censored", ASIDE),
    ] {
        let found: Vec<(i64, i64)> = rules.iter().flat_map(|rule| spans(*rule)).collect();
        if !found.is_empty() {
            plot.legend(name, Stroke::new(color, 8.0).opacity(0.3));
        }
        for (from, to) in found {
            plot.shade(from, to + step, color, 0.22);
        }
    }
    plot.curve(
        observed.iter().copied(),
        step,
        Stroke::new(OBSERVED, 1.0).opacity(0.75),
    );
    plot.curve(champion, i64::MAX, Stroke::new(CHAMPION, 1.4));
    plot.curve(
        evidence.next_day.iter().copied(),
        step,
        Stroke::new(FORECAST, 1.8),
    );
    let odd: Vec<i64> = [Rule::Outliers, Rule::Negative]
        .into_iter()
        .flat_map(&spans)
        .map(|(from, _)| from.div_euclid(step) * step)
        .collect();
    for (time, value) in observed.iter().filter(|(time, _)| odd.contains(time)) {
        plot.ring(*time, *value, FOUND);
    }
    if !odd.is_empty() {
        plot.legend("outliers", Stroke::new(FOUND, 2.0));
    }
    for (from, _) in spans(Rule::LevelShift) {
        plot.mark(from, "level shift", FOUND);
    }
    plot.mark(end, "", OBSERVED);
    plot.finish()
}
