//! P1: on one stream revisions never go back; no model event twice on a stream or along a resume chain; forecasts are
//! ordered by (epoch, revision, step bucket, freshness); every logged event takes a revision of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::StreamExt as _;
use jiff::Timestamp;
use loadcast_proto::v1::{self as pb, forecast_service_client::ForecastServiceClient};
use loadcast_server::{event::Reason, served::Change};

use crate::{
    house::{House, after, selector},
    observe::{Told, event, key, next, seconds, series, snapshot, told},
    support::now,
};

#[tokio::test]
async fn p01_every_logged_event_takes_a_revision_of_its_own() {
    let house = House::start().await;
    let mut stream = {
        let request = pb::WatchModelsRequest::default();
        house
            .models()
            .await
            .watch_models(request)
            .await
            .unwrap()
            .into_inner()
    };
    snapshot(&mut stream).await;
    let message = "connection refused".to_owned();
    let retired = Change::Remove {
        series: "a".parse().unwrap(),
        reason: Reason::new("RETIRED", "by hand"),
    };
    let committed = [
        house.serve("a", 1.0).await,
        house.reject("a", "no better").await,
        house.commit(Change::RegistryUnreachable { message }).await,
        house.commit(Change::RegistryBack).await,
        house.commit(retired).await,
    ];
    assert_eq!(committed, [1, 2, 3, 4, 5]);
    let kinds = [
        pb::ModelEventKind::Served,
        pb::ModelEventKind::Rejected,
        pb::ModelEventKind::RegistryUnreachable,
        pb::ModelEventKind::RegistryBack,
        pb::ModelEventKind::Removed,
    ];
    for (revision, kind) in committed.into_iter().zip(kinds) {
        let (event, _) = event(&mut stream).await;
        assert_eq!((event.revision, event.kind()), (revision, kind));
    }
}

#[tokio::test]
async fn p01_no_event_comes_twice_or_goes_back_along_a_resume_chain() {
    let house = House::start().await;
    let mut models = house.models().await;
    let first = pb::WatchModelsRequest::default();
    let mut stream = models.watch_models(first).await.unwrap().into_inner();
    let (_, _, mut token) = snapshot(&mut stream).await;
    let (mut last, mut seen) = (0, BTreeSet::new());
    for round in 0..30_u64 {
        for series in ["a", "b", "c"] {
            house.reject(series, &format!("{series}{round}")).await;
        }
        if round % 5 == 0 {
            house.serve("a", 1.0 + round as f64).await;
        }
        // Some of what was committed is read on this connection, the rest on a later one.
        for _ in 0..(round % 4) {
            if last == house.revision() {
                break;
            }
            let (event, at) = event(&mut stream).await;
            token = at;
            assert!(event.revision > last, "{} after {last}", event.revision);
            assert!(seen.insert((event.revision, event.series)), "twice");
            last = event.revision;
        }
        let request = pb::WatchModelsRequest {
            token: token.clone(),
            ..Default::default()
        };
        stream = models.watch_models(request).await.unwrap().into_inner();
    }
    assert!(last > 30, "only {last} events were read");
}

/// Long enough for whatever is on its way.
const SILENCE: Duration = Duration::from_secs(1);

/// The key of the last answer of each series; a later one must be greater.
struct Ordered(BTreeMap<String, (u64, i64, i32)>);

impl Ordered {
    fn take(&mut self, forecast: &pb::Forecast) {
        let (name, key) = (series(forecast).to_owned(), key(forecast));
        if let Some(last) = self.0.insert(name.clone(), key) {
            assert!(key > last, "{name}: {key:?} after {last:?}");
        }
    }
}

#[tokio::test]
async fn p01_forecasts_of_a_series_only_go_forward_even_when_the_clock_is_set_back() {
    let house = House::start().await;
    house.serve("a", 1.0).await;
    house.serve("b", 1.0).await;
    let request = pb::WatchForecastsRequest {
        selector: selector(&["a", "b"], ""),
        horizon: seconds(3_600),
        ..Default::default()
    };
    let mut forecasts = house.forecasts().await;
    let mut stream = forecasts
        .watch_forecasts(request)
        .await
        .unwrap()
        .into_inner();
    let mut ordered = Ordered(BTreeMap::new());
    let mut read = async |count: usize| {
        let mut left = count;
        while left > 0 {
            if let Told::Forecast(_, forecast) = told(next(&mut stream).await) {
                ordered.take(&forecast);
                left -= 1;
            }
        }
    };
    read(2).await;
    house.clock.set(after(300));
    read(2).await;
    // An hour back: until the clock has caught up nothing but a new version is news.
    house.clock.set(now());
    house.clock.set(after(200));
    house.serve("a", 2.0).await;
    read(1).await;
    house.clock.set(after(299));
    house.clock.set(after(300));
    house.serve("b", 2.0).await;
    // b: the new version. a: the step that its new version had not seen yet.
    read(2).await;
    // Two days later a model is stale, which is a step and a change of freshness at once.
    house.clock.set(after(2 * 86_400 + 300));
    read(2).await;
    for (name, (revision, bucket, freshness)) in ordered.0 {
        let expected = if name == "a" { 3 } else { 4 };
        let stale = pb::Freshness::StaleModel as i32;
        assert_eq!((revision, freshness), (expected, stale), "{name}");
        assert_eq!(bucket, after(2 * 86_400 + 300).as_second());
    }
}

#[tokio::test]
async fn p01_a_clock_set_back_between_two_answers_of_one_step_takes_none_of_them_back() {
    let house = House::start().await;
    let names: Vec<String> = (0..12).map(|i| format!("s{i:02}")).collect();
    for name in &names {
        house.serve(name, 1.0).await;
    }
    let request = pb::WatchForecastsRequest {
        // 60 days of points every five minutes: 138 kB, so that one message fills the windows and the rest waits.
        horizon: seconds(60 * 86_400),
        ..Default::default()
    };
    let mut forecasts = ForecastServiceClient::new(house.narrow_channel().await);
    let opened = forecasts.watch_forecasts(request).await.unwrap();
    let mut stream = opened.into_inner();
    let mut ordered = Ordered(BTreeMap::new());
    let mut in_step = 0;
    // Reads until `count` answers of the step of `bucket` have come, or, of `None`, until nothing more comes.
    let mut read = async |bucket: Timestamp, count: Option<usize>| {
        while count.is_none_or(|count| in_step < count) {
            let message = match count {
                Some(_) => next(&mut stream).await,
                None => match tokio::time::timeout(SILENCE, stream.next()).await {
                    Ok(message) => message.unwrap().unwrap(),
                    Err(_) => break,
                },
            };
            if let Told::Forecast(_, forecast) = told(message) {
                ordered.take(&forecast);
                in_step += usize::from(key(&forecast).1 == bucket.as_second());
            }
        }
        std::mem::take(&mut in_step)
    };
    read(now(), Some(names.len())).await;
    house.clock.set(after(300));
    read(after(300), Some(1)).await;
    // Most of this step is still to be sent when it is an hour ago.
    house.clock.set(now() - Duration::from_secs(3_600));
    let more = read(after(300), None).await;
    assert!(
        more < names.len() - 1,
        "all was sent before the clock was set back"
    );
    house.clock.set(after(600));
    read(after(600), Some(names.len())).await;
}
