//! P13: many swaps leave nothing behind. The mechanism; `soak.rs` has 100,000 swaps, RSS and lookup times.

use std::sync::{Arc, Weak};

use loadcast_server::{
    cache::{Cache, KEEP_VERSIONS},
    load::Loaded,
    served::Change,
};

use crate::{
    storm::{SERIES, server},
    support::{TestServer, constant_model},
};

const SWAPS: u64 = 1_500;

fn alive(versions: &[Weak<Loaded>]) -> usize {
    versions
        .iter()
        .filter(|version| version.strong_count() > 0)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn p13_after_many_swaps_only_the_kept_versions_are_in_memory_and_the_files_stay_small() {
    let (server, _) = server().await;
    let cache: &Arc<Cache> = &server.cache;
    let series = SERIES.parse().unwrap();
    let record = segment_bytes(&server);
    let bytes = constant_model(1.0);
    let metadata = cache.get(&series).unwrap().loaded.metadata().clone();
    // A reader that never lets go of one old version keeps that one, and no other.
    let read = cache.get(&series).unwrap();
    let mut versions = vec![Arc::downgrade(&read.loaded)];
    for version in 2..=SWAPS {
        let loaded = Arc::new(Loaded::verify(metadata.clone(), &bytes).unwrap());
        versions.push(Arc::downgrade(&loaded));
        let change = Change::Serve {
            loaded,
            version,
            alias: "champion".to_owned(),
        };
        cache.commit(change, String::new()).await.unwrap();
    }
    cache.sweep();
    assert_eq!(alive(&versions), KEEP_VERSIONS + 1);
    drop(read);
    cache.sweep();
    assert_eq!(alive(&versions), KEEP_VERSIONS);
    assert_eq!(cache.unswept(), 0);
    for (age, version) in [SWAPS, SWAPS - 1, SWAPS - 2].into_iter().enumerate() {
        assert!(age < KEEP_VERSIONS);
        assert!(cache.version(&series, version).is_some(), "{version}");
    }
    assert!(
        cache
            .version(&series, SWAPS - KEEP_VERSIONS as u64)
            .is_none()
    );
    // No more garbage than its bound, beyond one record of one series.
    assert!(segment_bytes(&server) < 1_100 * record);
}

fn segment_bytes(server: &TestServer) -> u64 {
    let segment = server.folder.path().join("state/parameters.bin");
    std::fs::metadata(segment).unwrap().len()
}
