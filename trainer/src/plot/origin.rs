//! A picture of one origin of a backtest: forecast, band and what came, after the days before it.

use std::collections::BTreeMap;

use loadcast_model::backtest::Origin;
use loadcast_model::grid::Grid;

use super::{CHAMPION, FORECAST, NAIVE, OBSERVED, Plot, Stroke};
use crate::time::DAY;

const HEIGHT: f64 = 360.0;

/// Draws `origin` of `grid` after as much history as `days_before` days, and what the `champion` said of these times.
pub fn picture(
    title: &str,
    naive: &str,
    grid: &Grid,
    origin: &Origin,
    days_before: i64,
    champion: Option<&BTreeMap<i64, f64>>,
) -> String {
    let step = i64::from(grid.step_seconds);
    let before = usize::try_from(days_before * DAY / step).unwrap_or(0);
    let shown = origin.at.saturating_sub(before)..origin.at + origin.ds.len();
    let observed: Vec<(i64, f64)> = shown
        .clone()
        .filter_map(|i| Some((grid.time(i), (*grid.values.get(i)?)?)))
        .collect();
    let timed = |values: &[f64]| -> Vec<(i64, f64)> {
        origin
            .ds
            .iter()
            .copied()
            .zip(values.iter().copied())
            .collect()
    };
    let quantiles = &origin.model.quantiles;
    let champion: Vec<(i64, f64)> = champion
        .into_iter()
        .flat_map(|values| {
            origin
                .ds
                .iter()
                .filter_map(|ds| Some((*ds, *values.get(ds)?)))
        })
        .collect();

    let all = observed.iter().chain(&champion).map(|(_, value)| *value);
    let all = all.chain(origin.model.point.iter().copied()).chain(
        quantiles
            .iter()
            .flat_map(|(_, values)| values.iter().copied()),
    );
    let times = (grid.time(shown.start), grid.time(shown.end));
    let mut plot = Plot::new(title, HEIGHT, times, all);
    let forecast = Stroke::new(FORECAST, 1.8);
    plot.legend("observed", Stroke::new(OBSERVED, 1.0));
    plot.legend("forecast", forecast);
    if let [(low, lower), .., (high, upper)] = quantiles.as_slice() {
        let name = format!("{:.0} % band", 100.0 * (high - low));
        plot.legend(&name, Stroke::new(FORECAST, 8.0).opacity(0.16));
        plot.band(&timed(lower), &timed(upper), FORECAST);
    }
    let same = Stroke::new(NAIVE, 1.0).opacity(0.8).dashed();
    plot.legend(naive, same);
    plot.curve(timed(&origin.seasonal_naive.point), step, same);
    if !champion.is_empty() {
        let served = Stroke::new(CHAMPION, 1.4);
        plot.legend("champion", served);
        plot.curve(champion, i64::MAX, served);
    }
    plot.curve(observed, step, Stroke::new(OBSERVED, 1.0).opacity(0.6));
    // Above the observations, which hide the band where they are dense.
    if let [lower, .., upper] = quantiles.as_slice() {
        for (_, edge) in [lower, upper] {
            plot.curve(timed(edge), step, Stroke::new(FORECAST, 0.8).opacity(0.9));
        }
    }
    plot.curve(timed(&origin.model.point), step, forecast);
    plot.mark(grid.time(origin.at), "", OBSERVED);
    plot.finish()
}
