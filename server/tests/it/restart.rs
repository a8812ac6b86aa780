//! What survives: kill -9 with nothing else running, and a state directory that is somebody else's.

use std::{path::Path, process::Output, time::Duration};

use loadcast_client::{ForecastQuery, Range};

use crate::support::{Process, TestServer, command, push, staged_files};

async fn standing(process: &Process) -> (u64, String, u64, String, f64) {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let forecast = process
        .client()
        .forecast(&ForecastQuery::new("web.cpu", hour))
        .await
        .unwrap();
    let provenance = forecast.provenance;
    (
        provenance.version,
        provenance.epoch,
        provenance.revision,
        provenance.artifact_sha256,
        forecast.yhat[0],
    )
}

#[tokio::test]
async fn kill_9_keeps_version_epoch_and_revision_with_nothing_else_running() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    server.client().push(push("web.cpu", 1.0)).await.unwrap();
    server.client().push(push("web.cpu", 2.0)).await.unwrap();
    let before = standing(&server).await;
    assert_eq!((before.0, before.2, before.4), (2, 2, 2.0));
    server.kill();
    // The registry was in that process's memory: what is served now is what the state directory remembers.
    let again = Process::start(folder.path());
    assert_eq!(standing(&again).await, before);
    again.kill();
    let third = Process::start(folder.path());
    assert_eq!(standing(&third).await, before);
    third.kill();
    assert_eq!(staged_files(folder.path()), [] as [String; 0]);
}

#[tokio::test]
async fn a_lost_state_directory_is_served_from_the_registry_under_a_new_epoch() {
    let server = TestServer::start().await;
    let pushed = server.client().push(push("web.cpu", 2.0)).await.unwrap();
    let folder = server.stop().await;
    for file in ["state.json", "events.log", "parameters.bin"] {
        std::fs::remove_file(folder.path().join("state").join(file)).unwrap();
    }
    let server = TestServer::start_in(folder).await;
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let query = ForecastQuery::new("web.cpu", hour);
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match server.client().forecast(&query).await {
                Ok(forecast) => return forecast,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    let provenance = found.await.unwrap().provenance;
    assert_eq!(provenance.version, pushed.version);
    assert_ne!(provenance.epoch, pushed.epoch);
}

fn failed(folder: &Path) -> Output {
    command(folder).output().unwrap()
}

#[tokio::test]
async fn a_second_server_on_the_same_state_directory_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Process::start(folder.path());
    let path = folder.path().to_owned();
    let output = tokio::task::spawn_blocking(move || failed(&path))
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("in use by another server") && stderr.contains("--state-dir"),
        "{stderr}"
    );
}

#[test]
fn wrong_flags_are_usage_errors_and_a_wrong_registry_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state-dir={}", folder.path().join("state").display());
    let run = |flag: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loadcast-server"));
        command.args([
            "--grpc-addr=127.0.0.1:0",
            "--http-addr=127.0.0.1:0",
            &state,
            flag,
        ]);
        command.output().unwrap()
    };
    let output = run("--poll-interval=soon");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("5s"));
    let output = run("--registry=ftp://x");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--registry ftp://x"));
}

#[tokio::test]
async fn a_state_directory_that_is_taken_away_is_made_again_and_a_restart_serves_what_was_pushed_since()
 {
    let elsewhere = tempfile::tempdir().unwrap();
    let registry = format!("--registry=file://{}", elsewhere.path().display());
    let flags = ["--poll-interval=1h", &registry];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    let client = server.client();
    for series in ["a.cpu", "b.cpu"] {
        client.push(push(series, 1.0)).await.unwrap();
    }
    std::fs::remove_dir_all(server.folder.path().join("state")).unwrap();
    let pushed = client.push(push("a.cpu", 2.0)).await.unwrap();
    drop(client);
    let folder = server.stop().await;
    // A registry that has nothing: what is served now is what the state directory remembers.
    let flags = ["--poll-interval=1h", "--registry=memory:"];
    let again = TestServer::start_with(folder, &flags).await;
    for (series, version) in [("a.cpu", pushed.version), ("b.cpu", 1)] {
        let served = again.cache.get(&series.parse().unwrap()).unwrap();
        assert_eq!(served.version, version, "{series}");
    }
    let state = again.cache.state();
    assert_eq!(state.epoch.to_string(), pushed.epoch);
    assert!(Some(state.revision) >= pushed.revision);
    let events = again.cache.events_after(0, 10).unwrap();
    assert_eq!(events[0].revision, 1, "the history is whole");
    again.stop().await;
}
