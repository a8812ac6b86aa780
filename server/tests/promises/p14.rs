//! P14: a push is whole or nothing, once, and stays.

mod failing;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt as _, future::join_all};
use loadcast_client::{Attachment, Client, Code, Error, Push, Selector};
use loadcast_components::soak;
use loadcast_model::{artifact::sha256_hex, series::SeriesName};
use loadcast_proto::v1::{
    self as pb, model_service_client::ModelServiceClient, push_model_request::Part,
};
use loadcast_registry::{error::Error as RegistryError, open::open, registry::Registry};
use loadcast_server::{
    aspired::Aspirations, cache::Cache, clock::Clock, lanes::Lanes, publish::Publisher,
};

use crate::{
    p14::failing::Failing,
    storm::{SERIES, question, until_served},
    support::{self, Process, TestServer, constant_model, now, push, staged_files},
};

fn code(error: &Error) -> Code {
    match error {
        Error::Refused { code, .. } => *code,
        other => panic!("not a refusal: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_the_same_key_is_the_same_version_whoever_comes_first_and_other_bytes_are_refused() {
    let server = TestServer::start().await;
    let clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    let pushed = join_all(clients.iter().map(|client| client.push(push(SERIES, 1.0)))).await;
    let mut first = 0;
    for pushed in pushed {
        let pushed = pushed.unwrap();
        assert_eq!(pushed.version, 1);
        first += u32::from(!pushed.already_registered);
    }
    assert_eq!(first, 1, "one of them made it");
    for expected_version in [None, Some(0), Some(1), Some(7)] {
        let other = Push {
            idempotency_key: push(SERIES, 1.0).idempotency_key,
            expected_version,
            ..push(SERIES, 2.0)
        };
        let error = server.client().push(other).await.unwrap_err();
        assert_eq!(code(&error), Code::AlreadyExists, "{error}");
    }
    assert_eq!(versions(server.folder.path()), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_of_pushes_that_expect_the_same_version_one_wins_and_the_others_are_aborted() {
    let server = TestServer::start().await;
    let pushes = (1..=6).map(|level| Push {
        expected_version: Some(0),
        ..push(SERIES, f64::from(level))
    });
    let client = server.client();
    let outcomes = join_all(pushes.map(|push| client.push(push))).await;
    let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 5));
    for lost in lost {
        let error = lost.unwrap_err();
        assert_eq!(code(&error), Code::Aborted, "{error}");
    }
    assert_eq!(
        versions(server.folder.path()),
        [1],
        "what lost left nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_a_push_repeated_after_it_was_completed_does_not_undo_what_came_since() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push(SERIES, 1.0)).await.unwrap();
    client.push(push(SERIES, 2.0)).await.unwrap();
    until_served(&server.cache, 2).await;
    let repeated = client.push(push(SERIES, 1.0)).await.unwrap();
    assert_eq!((repeated.version, repeated.already_registered), (1, true));
    assert_eq!(repeated.revision, None, "it is not what is served");
    client.rollback(SERIES, None).await.unwrap();
    until_served(&server.cache, 1).await;
    client.push(push(SERIES, 2.0)).await.unwrap();
    let polls = Duration::from_millis(350);
    tokio::time::sleep(polls).await;
    let forecast = client.forecast(&question(12)).await.unwrap();
    assert_eq!(forecast.provenance.version, 1, "the rollback holds");
}

/// What takes pushes into `cache` by way of `registry`.
fn publisher(cache: &Arc<Cache>, registry: &Arc<Failing>) -> Publisher {
    Publisher::new(
        Arc::clone(cache),
        Arc::clone(registry) as Arc<dyn Registry>,
        Arc::new(Lanes::default()),
        Arc::new(Aspirations::default()),
        "champion".to_owned(),
        Duration::from_secs(5),
    )
}

/// The registered versions of [`SERIES`] below a server's folder.
fn versions(folder: &Path) -> Vec<u64> {
    let versions = folder.join("state/registry/models/web.cpu/versions");
    let Ok(listed) = fs::read_dir(versions) else {
        return Vec::new();
    };
    let mut found: Vec<u64> = listed
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("manifest.json").exists())
        .map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_a_registry_that_fails_at_any_step_leaves_a_push_that_its_repetition_finishes() {
    let series: SeriesName = SERIES.parse().unwrap();
    let bytes = constant_model(1.0);
    let header = {
        let server = TestServer::start().await;
        server.client().push(push(SERIES, 1.0)).await.unwrap();
        until_served(&server.cache, 1).await;
        let served = server.cache.get(&series).unwrap();
        served.loaded.metadata().clone()
    };
    for writes in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let cache = Arc::new(Cache::open(folder.path(), Clock::set_at(now()).0).unwrap());
        let registry = Arc::new(Failing {
            inner: open("memory:").unwrap(),
            writes_left: AtomicU32::new(writes),
            rival: AtomicU64::new(0),
        });
        let publisher = publisher(&cache, &registry);
        let push = || loadcast_server::publish::Push {
            metadata: header.clone(),
            key: "k".to_owned(),
            alias: Some("champion".to_owned()),
            expected_version: Some(0),
            model_pr: bytes.clone().into(),
            attachments: Vec::new(),
            traceparent: String::new(),
            activate_at: None,
        };
        let first = publisher.publish(push()).await;
        // Register and the alias make a push; the third write only notes that it is complete.
        assert_eq!(
            first.is_ok(),
            writes >= 2,
            "after {writes} writes: {first:?}"
        );
        assert_eq!(cache.get(&series).is_some(), writes >= 2);
        registry.writes_left.store(9, Ordering::Relaxed);
        let again = publisher.publish(push()).await.unwrap();
        assert_eq!(again.version, 1, "after {writes} writes");
        assert_eq!(again.already_registered, writes >= 1);
        assert_eq!(cache.get(&series).unwrap().version, 1);
        assert_eq!(registry.versions(&series).await.unwrap(), [1]);
        assert!(
            registry
                .made_by(&series, "k")
                .await
                .unwrap()
                .unwrap()
                .completed
        );
    }
}

/// As the registry compares when it writes, no server has to know of the other.
#[tokio::test(flavor = "multi_thread")]
async fn p14_an_alias_that_another_server_moves_during_a_push_is_not_taken_back_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Arc::new(Cache::open(folder.path(), Clock::set_at(now()).0).unwrap());
    let registry = Arc::new(Failing {
        inner: open("memory:").unwrap(),
        writes_left: AtomicU32::new(u32::MAX),
        rival: AtomicU64::new(0),
    });
    let publisher = publisher(&cache, &registry);
    let series: SeriesName = SERIES.parse().unwrap();
    let push = |level: f64, alias: Option<&str>, expected_version| {
        let model_pr = constant_model(level);
        loadcast_server::publish::Push {
            metadata: support::metadata(&series, &model_pr),
            key: format!("k{level}"),
            alias: alias.map(str::to_owned),
            expected_version,
            model_pr: model_pr.into(),
            attachments: Vec::new(),
            traceparent: String::new(),
            activate_at: None,
        }
    };
    let champion = Some("champion");
    publisher
        .publish(push(1.0, champion, Some(0)))
        .await
        .unwrap();
    // What the other server registered, and moves the alias to while version 3 is registered here.
    publisher.publish(push(2.0, None, None)).await.unwrap();
    registry.rival.store(2, Ordering::Relaxed);
    let lost = publisher.publish(push(3.0, champion, Some(1))).await;
    let moved = |error: &loadcast_server::error::Error| {
        matches!(
            error,
            loadcast_server::error::Error::Registry(RegistryError::AliasMoved {
                expected: 1,
                actual: 2,
                ..
            })
        )
    };
    assert!(moved(lost.as_ref().unwrap_err()), "{lost:?}");
    assert_eq!(registry.alias(&series, "champion").await.unwrap(), Some(2));
    assert_eq!(
        cache.get(&series).unwrap().version,
        1,
        "until the next poll"
    );
    // Repeated as it was it is refused again; with what is so now it is finished, and no second version.
    let again = publisher.publish(push(3.0, champion, Some(1))).await;
    assert!(moved(again.as_ref().unwrap_err()), "{again:?}");
    let made = publisher
        .publish(push(3.0, champion, Some(2)))
        .await
        .unwrap();
    assert_eq!((made.version, made.already_registered), (3, true));
    assert_eq!(registry.alias(&series, "champion").await.unwrap(), Some(3));
    assert_eq!(registry.versions(&series).await.unwrap(), [1, 2, 3]);
    // Of a push that another server finished meanwhile nothing is aborted.
    registry.rival.store(4, Ordering::Relaxed);
    let both = publisher
        .publish(push(4.0, champion, Some(3)))
        .await
        .unwrap();
    assert_eq!(both.version, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_an_order_that_the_registry_does_not_take_changes_nothing_here() {
    let server = TestServer::start().await;
    server.client().push(push(SERIES, 1.0)).await.unwrap();
    server.client().push(push(SERIES, 2.0)).await.unwrap();
    until_served(&server.cache, 2).await;
    let registry = Arc::new(Failing {
        inner: open("memory:").unwrap(),
        writes_left: AtomicU32::new(0),
        rival: AtomicU64::new(0),
    });
    let publisher = publisher(&server.cache, &registry);
    let series: SeriesName = SERIES.parse().unwrap();
    let before = server.cache.state();
    let trace = String::new;
    let outcomes = [
        publisher
            .set_alias(&series, "champion", 1, None, trace())
            .await,
        publisher
            .set_alias(&series, "candidate", 1, None, trace())
            .await,
        publisher.rollback(&series, 0, trace()).await,
        publisher.retire(&series, "old".to_owned(), trace()).await,
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("registry unreachable"), "{error}");
    }
    assert!(Arc::ptr_eq(&before, &server.cache.state()));
}

/// The parts of a push: a header, small chunks, and an attachment in small chunks.
fn parts(level: f64) -> Vec<Part> {
    let bytes = Bytes::from(constant_model(level));
    let report = Bytes::from(vec![b'x'; 500]);
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let header = pb::PushHeader {
        series: Some(pb::Series {
            name: SERIES.to_owned(),
            step: Some(prost_types::Duration {
                seconds: 300,
                nanos: 0,
            }),
            ..Default::default()
        }),
        size_bytes: bytes.len() as u64,
        sha256: sha256_hex(&bytes),
        idempotency_key: format!("key-{level}"),
        alias: "champion".to_owned(),
        cutoff: at(1_790_000_000),
        trained_at: at(1_790_000_000),
        ..Default::default()
    };
    let attachment = pb::AttachmentHeader {
        name: "report.html".to_owned(),
        media_type: "text/html".to_owned(),
        size_bytes: report.len() as u64,
        sha256: sha256_hex(&report),
    };
    let chunks = |bytes: &Bytes| -> Vec<Bytes> {
        bytes
            .chunks(256)
            .map(|chunk| bytes.slice_ref(chunk))
            .collect()
    };
    let mut parts = vec![Part::Header(header)];
    parts.extend(chunks(&bytes).into_iter().map(Part::ModelChunk));
    parts.push(Part::Attachment(attachment));
    parts.extend(chunks(&report).into_iter().map(Part::AttachmentChunk));
    parts
}

/// Sends the first `count` of `parts` and then says nothing more, for ever; `sent` counts what was taken.
fn begin_push(
    grpc: &str,
    parts: Vec<Part>,
    count: usize,
    sent: Arc<AtomicU32>,
) -> tokio::task::JoinHandle<()> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{grpc}")).unwrap();
    tokio::spawn(async move {
        let said = futures::stream::iter(parts.into_iter().take(count)).map(move |part| {
            sent.fetch_add(1, Ordering::Relaxed);
            pb::PushModelRequest { part: Some(part) }
        });
        let messages = said.chain(futures::stream::pending());
        let channel = endpoint.connect().await.unwrap();
        // The server dies first.
        let _ = ModelServiceClient::new(channel).push_model(messages).await;
    })
}

/// A number below `below`; `turn` tells the turns of one test apart.
fn random(turn: u32, below: usize) -> usize {
    let noise = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), turn);
    usize::try_from(noise % below as u64).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_kill_9_of_the_server_at_any_chunk_leaves_nothing_visible_and_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start_durable(folder.path());
    let whole = parts(1.0);
    for turn in 0..soak::times(5, 100) {
        let count = 1 + random(turn, whole.len() - 1);
        let sent = Arc::new(AtomicU32::new(0));
        let pushing = begin_push(&server.grpc, whole.clone(), count, Arc::clone(&sent));
        while (sent.load(Ordering::Relaxed) as usize) < count {
            tokio::task::yield_now().await;
        }
        server.kill();
        pushing.abort();
        server = Process::start_durable(folder.path());
        assert_eq!(
            server.client().models(&Selector::all()).await.unwrap(),
            [],
            "at {count}"
        );
        assert_eq!(versions(folder.path()), [] as [u64; 0], "at {count}");
        assert_eq!(staged_files(folder.path()), [] as [String; 0], "at {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_kill_9_while_a_whole_push_is_being_registered_leaves_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start_durable(folder.path());
    for turn in 1..=soak::times(5, 100) {
        // The answer comes after some tens of milliseconds: before, within and after.
        let patience = Duration::from_millis(random(turn, 60) as u64);
        let client = server.client();
        let before = versions(folder.path());
        let this = Push {
            attachments: vec![Attachment {
                name: "report.html".to_owned(),
                media_type: "text/html".to_owned(),
                bytes: Bytes::from_static(b"<p>"),
            }],
            ..push(SERIES, f64::from(turn))
        };
        let pushing = tokio::spawn({
            let this = this.clone();
            async move { client.push(this).await }
        });
        tokio::time::sleep(patience).await;
        server.kill();
        let acknowledged = pushing.await.unwrap().ok();
        server = Process::start_durable(folder.path());
        assert_eq!(staged_files(folder.path()), [] as [String; 0]);
        let after = versions(folder.path());
        assert!(after.len() <= before.len() + 1);
        if let Some(acknowledged) = &acknowledged {
            assert!(after.contains(&acknowledged.version), "it was promised");
            let forecast = server.client().forecast(&question(1)).await.unwrap();
            assert_eq!(forecast.provenance.version, acknowledged.version);
        }
        // The trainer asks again and gets the one version of these bytes.
        let again = server.client().push(this).await.unwrap();
        if let Some(acknowledged) = acknowledged {
            assert_eq!(again.version, acknowledged.version);
        }
        let forecast = server.client().forecast(&question(1)).await.unwrap();
        assert_eq!(forecast.yhat[0], f64::from(turn));
        assert_eq!(versions(folder.path()).len(), before.len() + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_a_client_that_dies_at_any_chunk_leaves_nothing_visible() {
    let server = TestServer::start().await;
    let whole = parts(1.0);
    // Among them: the model is whole and its attachment missing; and all is there but the end of the stream.
    let attachment = whole
        .iter()
        .position(|part| matches!(part, Part::Attachment(_)))
        .unwrap();
    let counts = [
        1,
        2,
        attachment / 2,
        attachment,
        attachment + 1,
        whole.len(),
    ];
    // It dies in the act of sending, or a while after.
    let patiences = [0, 1, 5, 100].map(Duration::from_millis);
    for (count, patience) in counts
        .into_iter()
        .flat_map(|count| patiences.map(|patience| (count, patience)))
    {
        let sent = Arc::new(AtomicU32::new(0));
        let grpc = server.grpc.to_string();
        let pushing = begin_push(&grpc, whole.clone(), count, Arc::clone(&sent));
        while (sent.load(Ordering::Relaxed) as usize) < count {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(patience).await;
        pushing.abort();
    }
    // Longer than any of them would take to be registered and served.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let models = server.client().models(&Selector::all()).await.unwrap();
    assert_eq!(models, []);
    assert_eq!(versions(server.folder.path()), [] as [u64; 0]);
    assert_eq!(staged_files(server.folder.path()), [] as [String; 0]);
    assert!(!server.folder.path().join("state/registry/models").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_what_was_acknowledged_survives_the_loss_of_the_server_and_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start_durable(folder.path());
    let pushed = server.client().push(push(SERIES, 1.0)).await.unwrap();
    server.kill();
    for file in ["state.json", "events.log", "parameters.bin"] {
        fs::remove_file(folder.path().join("state").join(file)).unwrap();
    }
    let other = Process::start_durable(folder.path());
    let client = other.client();
    let forecast = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match client.forecast(&question(1)).await {
                Ok(forecast) => return forecast,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    let provenance = forecast.await.unwrap().provenance;
    assert_eq!(provenance.version, pushed.version);
    assert_eq!(provenance.artifact_sha256, pushed.artifact_sha256);
}
