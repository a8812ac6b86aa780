//! P5: epoch and revision survive kill -9 with the state directory; otherwise the epoch changes.

use std::time::Duration;

use loadcast_proto::v1::{self as pb, model_service_client::ModelServiceClient};
use tonic::transport::Channel;

use crate::{
    house::channel_to,
    observe::{event, snapshot},
    support::{Process, push},
};

async fn models(process: &Process) -> ModelServiceClient<Channel> {
    ModelServiceClient::new(channel_to(process).await)
}

async fn standing(process: &Process) -> (String, u64) {
    let request = pb::ListModelsRequest::default();
    let models = models(process).await.list_models(request).await.unwrap();
    let models = models.into_inner();
    (models.epoch, models.revision)
}

#[tokio::test]
async fn p05_epoch_revision_and_tokens_survive_kill_9_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path());
    let mut stream = {
        let request = pb::WatchModelsRequest::default();
        models(&process)
            .await
            .watch_models(request)
            .await
            .unwrap()
            .into_inner()
    };
    let (_, _, mut token) = snapshot(&mut stream).await;
    let (epoch, revision) = standing(&process).await;
    assert_eq!(revision, 0);
    let mut seen = 0;
    for life in 0..6_u64 {
        for i in 0..=life {
            let level = (life * 10 + i) as f64;
            process.client().push(push("web.cpu", level)).await.unwrap();
            let (event, at) = event(&mut stream).await;
            (seen, token) = (event.revision, at);
        }
        // Killed while writers run, each life a little later.
        let writers: Vec<_> = ["a", "b", "c"]
            .map(|series| {
                let client = process.client();
                let push = push(series, life as f64);
                tokio::spawn(async move { client.push(push).await.is_ok() })
            })
            .into();
        tokio::time::sleep(Duration::from_millis(4 * life)).await;
        process.kill();
        // Each of them a revision of its own.
        let mut acknowledged = seen;
        for writer in writers {
            acknowledged += u64::from(writer.await.unwrap());
        }
        process = Process::start(folder.path());
        let (same, revision) = standing(&process).await;
        assert_eq!(same, epoch);
        assert!(revision >= acknowledged, "{revision} < {acknowledged}");
        let request = pb::WatchModelsRequest {
            token: token.clone(),
            ..Default::default()
        };
        let mut models = models(&process).await;
        stream = models.watch_models(request).await.unwrap().into_inner();
        while seen < revision {
            let (event, at) = event(&mut stream).await;
            assert_eq!(event.revision, seen + 1);
            (seen, token) = (event.revision, at);
        }
    }
}

#[tokio::test]
async fn p05_without_its_state_directory_a_server_begins_another_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    process.client().push(push("web.cpu", 1.0)).await.unwrap();
    let (epoch, revision) = standing(&process).await;
    assert_eq!(revision, 1);
    process.kill();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    let process = Process::start(folder.path());
    let (other, revision) = standing(&process).await;
    assert_ne!(other, epoch);
    assert_eq!(revision, 0);
}
