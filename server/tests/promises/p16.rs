//! P16: a stop is told: health NOT_SERVING, a going-away message with a token on each stream and then UNAVAILABLE, GOAWAY;
//! and it ends by the drain deadline, whatever silent or stuck peers do.

use std::time::Duration;

use loadcast_proto::{
    health::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    },
    v1::{
        self as pb, forecast_service_client::ForecastServiceClient,
        model_service_client::ModelServiceClient, watch_forecasts_response as wf,
        watch_models_response as wm,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};
use tonic::Code;

use crate::{
    frames,
    house::{House, selector},
    observe::{Told, next, seconds, snapshot, told, try_next},
};

/// What the server sets by itself.
const DRAIN: Duration = Duration::from_secs(10);

/// Time in which what ends by itself has ended.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn p16_a_stop_is_told_on_every_stream_and_to_every_connection() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let channel = house.channel().await;
    let request = pb::WatchModelsRequest::default();
    let mut models = ModelServiceClient::new(channel.clone());
    let mut models = models.watch_models(request).await.unwrap().into_inner();
    snapshot(&mut models).await;
    let request = pb::WatchForecastsRequest {
        selector: selector(&["a"], ""),
        horizon: seconds(3_600),
        ..Default::default()
    };
    let mut forecasts = ForecastServiceClient::new(channel.clone());
    let mut forecasts = forecasts
        .watch_forecasts(request)
        .await
        .unwrap()
        .into_inner();
    while told(next(&mut forecasts).await) != Told::End {}
    let mut health = HealthClient::new(channel);
    let mut health = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut health).await.status(), ServingStatus::Serving);
    let mut idle = house.pipe().await;
    idle.write_all(&frames::hello(65_535)).await.unwrap();
    let first = frames::next(&mut idle).await.unwrap().unwrap();
    assert_eq!(first.kind, frames::SETTINGS);
    let begun = Instant::now();
    let stopped = house.stop();
    assert_eq!(next(&mut health).await.status(), ServingStatus::NotServing);
    assert_eq!(health.message().await.unwrap(), None);
    // Whatever else was on its way is told before.
    let token = loop {
        let message = next(&mut models).await;
        if matches!(message.message, Some(wm::Message::GoingAway(_))) {
            break message.token;
        }
    };
    assert!(!token.is_empty());
    let status = try_next(&mut models).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let last = next(&mut forecasts).await;
    assert!(matches!(last.message, Some(wf::Message::GoingAway(_))));
    assert!(!last.token.is_empty());
    let status = try_next(&mut forecasts).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let mut goaways = 0;
    while let Some(came) = frames::next(&mut idle).await.unwrap() {
        goaways += usize::from(came.kind == frames::GOAWAY);
        if came.kind == frames::PING && came.flags == 0 {
            let pong = frames::frame(frames::PING, frames::ACK, 0, &came.payload);
            // It may have closed by then.
            let _ = idle.write_all(&pong).await;
        }
    }
    assert!(goaways > 0, "no GOAWAY");
    drop((models, forecasts, health));
    stopped.await.unwrap();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn p16_silent_and_stuck_peers_hold_up_no_stop() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let mut silent = house.pipe().await;
    let mut half = house.pipe().await;
    half.write_all(&frames::PREFACE[..12]).await.unwrap();
    let mut begun = house.pipe().await;
    begun.write_all(&frames::hello(65_535)).await.unwrap();
    let mut stuck = house.pipe().await;
    let question = pb::WatchForecastsRequest {
        selector: selector(&["a"], ""),
        horizon: seconds(60 * 86_400),
        ..Default::default()
    };
    let path = "/loadcast.v1.ForecastService/WatchForecasts";
    let call = frames::call(1, path, &prost::Message::encode_to_vec(&question));
    let words = [frames::hello(1_000), call].concat();
    stuck.write_all(&words).await.unwrap();
    loop {
        let came = frames::next(&mut stuck).await.unwrap().unwrap();
        if came.kind == frames::DATA {
            break;
        }
    }
    let at = Instant::now();
    house.stop().await.unwrap();
    let took = at.elapsed();
    assert!(took <= DRAIN + SOON, "{took:?}");
    for pipe in [&mut silent, &mut half, &mut begun, &mut stuck] {
        // Whatever was said last, the connection is at its end.
        let _ = pipe.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p16_a_connection_of_its_age_leaves_as_at_a_stop_and_the_next_goes_on_from_its_token() {
    let house = House::in_memory().await;
    house.serve("a", 1.0).await;
    let watch = async |token: String| {
        let mut models = ModelServiceClient::new(house.channel().await);
        let request = pb::WatchModelsRequest {
            token,
            ..Default::default()
        };
        models.watch_models(request).await.unwrap().into_inner()
    };
    let mut stream = watch(String::new()).await;
    snapshot(&mut stream).await;
    let begun = Instant::now();
    let token = loop {
        let message = next(&mut stream).await;
        if matches!(message.message, Some(wm::Message::GoingAway(_))) {
            break message.token;
        }
    };
    let (age, minute) = (begun.elapsed(), 60);
    // 30 minutes, a tenth more or less.
    assert!(
        (27 * minute..=33 * minute).contains(&age.as_secs()),
        "{age:?}"
    );
    let status = try_next(&mut stream).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let revision = house.reject("a", "while nobody watched").await;
    let mut again = watch(token).await;
    let (event, _) = crate::observe::event(&mut again).await;
    assert_eq!(event.revision, revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p16_sigterm_ends_the_process_beside_silent_and_stuck_peers_and_clients_come_back_to_the_next_one()
 {
    use crate::{
        connection::StuckPeer,
        observe::PATIENCE,
        support::{Process, push},
    };
    use futures::StreamExt as _;
    use loadcast_client::{Client, Selector, Update};
    use tokio::{net::TcpStream, time::timeout};

    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    let addr = process.grpc.clone();
    let client = Client::new(&format!("http://{addr}")).unwrap();
    client.push(push("a", 1.0)).await.unwrap();
    let mut watch = client.watch_models(Selector::default());
    let mut told = async || {
        let coming = async {
            loop {
                match watch.next().await.expect("it outlives every server") {
                    Ok(Update::Message(_)) => return,
                    Ok(_) => {}
                    Err(error) => panic!("given up: {error}"),
                }
            }
        };
        timeout(PATIENCE, coming).await.expect("told in time");
    };
    told().await;

    let silent = TcpStream::connect(&addr).await.unwrap();
    let mut half = TcpStream::connect(&addr).await.unwrap();
    half.write_all(&frames::PREFACE[..12]).await.unwrap();
    let stuck = StuckPeer::connect(&addr).await;
    let mut models = ModelServiceClient::new(stuck.channel.clone());
    let request = pb::WatchModelsRequest::default();
    let _streams = models.watch_models(request).await.unwrap();
    stuck.get_stuck();

    let ended = tokio::task::spawn_blocking(|| process.terminate());
    let ended = timeout(2 * DRAIN, ended).await;
    ended.expect("it ends by its deadline").unwrap();
    drop((silent, half));

    let again = Process::start_at(folder.path(), &addr);
    again.client().push(push("a", 2.0)).await.unwrap();
    told().await;
}
