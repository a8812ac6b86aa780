//! How many versions the registry keeps: after a push, off its path, those beyond are deleted.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{aspired::Aspirations, cache::Cache, lanes::Lanes};

/// How many versions of a series the registry keeps when nobody says otherwise.
pub const KEEP_REGISTRY_VERSIONS: usize = 20;

/// How long one series' versions may be pruned; its pushes wait meanwhile. What is left over is left to the next push.
const PATIENCE: Duration = Duration::from_secs(30);

/// The series that were pushed and whose versions are to be looked through. The default keeps all.
#[derive(Debug, Default)]
pub struct Retention {
    keep: usize,
    /// Each once, however often it was pushed.
    due: Mutex<BTreeSet<SeriesName>>,
    wake: Notify,
}

/// What pruning needs.
#[derive(Debug)]
pub struct Pruner {
    /// What is served, and kept to go back to.
    pub cache: Arc<Cache>,
    /// Where versions are deleted.
    pub registry: Arc<dyn Registry>,
    /// So that no alias is moved to what is being deleted.
    pub lanes: Arc<Lanes>,
    /// What is on its way to be served.
    pub aspirations: Arc<Aspirations>,
    /// Ends it.
    pub stop: CancellationToken,
}

impl Retention {
    /// Keeps the newest `keep` versions of each series; 0 keeps all.
    pub fn new(keep: usize) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// Notes that `series` has one version more.
    pub fn pushed(&self, series: &SeriesName) {
        if self.keep > 0 {
            self.due().insert(series.clone());
            self.wake.notify_one();
        }
    }

    /// Prunes what is due, one series at a time, until it is stopped. What fails is told in the log and left to the next push
    /// of its series.
    pub async fn run(self: Arc<Self>, pruner: Pruner) {
        let stop = pruner.stop.clone();
        let pruning = async {
            loop {
                let Some(series) = self.next() else {
                    self.wake.notified().await;
                    continue;
                };
                pruner.prune(&series, self.keep).await;
            }
        };
        // A prune that is given up half-way is finished by the next one.
        stop.run_until_cancelled(pruning).await;
    }

    fn next(&self) -> Option<SeriesName> {
        self.due().pop_first()
    }

    fn due(&self) -> MutexGuard<'_, BTreeSet<SeriesName>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pruner {
    async fn prune(&self, series: &SeriesName, keep: usize) {
        let _lane = self.lanes.enter(series).await;
        let spared = self.spared(series);
        let pruning = self.registry.prune(series, keep, &spared);
        match tokio::time::timeout(PATIENCE, pruning).await {
            Ok(Ok(gone)) if gone.is_empty() => {}
            Ok(Ok(gone)) => tracing::info!(%series, ?gone, keep, "old versions were pruned"),
            Ok(Err(error)) => {
                tracing::warn!(%series, %error, "old versions cannot be pruned; trying again at the next push");
            }
            Err(_) => {
                tracing::warn!(%series, "pruning took longer than {PATIENCE:?}; going on at the next push");
            }
        }
    }

    /// What is served, what a rollback goes to, and what is on its way.
    fn spared(&self, series: &SeriesName) -> Vec<u64> {
        let mut spared = Vec::new();
        if let Some(entry) = self.cache.entry(series) {
            spared.extend(entry.versions().map(|kept| kept.version));
            spared.extend(entry.served.iter().map(|served| served.previous_version));
        }
        let on_its_way = self.aspirations.get(series);
        spared.extend(on_its_way.map(|aspiration| aspiration.version));
        spared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_makes_its_series_due_once_and_with_zero_never() {
        let series: SeriesName = "a".parse().unwrap();
        let retention = Retention::new(20);
        retention.pushed(&series);
        retention.pushed(&series);
        assert_eq!(
            (retention.next(), retention.next()),
            (Some(series.clone()), None)
        );
        let keeps_all = Retention::new(0);
        keeps_all.pushed(&series);
        assert_eq!(keeps_all.next(), None);
    }
}
