//! Is what is served still as good as its backtest said? A series that no longer behaves as it did is not to wait for the
//! next run to be trained anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use loadcast_client::Client;
use loadcast_model::grid::Grid;
use loadcast_model::series::SeriesName;
use tokio::runtime::Handle;

use crate::champion::{Champion, Served};
use crate::error::Result;
use crate::pipeline::{self, Plan};
use crate::source::supply::{Declared, Supply};
use crate::stage::prepare_features::prepare_features;
use crate::stage::validate_data::inspect;
use crate::stage::validate_model::negligible;
use crate::time::DAY;

/// What is looked at: the latest day, as far as the model was not trained on it.
const LOOKED_AT: i64 = DAY;

/// What is read for that: a history is of two days at least, and what is served is asked of the latest three.
const HISTORY: i64 = 4 * DAY;

/// The least of it that says anything: an hour can be bad by chance.
const LEAST: i64 = 3 * 3600;

/// By how much the error of what is served is larger than its backtest's, over the latest day that it was not trained on;
/// `None` where less than three hours of that were observed, or its backtest's error is not known.
#[must_use]
pub fn drift(served: &Served, grid: &Grid) -> Option<f64> {
    let promised = served.mae?.max(negligible(grid));
    let end = grid.time(grid.values.len());
    let from = served.cutoff.max(end - LOOKED_AT - 1);
    let (mut sum, mut count) = (0.0, 0_u32);
    for (i, observed) in grid.values.iter().enumerate() {
        let time = grid.time(i);
        if time > from
            && let (Some(observed), Some(forecast)) = (observed, served.forecast.get(&time))
        {
            sum += (observed - forecast).abs();
            count += 1;
        }
    }
    let observed_seconds = i64::from(count) * i64::from(grid.step_seconds);
    (observed_seconds >= LEAST && promised > 0.0).then(|| sum / f64::from(count) / promised)
}

/// What was looked at, and what of it has drifted.
#[derive(Debug, Default)]
pub struct Drifted {
    /// Whose error is more than so many times what their backtests said.
    pub series: BTreeSet<SeriesName>,
    /// How many were looked at.
    pub fleet: usize,
}

/// Looks at every series of `plan`. One that cannot be judged has not drifted: its next run says what is wrong with it.
///
/// # Errors
/// When the data cannot be read at all.
pub async fn drifted(mut plan: Plan, client: &Client, factor: f64) -> Result<Drifted> {
    plan.history_seconds = Some(HISTORY);
    let (supply, mut declared) = Supply::open(&plan).await?;
    declared.retain(|declared| plan.has(&declared.declaration.name));
    let fleet = declared.len();
    let shared = Arc::new((plan, supply, client.clone()));
    let looking = futures::stream::iter(declared)
        .map(|declared| {
            let (shared, handle) = (Arc::clone(&shared), Handle::current());
            // Rows are parsed there, which takes long.
            tokio::task::spawn_blocking(move || handle.block_on(look(&shared, declared)))
        })
        .buffered(shared.0.jobs.max(1));
    let mut looking = std::pin::pin!(looking);
    let mut series = BTreeSet::new();
    while let Some(looked) = looking.next().await {
        let Ok((name, Some(by))) = looked else {
            continue;
        };
        if by > factor {
            tracing::warn!(series = %name, by, factor, "what is served has drifted from its backtest");
            series.insert(name);
        }
    }
    Ok(Drifted { series, fleet })
}

async fn look(
    (plan, supply, client): &(Plan, Supply, Client),
    declared: Declared,
) -> (SeriesName, Option<f64>) {
    let plan = declared.plan(plan);
    let by = async {
        let column = pipeline::column(supply, &declared, &plan).await.ok()?;
        let valid = inspect(column, &plan.rules).data.ok()?;
        let features = prepare_features(valid, &plan.preparation).ok()?;
        let champion = Champion::ask(client, &features).await;
        drift(champion.served()?, features.grid())
    };
    let by = by.await;
    (declared.declaration.name, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two days of hours at 10, the last `hours` of them at 13; forecast at 10 with an expected error of 1.
    fn scene(hours: usize, cutoff: usize) -> (Served, Grid) {
        let values = (0..48).map(|i| Some(if i + hours >= 48 { 13.0 } else { 10.0 }));
        let grid = Grid {
            start: 0,
            step_seconds: 3600,
            values: values.collect(),
        };
        let served = Served {
            version: 1,
            cutoff: grid.time(cutoff),
            forecast: (0..60).map(|i| (grid.time(i), 10.0)).collect(),
            mae: Some(1.0),
        };
        (served, grid)
    }

    #[test]
    fn a_level_that_left_the_forecast_is_drift_and_the_usual_error_is_none() {
        let (served, grid) = scene(24, 12);
        assert_eq!(drift(&served, &grid), Some(3.0));
        let (served, grid) = scene(0, 12);
        assert_eq!(drift(&served, &grid), Some(0.0));
    }

    #[test]
    fn what_it_was_trained_on_and_what_is_too_short_say_nothing() {
        let (served, grid) = scene(24, 45);
        assert_eq!(drift(&served, &grid), None);
        let (served, grid) = scene(24, 44);
        assert_eq!(drift(&served, &grid), Some(3.0));
        let (mut served, grid) = scene(24, 12);
        served.mae = None;
        assert_eq!(drift(&served, &grid), None);
    }
}
