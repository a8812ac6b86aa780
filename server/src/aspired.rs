//! What the registry says should be served and is not served yet. Passing, so neither state nor event.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use loadcast_model::series::SeriesName;

/// A version that is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aspiration {
    /// The registry's number.
    pub version: u64,
    /// The alias that points at it.
    pub alias: String,
    /// When it was first seen there.
    pub seen_at: Timestamp,
    /// Why it takes longer; `None` while it is being fetched, verified and warmed.
    pub trouble: Option<String>,
}

/// The aspirations of one server.
#[derive(Debug, Default)]
pub struct Aspirations(Mutex<BTreeMap<SeriesName, Aspiration>>);

impl Aspirations {
    /// Notes that `aspiration` is on its way; since when, if it was before, stays.
    pub fn begin(&self, series: &SeriesName, aspiration: Aspiration) {
        let mut all = self.lock();
        let seen_at = all
            .get(series)
            .filter(|before| before.version == aspiration.version)
            .map_or(aspiration.seen_at, |before| before.seen_at);
        all.insert(
            series.clone(),
            Aspiration {
                seen_at,
                ..aspiration
            },
        );
    }

    /// Notes why it takes longer.
    pub fn delay(&self, series: &SeriesName, trouble: String) {
        if let Some(aspiration) = self.lock().get_mut(series) {
            aspiration.trouble = Some(trouble);
        }
    }

    /// Notes that nothing is on its way any more: it is served, refused, or no longer wanted.
    pub fn end(&self, series: &SeriesName) {
        self.lock().remove(series);
    }

    /// What is on its way for `series`.
    pub fn get(&self, series: &SeriesName) -> Option<Aspiration> {
        self.lock().get(series).cloned()
    }

    /// Everything that is on its way, in the order of names.
    pub fn all(&self) -> BTreeMap<SeriesName, Aspiration> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SeriesName, Aspiration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
