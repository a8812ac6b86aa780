//! Candidates that a poll names, loaded beside what is served and verified as that is.

use std::{sync::Arc, time::Duration};

use loadcast_model::series::SeriesName;
use tokio::{task::JoinHandle, time::Instant};

use super::{Inner, Refresher, refusal::is_not_ready};
use crate::{candidate::Wanted, obtain::obtain};

/// How many candidates are loaded at once, apart from what is to be served.
pub(super) const CANDIDATE_LOADS: usize = 2;

impl Refresher {
    /// Begins to load what a complete listing from after `mark` says, and lets go of what it does not.
    pub(super) fn follow_candidates(
        &self,
        mark: u64,
        listed: &[(SeriesName, u64)],
    ) -> Vec<JoinHandle<()>> {
        let cache = &self.0.cache;
        let (wanted, gone) = cache.candidates().follow(mark, listed, Instant::now());
        cache.discard(gone);
        wanted
            .into_iter()
            .map(|wanted| {
                let inner = Arc::clone(&self.0);
                let load = async move { inner.load_candidate(wanted).await };
                self.0.tasks.spawn(load)
            })
            .collect()
    }
}

impl Inner {
    async fn load_candidate(&self, wanted: Wanted) {
        let Wanted {
            series,
            version,
            failures,
        } = &wanted;
        let candidates = self.cache.candidates();
        let obtained = self.unless_stopped(async {
            let _slot = self.candidate_loads.acquire().await;
            obtain(&self.cache, &*self.registry, series, *version).await
        });
        let Ok(obtained) = obtained.await else {
            return;
        };
        let told = match obtained {
            Ok(obtained) => {
                let (revision, now) = (self.cache.state().revision, self.cache.clock().now());
                let candidate = obtained.as_candidate(*version, revision, now);
                self.cache
                    .discard(candidates.loaded(candidate, obtained.activate_at));
                Ok(())
            }
            Err(error) => {
                let rejected = self.reject(series, *version, true, error).await;
                rejected.map(|message| candidates.refused(series, *version, message))
            }
        };
        let Err(error) = told else {
            return;
        };
        let (failures, delay) = if is_not_ready(&error) {
            (*failures, Duration::ZERO)
        } else {
            let failures = failures.saturating_add(1);
            let asked = error.retry_after();
            let delay = self.backoff.delay(failures, asked, rand::random());
            tracing::warn!(%series, version, %error, ?delay, failures, "cannot load the candidate; trying again");
            (failures, delay)
        };
        let until = Instant::now() + delay;
        candidates.failed(series, *version, failures, error.to_string(), until);
    }
}
