//! What a commit leaves nobody to hold.

use std::sync::Arc;

use super::Batch;
use crate::served::{Served, State};

/// Versions of `before` that `batch` neither serves nor keeps any more.
pub(super) fn evicted(before: &State, batch: &Batch) -> Vec<Arc<Served>> {
    let changed = batch
        .events
        .iter()
        .filter_map(|event| event.kind.series())
        .map(|(series, _)| series);
    let mut evicted = Vec::new();
    for series in changed {
        let after = batch.after.entries.get(series);
        let is_left = |old: &&Arc<Served>| {
            !after.is_some_and(|entry| entry.versions().any(|new| Arc::ptr_eq(old, new)))
        };
        let old = before.entries.get(series).into_iter();
        evicted.extend(
            old.flat_map(|entry| entry.versions())
                .filter(is_left)
                .cloned(),
        );
    }
    evicted
}
