//! P9: no torn read.

mod protocol;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    storm::{LEVELS, SERIES, ask, question, server, swap, until},
    support::TestServer,
};

/// Answers to look at.
const ANSWERS: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn p09_every_response_is_of_exactly_one_version_and_digest_under_a_swap_storm() {
    let (server, constants) = server().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicU64::new(0));
    let swapping = tokio::spawn(swap(
        Arc::clone(&server.cache),
        constants.clone(),
        Duration::from_millis(3),
        Arc::clone(&stop),
    ));
    // Answered on the serving thread, and off it.
    let asking: Vec<_> = [12, 288, 601, 2_000]
        .into_iter()
        .map(|points| {
            let (constants, answers) = (constants.clone(), Arc::clone(&answers));
            let each = move |answer| {
                // That none fails is another promise.
                if let Ok(forecast) = answer {
                    constants.assert_whole(&forecast);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            };
            let stop = Arc::clone(&stop);
            tokio::spawn(ask(server.client(), question(points), stop, each))
        })
        .collect();
    until("answers", || answers.load(Ordering::Relaxed) >= ANSWERS).await;
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.await.unwrap();
    for asking in asking {
        asking.await.unwrap();
    }
    assert!(swaps > 20, "{swaps} swaps");
}

#[tokio::test(flavor = "multi_thread")]
async fn p09_a_pinned_version_stays_what_it_is_and_a_lookup_never_sees_two() {
    let (server, constants) = server().await;
    let TestServer { cache, .. } = &server;
    let series = SERIES.parse().unwrap();
    let pinned = cache.get(&series).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (cache, series, stop) = (Arc::clone(cache), pinned_series(), Arc::clone(&stop));
            let constants = constants.clone();
            std::thread::spawn(move || {
                let mut last = 0;
                while !stop.load(Ordering::Relaxed) {
                    let state = cache.state();
                    let served = state
                        .entries
                        .get(&series)
                        .unwrap()
                        .served
                        .as_deref()
                        .unwrap();
                    assert_eq!(
                        served.loaded.metadata().sha256,
                        constants.sha256(served.version)
                    );
                    assert!(served.revision <= state.revision);
                    assert!(served.version >= last, "a lookup went back");
                    last = served.version;
                }
            })
        })
        .collect();
    for version in 2..300 {
        let change = constants.serve(version);
        cache.commit(change, String::new()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(pinned.version, 1);
    assert_eq!(
        pinned.loaded.metadata().sha256,
        constants.sha256(1 + LEVELS)
    );
}

fn pinned_series() -> loadcast_model::series::SeriesName {
    SERIES.parse().unwrap()
}
