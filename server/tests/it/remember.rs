//! A state directory that cannot be written: what is served then, and what is remembered of it when it can.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use loadcast_model::series::SeriesName;
use loadcast_server::{cache::Cache, clock::Clock, load::Loaded, served::Change};

use crate::support::{constant_model, metadata, now, quick_folder};

fn open(folder: &Path) -> Arc<Cache> {
    Arc::new(Cache::open(folder, Clock::set_at(now()).0).unwrap())
}

async fn serve(cache: &Arc<Cache>, series: &str, version: u64) {
    let name: SeriesName = series.parse().unwrap();
    let bytes = constant_model(version as f64);
    let change = Change::Serve {
        loaded: Arc::new(Loaded::verify(metadata(&name, &bytes), &bytes).unwrap()),
        version,
        alias: "champion".to_owned(),
    };
    cache.commit(change, String::new()).await.unwrap();
}

fn served(cache: &Cache, series: &str) -> Option<u64> {
    let served = cache.get(&series.parse().unwrap());
    served.map(|served| served.version)
}

fn is_forgetful(cache: &Cache) -> bool {
    cache.forgetful().borrow().is_some()
}

/// No header can be written in `folder` until what is returned is removed.
fn block(folder: &Path) -> PathBuf {
    let staged = folder.join("state.new");
    fs::create_dir_all(&staged).unwrap();
    staged
}

#[tokio::test]
async fn a_directory_taken_away_and_not_writable_at_first_remembers_the_older_models_too_in_the_end()
 {
    let temporary = quick_folder();
    let folder = temporary.path().join("state");
    let cache = open(&folder);
    serve(&cache, "older", 1).await;
    fs::remove_dir_all(&folder).unwrap();
    let blocked = block(&folder);
    serve(&cache, "newer", 2).await;
    assert!(is_forgetful(&cache));
    fs::remove_dir(blocked).unwrap();
    cache.remember().await;
    assert!(!is_forgetful(&cache));
    let (epoch, revision) = (cache.state().epoch, cache.state().revision);
    drop(cache);
    let cache = open(&folder);
    assert_eq!(
        (cache.state().epoch, cache.state().revision),
        (epoch, revision)
    );
    assert_eq!(served(&cache, "older"), Some(1));
    assert_eq!(served(&cache, "newer"), Some(2));
}

#[tokio::test]
async fn a_new_epoch_that_cannot_be_written_is_served_and_remembered_when_it_can() {
    let temporary = quick_folder();
    let folder = temporary.path().join("state");
    let cache = open(&folder);
    serve(&cache, "a", 1).await;
    let first = cache.state().epoch;
    drop(cache);
    fs::remove_file(folder.join("state.json")).unwrap();
    let blocked = block(&folder);
    let cache = open(&folder);
    assert_eq!(served(&cache, "a"), Some(1));
    assert!(is_forgetful(&cache));
    let epoch = cache.state().epoch;
    assert_ne!(epoch, first);
    serve(&cache, "b", 2).await;
    fs::remove_dir(blocked).unwrap();
    cache.remember().await;
    assert!(!is_forgetful(&cache));
    serve(&cache, "c", 3).await;
    drop(cache);
    let cache = open(&folder);
    assert_eq!(cache.state().epoch, epoch);
    for (series, version) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(served(&cache, series), Some(version), "{series}");
    }
}
