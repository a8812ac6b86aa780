//! Shadow triggers: those of the catalog, decided as KEDA's are and at the pace of its polls, and told to nobody.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use loadcast_model::{catalog::ShadowTrigger, series::SeriesName};
use tokio_util::sync::CancellationToken;

use crate::scaler::{Scaler, asked::Asked, record::Whose};

/// As KEDA polls unless it is told otherwise.
pub const INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// As metrics and logs have it.
const METHOD: &str = "shadow";

/// Decides what every shadow trigger would be told, now and every [`INTERVAL`], until `stop`.
pub async fn run(scaler: Arc<Scaler>, stop: CancellationToken) {
    if scaler.cache().live().declared().is_none() {
        return;
    }
    let clock = scaler.cache().clock().clone();
    loop {
        let now = clock.now();
        for (whose, asked) in triggers(&scaler) {
            if stop.is_cancelled() {
                return;
            }
            scaler.tell(METHOD, &whose, &asked, now).await;
            // Thousands in a row would hold a serving thread.
            tokio::task::yield_now().await;
        }
        let Ok(next) = now.checked_add(INTERVAL) else {
            return;
        };
        let waiting = clock.wait_until(next);
        if stop.run_until_cancelled(waiting).await.is_none() {
            return;
        }
    }
}

/// The shadow triggers of every series that is served, and of those that the catalog names one by one.
fn triggers(scaler: &Scaler) -> Vec<(Whose, Arc<Asked>)> {
    let cache = scaler.cache();
    let Some(declared) = cache.live().declared() else {
        return Vec::new();
    };
    let mut triggers = Vec::new();
    let mut seen = BTreeSet::new();
    let mut add = |series: SeriesName, shadow: &[ShadowTrigger]| {
        if shadow.is_empty() || !seen.insert(series.clone()) {
            return;
        }
        for trigger in shadow {
            match trigger.of(&series) {
                Ok(of_series) => {
                    let asked = Asked::from(of_series);
                    triggers.push((Whose::shadow(&trigger.name, &asked), Arc::new(asked)));
                }
                Err(error) => {
                    let name = &trigger.name;
                    tracing::error!(%series, name, %error, "a shadow trigger cannot be read");
                }
            }
        }
    };
    for entry in cache.state().entries.values() {
        if entry.served.is_some()
            && let Some(declared) = declared.entry(&entry.series)
        {
            add(entry.series.name.clone(), &declared.shadow);
        }
    }
    for entry in &declared.catalog().entries {
        if entry.name.is_fixed() {
            add(SeriesName::cleaned(entry.name.as_str()), &entry.shadow);
        }
    }
    triggers
}
