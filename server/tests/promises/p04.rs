//! P4: snapshot then tail leaves no gap and no duplicate while writers run. A bookmark(r) means everything up to r was
//! sent; on idle streams one comes every 10 s.

use std::{collections::BTreeMap, sync::Arc};

use loadcast_proto::v1 as pb;
use tokio::time::Instant;

use crate::{
    house::{House, selector},
    observe::{Said, Told, event, next, said, seconds, snapshot, told},
};

#[tokio::test]
async fn p04_snapshot_and_tail_meet_while_writers_run() {
    const EVENTS: u64 = 300;
    let house = Arc::new(House::start().await);
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for i in 0..EVENTS / 2 {
                    if i % 10 == 0 {
                        house.serve(&format!("served{writer}"), i as f64).await;
                    } else {
                        house.reject(&format!("w{writer}"), &i.to_string()).await;
                    }
                }
            })
        })
        .collect();
    let mut subscribers = Vec::new();
    let mut revision = house.cache.subscribe();
    for at in (5..EVENTS).step_by(9) {
        revision.wait_for(|revision| *revision >= at).await.unwrap();
        let mut models = house.models().await;
        let request = pb::WatchModelsRequest::default();
        let mut stream = models.watch_models(request).await.unwrap().into_inner();
        let (models, revision, _) = snapshot(&mut stream).await;
        subscribers.push((models, revision, stream));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    // The oracle: the whole log, and what was served at each revision.
    let log = house.cache.events_after(0, usize::MAX).unwrap();
    let mut served_at = vec![BTreeMap::new()];
    for event in &log {
        let mut served = served_at.last().unwrap().clone();
        let (series, _) = event.kind.series().unwrap();
        let version = event.kind.version();
        let at = served.entry(series.to_string()).or_insert(version);
        *at = version.max(*at);
        served_at.push(served);
    }
    for (models, revision, mut stream) in subscribers {
        assert_eq!(models, served_at[revision as usize], "at {revision}");
        for expected in revision + 1..=EVENTS {
            assert_eq!(event(&mut stream).await.0.revision, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p04_an_idle_stream_has_a_bookmark_every_ten_seconds() {
    let house = House::in_memory().await;
    house.reject("a", "").await;
    let mut models = house.models().await;
    let request = pb::WatchModelsRequest::default();
    let mut about_models = models.watch_models(request).await.unwrap().into_inner();
    snapshot(&mut about_models).await;
    let begun = Instant::now();
    for beat in 1..=6 {
        assert_eq!(said(next(&mut about_models).await), Said::Bookmark(1));
        assert_eq!(begun.elapsed().as_secs(), beat * 10);
    }
    let mut forecasts = house.forecasts().await;
    let request = pb::WatchForecastsRequest {
        horizon: seconds(3_600),
        ..Default::default()
    };
    let mut about_forecasts = forecasts
        .watch_forecasts(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told(next(&mut about_forecasts).await), Told::Begin);
    assert_eq!(told(next(&mut about_forecasts).await), Told::End);
    let begun = Instant::now();
    for beat in 1..=6 {
        assert_eq!(told(next(&mut about_forecasts).await), Told::Bookmark);
        assert_eq!(begun.elapsed().as_secs(), beat * 10);
    }
}

#[tokio::test(start_paused = true)]
async fn p04_a_bookmark_covers_what_a_filter_kept_back_and_nothing_that_is_still_to_come() {
    let house = House::in_memory().await;
    let request = pb::WatchModelsRequest {
        selector: selector(&["mine"], ""),
        ..Default::default()
    };
    let mut models = house.models().await;
    let mut stream = models
        .watch_models(request.clone())
        .await
        .unwrap()
        .into_inner();
    snapshot(&mut stream).await;
    let (mut sent, mut token) = (Vec::new(), String::new());
    for round in 0..20_u64 {
        for i in 0..round {
            let series = if i % 7 == 3 { "mine" } else { "other" };
            house.reject(series, &format!("{round}-{i}")).await;
        }
        loop {
            let message = next(&mut stream).await;
            token = message.token.clone();
            match said(message) {
                Said::Event(event) => sent.push(event.revision),
                Said::Bookmark(revision) => {
                    assert_eq!(revision, house.revision());
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        let log = house.cache.events_after(0, usize::MAX).unwrap();
        let mine = log.iter().filter(|event| {
            let (series, _) = event.kind.series().unwrap();
            series.to_string() == "mine"
        });
        assert_eq!(sent, mine.map(|event| event.revision).collect::<Vec<_>>());
    }
    // From a bookmark's token nothing before it comes again.
    let request = pb::WatchModelsRequest { token, ..request };
    let mut stream = models.watch_models(request).await.unwrap().into_inner();
    let expected = house.reject("mine", "at last").await;
    assert_eq!(event(&mut stream).await.0.revision, expected);
}
