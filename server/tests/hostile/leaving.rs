//! A server that is told to end while it is attacked: it does, in time, and whoever is healthy misses nothing.

use std::time::Duration;

use futures::StreamExt as _;
use loadcast_client::{Client, ModelUpdate, Selector, Update, Watch};

use crate::{
    attack::{Attack, Target},
    healthy::SERIES,
    scene::until,
    slow::STREAMS,
    support::{Process, push},
};

/// What the server sets by itself.
const DRAIN: Duration = Duration::from_secs(10);

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows `watch` to `revision`; each event on the way is told once, by its revision.
async fn follow(watch: &mut Watch<ModelUpdate>, told: &mut Vec<u64>, revision: u64) {
    let coming = async {
        while told.last() != Some(&revision) {
            match watch.next().await.expect("it outlives every server") {
                Ok(Update::Message(ModelUpdate::Event(event))) => told.push(event.revision),
                Ok(_) => {}
                Err(error) => panic!("given up: {error}"),
            }
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, coming).await.is_ok();
    assert!(in_time, "{told:?} and not {revision}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_by_its_deadline_beside_silent_and_stuck_peers_and_healthy_ones_lose_no_event()
 {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let addr = process.grpc.clone();
    let client = Client::new(&format!("http://{addr}")).unwrap();
    let first = client.push(push(SERIES, 1.0)).await.unwrap();
    let mut watch = client.watch_models_after(Selector::default(), first.token.clone());
    let mut told = Vec::new();
    let second = client.push(push(SERIES, 2.0)).await.unwrap();
    follow(&mut watch, &mut told, second.revision.unwrap()).await;
    assert_eq!(told, [first.revision.unwrap() + 1]);

    let target = Target::new(addr.parse().unwrap());
    let mut attackers = Attack::NeverReading.begin(&target, STREAMS);
    until(&target.tally.sent, STREAMS as u64).await;
    for attack in [Attack::SilentTcp, Attack::HalfPreface] {
        let mut more = attack.begin(&target, 10);
        attackers.spawn(async move { while more.join_next().await.is_some() {} });
    }
    until(&target.tally.connected, 21).await;

    let ended = tokio::task::spawn_blocking(|| process.terminate());
    let ended = tokio::time::timeout(2 * DRAIN, ended).await;
    ended.expect("it ends by its deadline").unwrap();
    target.stop.cancel();
    while attackers.join_next().await.is_some() {}

    let again = Process::start_at(folder.path(), &addr);
    let mut last = 0;
    for level in [3.0, 4.0] {
        let pushed = again.client().push(push(SERIES, level)).await.unwrap();
        last = pushed.revision.unwrap();
    }
    follow(&mut watch, &mut told, last).await;
    let all: Vec<u64> = (told[0]..=last).collect();
    assert_eq!(told, all, "each once, and none lost");
}
