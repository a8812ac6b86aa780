//! P2: model events delivered in (from, to] are exactly the committed ones that match the filter. Cut the connection at
//! every message index: before + after equals the uninterrupted stream.

use loadcast_proto::v1::{self as pb, model_service_client::ModelServiceClient};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tonic::transport::Channel;

use crate::{
    house::{House, selector},
    observe::{event, snapshot},
};

/// How many times a stream is cut at a random message.
const CUTS: usize = 10_000;

const FILTERS: [(&[&str], &str); 4] = [
    (&[], ""),
    (&["b", "d", "unheard-of"], ""),
    (&[], "team=blue"),
    (&["a", "b"], "team!=blue"),
];

/// A history of 44 events of four series, two of them labelled; returns the tokens at its beginning, one a filter.
async fn history(house: &House) -> Vec<String> {
    let mut tokens = Vec::new();
    for (names, labels) in FILTERS {
        let request = pb::WatchModelsRequest {
            selector: selector(names, labels),
            ..Default::default()
        };
        let mut models = house.models().await;
        let mut stream = models.watch_models(request).await.unwrap().into_inner();
        tokens.push(snapshot(&mut stream).await.2);
    }
    for (series, labels) in [("a", "red"), ("b", "blue"), ("c", "blue"), ("d", "red")] {
        house.serve_labelled(series, 1.0, &[("team", labels)]).await;
    }
    for round in 0..10 {
        for series in ["a", "b", "c", "d"] {
            house.reject(series, &format!("{series}{round}")).await;
        }
    }
    tokens
}

/// What a filter lets through, by its definition.
fn is_meant((names, labels): (&[&str], &str), event: &pb::ModelEvent) -> bool {
    let blue = event.labels.get("team").is_some_and(|team| team == "blue");
    (names.is_empty() || names.contains(&event.series.as_str()))
        && match labels {
            "" => true,
            "team=blue" => blue,
            _ => !blue,
        }
}

/// Reads `count` events after `token` and leaves; returns them with the last token.
async fn read(
    models: &mut ModelServiceClient<Channel>,
    filter: (&[&str], &str),
    token: String,
    count: usize,
) -> (Vec<pb::ModelEvent>, String) {
    let request = pb::WatchModelsRequest {
        selector: selector(filter.0, filter.1),
        token: token.clone(),
        ..Default::default()
    };
    let mut stream = models.watch_models(request).await.unwrap().into_inner();
    let (mut events, mut token) = (Vec::new(), token);
    while events.len() < count {
        let (event, at) = event(&mut stream).await;
        events.push(event);
        token = at;
    }
    (events, token)
}

/// What was committed, and is meant by a filter.
fn committed(
    house: &House,
    filter: (&[&str], &str),
    all: &[pb::ModelEvent],
) -> Vec<pb::ModelEvent> {
    assert_eq!(all.len() as u64, house.revision());
    let meant = all.iter().filter(|event| is_meant(filter, event));
    meant.cloned().collect()
}

#[tokio::test]
async fn p02_every_filter_lets_through_exactly_what_was_committed_and_is_meant() {
    let house = House::start().await;
    let tokens = history(&house).await;
    let mut models = house.models().await;
    let count = house.revision() as usize;
    let (all, _) = read(&mut models, FILTERS[0], tokens[0].clone(), count).await;
    let revisions: Vec<u64> = all.iter().map(|event| event.revision).collect();
    assert_eq!(revisions, (1..=house.revision()).collect::<Vec<_>>());
    for (filter, token) in FILTERS.into_iter().zip(tokens) {
        let expected = committed(&house, filter, &all);
        assert!(expected.len() > 10, "{filter:?} means next to nothing");
        let (events, _) = read(&mut models, filter, token, expected.len()).await;
        assert_eq!(events, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn p02_a_connection_cut_at_every_message_loses_and_repeats_nothing() {
    let house = House::start().await;
    let tokens = history(&house).await;
    let count = house.revision() as usize;
    let mut models = house.models().await;
    let (all, _) = read(&mut models, FILTERS[0], tokens[0].clone(), count).await;
    for cut in 0..=count {
        // A connection of its own each time: it is closed, not just the stream.
        let mut before = house.models().await;
        let (mut events, token) = read(&mut before, FILTERS[0], tokens[0].clone(), cut).await;
        drop(before);
        let mut after = house.models().await;
        events.extend(read(&mut after, FILTERS[0], token, count - cut).await.0);
        assert_eq!(events, all, "cut after {cut}");
    }
}

#[tokio::test]
async fn p02_ten_thousand_random_cuts_lose_and_repeat_nothing() {
    let house = House::start().await;
    let tokens = history(&house).await;
    let mut models = house.models().await;
    let count = house.revision() as usize;
    let (all, _) = read(&mut models, FILTERS[0], tokens[0].clone(), count).await;
    let mut random = StdRng::seed_from_u64(2);
    let mut cuts = 0;
    while cuts < CUTS {
        let pick = random.random_range(0..FILTERS.len());
        let expected = committed(&house, FILTERS[pick], &all);
        let (mut events, mut token) = (Vec::new(), tokens[pick].clone());
        while events.len() < expected.len() {
            let left = expected.len() - events.len();
            let some = random.random_range(0..=left.min(4));
            let (more, at) = read(&mut models, FILTERS[pick], token, some).await;
            events.extend(more);
            token = at;
            cuts += 1;
        }
        assert_eq!(events, expected, "{:?} after {cuts} cuts", FILTERS[pick]);
    }
}
