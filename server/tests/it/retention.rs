//! Old versions go from the registry after a push, off its path, and none that anybody may still want.

use std::{fs, path::Path, sync::Arc, time::Duration};

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;
use loadcast_server::{
    aspired::Aspirations,
    cache::Cache,
    clock::Clock,
    lanes::Lanes,
    publish::{Publisher, Push},
    retention::{Pruner, Retention},
};
use tokio_util::sync::CancellationToken;

use crate::{
    scripted::{Fault, Scripted},
    support::{Process, TestServer, constant_model, metadata, now, push},
};

const SERIES: &str = "web.cpu";

/// The registered versions below a server's folder.
fn versions(folder: &Path) -> Vec<u64> {
    let versions = folder.join("state/registry/models/web.cpu/versions");
    let folders = fs::read_dir(versions).unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let mut found: Vec<u64> = folders
        .filter(|path| path.join("manifest.json").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    found.sort_unstable();
    found
}

/// Waits until `holds`, which is asked again and again.
async fn until(holds: impl AsyncFn() -> bool) -> bool {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking)
        .await
        .is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_named_pinned_or_kept_to_go_back_to_is_never_pruned() {
    let flags = [
        "--poll-interval=1h",
        "--keep-registry-versions=2",
        "--keep-versions=2",
    ];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    let client = server.client();
    for level in 1..=2 {
        client.push(push(SERIES, f64::from(level))).await.unwrap();
    }
    client
        .set_alias(SERIES, "candidate", 1, None)
        .await
        .unwrap();
    let pinned = server
        .folder
        .path()
        .join("state/registry/models/web.cpu/versions/2/pinned");
    fs::write(pinned, "").unwrap();
    for level in 3..=7 {
        client.push(push(SERIES, f64::from(level))).await.unwrap();
    }
    let folder = server.folder.path();
    let pruned = until(async || versions(folder) == [1, 2, 6, 7]).await;
    assert!(pruned, "{:?}", versions(folder));
    // Served and kept in memory, 6 and 7 are no longer the newest.
    for level in 8..=11 {
        let unnamed = loadcast_client::Push {
            alias: None,
            ..push(SERIES, f64::from(level))
        };
        client.push(unnamed).await.unwrap();
    }
    let pruned = until(async || versions(folder) == [1, 2, 6, 7, 10, 11]).await;
    assert!(pruned, "{:?}", versions(folder));
    assert_eq!(client.rollback(SERIES, None).await.unwrap().version, 6);
    assert_eq!(client.rollback(SERIES, Some(1)).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn zero_keeps_every_version() {
    let flags = ["--poll-interval=1h", "--keep-registry-versions=0"];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    let client = server.client();
    for level in 1..=25 {
        client.push(push(SERIES, f64::from(level))).await.unwrap();
    }
    // The same versions are pruned as soon as a server that keeps fewer sees a push: those were kept, and not forgotten.
    let kept = server.stop().await;
    assert_eq!(versions(kept.path()).len(), 25);
    let flags = ["--poll-interval=1h", "--keep-registry-versions=24"];
    let server = TestServer::start_with(kept, &flags).await;
    server.client().push(push(SERIES, 26.0)).await.unwrap();
    let folder = server.folder.path();
    let pruned = until(async || versions(folder) == (3..=26).collect::<Vec<_>>()).await;
    assert!(pruned, "{:?}", versions(folder));
}

#[tokio::test]
async fn a_prune_that_fails_or_hangs_costs_the_push_nothing_and_is_made_up_for_by_the_next_push() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(Cache::open(folder.path(), Clock::set_at(now()).0).unwrap());
    let registry = Scripted::new();
    let (lanes, aspirations) = (Arc::new(Lanes::default()), Arc::new(Aspirations::default()));
    let retention = Arc::new(Retention::new(1));
    let stop = CancellationToken::new();
    let pruning = tokio::spawn(Arc::clone(&retention).run(Pruner {
        cache: Arc::clone(&cache),
        registry: Arc::clone(&registry) as Arc<dyn Registry>,
        lanes: Arc::clone(&lanes),
        aspirations: Arc::clone(&aspirations),
        stop: stop.clone(),
    }));
    let publisher = Publisher::new(
        Arc::clone(&cache),
        Arc::clone(&registry) as Arc<dyn Registry>,
        lanes,
        aspirations,
        "champion".to_owned(),
        Duration::from_secs(5),
    )
    .with_retention(retention);
    let series: SeriesName = SERIES.parse().unwrap();
    let push = async |level: f64| {
        let model_pr = constant_model(level);
        let push = Push {
            metadata: metadata(&series, &model_pr),
            key: level.to_string(),
            alias: None,
            expected_version: None,
            activate_at: None,
            model_pr: model_pr.into(),
            attachments: Vec::new(),
            traceparent: String::new(),
        };
        publisher.publish(push).await.unwrap().version
    };
    let tried = async |times| until(async || registry.times("prune").len() == times).await;
    registry.fail("prune", Fault::Unreachable(None));
    push(1.0).await;
    push(2.0).await;
    assert!(until(async || !registry.times("prune").is_empty()).await);
    let before = registry.times("prune").len();
    assert_eq!(registry.versions(&series).await.unwrap(), [1, 2]);
    registry.heal();
    push(3.0).await;
    assert!(tried(before + 1).await, "once a push, and not by itself");
    let pruned = until(async || registry.versions(&series).await.unwrap() == [3]).await;
    assert!(pruned, "{:?}", registry.versions(&series).await);
    // The server stops while it prunes.
    registry.fail("prune", Fault::Hang);
    push(4.0).await;
    assert!(tried(before + 2).await);
    stop.cancel();
    pruning.await.unwrap();
}

#[test]
fn flags_that_are_switches_take_any_truth_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    for (value, read_only) in [("1", true), ("true", true), ("0", false), ("", false)] {
        let variables = [("LOADCAST_READ_ONLY_REGISTRY", value)];
        let registry = format!("--registry=file://{}", folder.path().display());
        let state = folder.path().join(format!("state-{value}"));
        // It starts: a value that it did not understand would end it at once.
        let server = Process::start_with(&state, &[&registry], &variables);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let pushed = runtime.block_on(async {
            let client = server.client();
            client.push(push(SERIES, 1.0)).await
        });
        assert_eq!(pushed.is_err(), read_only, "{value:?}: {pushed:?}");
    }
}
