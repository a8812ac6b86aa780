//! When to look at the registry: at intervals, sooner when somebody hints that it moved, later when it does not answer.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::Backoff,
    error::Error,
    refresh::{Refresher, Report},
};

/// The longest wait between two looks at a registry that does not answer, where the poll interval is not longer: what it
/// takes at most to notice that it is back.
const OUTAGE_CAP: Duration = Duration::from_secs(30);

/// Hinted polls begin at least this far apart, however many hints come.
const HINT_GAP: Duration = Duration::from_millis(200);

/// How a poll ended, for all who wait for it.
type Ended = std::result::Result<Report, Arc<Error>>;

/// Asks for a poll before its time. Cheap to clone; clones agree. However many ask, the next poll answers them all.
#[derive(Debug, Clone, Default)]
pub struct Hints(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    wanted: Notify,
    /// Of the next poll, when somebody waits for its end.
    next: Mutex<Option<watch::Sender<Option<Ended>>>>,
}

impl Hints {
    /// Says that the registry moved. Answers at once.
    pub fn hint(&self) {
        self.0.wanted.notify_one();
    }

    /// A poll that begins after this call; returns when all that it began has ended.
    ///
    /// # Errors
    /// [`Error::Registry`] when the registry does not answer, [`Error::State`] when what it says cannot be kept,
    /// [`Error::GoingAway`] when the server stops.
    pub async fn refresh(&self) -> Ended {
        let mut ended = {
            let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
            next.get_or_insert_with(|| watch::Sender::new(None))
                .subscribe()
        };
        self.hint();
        let ended = ended.wait_for(Option::is_some).await;
        let ended = ended.ok().as_deref().cloned().flatten();
        ended.unwrap_or_else(|| Err(Arc::new(Error::GoingAway)))
    }

    /// Those who wait for the poll that begins now.
    fn take(&self) -> Option<watch::Sender<Option<Ended>>> {
        let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.take()
    }
}

/// Polls every `interval` and when hinted, until `stop`; a registry that does not answer less and less often.
pub async fn run(refresher: Refresher, hints: Hints, interval: Duration, stop: CancellationToken) {
    poll_until(&refresher, &hints, interval, &stop).await;
    // Nobody polls any more: who waits is told.
    drop(hints.take());
    refresher.ended().await;
}

async fn poll_until(
    refresher: &Refresher,
    hints: &Hints,
    interval: Duration,
    stop: &CancellationToken,
) {
    let backoff = Backoff::new(interval, OUTAGE_CAP);
    let mut failures = 0_u32;
    let mut next = Instant::now();
    let mut soonest = next;
    loop {
        let time = async {
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = hints.0.wanted.notified() => tokio::time::sleep_until(soonest.min(next)).await,
            }
        };
        if stop.run_until_cancelled(time).await.is_none() {
            return;
        }
        let waiting = hints.take();
        let begun = Instant::now();
        soonest = begun + HINT_GAP;
        match refresher.poll().await {
            Ok(round) => {
                if round.from_copy {
                    failures = failures.saturating_add(1);
                    next = Instant::now() + backoff.delay(failures, None, rand::random());
                } else {
                    failures = 0;
                    next = begun + interval;
                }
                let tell = async move {
                    let report = round.ended().await;
                    if let Some(waiting) = waiting {
                        waiting.send_replace(Some(Ok(report)));
                    }
                };
                refresher.spawn(tell);
            }
            Err(Error::GoingAway) => return,
            Err(error) => {
                failures = failures.saturating_add(1);
                let delay = backoff.delay(failures, error.retry_after(), rand::random());
                if let Error::Registry(_) = error {
                    tracing::warn!(%error, ?delay, failures, "the registry does not answer");
                } else {
                    tracing::error!(%error, ?delay, "what a poll showed cannot be kept");
                }
                next = Instant::now() + delay;
                if let Some(waiting) = waiting {
                    waiting.send_replace(Some(Err(Arc::new(error))));
                }
            }
        }
    }
}
