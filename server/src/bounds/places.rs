//! How many requests of each shape are open at once, over all connections. Each shape has places of its own: what takes all
//! of one kind leaves the others alone.

use std::sync::Arc;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    bounds::shape::Shape,
    edge::metrics::EdgeMetrics,
    error::{Error, Result},
};

/// Streams that are open at once. Each costs some kilobytes.
const MAX_STREAMS: usize = 50_000;

/// Calls that answer many forecasts: each holds up to some megabytes.
const MAX_BULK: usize = 256;

/// Calls with one answer. Those that compute take turns on the cores; those that wait for a registry cost some kilobytes
/// each.
const MAX_CALLS: usize = 10_000;

/// Calls of KEDA.
const MAX_SCALER_CALLS: usize = 10_000;

/// Calls that stream to the server: what they send is held here until it is whole.
const MAX_UPLOADS: usize = 64;

/// Requests of plain HTTP: an answer for a scrape has megabytes.
const MAX_REQUESTS: usize = 256;

#[derive(Debug)]
pub(super) struct Places {
    unary: Kind,
    scaler: Kind,
    uploads: Kind,
    streams: Kind,
    bulk: Kind,
    plain: Kind,
    metrics: EdgeMetrics,
}

/// Places of one kind.
#[derive(Debug)]
struct Kind {
    free: Arc<Semaphore>,
    open: Gauge,
    subject: &'static str,
    /// What one too many is told.
    told: &'static str,
}

/// A request's place, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Places {
    pub(super) fn new(metrics: EdgeMetrics) -> Self {
        let kind = |places, open: &Gauge, subject, told| Kind {
            free: Arc::new(Semaphore::new(places)),
            open: open.clone(),
            subject,
            told,
        };
        Self {
            unary: kind(
                MAX_CALLS,
                metrics.calls(),
                "calls",
                "as many calls as this server takes are at work; ask fewer at once, or another replica",
            ),
            scaler: kind(
                MAX_SCALER_CALLS,
                metrics.calls(),
                "scaler_calls",
                "as many calls of scalers as this server takes are at work; ask fewer at once, or another replica",
            ),
            uploads: kind(
                MAX_UPLOADS,
                metrics.calls(),
                "uploads",
                "as many pushes and streams of observations as this server takes are coming in; send fewer at once, or again in a moment",
            ),
            streams: kind(
                MAX_STREAMS,
                metrics.streams(),
                "streams",
                "as many streams as this server carries are open; close some, or ask another replica",
            ),
            bulk: kind(
                MAX_BULK,
                metrics.streams(),
                "bulk_calls",
                "as many BatchGetForecasts as this server carries are open; read one to its end, or ask another replica",
            ),
            plain: kind(
                MAX_REQUESTS,
                metrics.requests(),
                "requests",
                "as many requests of HTTP as this server takes are at work; ask again in a second",
            ),
            metrics,
        }
    }

    /// A place for a request of this shape.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when all are taken.
    pub(super) fn admit(&self, shape: Shape) -> Result<Permit> {
        let kind = self.of(shape);
        let Ok(place) = Arc::clone(&kind.free).try_acquire_owned() else {
            self.metrics.shed(kind.subject);
            return Err(Error::Exhausted {
                subject: kind.subject,
                description: kind.told.to_owned(),
            });
        };
        kind.open.inc();
        Ok(Permit {
            open: kind.open.clone(),
            _place: place,
        })
    }

    fn of(&self, shape: Shape) -> &Kind {
        match shape {
            Shape::Unary => &self.unary,
            Shape::Scaler => &self.scaler,
            Shape::Upload => &self.uploads,
            Shape::Stream => &self.streams,
            Shape::Bulk => &self.bulk,
            Shape::Plain => &self.plain,
        }
    }

    /// All but one place of this shape are gone for good.
    #[cfg(test)]
    pub(super) fn with_one(self, shape: Shape) -> Self {
        let free = &self.of(shape).free;
        free.forget_permits(free.available_permits() - 1);
        self
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.dec();
    }
}
