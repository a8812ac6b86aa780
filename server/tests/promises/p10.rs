//! P10: swaps are not noticed. The short form; `soak.rs` has 60 s of it and the ratio of p99.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use loadcast_proto::health::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::storm::{SERIES, ask, question, server, swap, until};

/// At least this long, and this many answers.
const LOAD: Duration = Duration::from_secs(2);
const ANSWERS: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn p10_no_request_fails_and_readiness_never_flips_while_versions_are_swapped() {
    let (server, constants) = server().await;
    let stop = Arc::new(AtomicBool::new(false));
    let answers = Arc::new(AtomicU64::new(0));
    let swapping = tokio::spawn(swap(
        Arc::clone(&server.cache),
        constants.clone(),
        Duration::from_millis(20),
        Arc::clone(&stop),
    ));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let answers = Arc::clone(&answers);
            let each = move |answer: Result<_, _>| {
                answer.expect("no request fails");
                answers.fetch_add(1, Ordering::Relaxed);
            };
            let stop = Arc::clone(&stop);
            tokio::spawn(ask(server.client(), question(12), stop, each))
        })
        .collect();
    let mut health = HealthClient::new(server.channel().await);
    let checking = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            while !stop.load(Ordering::Relaxed) {
                let checked = health.check(HealthCheckRequest::default()).await.unwrap();
                assert_eq!(checked.into_inner().status(), ServingStatus::Serving);
            }
        }
    });
    tokio::time::sleep(LOAD).await;
    until("answers", || answers.load(Ordering::Relaxed) >= ANSWERS).await;
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.await.unwrap() > 20);
    checking.await.unwrap();
    for asking in asking {
        asking.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_the_last_reader_of_an_old_version_does_not_free_it() {
    let (server, constants) = server().await;
    let series = SERIES.parse().unwrap();
    let read = server.cache.get(&series).unwrap();
    let old = Arc::downgrade(&read);
    // As many as push it out of what is kept for a rollback.
    for version in 2..6 {
        let change = constants.serve(version);
        server.cache.commit(change, String::new()).await.unwrap();
    }
    assert!(server.cache.version(&series, 1).is_none());
    assert!(server.cache.unswept() > 0, "it waits for its reader");
    drop(read);
    // By the server's own sweep, at its time.
    until("it is freed", || old.strong_count() == 0).await;
    until("all is freed", || server.cache.unswept() == 0).await;
}
