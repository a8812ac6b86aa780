//! What the edge counts: connections and streams that were turned away or cut off, and why.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// The counts of both ports, under `loadcast_edge_`. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct EdgeMetrics {
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
            self.connections.clone(),
        );
        registry.register(
            "accept_failures",
            "Times that no connection could be accepted, as without file descriptors.",
            self.accept_failures.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were closed at once, by the limit that was reached.",
            self.refused.clone(),
        );
        registry.register(
            "connections_cut",
            "Connections that did not end well, and why.",
            self.cut.clone(),
        );
        registry.register(
            "streams_reset",
            "Streams that were reset because their peer took nothing.",
            self.resets.clone(),
        );
        registry.register(
            "streams_open",
            "Calls that stream answers and are open.",
            self.streams.clone(),
        );
        registry.register(
            "calls_open",
            "Calls with one answer that are at work.",
            self.calls.clone(),
        );
        registry.register(
            "requests_open",
            "Requests of plain HTTP that are at work.",
            self.requests.clone(),
        );
        registry.register(
            "shed",
            "Calls that were answered RESOURCE_EXHAUSTED, and requests answered 503, by what there was too much of.",
            self.shed.clone(),
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
        &self.streams
    }

    /// Open calls with one answer.
    pub(crate) fn calls(&self) -> &Gauge {
        &self.calls
    }

    /// Open requests of plain HTTP.
    pub(crate) fn requests(&self) -> &Gauge {
        &self.requests
    }

    /// A call was turned away because there are too many `subject`.
    pub(crate) fn shed(&self, subject: &'static str) {
        self.shed.get_or_create(&Subject { subject }).inc();
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
        self.metrics.connections.get_or_create(&self.port()).inc();
    }

    pub(super) fn closed(&self) {
        self.metrics.connections.get_or_create(&self.port()).dec();
    }

    pub(super) fn accept_failed(&self) {
        let failures = &self.metrics.accept_failures;
        failures.get_or_create(&self.port()).inc();
    }

    pub(super) fn refused(&self, reason: &'static str) {
        self.metrics
            .refused
            .get_or_create(&self.reason(reason))
            .inc();
    }

    pub(super) fn cut(&self, reason: &'static str) {
        self.metrics.cut.get_or_create(&self.reason(reason)).inc();
    }

    pub(super) fn reset(&self, reason: &'static str) {
        self.metrics
            .resets
            .get_or_create(&self.reason(reason))
            .inc();
    }

    fn port(&self) -> Port {
        Port { port: self.port }
    }

    fn reason(&self, reason: &'static str) -> Reason {
        let port = self.port;
        Reason { port, reason }
    }
}
