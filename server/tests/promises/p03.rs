//! P3: a token older than the log, of the future or of another epoch gets a snapshot where one is wanted, and otherwise
//! OUT_OF_RANGE at once. Never old events, never a silent wait. Known versions are left out of a snapshot.

use loadcast_proto::v1 as pb;
use loadcast_server::token::Token;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::{
    house::{House, selector},
    observe::{Said, Told, event, news, next, seconds, snapshot, told},
};

/// Longer than the log is after a week; see `House::age_log`.
const EVENTS: u64 = 1_300;

async fn watch(
    house: &House,
    token: &str,
    snapshot_on_gap: bool,
) -> Result<Streaming<pb::WatchModelsResponse>, Status> {
    let request = pb::WatchModelsRequest {
        token: token.to_owned(),
        snapshot_on_gap,
        ..Default::default()
    };
    let opening = async { house.models().await.watch_models(request).await };
    tokio::time::timeout(std::time::Duration::from_secs(5), opening)
        .await
        .expect("an answer at once")
        .map(tonic::Response::into_inner)
}

/// A token of `house` with something changed.
fn forged(token: &str, change: impl FnOnce(&mut Token)) -> String {
    let mut token = Token::decode(token).unwrap();
    change(&mut token);
    token.encode()
}

/// `token` is refused at once with `reason`, or gets a snapshot that says the same.
async fn is_a_gap(
    house: &House,
    token: &str,
    reason: &str,
) -> std::collections::HashMap<String, String> {
    let status = watch(house, token, false).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, reason);
    let mut stream = watch(house, token, true).await.unwrap();
    let begin = news(&mut stream).await.0;
    assert_eq!(begin, Said::Begin(house.revision(), reason.to_owned()));
    loop {
        match news(&mut stream).await.0 {
            Said::Model(..) => {}
            Said::End(revision) => {
                assert_eq!(revision, house.revision());
                return info.metadata;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn p03_a_token_older_than_the_log_is_told_so_at_every_boundary() {
    let house = House::start().await;
    let mut stream = watch(&house, "", false).await.unwrap();
    let (_, _, token) = snapshot(&mut stream).await;
    for i in 0..EVENTS {
        house.reject("a", &i.to_string()).await;
    }
    house.age_log().await;
    let current = EVENTS + 1;
    let oldest = current - 999;
    let at = |revision| forged(&token, |token| token.revision = revision);
    for revision in [0, 1, oldest - 2] {
        let metadata = is_a_gap(&house, &at(revision), "REVISION_COMPACTED").await;
        assert_eq!(metadata["oldest"], oldest.to_string());
        assert_eq!(metadata["current"], current.to_string());
    }
    for revision in [oldest - 1, oldest, current - 1] {
        let mut stream = watch(&house, &at(revision), false).await.unwrap();
        assert_eq!(event(&mut stream).await.0.revision, revision + 1);
    }
}

#[tokio::test]
async fn p03_a_token_of_the_future_or_of_another_epoch_never_waits_and_never_gets_old_events() {
    let house = House::start().await;
    house.serve("a", 1.0).await;
    let mut stream = watch(&house, "", false).await.unwrap();
    let (_, revision, token) = snapshot(&mut stream).await;
    for ahead in [1, 2, 1_000, u64::MAX - revision] {
        let future = forged(&token, |token| token.revision = revision + ahead);
        is_a_gap(&house, &future, "EPOCH_CHANGED").await;
    }
    for revision in [0, 1, 7, u64::MAX] {
        let foreign = forged(&token, |token| {
            token.revision = revision;
            token.epoch = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        });
        is_a_gap(&house, &foreign, "EPOCH_CHANGED").await;
    }
    let status = watch(&house, "no token", true).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let other_filter = forged(&token, |token| token.filter ^= 1);
    let status = watch(&house, &other_filter, true).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn p03_a_watch_of_forecasts_keeps_to_the_same() {
    let house = House::start().await;
    house.serve("a", 1.0).await;
    let ask = |token: String, snapshot_on_gap| {
        let request = pb::WatchForecastsRequest {
            selector: selector(&["a"], ""),
            horizon: seconds(3_600),
            token,
            snapshot_on_gap,
            ..Default::default()
        };
        async { house.forecasts().await.watch_forecasts(request).await }
    };
    let mut stream = ask(String::new(), false).await.unwrap().into_inner();
    let token = loop {
        let message = next(&mut stream).await;
        let token = message.token.clone();
        if told(message) == Told::End {
            break token;
        }
    };
    let foreign = forged(&token, |token| token.epoch = uuid());
    let future = forged(&token, |token| token.revision += 1);
    for token in [foreign, future] {
        let status = ask(token.clone(), false).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
        let mut stream = ask(token, true).await.unwrap().into_inner();
        assert_eq!(told(next(&mut stream).await), Told::Begin);
    }
}

fn uuid() -> uuid::Uuid {
    uuid::Uuid::from_u128(7)
}

#[tokio::test]
async fn p03_a_snapshot_carries_only_what_differs_from_the_versions_that_are_known() {
    let house = House::start().await;
    for series in ["a", "b", "c"] {
        house.serve(series, 1.0).await;
    }
    let known: Vec<_> = house
        .client()
        .models(&loadcast_client::Selector::all())
        .await
        .unwrap()
        .into_iter()
        .map(|model| {
            let served = model.served.unwrap();
            pb::KnownVersion {
                series: model.series.name,
                version: served.version,
                artifact_sha256: served.artifact_sha256,
            }
        })
        .chain([pb::KnownVersion {
            series: "long-gone".to_owned(),
            version: 9,
            artifact_sha256: String::new(),
        }])
        .collect();
    house.serve("b", 2.0).await;
    let request = pb::WatchModelsRequest {
        known_versions: known.clone(),
        ..Default::default()
    };
    let mut models = house.models().await;
    let mut stream = models.watch_models(request).await.unwrap().into_inner();
    let (models, ..) = snapshot(&mut stream).await;
    let expected = [("b", 2), ("long-gone", 0)].map(|(name, v)| (name.to_owned(), v));
    assert_eq!(models, expected.into());
    let request = pb::WatchForecastsRequest {
        horizon: seconds(3_600),
        known_versions: known,
        ..Default::default()
    };
    let mut forecasts = house.forecasts().await;
    let mut stream = forecasts
        .watch_forecasts(request)
        .await
        .unwrap()
        .into_inner();
    let mut seen = Vec::new();
    loop {
        match told(next(&mut stream).await) {
            Told::Begin => {}
            Told::Forecast(_, forecast) => {
                seen.push(crate::observe::series(&forecast).to_owned());
            }
            Told::Gone(series) => seen.push(series),
            Told::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["long-gone", "b"]);
}
