//! What the registry says should be served and is not served yet. Passing, so neither state nor event.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use tokio::{sync::Notify, time::Instant};

use crate::load::Loaded;

/// A version that is on its way.
#[derive(Debug, Clone)]
pub struct Aspiration {
    /// The registry's number.
    pub version: u64,
    /// The alias or stage that names it.
    pub alias: String,
    /// When it was first seen there.
    pub seen_at: Timestamp,
    /// Attempts to load it that failed, one after another.
    pub failures: u32,
    /// How far it got.
    pub progress: Progress,
}

/// How far a version on its way got.
#[derive(Debug, Clone)]
pub enum Progress {
    /// It is being fetched, verified and warmed, or waits its turn.
    Loading,
    /// The registry says that it is still being made; asked for again at every poll.
    NotReady {
        /// In the registry's words.
        message: String,
    },
    /// An attempt failed.
    Retrying {
        /// Why.
        message: String,
        /// Not tried again before this.
        until: Instant,
    },
    /// Loaded, beside what is served; it begins at an instant.
    Waiting {
        /// That instant.
        activate_at: Timestamp,
        /// What will answer.
        loaded: Arc<Loaded>,
    },
}

/// The aspirations of one server.
#[derive(Debug, Default)]
pub struct Aspirations {
    all: Mutex<BTreeMap<SeriesName, Aspiration>>,
    /// Woken when a version begins to wait for its instant.
    waiting: Notify,
}

impl Aspirations {
    /// Notes that `version` of `series`, named by `alias` and seen at `now`, is being loaded, unless another version than
    /// the `planned_beside` is on its way by now: that one is newer than the look. Of the same version, since when and how
    /// often in vain stays; how often, before this attempt, is returned.
    pub fn begin(
        &self,
        series: &SeriesName,
        version: u64,
        alias: &str,
        planned_beside: Option<u64>,
        now: Timestamp,
    ) -> Option<u32> {
        let mut all = self.lock();
        let before = all.get(series);
        if before.map(|before| before.version) != planned_beside {
            return None;
        }
        let before = before.filter(|before| before.version == version);
        let failures = before.map_or(0, |before| before.failures);
        let aspiration = Aspiration {
            version,
            alias: alias.to_owned(),
            seen_at: before.map_or(now, |before| before.seen_at),
            failures,
            progress: Progress::Loading,
        };
        all.insert(series.clone(), aspiration);
        Some(failures)
    }

    /// Notes what was ordered here and waits for its instant, whatever was on its way before.
    pub fn order(&self, series: &SeriesName, ordered: Aspiration) {
        self.lock().insert(series.clone(), ordered);
        self.waiting.notify_one();
    }

    /// Notes how far `version` of `series` got, unless something else is on its way by now. A version that is retried
    /// has failed once more.
    pub fn advance(&self, series: &SeriesName, version: u64, progress: Progress) {
        let mut all = self.lock();
        let aspiration = all.get_mut(series);
        let Some(aspiration) = aspiration.filter(|aspiration| aspiration.version == version) else {
            return;
        };
        match progress {
            Progress::Retrying { .. } => {
                aspiration.failures = aspiration.failures.saturating_add(1);
            }
            Progress::Waiting { .. } => self.waiting.notify_one(),
            Progress::Loading | Progress::NotReady { .. } => {}
        }
        aspiration.progress = progress;
    }

    /// Notes that `version` is not on its way any more: it is served, refused, or no longer wanted. Another one stays.
    pub fn end(&self, series: &SeriesName, version: u64) {
        let mut all = self.lock();
        if all
            .get(series)
            .is_some_and(|on_its_way| on_its_way.version == version)
        {
            all.remove(series);
        }
    }

    /// Notes that nothing is on its way any more, whatever it was: something newer was ordered.
    pub fn supersede(&self, series: &SeriesName) {
        self.lock().remove(series);
    }

    /// Whether `version` of `series` is still being loaded.
    pub fn is_loading(&self, series: &SeriesName, version: u64) -> bool {
        self.lock().get(series).is_some_and(|on_its_way| {
            on_its_way.version == version && matches!(on_its_way.progress, Progress::Loading)
        })
    }

    /// What failed because the registry was away may be tried again at once.
    pub fn retry_now(&self) {
        for aspiration in self.lock().values_mut() {
            if let Progress::Retrying { until, .. } = &mut aspiration.progress {
                *until = Instant::now();
                aspiration.failures = 0;
            }
        }
    }

    /// What is on its way for `series`.
    pub fn get(&self, series: &SeriesName) -> Option<Aspiration> {
        self.lock().get(series).cloned()
    }

    /// Everything that is on its way, in the order of names.
    pub fn all(&self) -> BTreeMap<SeriesName, Aspiration> {
        self.lock().clone()
    }

    /// The series whose version waits for its instant, and that instant.
    pub fn waiting(&self) -> Vec<(SeriesName, Timestamp)> {
        let all = self.lock();
        let waiting = all
            .iter()
            .filter_map(|(series, aspiration)| match aspiration.progress {
                Progress::Waiting { activate_at, .. } => Some((series.clone(), activate_at)),
                _ => None,
            });
        waiting.collect()
    }

    /// Returns when a version began to wait since the last call.
    pub async fn one_more_waits(&self) {
        self.waiting.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SeriesName, Aspiration>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
