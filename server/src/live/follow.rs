//! What is remembered follows what is served: a version that takes another's place begins its own residuals and scores,
//! and what is not served any more is forgotten.

use std::{collections::BTreeSet, sync::Arc};

use loadcast_model::series::SeriesName;
use tokio_util::sync::CancellationToken;

use super::lock;
use crate::{cache::Cache, event::EventKind};

/// How many events are read at once.
const BATCH: usize = 1_024;

/// Follows what is served after `revision`, until `stop`.
pub async fn follow(cache: Arc<Cache>, mut revision: u64, stop: CancellationToken) {
    let mut changed = cache.subscribe();
    loop {
        let newest = *changed.borrow_and_update();
        while revision < newest {
            let names = match cache.events_after(revision, BATCH) {
                Ok(events) => {
                    revision = events.last().map_or(newest, |event| event.revision);
                    let names = events.iter().filter_map(|event| match &event.kind {
                        EventKind::Served { series, .. } | EventKind::Removed { series, .. } => {
                            Some(series.clone())
                        }
                        _ => None,
                    });
                    names.collect()
                }
                Err(_) => {
                    revision = newest;
                    let all = cache.live().views().into_iter();
                    all.map(|(name, _)| name).collect()
                }
            };
            look_at(&cache, names).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changed.changed() => if changed.is_err() { return },
        }
    }
}

async fn look_at(cache: &Arc<Cache>, mut names: BTreeSet<SeriesName>) {
    names.retain(|name| cache.live().slot(name).is_some());
    if names.is_empty() {
        return;
    }
    let cache = Arc::clone(cache);
    let looking = tokio::task::spawn_blocking(move || {
        for name in names {
            cache.follow_blocking(&name);
        }
    });
    if let Err(error) = looking.await {
        tracing::error!(%error, "observations could not follow what is served");
    }
}

impl Cache {
    /// Has what is remembered of `series` be of what is served now. Blocks.
    fn follow_blocking(&self, series: &SeriesName) {
        let live = self.live();
        let Some(slot) = live.slot(series) else {
            return;
        };
        let mut memory = lock(&slot.memory);
        // Not before: whoever has the lock makes it of what is served then.
        let entry = self.entry(series);
        let served = entry.as_ref().and_then(|entry| entry.served.clone());
        let Some(served) = served.filter(|served| memory.fits(served)) else {
            live.forget(series, &slot, memory);
            return;
        };
        memory.follow(&served);
        let gate = entry.and_then(|entry| entry.gate.clone());
        let gate = gate.filter(|gate| gate.version == served.version);
        memory.set_gate(gate.map(|gate| gate.reason));
        self.settle_gate(&mut memory, &served);
        live.publish(series, &slot, &memory, self.clock().now());
        drop(memory);
        self.log()
            .observed(&served.loaded.metadata().series, live.changes());
    }
}
