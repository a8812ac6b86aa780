//! Whether a trigger is active, as it changes: the present state at once, then transitions only. A repeated `true` would
//! keep a workload from ever scaling to zero, so none is told.

use std::sync::Arc;

use async_stream::stream;
use futures::{FutureExt as _, Stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    event_log::Interest,
    scaler::{Scaler, asked::Asked, record::Whose},
    selector::Selector,
};

/// As metrics have it.
const METHOD: &str = "stream_is_active";

/// The states of `whose` trigger until `stop`, which ends them. Looked at again when another version is served, when something was observed and when time
/// alone may change the answer; a stream that waits costs its place in a timer wheel and some kilobytes.
///
/// While the state is not known, as of a series that nobody serves yet, nothing is told and the stream stays open: it is
/// told the moment it is known. An error instead would be met by KEDA's backoff of up to a minute, and `false` would be a
/// lie that puts a workload to sleep.
pub fn states(
    scaler: Arc<Scaler>,
    whose: Whose,
    asked: Arc<Asked>,
    stop: CancellationToken,
) -> impl Stream<Item = bool> {
    stream! {
        let _open = scaler.tally.open();
        let selector = Arc::new(Selector::of(asked.trigger.series.clone()));
        let cache = Arc::clone(scaler.cache());
        let listening = cache.log().listen(selector, Interest::Answers);
        let mut told = None;
        while !stop.is_cancelled() {
            let (revision, observed) = (cache.log().newest(), listening.observed());
            let now = cache.clock().now();
            // Boxed, so that a stream that waits has no place for it.
            let decision = scaler.tell(METHOD, &whose, &asked, now).boxed().await;
            let active = decision.told.as_ref().ok().map(|demand| demand.active);
            if let Some(active) = active.filter(|active| told != Some(*active)) {
                told = Some(active);
                yield active;
            }
            let Ok(changes_at) = Timestamp::from_second(decision.changes_at) else {
                return;
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = listening.beyond(revision, observed) => {}
                () = cache.clock().wait_until(changes_at) => {}
            }
        }
    }
}
