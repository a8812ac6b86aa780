//! A swap storm: versions that answer constants, so that whoever reads can tell whether an answer is of one version.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use loadcast_client::{Client, Forecast, ForecastQuery, Range};
use loadcast_model::artifact::{Metadata, sha256_hex};
use loadcast_server::{cache::Cache, load::Loaded, served::Change};

use crate::support::{TestServer, constant_model, push};

pub(crate) const SERIES: &str = "web.cpu";

/// How many models the versions take turns with: version v answers `v % LEVELS`.
pub(crate) const LEVELS: u64 = 8;

/// The models, and their digests.
#[derive(Clone)]
pub(crate) struct Constants {
    loaded: Vec<Arc<Loaded>>,
}

impl Constants {
    /// Described by `metadata`, but for the digest.
    pub(crate) fn new(metadata: &Metadata) -> Self {
        let load = |level: u64| {
            let bytes = constant_model(level as f64);
            let metadata = Metadata {
                sha256: sha256_hex(&bytes),
                size_bytes: bytes.len() as u64,
                ..metadata.clone()
            };
            Arc::new(Loaded::verify(metadata, &bytes).unwrap())
        };
        Self {
            loaded: (0..LEVELS).map(load).collect(),
        }
    }

    /// A swap to `version`.
    pub(crate) fn serve(&self, version: u64) -> Change {
        Change::Serve {
            loaded: Arc::clone(&self.loaded[(version % LEVELS) as usize]),
            version,
            alias: "champion".to_owned(),
        }
    }

    /// The digest of what `version` serves.
    pub(crate) fn sha256(&self, version: u64) -> &str {
        &self.loaded[(version % LEVELS) as usize].metadata().sha256
    }

    /// Panics unless `forecast` is of exactly one version, and says which.
    pub(crate) fn assert_whole(&self, forecast: &Forecast) {
        let version = forecast.provenance.version;
        let level = (version % LEVELS) as f64;
        assert!(
            forecast.yhat.iter().all(|value| *value == level),
            "version {version} answered {:?}",
            forecast.yhat
        );
        assert_eq!(forecast.provenance.artifact_sha256, self.sha256(version));
    }
}

/// A server that serves version 1 of [`SERIES`], and the constants for the versions to come.
pub(crate) async fn server() -> (TestServer, Constants) {
    let server = TestServer::start_quick().await;
    server.client().push(push(SERIES, 1.0)).await.unwrap();
    until_served(&server.cache, 1).await;
    let served = server.cache.get(&SERIES.parse().unwrap()).unwrap();
    let constants = Constants::new(served.loaded.metadata());
    (server, constants)
}

/// Waits until `version` of [`SERIES`] is what the cache serves.
pub(crate) async fn until_served(cache: &Cache, version: u64) {
    let series = SERIES.parse().unwrap();
    let mut changed = cache.subscribe();
    let served = changed.wait_for(|_| cache.get(&series).is_some_and(|s| s.version == version));
    tokio::time::timeout(Duration::from_secs(20), served)
        .await
        .expect("it is served in time")
        .unwrap();
}

/// Swaps from the version after the served one on, one every `every`, until `stop`; answers with the last version.
pub(crate) async fn swap(
    cache: Arc<Cache>,
    constants: Constants,
    every: Duration,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut ticks = tokio::time::interval(every);
    let mut version = served_version(&cache);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        version += 1;
        let change = constants.serve(version);
        cache.commit(change, String::new()).await.unwrap();
    }
    version
}

/// The version of [`SERIES`] that is served.
pub(crate) fn served_version(cache: &Cache) -> u64 {
    let served = cache.get(&SERIES.parse().unwrap());
    served.map_or(0, |served| served.version)
}

/// Waits until `enough`, for a minute at the most.
pub(crate) async fn until(what: &str, enough: impl Fn() -> bool) {
    let waiting = async {
        while !enough() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap_or_else(|_| panic!("not within a minute: {what}"));
}

/// The next `points` steps of [`SERIES`].
pub(crate) fn question(points: u64) -> ForecastQuery {
    ForecastQuery::new(SERIES, Range::Horizon(Duration::from_secs(300 * points)))
}

/// Asks again and again until `stop`, and hands `each` what comes back.
pub(crate) async fn ask(
    client: Client,
    query: ForecastQuery,
    stop: Arc<AtomicBool>,
    mut each: impl FnMut(Result<Forecast, loadcast_client::Error>),
) {
    while !stop.load(Ordering::Relaxed) {
        each(client.forecast(&query).await);
    }
}
