//! P7: lag is told before the first message after a gap; delivered + skipped = published. Forecasts conflate to the
//! latest of each series.

use loadcast_components::soak;
use loadcast_proto::v1::{
    self as pb, forecast_service_client::ForecastServiceClient,
    model_service_client::ModelServiceClient,
};

use crate::{
    house::{House, after, selector},
    observe::{Said, Told, news, next, seconds, snapshot, told},
};

#[tokio::test]
async fn p07_a_reader_that_falls_out_of_the_log_is_told_how_much_it_missed() {
    const EVENTS: u64 = 1_600;
    let house = House::start().await;
    let mut models = ModelServiceClient::new(house.narrow_channel().await);
    let request = pb::WatchModelsRequest::default();
    let mut stream = models.watch_models(request).await.unwrap().into_inner();
    snapshot(&mut stream).await;
    // Large enough to fill every window and buffer long before the end.
    let why = "no better than the season before ".repeat(60);
    for i in 0..EVENTS {
        house.reject("a", &format!("{i} {why}")).await;
    }
    house.age_log().await;
    let published = EVENTS + 1;
    assert_eq!(house.revision(), published);
    let mut delivered = 0;
    let lagged = loop {
        match news(&mut stream).await.0 {
            Said::Event(event) => {
                assert_eq!(event.revision, delivered + 1);
                delivered += 1;
            }
            Said::Lagged(lagged) => break lagged,
            other => panic!("{other:?}"),
        }
    };
    assert!(delivered > 0 && lagged.skipped > 0);
    assert_eq!(delivered + lagged.skipped, published);
    let gap = (lagged.from_revision, lagged.to_revision);
    assert_eq!(gap, (delivered, published));
    let begin = news(&mut stream).await.0;
    assert_eq!(
        begin,
        Said::Begin(published, "REVISION_COMPACTED".to_owned())
    );
    assert_eq!(snapshot(&mut stream).await.1, published);
}

/// What came up to the answer that has `(version, as_of)`: how many answers, and how many were told to be skipped.
async fn up_to(
    stream: &mut tonic::Streaming<pb::WatchForecastsResponse>,
    last: (u64, i64),
) -> (u64, u64) {
    let (mut delivered, mut skipped) = (0, 0);
    let mut told_of_gap = true;
    let mut so_far = Vec::new();
    let mut before: Option<(u64, i64)> = None;
    loop {
        match told(next(stream).await) {
            Told::Forecast(_, forecast) => {
                delivered += 1;
                let version = forecast.provenance.as_ref().unwrap().version;
                let at = (version, forecast.as_of.unwrap().seconds);
                if let Some(before) = before {
                    let changes = at.0 - before.0 + (at.1 - before.1).unsigned_abs() / 300;
                    assert!(
                        changes == 1 || told_of_gap,
                        "{before:?} to {at:?} untold after {so_far:?}"
                    );
                }
                so_far.push(format!("{at:?}"));
                (before, told_of_gap) = (Some(at), false);
                if at == last {
                    return (delivered, skipped);
                }
            }
            Told::Lagged(lagged) => {
                assert!(lagged.skipped > 0);
                so_far.push(format!("{lagged:?}"));
                skipped += lagged.skipped;
                told_of_gap = true;
            }
            Told::Bookmark => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn watch(house: &House, horizon: i64) -> tonic::Streaming<pb::WatchForecastsResponse> {
    let request = pb::WatchForecastsRequest {
        selector: selector(&["a"], ""),
        horizon: seconds(horizon),
        ..Default::default()
    };
    let mut forecasts = ForecastServiceClient::new(house.narrow_channel().await);
    let mut stream = forecasts
        .watch_forecasts(request)
        .await
        .unwrap()
        .into_inner();
    while told(next(&mut stream).await) != Told::End {}
    stream
}

#[tokio::test]
async fn p07_forecasts_conflate_to_the_latest_and_every_one_left_out_is_counted() {
    let house = House::start().await;
    house.serve("a", 0.5).await;
    // 60 days of points every five minutes: 138 kB, more than windows and buffers take of one.
    let mut slow = watch(&house, 60 * 86_400).await;
    let mut quick = watch(&house, 3_600).await;
    let mut published = 0;
    let (mut version, mut second) = (1, 0);
    for change in 0..24_u64 {
        if change % 3 == 2 {
            second += 300;
            house.clock.set(after(second));
        } else {
            version = house.serve("a", change as f64).await;
        }
        published += 1;
        let latest = (version, after(second).as_second());
        // Who keeps up misses nothing and is told of no gap.
        assert_eq!(up_to(&mut quick, latest).await, (1, 0), "{change}");
    }
    let latest = (version, after(second).as_second());
    let (delivered, skipped) = up_to(&mut slow, latest).await;
    assert!(delivered < published, "nothing was conflated");
    assert_eq!(delivered + skipped, published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak_p07_of_a_hundred_readers_all_but_one_stuck_each_can_account_for_every_answer() {
    if !soak::wanted_or_skipped() {
        return;
    }
    let house = House::start().await;
    house.serve("a", 0.5).await;
    let mut stuck = Vec::new();
    for _ in 0..99 {
        stuck.push(watch(&house, 60 * 86_400).await);
    }
    let mut healthy = watch(&house, 3_600).await;
    let (mut published, mut version, mut second) = (0, 1, 0);
    for change in 0..300_u64 {
        if change % 5 == 4 {
            second += 300;
            house.clock.set(after(second));
        } else {
            version = house.serve("a", change as f64).await;
        }
        published += 1;
        let latest = (version, after(second).as_second());
        assert_eq!(up_to(&mut healthy, latest).await, (1, 0), "{change}");
    }
    let latest = (version, after(second).as_second());
    for stream in &mut stuck {
        let (delivered, skipped) = up_to(stream, latest).await;
        assert_eq!(delivered + skipped, published);
    }
}
