//! P8: a stream whose peer takes nothing is reset and counted, a dead peer is found by keepalive, and cancelling frees
//! everything at once, however often.

use std::time::Duration;

use loadcast_components::soak;
use loadcast_proto::v1::{
    self as pb, forecast_service_client::ForecastServiceClient,
    model_service_client::ModelServiceClient,
};
use tokio::{io::AsyncWriteExt as _, time::Instant};
use tonic::Code;

use crate::{
    frames,
    house::{House, after, selector},
    observe::{Told, next, seconds, told},
};

/// What the server sets by itself.
const STALL: Duration = Duration::from_secs(60);

/// 60 days of points every five minutes: 138 kB, more than windows and buffers take of one.
const LONG: i64 = 60 * 86_400;

/// Metrics are read over a connection, which counts itself.
const OWN: f64 = 1.0;

#[tokio::test(start_paused = true)]
async fn p08_a_stream_whose_peer_takes_nothing_is_reset_and_counted_and_the_others_on_its_connection_live()
 {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let channel = house.narrow_channel().await;
    let mut forecasts = ForecastServiceClient::new(channel.clone());
    let mut healthy = ModelServiceClient::new(channel)
        .watch_models(pb::WatchModelsRequest::default())
        .await
        .unwrap()
        .into_inner();
    let request = pb::WatchForecastsRequest {
        selector: selector(&["a"], ""),
        horizon: seconds(LONG),
        ..Default::default()
    };
    let stuck = forecasts.watch_forecasts(request).await.unwrap();
    let mut stuck = stuck.into_inner();
    let begun = Instant::now();
    let resets = ("loadcast_edge_streams_reset_total", "reason=\"stalled\"");
    while house.metric(resets.0, resets.1).await == 0.0 {
        assert!(begun.elapsed() < 3 * STALL, "it was never reset");
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The healthy one reads what it is sent.
        next_or_pending(&mut healthy).await;
    }
    assert!(begun.elapsed() >= STALL, "it had {:?}", begun.elapsed());
    assert_eq!(house.metric(resets.0, "").await, 1.0);
    assert_eq!(house.metric("loadcast_edge_streams_open", "").await, 1.0);
    // What was on its way still comes, and then the reset.
    let status = loop {
        match stuck.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Cancelled);
    next(&mut healthy).await;
}

/// Takes a message, if one is there.
async fn next_or_pending(stream: &mut tonic::Streaming<pb::WatchModelsResponse>) {
    let moment = Duration::from_millis(1);
    if let Ok(message) = tokio::time::timeout(moment, stream.message()).await {
        message.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p08_a_peer_that_takes_little_by_little_is_not_reset() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let mut pipe = house.pipe().await;
    let question = pb::WatchForecastsRequest {
        selector: selector(&["a"], ""),
        horizon: seconds(LONG),
        ..Default::default()
    };
    pipe.write_all(&frames::hello(8_192)).await.unwrap();
    let path = "/loadcast.v1.ForecastService/WatchForecasts";
    let question = prost::Message::encode_to_vec(&question);
    pipe.write_all(&frames::call(1, path, &question))
        .await
        .unwrap();
    let mut taken = 0;
    while taken < 100_000 {
        let frame = frames::next(&mut pipe).await.unwrap().unwrap();
        match (frame.kind, frame.flags) {
            (frames::DATA, _) => {
                taken += frame.payload.len();
                // Some 270 bytes a second, the least that is taken for progress, and half as much again.
                tokio::time::sleep(Duration::from_secs(frame.payload.len() as u64 / 410)).await;
                let more = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
                for stream in [0, 1] {
                    let update = frames::frame(frames::WINDOW_UPDATE, 0, stream, &more);
                    pipe.write_all(&update).await.unwrap();
                }
            }
            (frames::PING, 0) => {
                let pong = frames::frame(frames::PING, frames::ACK, 0, &frame.payload);
                pipe.write_all(&pong).await.unwrap();
            }
            (frames::RST_STREAM, _) => panic!("reset after {taken} bytes"),
            _ => {}
        }
    }
    let resets = house.metric("loadcast_edge_streams_reset_total", "").await;
    assert_eq!(resets, 0.0);
}

#[tokio::test(start_paused = true)]
async fn p08_a_dead_peer_is_found_by_keepalive() {
    let house = House::in_memory().await;
    let mut pipe = house.pipe().await;
    let begun = Instant::now();
    pipe.write_all(&frames::hello(65_535)).await.unwrap();
    let watch = "/loadcast.v1.ModelService/WatchModels";
    pipe.write_all(&frames::call(1, watch, b"")).await.unwrap();
    let mut pings = 0;
    while let Some(frame) = frames::next(&mut pipe).await.unwrap() {
        pings += usize::from(frame.kind == frames::PING && frame.flags == 0);
        // Messages are taken and pings are not answered: it is the machine that is gone, not the reader.
    }
    let took = begun.elapsed();
    assert!(pings > 0, "nobody asked");
    assert!((20..=60).contains(&took.as_secs()), "{took:?}");
    let silent = "reason=\"silent\"";
    let cut = house.metric("loadcast_edge_connections_cut_total", silent);
    assert_eq!(cut.await, 1.0);
    assert_eq!(house.metric("loadcast_edge_streams_open", "").await, 0.0);
    let open = house.metric("loadcast_edge_connections_open", "grpc").await;
    assert_eq!(open, OWN);
}

/// Subscribes over `channel`, as often as it says, and reads of each the first message.
async fn subscribed(
    channel: &tonic::transport::Channel,
    count: usize,
) -> Vec<tonic::Streaming<pb::WatchForecastsResponse>> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let request = pb::WatchForecastsRequest {
            selector: selector(&["a"], ""),
            horizon: seconds(3_600),
            ..Default::default()
        };
        let mut forecasts = ForecastServiceClient::new(channel.clone());
        let stream = forecasts.watch_forecasts(request).await.unwrap();
        let mut stream = stream.into_inner();
        assert_eq!(told(next(&mut stream).await), Told::Begin);
        streams.push(stream);
    }
    streams
}

/// Lets the server work until no stream is open, without a timer's help.
async fn until_free(house: &House) {
    for _ in 0..100 {
        if house.metric("loadcast_edge_streams_open", "").await == 0.0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("streams are still open");
}

#[tokio::test(start_paused = true)]
async fn p08_cancelling_frees_everything_without_waiting_for_anything() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let channel = house.channel().await;
    let streams = subscribed(&channel, 50).await;
    assert_eq!(house.metric("loadcast_edge_streams_open", "").await, 50.0);
    // Some wait for news, and some in the middle of a message.
    house.clock.set(after(300));
    let begun = Instant::now();
    drop(streams);
    until_free(&house).await;
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn p08_subscribing_and_cancelling_over_and_over_returns_every_gauge_to_its_base() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    for _ in 0..4 {
        let channel = house.channel().await;
        drop(subscribed(&channel, 50).await);
    }
    until_free(&house).await;
    assert_eq!(house.metric("loadcast_edge_calls_open", "").await, 0.0);
    let open = house.metric("loadcast_edge_connections_open", "grpc").await;
    assert_eq!(open, OWN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_p08_100_000_cycles_return_memory_to_its_base() {
    use crate::{
        house::{channel_to, resident_bytes},
        support::{Process, push},
    };
    if !soak::wanted_or_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    process.client().push(push("a", 1.0)).await.unwrap();
    let mut resident = Vec::new();
    for round in 0..=20 {
        let channel = channel_to(&process).await;
        for _ in 0..50 {
            drop(subscribed(&channel, 100).await);
        }
        // The first round fills what the allocator keeps.
        if round == 0 || round == 20 {
            resident.push(resident_bytes(&process));
        }
    }
    println!("100,000 subscribe/cancel cycles: RSS {resident:?}");
    assert!(resident[1] as f64 <= resident[0] as f64 * 1.05 + 2e6);
}
