//! One change in flight per series: whoever reads an alias, fetches and installs does so in the series' lane.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use loadcast_model::series::SeriesName;
use tokio::sync::OwnedMutexGuard;

/// A lock per series. Lanes that nobody holds or waits for are forgotten.
#[derive(Debug, Default)]
pub struct Lanes(Mutex<HashMap<SeriesName, Arc<tokio::sync::Mutex<()>>>>);

/// Held while a change of one series is in flight.
#[derive(Debug)]
pub struct Lane {
    _held: OwnedMutexGuard<()>,
}

impl Lanes {
    /// Waits for the lane of `series`.
    pub async fn enter(&self, series: &SeriesName) -> Lane {
        let lane = {
            let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
            Arc::clone(lanes.entry(series.clone()).or_default())
        };
        Lane {
            _held: lane.lock_owned().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_holder_per_series_and_no_lane_is_kept_for_nobody() {
        let lanes = Arc::new(Lanes::default());
        let (a, b): (SeriesName, SeriesName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let held = lanes.enter(&a).await;
        let other = lanes.enter(&b).await;
        let waiting = tokio::spawn({
            let (lanes, a) = (Arc::clone(&lanes), a.clone());
            async move { lanes.enter(&a).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        drop(waiting.await.unwrap());
        drop(other);
        let _last = lanes.enter(&a).await;
        assert_eq!(lanes.0.lock().unwrap().len(), 1);
    }
}
