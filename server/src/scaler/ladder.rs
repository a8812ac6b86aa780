//! Which versions are asked, and what is said where there is none.

use crate::{
    aspired::Aspirations,
    cache::Cache,
    error::Error,
    scaler::{Rung, asked::Asked, decision::Source, gate::LIVE_GATE},
    served::{Entry, Served, not_served},
};

/// The versions of `entry` from the champion down. One that is newer than the champion was turned away from, by a rollback:
/// it is not asked. Neither is one in another unit, or on another grid of steps or hours: its numbers mean something else than
/// those that the trigger's target is for.
pub(crate) fn rungs(entry: &Entry) -> impl Iterator<Item = Rung<'_>> {
    let champion = entry.served.iter().map(move |served| Rung {
        served,
        entry,
        source: Source::Champion,
    });
    let earlier = entry.kept.iter().filter(move |kept| {
        let alike = |served: &Served| kept.version < served.version && means_the_same(kept, served);
        entry.served.as_deref().is_some_and(alike)
    });
    champion.chain(earlier.map(move |served| Rung {
        served,
        entry,
        source: Source::Previous,
    }))
}

fn means_the_same(one: &Served, other: &Served) -> bool {
    let [one, other] = [one, other].map(|served| &served.loaded.metadata().series);
    (one.unit, one.step_seconds) == (other.unit, other.step_seconds) && one.zone == other.zone
}

/// Whether a version that `error` keeps from answering is stood in for by the one before it. Not where its live gate is
/// closed: what was observed speaks against acting on this series, and the version before was not watched since.
pub(crate) fn may_descend(error: &Error) -> bool {
    !matches!(error, Error::Gated { reason, .. } if *reason == LIVE_GATE)
}

/// Why nothing answers for a series of which no version is served. While that may only be because this server has just
/// started or is still loading, it is told apart from "there is none".
pub(crate) fn nothing_answers(cache: &Cache, aspirations: &Aspirations, asked: &Asked) -> Error {
    let series = &asked.trigger.series;
    let entry = cache.entry(series);
    if entry.as_ref().is_some_and(|entry| entry.removed.is_some()) {
        return not_served(series, entry.as_deref());
    }
    let cold = |why: &str| Error::Cold {
        series: series.clone(),
        why: why.to_owned(),
    };
    if cache.registry_last_success().is_none() {
        return cold("this server has not heard from its registry since it started");
    }
    if let Some(on_its_way) = aspirations.get(series) {
        return cold(&format!("version {} is on its way", on_its_way.version));
    }
    not_served(series, entry.as_deref())
}
