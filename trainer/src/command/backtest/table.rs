//! Backtests for people: a line for each forecast.

use std::fmt::Write as _;

use loadcast_model::score::Measures;

use super::Outcome;

/// A table of all `outcomes`, and the geometric mean of their MASE relative to the seasonal naive's.
pub(super) fn text(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    let width = outcomes.iter().map(|one| one.series.len()).max();
    let width = width.unwrap_or(0).max("series".len());
    line(
        &mut text,
        &format!(
            "{:<width$}  {:<22} {:>8} {:>8} {:>12} {:>12} {:>9} {:>12}",
            "series", "forecast", "MASE", "sMAPE", "MAE", "RMSE", "coverage", "Winkler"
        ),
    );
    for outcome in outcomes {
        let backtest = &outcome.backtest;
        let mut row = |name: &str, measures: &Measures| {
            line(
                &mut text,
                &format!(
                    "{:<width$}  {name:<22} {} {} {} {} {} {}",
                    outcome.series,
                    number(measures.mase, 8, 3),
                    number(measures.smape, 8, 2),
                    number(measures.mae, 12, 4),
                    number(measures.rmse, 12, 4),
                    number(measures.coverage, 9, 3),
                    number(measures.winkler, 12, 4),
                ),
            );
        };
        let distilled = backtest.undistilled.as_ref();
        row(
            distilled.map_or("model", |_| "search, as served"),
            &backtest.model,
        );
        if let Some(undistilled) = distilled {
            row("search, undistilled", undistilled);
        }
        row("seasonal naive", &backtest.seasonal_naive);
        let skill = backtest.skill.map_or_else(
            || "unknown: the seasonal naive made no error".to_owned(),
            |skill| format!("{skill:+.3}"),
        );
        line(
            &mut text,
            &format!(
                "{:<width$}  skill {skill}; {} origins, {} fits, {:.2} s",
                "", backtest.origins, backtest.fits, outcome.seconds
            ),
        );
    }
    if let (Some(mean), true) = (geometric_mean(outcomes), outcomes.len() > 1) {
        line(
            &mut text,
            &format!("MASE relative to the seasonal naive, geometric mean: {mean:.3}"),
        );
    }
    text
}

fn line(text: &mut String, line: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

fn number(value: Option<f64>, width: usize, digits: usize) -> String {
    value.map_or_else(
        || format!("{:>width$}", "-"),
        |value| format!("{value:>width$.digits$}"),
    )
}

fn geometric_mean(outcomes: &[Outcome]) -> Option<f64> {
    let ratios: Vec<f64> = outcomes
        .iter()
        .filter_map(|one| Some(1.0 - one.backtest.skill?))
        .filter(|ratio| *ratio > 0.0)
        .collect();
    let logs: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (logs / ratios.len() as f64).exp())
}
