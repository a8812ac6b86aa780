//! P6: a subscriber that reads slowly or not at all delays nobody, and memory per subscriber is bounded, however large a
//! window it opens.

use std::time::{Duration, Instant};

use loadcast_components::soak;
use loadcast_proto::v1::{self as pb, model_service_client::ModelServiceClient};
use tonic::Streaming;

use crate::{
    connection::StuckPeer,
    house::{channel_to, resident_bytes},
    observe::{event, next, snapshot},
    support::Process,
};

/// What a stuck subscriber may cost: one send buffer, one message or yield of the encoder, and what a stream costs
/// anyway.
const BYTES_PER_SUBSCRIBER: u64 = 96 * 1024;

/// What the server's own log, caches and allocator may take meanwhile.
const SLACK_BYTES: u64 = 24 * 1024 * 1024;

/// Bytes of the reasons of one event.
const EVENT_BYTES: usize = 16_000;

/// `count` subscribers who get stuck, `per_connection` on each connection.
async fn stuck_subscribers(
    addr: &str,
    count: usize,
    per_connection: usize,
) -> Vec<(StuckPeer, Vec<Streaming<pb::WatchModelsResponse>>)> {
    let mut peers = Vec::new();
    for _ in 0..count.div_ceil(per_connection) {
        let peer = StuckPeer::connect(addr).await;
        let mut streams = Vec::new();
        for _ in 0..per_connection {
            let mut models = ModelServiceClient::new(peer.channel.clone());
            let request = pb::WatchModelsRequest::default();
            let mut stream = models.watch_models(request).await.unwrap().into_inner();
            next(&mut stream).await;
            streams.push(stream);
        }
        peers.push((peer, streams));
    }
    for (peer, _) in &peers {
        peer.get_stuck();
    }
    peers
}

/// Commits `count` large events, one after the other; returns how long each took until it had come to `stream`.
async fn delays(
    models: &mut ModelServiceClient<tonic::transport::Channel>,
    stream: &mut Streaming<pb::WatchModelsResponse>,
    count: usize,
) -> Vec<Duration> {
    let mut delays = Vec::new();
    for i in 0..count {
        let reasons = (0..EVENT_BYTES / 4_000).map(|part| pb::Reason {
            code: "SKILL".to_owned(),
            message: format!("{i:05}-{part}").repeat(4_000 / 8),
        });
        let request = pb::ReportRejectionRequest {
            series: "web.cpu".to_owned(),
            reasons: reasons.collect(),
            ..Default::default()
        };
        let begun = Instant::now();
        let answer = models.report_rejection(request).await.unwrap();
        let revision = answer.into_inner().revision;
        assert_eq!(event(stream).await.0.revision, revision);
        delays.push(begun.elapsed());
    }
    delays
}

/// The healthy one's delays beside `count` stuck subscribers, and how much the server has grown for each of those.
async fn beside_stuck(count: usize, per_connection: usize, events: usize) -> (Vec<Duration>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let mut models = ModelServiceClient::new(channel_to(&process).await);
    let request = pb::WatchModelsRequest::default();
    let mut stream = models.watch_models(request).await.unwrap().into_inner();
    snapshot(&mut stream).await;
    let before = resident_bytes(&process);
    let stuck = stuck_subscribers(&process.grpc, count, per_connection).await;
    let delays = delays(&mut models, &mut stream, events).await;
    let grown = resident_bytes(&process).saturating_sub(before);
    drop(stuck);
    (delays, grown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_stuck_subscribers_delay_nobody_and_their_memory_is_bounded() {
    const STUCK: usize = 200;
    let (delays, grown) = beside_stuck(STUCK, 50, 60).await;
    assert_eq!(delays.len(), 60);
    let bound = STUCK as u64 * BYTES_PER_SUBSCRIBER + SLACK_BYTES;
    assert!(grown < bound, "{grown} bytes for {STUCK} stuck readers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_p06_ten_thousand_stuck_subscribers_are_bounded_too() {
    const STUCK: usize = 10_000;
    if !soak::wanted_or_skipped() {
        return;
    }
    let (mut delays, grown) = beside_stuck(STUCK, 100, 100).await;
    delays.sort_unstable();
    println!(
        "{} bytes for each of {STUCK} stuck readers; the healthy one waits {:?} at most",
        grown / STUCK as u64,
        delays.last()
    );
    assert!(grown < STUCK as u64 * BYTES_PER_SUBSCRIBER + SLACK_BYTES);
}
