//! Long runs, with LOADCAST_SOAK=1 (`make soak`); without it they say that they were skipped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use loadcast_components::soak;
use loadcast_server::{cache::Cache, served::Change};

use crate::storm::{Constants, SERIES, question, served_version, server, swap};

/// Requests per second of the constant load, on each of two connections: well below what one core answers.
const RATE: u32 = 200;

/// Windows of a run, in turn without and with swaps: what else the machine does meets both alike.
const WINDOWS: u32 = 24;

/// The length of a window: twelve of each kind are a minute.
const WINDOW: Duration = Duration::from_secs(5);

/// One run: the latencies of every request without swaps and with a swap every 100 ms, ascending. Panics when one fails.
async fn run() -> [Vec<Duration>; 2] {
    let (server, constants) = server().await;
    let mut latencies = [Vec::new(), Vec::new()];
    for window in 0..WINDOWS {
        let swaps = window % 2 == 1;
        let before = served_version(&server.cache);
        let stop = Arc::new(AtomicBool::new(false));
        let swapping = swaps.then(|| {
            let cache = Arc::clone(&server.cache);
            let every = Duration::from_millis(100);
            let stop = Arc::clone(&stop);
            tokio::spawn(swap(cache, constants.clone(), every, stop))
        });
        let asking: Vec<_> = (0..2).map(|_| tokio::spawn(ask(server.client()))).collect();
        for asking in asking {
            latencies[usize::from(swaps)].extend(asking.await.unwrap());
        }
        stop.store(true, Ordering::Relaxed);
        if let Some(swapping) = swapping {
            let last = swapping.await.unwrap();
            assert!(
                last - before > WINDOW.as_secs() * 9,
                "{last} after {before}"
            );
        }
    }
    for kind in &mut latencies {
        kind.sort_unstable();
    }
    latencies
}

/// Asks at the constant rate for one window.
async fn ask(client: loadcast_client::Client) -> Vec<Duration> {
    let query = question(288);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
    let end = Instant::now() + WINDOW;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        // Measured from when it should have been sent: a stall counts against every request behind it.
        let due = ticks.tick().await;
        client.forecast(&query).await.expect("no request fails");
        latencies.push(due.elapsed());
    }
    latencies
}

fn p99(sorted: &[Duration]) -> f64 {
    sorted[sorted.len() * 99 / 100].as_secs_f64() * 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_soak_a_swap_every_100_ms_for_60_s_is_not_noticed() {
    if !soak::wanted_or_skipped() {
        return;
    }
    let mut ratios = Vec::new();
    for pair in 0..3 {
        let [quiet, swapping] = run().await.map(|latencies| p99(&latencies));
        eprintln!(
            "swap storm, pair {pair}: p99 {quiet:.0} us without swaps, {swapping:.0} us with, ratio {:.3}",
            swapping / quiet
        );
        ratios.push(swapping / quiet);
    }
    let ratio = median(ratios);
    assert!(ratio <= 1.10, "p99 is {ratio:.3} times that without swaps");
}

/// Resident memory of this process.
fn rss_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// p99 of a lookup in microseconds: the median of rounds, for other work on the machine hits some of them.
fn lookup_p99(cache: &Cache) -> f64 {
    median((0..9).map(|_| lookup_p99_of_a_round(cache)).collect())
}

/// In means of 100 lookups, which a clock can tell apart.
fn lookup_p99_of_a_round(cache: &Cache) -> f64 {
    let series = SERIES.parse().unwrap();
    let mut means: Vec<f64> = (0..5_000)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..100 {
                std::hint::black_box(cache.get(&series));
            }
            begin.elapsed().as_secs_f64() * 1e4
        })
        .collect();
    means.sort_by(f64::total_cmp);
    means[means.len() * 99 / 100]
}

async fn swaps(cache: &Arc<Cache>, constants: &Constants, versions: std::ops::Range<u64>) {
    let (cache, constants) = (Arc::clone(cache), constants.clone());
    tokio::task::spawn_blocking(move || {
        for version in versions {
            let change: Change = constants.serve(version);
            cache.commit_blocking(change, String::new()).unwrap();
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p13_soak_100_000_swaps_leave_memory_and_lookups_as_they_were() {
    if !soak::wanted_or_skipped() {
        return;
    }
    let (server, constants) = server().await;
    let cache = &server.cache;
    // The log fills up to its bound of 100,000 events first: that is its size and no drift.
    swaps(cache, &constants, 2..110_000).await;
    let (lookup, rss) = (lookup_p99(cache), rss_bytes());
    swaps(cache, &constants, 110_000..210_000).await;
    let (lookup_after, rss_after) = (lookup_p99(cache), rss_bytes());
    eprintln!(
        "100,000 swaps: lookup p99 {lookup:.3} us, then {lookup_after:.3} us; RSS {} MiB, then {} MiB",
        rss >> 20,
        rss_after >> 20
    );
    assert!(rss_after as f64 <= rss as f64 * 1.05);
    assert!(lookup_after <= lookup * 1.05);
}
