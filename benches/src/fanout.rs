//! Fan-out: one push, and how long until the last of many subscribers has it; what an idle subscription costs; what
//! stuck subscribers cost a healthy one. Server and subscribers are processes of their own, on loopback.

mod peer;
pub(crate) mod server;
mod subscriber;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::sync::mpsc;

use crate::fanout::{
    peer::Peer,
    server::Server,
    subscriber::{Arrival, subscribe},
};

/// Pushes whose fan-out is measured, after one that warms up.
const PUSHES: usize = 40;

/// Pushes that one healthy subscriber is measured by: enough that a p99 is not one of the worst few.
const BESIDE: usize = 1_000;

/// Points of an update, as a scaler asks for them.
const POINTS: i64 = 12;

/// Points of an update of which buffers hold few: 14 kB.
const MANY_POINTS: i64 = 1_800;

/// Pushes before anything is measured beside stuck subscribers: enough to fill every buffer between.
const FILLING: usize = 400;

/// The least time between two pushes.
const PAUSE: Duration = Duration::from_millis(20);

/// Longer than any fan-out takes; one that does not arrive fails the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Paired runs with and without stuck subscribers.
const PAIRS: usize = 9;

/// Every scenario.
const ALL: [&str; 7] = [
    "fan-1000-1",
    "fan-1000-100",
    "fan-1000-1000",
    "fan-10000-1",
    "fan-10000-100",
    "fan-10000-1000",
    "stuck-100",
];

/// Runs `scenarios` (none: all) and tells each figure as it is found.
///
/// # Errors
/// When the server cannot be started or an update does not arrive.
pub fn run(scenarios: &[String], mut tell: impl FnMut(&str, f64)) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let all = ALL.map(str::to_owned);
    let scenarios = if scenarios.is_empty() {
        &all[..]
    } else {
        scenarios
    };
    for scenario in scenarios {
        let parts: Vec<&str> = scenario.split('-').collect();
        match parts[..] {
            ["fan", subscribers, connections] => {
                let (subscribers, connections) = (subscribers.parse()?, connections.parse()?);
                let figures = runtime.block_on(fan(subscribers, connections))?;
                for (name, value) in figures {
                    tell(
                        &format!("fanout_{subscribers}_over_{connections}_{name}"),
                        value,
                    );
                }
            }
            ["stuck", subscribers] => {
                let figures = runtime.block_on(stuck(subscribers.parse()?))?;
                for (name, value) in figures {
                    tell(&format!("fanout_stuck_{subscribers}_{name}"), value);
                }
            }
            _ => bail!("{scenario}: no such scenario; one of {}", ALL.join(", ")),
        }
    }
    Ok(())
}

type Figures = Vec<(&'static str, f64)>;

/// `subscribers` to one series over `connections`.
async fn fan(subscribers: usize, connections: usize) -> Result<Figures> {
    let server = Server::start().await?;
    let mut pusher = server.pusher();
    pusher.push().await?;
    let before = server.resident_bytes()?;
    let (sender, mut arrivals) = mpsc::channel(subscribers);
    let mut peers = Vec::new();
    for i in 0..connections {
        let peer = Peer::connect(server.addr()).await?;
        let share = subscribers / connections + usize::from(i < subscribers % connections);
        for _ in 0..share {
            subscribe(&peer, POINTS, sender.clone()).await?;
        }
        peers.push(peer);
    }
    drop(sender);
    // A moment for buffers of the subscriptions' beginning to be given back.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = server.resident_bytes()?.saturating_sub(before);
    let (mut last, mut acknowledged) = (Vec::new(), Vec::new());
    for round in 0..=PUSHES {
        let begun = Instant::now();
        let acknowledge = async { pusher.push().await.map(|()| begun.elapsed()) };
        let all = all_arrived(&mut arrivals, subscribers, begun);
        let (acknowledge, all) = tokio::try_join!(acknowledge, all)?;
        if round > 0 {
            acknowledged.push(milliseconds(acknowledge));
            last.push(milliseconds(all));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(vec![
        (
            "idle_bytes_per_subscription",
            idle as f64 / subscribers as f64,
        ),
        ("push_to_last_delivery_p50_ms", quantile(&mut last, 0.5)),
        ("push_to_last_delivery_p99_ms", quantile(&mut last, 0.99)),
        ("push_acknowledged_p50_ms", quantile(&mut acknowledged, 0.5)),
        (
            "push_acknowledged_p99_ms",
            quantile(&mut acknowledged, 0.99),
        ),
        ("busy_resident_mb", server.resident_bytes()? as f64 / 1e6),
    ])
}

/// Returns how long after `begun` the last of `count` arrivals was.
async fn all_arrived(
    arrivals: &mut mpsc::Receiver<Arrival>,
    count: usize,
    begun: Instant,
) -> Result<Duration> {
    let mut last = Duration::ZERO;
    for i in 0..count {
        let arrival = tokio::time::timeout(PATIENCE, arrivals.recv());
        let arrival = arrival
            .await
            .with_context(|| format!("{i} of {count} arrived"))?;
        last = last.max(arrival.context("every subscriber is gone")?.at - begun);
    }
    Ok(last)
}

/// One healthy subscriber alone, and beside `subscribers - 1` that are stuck, in paired runs.
async fn stuck(subscribers: usize) -> Result<Figures> {
    let (mut ratios, mut well, mut ill) = (Vec::new(), Vec::new(), Vec::new());
    let mut grown = Vec::new();
    for pair in 0..PAIRS {
        // In turn, so that neither always comes first.
        let first = beside(subscribers - 1, pair % 2 == 1).await?;
        let second = beside(subscribers - 1, pair % 2 == 0).await?;
        let (beside_well, beside_ill) = if pair % 2 == 1 {
            (second, first)
        } else {
            (first, second)
        };
        ratios.push(beside_ill.0 / beside_well.0);
        well.push(beside_well.0);
        ill.push(beside_ill.0);
        grown.push(beside_ill.1 - beside_well.1);
    }
    Ok(vec![
        ("healthy_p99_beside_none_ms", quantile(&mut well, 0.5)),
        ("healthy_p99_beside_stuck_ms", quantile(&mut ill, 0.5)),
        ("healthy_p99_ratio", quantile(&mut ratios, 0.5)),
        ("bytes_per_stuck_subscription", quantile(&mut grown, 0.5)),
    ])
}

/// The p99 delay of one healthy subscriber in milliseconds, and how much the server grew for each of `others`, which
/// are stuck or not there at all.
async fn beside(others: usize, are_stuck: bool) -> Result<(f64, f64)> {
    let server = Server::start().await?;
    let mut pusher = server.pusher();
    pusher.push().await?;
    let (sender, mut arrivals) = mpsc::channel(1_000);
    let healthy = Peer::connect(server.addr()).await?;
    subscribe(&healthy, POINTS, sender.clone()).await?;
    let before = server.resident_bytes()?;
    let mut peers = Vec::new();
    let (nowhere, _silent) = mpsc::channel(1);
    if are_stuck {
        for _ in 0..others {
            let peer = Peer::connect_narrow(server.addr()).await?;
            subscribe(&peer, MANY_POINTS, nowhere.clone()).await?;
            peer.get_stuck();
            peers.push(peer);
        }
    }
    let mut delays = Vec::new();
    for _ in 0..FILLING {
        let (begun, acknowledge) = (Instant::now(), pusher.push());
        tokio::try_join!(acknowledge, all_arrived(&mut arrivals, 1, begun))?;
    }
    for _ in 0..BESIDE {
        let begun = Instant::now();
        let acknowledge = pusher.push();
        let arrival = all_arrived(&mut arrivals, 1, begun);
        let ((), delay) = tokio::try_join!(acknowledge, arrival)?;
        delays.push(milliseconds(delay));
    }
    let grown = server.resident_bytes()?.saturating_sub(before) as f64;
    drop(peers);
    Ok((quantile(&mut delays, 0.99), grown / others as f64))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The smallest value that the given share does not exceed.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}
