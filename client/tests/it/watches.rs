//! A watch over connections that break.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use loadcast_client::{
    Client, Code, Error, ForecastUpdate, KnownVersion, ModelUpdate, Selector, Update, Watch,
    WatchQuery,
};
use loadcast_proto::v1 as pb;
use loadcast_proto::v1::watch_models_response::Message;
use tonic::Status;

use crate::answers::{SERIES, about_models, changed, digest, forecast, model, served};
use crate::server::{Mock, Script};

async fn next<M>(watch: &mut Watch<M>) -> Update<M>
where
    M: Send + 'static,
{
    watch.next().await.expect("not ended").expect("no error")
}

fn revision(update: &Update<ModelUpdate>) -> u64 {
    match update {
        Update::Message(ModelUpdate::Event(event)) => event.revision,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_continued_after_its_last_token() {
    let mock = Mock::default();
    mock.state().model_scripts = [
        Script {
            says: vec![
                about_models(
                    "t1",
                    Message::SnapshotBegin(pb::SnapshotBegin {
                        revision: 11,
                        reason: String::new(),
                    }),
                ),
                about_models("t2", Message::Model(model(SERIES))),
                about_models("t3", Message::SnapshotEnd(pb::SnapshotEnd { revision: 11 })),
                about_models("t4", served(12)),
            ],
            end: Some(Err(Status::unavailable("restarting"))),
        },
        Script {
            says: vec![about_models("t5", served(13))],
            end: None,
        },
    ]
    .into();
    let client = Client::new(&mock.serve().await).unwrap();
    let mut watch = client.watch_models(Selector::names([SERIES]));
    assert!(matches!(
        next(&mut watch).await,
        Update::SnapshotBegin {
            revision: 11,
            reason: None
        }
    ));
    assert!(matches!(
        next(&mut watch).await,
        Update::Message(ModelUpdate::Model(_))
    ));
    assert!(matches!(
        next(&mut watch).await,
        Update::SnapshotEnd { revision: 11 }
    ));
    assert_eq!(revision(&next(&mut watch).await), 12);
    assert!(matches!(
        next(&mut watch).await,
        Update::Disconnected {
            error: Error::Refused {
                code: Code::Unavailable,
                ..
            },
            ..
        }
    ));
    assert_eq!(next(&mut watch).await, Update::Reconnected);
    assert_eq!(revision(&next(&mut watch).await), 13);
    assert_eq!(watch.token(), Some("t5"));

    let state = mock.state();
    let asked: Vec<(&str, bool)> = state
        .watch_requests
        .iter()
        .map(|request| (request.token.as_str(), request.snapshot_on_gap))
        .collect();
    assert_eq!(asked, [("", true), ("t4", true)]);
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_on_its_port_is_found_again() {
    let mock = Mock::default();
    mock.state().model_scripts = [(12, "t12"), (13, "t13")]
        .map(|(revision, token)| Script {
            says: vec![about_models(token, served(revision))],
            end: None,
        })
        .into();
    // An address of its own: no connection of another test leaves from it, and takes the port meanwhile.
    let (first, addr) = mock.serve_apart(SocketAddr::from(([127, 0, 0, 77], 0)));
    let client = Client::new(&format!("http://{addr}")).unwrap();
    let mut watch = client.watch_models(Selector::all());
    assert_eq!(revision(&next(&mut watch).await), 12);

    first.shutdown_background();
    let Update::Disconnected { error, .. } = next(&mut watch).await else {
        panic!("the loss was not told");
    };
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let (second, _) = mock.serve_apart(addr);
    loop {
        match next(&mut watch).await {
            Update::Disconnected { .. } => {}
            Update::Reconnected => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(revision(&next(&mut watch).await), 13);
    assert_eq!(mock.state().watch_requests[1].token, "t12");
    second.shutdown_background();
}

#[tokio::test]
async fn a_refusal_that_cannot_be_mended_ends_the_watch() {
    let mock = Mock::default();
    mock.state().model_scripts = [Script {
        says: Vec::new(),
        end: Some(Err(Status::invalid_argument("bad label selector"))),
    }]
    .into();
    let client = Client::new(&mock.serve().await).unwrap();
    let mut watch = client.watch_models(Selector::labels("=="));
    let Some(Err(error)) = watch.next().await else {
        panic!("no error");
    };
    assert!(matches!(
        error,
        Error::Refused {
            code: Code::InvalidArgument,
            ..
        }
    ));
    assert!(watch.next().await.is_none());
    assert_eq!(mock.state().watch_requests.len(), 1);
}

#[tokio::test]
async fn known_versions_are_told_until_something_was_heard() {
    let mock = Mock::default();
    mock.state().forecast_scripts = [
        Script {
            says: Vec::new(),
            end: Some(Err(Status::unavailable("not yet"))),
        },
        Script {
            says: vec![changed("f1", forecast(3, 12, 1.5))],
            end: Some(Ok(())),
        },
        Script {
            says: vec![changed("f2", forecast(4, 13, 1.5))],
            end: None,
        },
    ]
    .into();
    let client = Client::new(&mock.serve().await).unwrap();
    let mut watch = client.watch_forecasts(WatchQuery {
        token: Some("f0".into()),
        known_versions: vec![KnownVersion {
            series: SERIES.into(),
            version: 2,
            artifact_sha256: digest(),
        }],
        ..WatchQuery::new(Selector::all(), Duration::from_secs(3_600))
    });
    let mut versions = Vec::new();
    while versions.len() < 2 {
        if let Update::Message(ForecastUpdate::Forecast { forecast, .. }) = next(&mut watch).await {
            versions.push(forecast.provenance.version);
        }
    }
    assert_eq!(versions, [3, 4]);
    let state = mock.state();
    let asked: Vec<(&str, usize)> = state
        .watch_forecast_requests
        .iter()
        .map(|request| (request.token.as_str(), request.known_versions.len()))
        .collect();
    assert_eq!(asked, [("f0", 1), ("f0", 1), ("f1", 0)]);
}
