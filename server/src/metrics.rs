//! What Prometheus scrapes: one registry, in which each room enters what it counts under the prefix `loadcast_`. What can
//! be read off the state is computed when it is asked for.

mod classic;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text::encode},
    metrics::gauge::ConstGauge,
    registry::Registry,
};

use crate::cache::Cache;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The media type of [`Metrics::classic_text`].
pub const CLASSIC_MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one server.
#[derive(Debug)]
pub struct Metrics(Mutex<Registry>);

/// Gauges that are read off what is served.
#[derive(Debug)]
struct Served(Arc<Cache>);

impl Metrics {
    /// Metrics that begin with those of `cache`.
    pub fn new(cache: Arc<Cache>) -> Self {
        let mut registry = Registry::with_prefix("loadcast");
        registry.register_collector(Box::new(Served(cache)));
        Self(Mutex::new(registry))
    }

    /// Has a room enter its metrics.
    pub fn enter(&self, enter: impl FnOnce(&mut Registry)) {
        enter(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All of them in the text format of OpenMetrics.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }

    /// The same in the text format that was before OpenMetrics, for who does not ask for that.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn classic_text(&self) -> Result<String, fmt::Error> {
        Ok(classic::of(&self.text()?))
    }
}

impl Collector for Served {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let state = self.0.state();
        let mut gauge = |name: &str, help: &str, value: u64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        let served = state
            .entries
            .values()
            .filter(|entry| entry.served.is_some());
        gauge(
            "series_served",
            "Series of which a version answers.",
            u64::try_from(served.count()).unwrap_or(u64::MAX),
        )?;
        gauge(
            "revision",
            "Changes committed in this history.",
            state.revision,
        )?;
        gauge(
            "registry_reachable",
            "1 while the registry answers.",
            u64::from(state.registry_unreachable.is_none()),
        )?;
        gauge(
            "state_remembered",
            "1 while what changes is written to the state directory.",
            u64::from(self.0.forgetful().borrow().is_none()),
        )
    }
}
