//! Must show: thousands of streams and hundreds of polls a second on one connection, during a swap storm and then a drain.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use loadcast_components::soak;
use loadcast_model::artifact::{Metadata, sha256_hex};
use loadcast_server::{cache::Cache, load::Loaded, served::Change};
use tonic::transport::Channel;

use crate::{
    house::{Keda, after, next, serve},
    support::{TestServer, constant_model, push},
};

/// The workloads; each has several ScaledObjects.
const WORKLOADS: usize = 50;

/// A version answers one of so many levels, from 1 on: every one of them is active.
const LEVELS: u64 = 8;

/// One run.
struct Size {
    streams: usize,
    /// Each is GetMetricSpec, GetMetrics and IsActive, one after another.
    polls_per_second: u32,
    length: Duration,
}

fn name(workload: usize) -> String {
    format!("shop.web-{workload}.cpu")
}

/// The ScaledObject number `i`, and there are as many settings as workloads are shared by.
fn scaled_object(channel: &Channel, i: usize) -> Keda {
    let series = name(i % WORKLOADS);
    let lead = format!("{}m", 5 * (1 + i / WORKLOADS % 12));
    let mut keda = Keda::new(channel.clone(), &[("series", &series), ("leadTime", &lead)]);
    keda.reference.name = format!("web-{i}");
    keda
}

/// A server of [`WORKLOADS`], and the models that versions take turns with.
async fn server() -> (TestServer, Vec<(Vec<u8>, u64)>) {
    let server = TestServer::start_quick().await;
    for workload in 0..WORKLOADS {
        serve(&server, push(&name(workload), 1.0)).await;
    }
    let models = (1..=LEVELS).map(|level| (constant_model(level as f64), level));
    (server, models.collect())
}

/// Serves another version of one workload after another, until `stop`; answers how many.
async fn swap(cache: Arc<Cache>, models: Vec<(Vec<u8>, u64)>, stop: Arc<AtomicBool>) -> u64 {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut swaps = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let series = name(usize::try_from(swaps).unwrap() % WORKLOADS)
            .parse()
            .unwrap();
        let served = cache.get(&series).unwrap();
        let (bytes, _) = &models[usize::try_from(swaps % LEVELS).unwrap()];
        let metadata = Metadata {
            sha256: sha256_hex(bytes),
            size_bytes: bytes.len() as u64,
            ..served.loaded.metadata().clone()
        };
        let change = Change::Serve {
            loaded: Arc::new(Loaded::verify(metadata, bytes).unwrap()),
            version: served.version + 1,
            alias: "champion".to_owned(),
        };
        cache.commit(change, String::new()).await.unwrap();
        swaps += 1;
    }
    swaps
}

/// Polls at the constant rate; answers how long each took, ascending, measured from when it was due.
async fn poll(channel: Channel, size: &Size) -> Vec<Duration> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / size.polls_per_second);
    let end = Instant::now() + size.length;
    let mut polls = Vec::new();
    let mut i = 0;
    while Instant::now() < end {
        let due = ticks.tick().await;
        let keda = scaled_object(&channel, i);
        i += 1;
        polls.push(tokio::spawn(async move {
            let value = keda.value().await.expect("no poll fails");
            assert!(keda.is_active().await.expect("no poll fails"));
            assert!(
                value.fract() == 0.0 && (1.0..=LEVELS as f64).contains(&value),
                "{value} is of no version"
            );
            due.elapsed()
        }));
    }
    let mut took: Vec<Duration> = join_all(polls)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    took.sort_unstable();
    took
}

async fn run(size: Size) {
    let (server, models) = server().await;
    let channel = server.channel().await;
    let open = |i| {
        let keda = scaled_object(&channel, i);
        async move {
            let mut stream = keda.stream().await;
            assert_eq!(next(&mut stream).await, Some(true));
            stream
        }
    };
    let begun = Instant::now();
    let streams = join_all((0..size.streams).map(open)).await;
    let opened = begun.elapsed();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = tokio::spawn(swap(Arc::clone(&server.cache), models, Arc::clone(&stop)));
    let polling = async {
        let took = poll(channel.clone(), &size).await;
        stop.store(true, Ordering::Relaxed);
        took
    };
    // Time goes by too: every step has every stream look again.
    let stepping = async {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        let mut minute = 0;
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            minute += 5;
            server.clock.set(after(minute));
        }
        minute / 5
    };
    let (took, steps) = futures::future::join(polling, stepping).await;
    let swaps = swapping.await.unwrap();
    let begun = Instant::now();
    server.stop().await;
    // Nothing was told since the first state, for no workload ever was idle: what comes is the end, with OK.
    for ended in join_all(
        streams
            .into_iter()
            .map(|mut stream| async move { next(&mut stream).await }),
    )
    .await
    {
        assert_eq!(ended, None);
    }
    let at = |per_mille: usize| took[(took.len() * per_mille / 1_000).min(took.len() - 1)];
    eprintln!(
        "{} streams opened in {opened:?}; {} polls of three calls in {:?}, {swaps} swaps, {steps} steps of time: p50 {:?}, p99 {:?}, longest {:?}; drained in {:?}",
        size.streams,
        took.len(),
        size.length,
        at(500),
        at(990),
        at(1_000),
        begun.elapsed(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_polls_on_one_connection_meet_no_error_in_a_swap_storm_and_a_drain() {
    let size = Size {
        streams: 500,
        polls_per_second: 50,
        length: Duration::from_secs(3),
    };
    run(size).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_2_500_streams_and_300_polls_a_second_on_one_connection_meet_no_error_in_a_swap_storm_and_a_drain()
 {
    if !soak::wanted_or_skipped() {
        return;
    }
    let size = Size {
        streams: 2_500,
        polls_per_second: 300,
        length: Duration::from_secs(60),
    };
    run(size).await;
}
