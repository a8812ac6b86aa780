//! P11: who pushed reads what was pushed.

use std::time::Duration;

use futures::{StreamExt as _, future::join_all};
use loadcast_client::{Client, ModelUpdate, Selector, Update};

use crate::{
    storm::{SERIES, question},
    support::{TestServer, push},
};

const PUSHES: u64 = 8;
const CLIENTS: usize = 4;

/// Longer than any event takes.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn p11_after_a_push_every_request_is_answered_at_its_revision_or_later() {
    let server = TestServer::start().await;
    // Connections of their own, warm before it matters.
    let clients: Vec<Client> = (0..CLIENTS).map(|_| server.client()).collect();
    server.client().push(push(SERIES, 100.0)).await.unwrap();
    for client in &clients {
        client.models(&Selector::all()).await.unwrap();
    }
    for level in 1..=PUSHES {
        let pushed = server
            .client()
            .push(push(SERIES, level as f64))
            .await
            .unwrap();
        let revision = pushed.revision.expect("it is served at a revision");
        let query = question(12);
        let answers = join_all(clients.iter().map(|client| client.forecast(&query))).await;
        for answer in answers {
            let answer = answer.unwrap();
            assert!(answer.provenance.revision >= revision);
            assert_eq!(answer.provenance.version, pushed.version);
            assert_eq!(answer.yhat[0], level as f64);
        }
        let model = clients[0].model(SERIES).await.unwrap();
        assert_eq!(model.served.unwrap().revision, revision);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_a_watch_from_the_token_of_a_push_begins_after_it() {
    let server = TestServer::start().await;
    let first = server.client().push(push(SERIES, 1.0)).await.unwrap();
    let mut watch = server
        .client()
        .watch_models_after(Selector::all(), first.token);
    let second = server.client().push(push(SERIES, 2.0)).await.unwrap();
    let first_event = async {
        loop {
            match watch.next().await.unwrap().unwrap() {
                Update::Message(ModelUpdate::Event(event)) => return event,
                Update::SnapshotBegin { .. } => panic!("a token of the present needs no snapshot"),
                _ => {}
            }
        }
    };
    let event = tokio::time::timeout(PATIENCE, first_event).await;
    let event = event.expect("an event in time");
    assert_eq!(Some(event.revision), second.revision);
    assert!(second.revision > first.revision);
}
