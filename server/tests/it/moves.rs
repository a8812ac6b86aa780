//! What operators order: promote, go back, retire; and that no poll undoes it.

use std::{
    fs,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use loadcast_client::{Code, Error, ForecastQuery, ModelState, Push, Range, Selector};
use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;
use loadcast_server::{
    aspired::Aspirations, cache::Cache, clock::Clock, lanes::Lanes, publish::Publisher,
};

use crate::{
    scripted::Scripted,
    support::{TestServer, now, push, quick_folder},
};

const SERIES: &str = "web.cpu";

fn question() -> ForecastQuery {
    ForecastQuery::new(SERIES, Range::Horizon(Duration::from_secs(3_600)))
}

async fn level(server: &TestServer) -> f64 {
    server.client().forecast(&question()).await.unwrap().yhat[0]
}

fn code(error: &Error) -> Code {
    match error {
        Error::Refused { code, .. } => *code,
        other => panic!("not a refusal: {other}"),
    }
}

/// A server that polls all the time, with versions 1 to `levels` of the series pushed.
async fn polling(levels: u32) -> TestServer {
    let server = TestServer::start_polling(tempfile::tempdir().unwrap(), "1ms").await;
    for level in 1..=levels {
        let pushed = server.client().push(push(SERIES, f64::from(level))).await;
        assert_eq!(pushed.unwrap().version, u64::from(level));
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_takes_no_download_and_no_poll_undoes_it() {
    let server = polling(3).await;
    let client = server.client();
    let model = client.model(SERIES).await.unwrap();
    assert_eq!(model.kept_versions, [2, 1]);
    // Nothing to download any more: what is served again comes from memory.
    let models = server.folder.path().join("state/registry/models/web.cpu");
    for version in ["1", "2", "3"] {
        fs::remove_file(models.join("versions").join(version).join("model.pr")).unwrap();
    }
    let mut revision = model.served.unwrap().revision;
    for (to, expected) in [
        (None, 2),
        (None, 3),
        (Some(1), 1),
        (Some(3), 3),
        (Some(2), 2),
    ] {
        let back = client.rollback(SERIES, to).await.unwrap();
        revision += 1;
        assert_eq!((back.version, back.revision), (expected, revision));
        assert_eq!(level(&server).await, expected as f64);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(level(&server).await, 2.0);
    let state = server.cache.state();
    assert_eq!(state.revision, revision, "no poll served anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_in_memory_answers_who_asks_for_it_by_number() {
    let server = polling(4).await;
    let client = server.client();
    for (version, kept) in [(4, true), (3, true), (2, true), (1, false), (9, false)] {
        let asked = ForecastQuery {
            version: Some(version),
            ..question()
        };
        match client.forecast(&asked).await {
            Ok(forecast) => {
                assert!(kept);
                assert_eq!(forecast.yhat[0], version as f64);
                assert_eq!(forecast.provenance.version, version);
            }
            Err(error) => {
                assert!(!kept, "{error}");
                assert_eq!(code(&error), Code::NotFound);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_moved_in_the_registry_and_served_only_when_it_is_followed() {
    let server = polling(2).await;
    let client = server.client();
    assert_eq!(
        client
            .set_alias(SERIES, "candidate", 1, Some(0))
            .await
            .unwrap(),
        None
    );
    assert_eq!(level(&server).await, 2.0);
    let error = client
        .set_alias(SERIES, "champion", 1, Some(1))
        .await
        .unwrap_err();
    assert_eq!(code(&error), Code::Aborted, "{error}");
    let error = client
        .set_alias(SERIES, "champion", 7, None)
        .await
        .unwrap_err();
    assert_eq!(code(&error), Code::NotFound, "{error}");
    assert_eq!(level(&server).await, 2.0);
    let revision = client
        .set_alias(SERIES, "champion", 1, Some(2))
        .await
        .unwrap();
    assert_eq!(revision, Some(3));
    assert_eq!(level(&server).await, 1.0);
    let aliases = server.folder.path().join("state/registry/aliases");
    for alias in ["candidate", "champion"] {
        let pointer = fs::read_to_string(aliases.join(alias).join(SERIES)).unwrap();
        assert!(pointer.contains('1'), "{pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_to_go_back_to_before_the_first_version_or_without_one() {
    let server = polling(1).await;
    let client = server.client();
    let error = client.rollback(SERIES, None).await.unwrap_err();
    assert_eq!(code(&error), Code::FailedPrecondition, "{error}");
    let error = client.rollback("nobody", None).await.unwrap_err();
    assert_eq!(code(&error), Code::NotFound, "{error}");
    let error = client.retire("nobody", "old").await.unwrap_err();
    assert_eq!(code(&error), Code::NotFound, "{error}");
    let error = client.retire(SERIES, " ").await.unwrap_err();
    assert_eq!(code(&error), Code::InvalidArgument, "{error}");
}

async fn assert_retired(server: &TestServer) {
    let client = server.client();
    let error = client.forecast(&question()).await.unwrap_err();
    assert_eq!(code(&error), Code::NotFound);
    assert!(error.to_string().contains("decommissioned"), "{error}");
    let model = client.model(SERIES).await.unwrap();
    assert_eq!(model.state, ModelState::Retired);
    assert_eq!(model.message.as_deref(), Some("decommissioned"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_series_stays_so_until_a_version_is_promoted() {
    let server = polling(2).await;
    let client = server.client();
    let revision = client.retire(SERIES, "decommissioned").await.unwrap();
    assert_eq!(revision, 3);
    assert_retired(&server).await;
    // Neither a poll nor the trainer's next push brings it back.
    for push in [
        push(SERIES, 2.0),
        push(SERIES, 3.0),
        Push {
            alias: None,
            ..push(SERIES, 4.0)
        },
    ] {
        let error = client.push(push).await.unwrap_err();
        assert_eq!(code(&error), Code::FailedPrecondition, "{error}");
        assert!(error.to_string().contains("promote"), "{error}");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.cache.state().revision, revision);
    // A restart does not forget it; nor does a server that never knew it.
    let folder = server.stop().await;
    let server = TestServer::start_in(folder).await;
    assert_retired(&server).await;
    let folder = server.stop().await;
    for file in ["state.json", "events.log", "parameters.bin"] {
        fs::remove_file(folder.path().join("state").join(file)).unwrap();
    }
    let server = TestServer::start_in(folder).await;
    let client = server.client();
    let told = async {
        while client.models(&Selector::all()).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .unwrap();
    assert_retired(&server).await;
    let revived = client.set_alias(SERIES, "champion", 1, None).await.unwrap();
    assert!(revived.is_some());
    assert_eq!(level(&server).await, 1.0);
    client.push(push(SERIES, 5.0)).await.unwrap();
    assert_eq!(level(&server).await, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_retired_elsewhere_is_unloaded_at_the_next_poll() {
    let server = polling(1).await;
    let tombstones = server.folder.path().join("state/registry/tombstones");
    fs::create_dir_all(&tombstones).unwrap();
    fs::write(
        tombstones.join(SERIES),
        r#"{"reason":"decommissioned","at":"2026-11-24T00:00:00Z"}"#,
    )
    .unwrap();
    let mut changed = server.cache.subscribe();
    let unloaded = changed.wait_for(|revision| *revision >= 2);
    tokio::time::timeout(Duration::from_secs(20), unloaded)
        .await
        .unwrap()
        .unwrap();
    assert_retired(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_on_its_way_is_shown_with_what_keeps_it() {
    let server = polling(1).await;
    let client = server.client();
    let unpromoted = Push {
        alias: None,
        ..push(SERIES, 2.0)
    };
    client.push(unpromoted).await.unwrap();
    let registry = server.folder.path().join("state/registry");
    let manifest = registry.join("models/web.cpu/versions/2/manifest.json");
    let bytes = fs::read(&manifest).unwrap();
    // A file that is there and cannot be opened, as on a share that hangs.
    fs::remove_file(&manifest).unwrap();
    std::os::unix::fs::symlink("manifest.json", &manifest).unwrap();
    let alias = registry.join("aliases/champion").join(SERIES);
    fs::write(alias, r#"{"version":2}"#).unwrap();
    let until = async |wanted: ModelState| {
        let told = async {
            loop {
                let model = client.model(SERIES).await.unwrap();
                if model.state == wanted
                    && (wanted == ModelState::Serving || model.message.is_some())
                {
                    return model;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), told)
            .await
            .unwrap()
    };
    let model = until(ModelState::Loading).await;
    assert_eq!(model.reason.as_deref(), Some("RETRYING"));
    assert_eq!(model.aspired.unwrap().version, 2);
    assert_eq!(model.served.unwrap().version, 1);
    assert_eq!(level(&server).await, 1.0);
    fs::remove_file(&manifest).unwrap();
    fs::write(&manifest, bytes).unwrap();
    let served = async {
        while level(&server).await != 2.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), served)
        .await
        .unwrap();
    let model = until(ModelState::Serving).await;
    assert_eq!((model.reason, model.aspired), (None, None));
}

#[tokio::test]
async fn an_order_whose_own_move_went_through_and_whose_answer_was_lost_is_done() {
    let registry = Scripted::new();
    registry.make(SERIES, None).await;
    registry.make(SERIES, None).await;
    registry.point(SERIES, 1).await;
    registry.name(SERIES, "challenger", 1).await;
    registry.moves_twice.store(true, Ordering::Relaxed);
    let folder = quick_folder();
    let cache = Arc::new(Cache::open(folder.path(), Clock::set_at(now()).0).unwrap());
    let publisher = Publisher::new(
        Arc::clone(&cache),
        Arc::clone(&registry) as Arc<dyn Registry>,
        Arc::new(Lanes::default()),
        Arc::new(Aspirations::default()),
        "champion".to_owned(),
        Duration::from_secs(5),
    );
    let series: SeriesName = SERIES.parse().unwrap();
    for alias in ["champion", "challenger"] {
        let order = publisher.set_alias(&series, alias, 2, Some(1), String::new());
        assert_eq!(order.await.unwrap().version, 2, "{alias}");
        let named = registry.alias(&series, alias).await.unwrap();
        assert_eq!(named, Some(2), "{alias}");
    }
    assert_eq!(cache.get(&series).unwrap().version, 2);
    // Somebody else's move is another matter.
    let order = publisher.set_alias(&series, "champion", 1, Some(1), String::new());
    assert!(order.await.is_err());
}
