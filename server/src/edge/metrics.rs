//! What the edge counts: connections and streams that were turned away or cut off, and why.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The counts of both ports, under `loadcast_edge_`. Clones count together; every call has some, so that one costs a
/// single count of references.
#[derive(Debug, Clone, Default)]
pub(crate) struct EdgeMetrics(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connections: Family<Port, Gauge>,
    accept_failures: Family<Port, Counter>,
    refused: Family<Reason, Counter>,
    cut: Family<Reason, Counter>,
    resets: Family<Reason, Counter>,
    shed: Family<Subject, Counter>,
    streams: Gauge,
    calls: Gauge,
    requests: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Port {
    port: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    port: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Subject {
    subject: &'static str,
}

impl EdgeMetrics {
    /// Enters them into `registry`.
    pub(crate) fn enter(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("edge");
        registry.register(
            "connections_open",
            "Connections that are open.",
            self.0.connections.clone(),
        );
        registry.register(
            "accept_failures",
            "Times that no connection could be accepted, as without file descriptors.",
            self.0.accept_failures.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were closed at once, by the limit that was reached.",
            self.0.refused.clone(),
        );
        registry.register(
            "connections_cut",
            "Connections that did not end well, and why.",
            self.0.cut.clone(),
        );
        registry.register(
            "streams_reset",
            "Streams that were reset because their peer took nothing.",
            self.0.resets.clone(),
        );
        registry.register(
            "streams_open",
            "Calls that stream answers and are open.",
            self.0.streams.clone(),
        );
        registry.register(
            "calls_open",
            "Calls with one answer that are at work.",
            self.0.calls.clone(),
        );
        registry.register(
            "requests_open",
            "Requests of plain HTTP that are at work.",
            self.0.requests.clone(),
        );
        registry.register(
            "shed",
            "Calls that were answered RESOURCE_EXHAUSTED, and requests answered 503, by what there was too much of.",
            self.0.shed.clone(),
        );
    }

    /// Those of one port.
    pub(crate) fn port(&self, port: &'static str) -> PortMetrics {
        PortMetrics {
            metrics: self.clone(),
            port,
        }
    }

    /// Open streams.
    pub(crate) fn streams(&self) -> &Gauge {
        &self.0.streams
    }

    /// Open calls with one answer.
    pub(crate) fn calls(&self) -> &Gauge {
        &self.0.calls
    }

    /// Open requests of plain HTTP.
    pub(crate) fn requests(&self) -> &Gauge {
        &self.0.requests
    }

    /// A call was turned away because there are too many `subject`.
    pub(crate) fn shed(&self, subject: &'static str) {
        self.0.shed.get_or_create(&Subject { subject }).inc();
    }
}

/// The counts of one port.
#[derive(Debug, Clone)]
pub(crate) struct PortMetrics {
    metrics: EdgeMetrics,
    port: &'static str,
}

impl PortMetrics {
    pub(super) fn opened(&self) {
        self.metrics.0.connections.get_or_create(&self.port()).inc();
    }

    pub(super) fn closed(&self) {
        self.metrics.0.connections.get_or_create(&self.port()).dec();
    }

    pub(super) fn accept_failed(&self) {
        let failures = &self.metrics.0.accept_failures;
        failures.get_or_create(&self.port()).inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.metrics
            .0
            .refused
            .get_or_create(&self.reason(reason))
            .inc();
    }

    pub(super) fn cut(&self, reason: &'static str) {
        self.metrics.0.cut.get_or_create(&self.reason(reason)).inc();
    }

    pub(super) fn reset(&self, reason: &'static str) {
        self.metrics
            .0
            .resets
            .get_or_create(&self.reason(reason))
            .inc();
    }

    /// Connections that were cut off for `reason`, and those refused for it.
    #[cfg(test)]
    pub(super) fn cut_and_refused(&self, reason: &'static str) -> [u64; 2] {
        let metrics = &self.metrics.0;
        [&metrics.cut, &metrics.refused]
            .map(|counts| counts.get_or_create(&self.reason(reason)).get())
    }

    fn port(&self) -> Port {
        Port { port: self.port }
    }

    fn reason(&self, reason: &'static str) -> Reason {
        let port = self.port;
        Reason { port, reason }
    }
}
