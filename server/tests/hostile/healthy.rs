//! A healthy client: asks at a constant rate, and is answered every time.

use std::time::Duration;

use loadcast_client::{Client, ForecastQuery, Range};
use tokio::time::Instant;

/// What it asks about.
pub(crate) const SERIES: &str = "web.cpu";

/// Questions a second.
const RATE: u32 = 200;

/// Asks for `window`; how long each answer took, ascending. A stall counts against every question behind it.
pub(crate) async fn ask(client: &Client, window: Duration) -> Vec<Duration> {
    let query = ForecastQuery::new(SERIES, Range::Horizon(Duration::from_secs(86_400)));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let end = Instant::now() + window;
    let mut took = Vec::new();
    loop {
        let due = ticks.tick().await;
        if due >= end {
            took.sort_unstable();
            return took;
        }
        client.forecast(&query).await.expect("healthy and answered");
        took.push(due.elapsed());
    }
}

/// The delay that 99 % do not exceed.
pub(crate) fn p99(sorted: &[Duration]) -> f64 {
    sorted[(sorted.len() - 1) * 99 / 100].as_secs_f64() * 1e3
}
