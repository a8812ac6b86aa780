//! What a subscriber sees, as values that tests compare.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt as _;
use loadcast_proto::v1::{self as pb, watch_forecasts_response as wf, watch_models_response as wm};
use tonic::{Status, Streaming};

/// Longer than any message takes; one that does not come fails the test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The next message.
pub(crate) async fn next<T>(stream: &mut Streaming<T>) -> T {
    try_next(stream).await.expect("no status")
}

/// The next message, or the status instead of it.
pub(crate) async fn try_next<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    tokio::time::timeout(PATIENCE, stream.next())
        .await
        .expect("a message in time")
        .expect("the stream goes on")
}

/// What a message of a watch over models says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Begin(u64, String),
    Model(String, u64),
    End(u64),
    Event(Box<pb::ModelEvent>),
    Bookmark(u64),
    Lagged(pb::Lagged),
}

pub(crate) fn said(message: pb::WatchModelsResponse) -> Said {
    match message.message.unwrap() {
        wm::Message::SnapshotBegin(begin) => Said::Begin(begin.revision, begin.reason),
        wm::Message::Model(model) => {
            let served = model.served.map_or(0, |served| served.version);
            Said::Model(model.series.unwrap().name, served)
        }
        wm::Message::SnapshotEnd(end) => Said::End(end.revision),
        wm::Message::Event(event) => Said::Event(Box::new(event.into_message().unwrap())),
        wm::Message::Bookmark(bookmark) => Said::Bookmark(bookmark.revision),
        wm::Message::Lagged(lagged) => Said::Lagged(lagged),
        wm::Message::GoingAway(_) => panic!("the server leaves"),
    }
}

/// The next message that is no bookmark, and its token: a slow machine may have been idle for ten seconds.
pub(crate) async fn news(stream: &mut Streaming<pb::WatchModelsResponse>) -> (Said, String) {
    let news = async {
        loop {
            let message = next(stream).await;
            let token = message.token.clone();
            match said(message) {
                Said::Bookmark(_) => {}
                said => return (said, token),
            }
        }
    };
    tokio::time::timeout(PATIENCE, news)
        .await
        .expect("more than bookmarks in time")
}

/// Reads up to the end of a snapshot: what is served by name, the revision, and the last token.
pub(crate) async fn snapshot(
    stream: &mut Streaming<pb::WatchModelsResponse>,
) -> (BTreeMap<String, u64>, u64, String) {
    let mut models = BTreeMap::new();
    loop {
        let (said, token) = news(stream).await;
        match said {
            Said::Begin(..) => {}
            Said::Model(name, version) => {
                assert_eq!(models.insert(name, version), None, "twice in a snapshot");
            }
            Said::End(revision) => return (models, revision, token),
            other => panic!("in a snapshot: {other:?}"),
        }
    }
}

/// The next event, and its token.
pub(crate) async fn event(
    stream: &mut Streaming<pb::WatchModelsResponse>,
) -> (pb::ModelEvent, String) {
    let (said, token) = news(stream).await;
    match said {
        Said::Event(event) => (*event, token),
        other => panic!("not an event: {other:?}"),
    }
}

/// What a message of a watch over forecasts says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    Begin,
    End,
    Forecast(pb::UpdateCause, Box<pb::Forecast>),
    Error(String, String),
    Gone(String),
    Bookmark,
    Lagged(pb::Lagged),
}

pub(crate) fn told(message: pb::WatchForecastsResponse) -> Told {
    use pb::forecast_update::Result as Wire;
    match message.message.unwrap() {
        wf::Message::SnapshotBegin(_) => Told::Begin,
        wf::Message::SnapshotEnd(_) => Told::End,
        wf::Message::Update(update) => {
            let update = update.into_message().unwrap();
            let cause = update.cause();
            match update.result.unwrap() {
                Wire::Forecast(forecast) => Told::Forecast(cause, Box::new(forecast)),
                Wire::Error(error) => Told::Error(update.series, error.reason),
            }
        }
        wf::Message::Gone(gone) => Told::Gone(gone.series),
        wf::Message::Bookmark(_) => Told::Bookmark,
        wf::Message::Lagged(lagged) => Told::Lagged(lagged),
        wf::Message::GoingAway(_) => panic!("the server leaves"),
    }
}

/// What orders the forecasts of one series.
pub(crate) fn key(forecast: &pb::Forecast) -> (u64, i64, i32) {
    let provenance = forecast.provenance.as_ref().unwrap();
    let bucket = forecast.as_of.as_ref().unwrap().seconds;
    (provenance.revision, bucket, provenance.freshness)
}

pub(crate) fn series(forecast: &pb::Forecast) -> &str {
    &forecast.provenance.as_ref().unwrap().series
}

pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}
