//! What is counted of the scaler. Labels are methods, outcomes and reason codes, all of them few and fixed: no label per
//! ScaledObject, whose number nobody bounds; ListScalerDecisions tells of each.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::scaler::decision::Decision;

/// From 10 microseconds to 2.6 seconds, by factors of 4.
const SECONDS: [f64; 10] = [
    1e-5, 4e-5, 1.6e-4, 6.4e-4, 2.56e-3, 0.010_24, 0.040_96, 0.163_84, 0.655_36, 2.621_44,
];

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Told {
    method: &'static str,
    outcome: &'static str,
}

/// Why the champion did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    method: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

type Latencies = Family<Method, Histogram, fn() -> Histogram>;

/// The metrics of the scaler.
#[derive(Debug)]
pub struct Tally {
    decisions: Family<Told, Counter>,
    refusals: Family<Why, Counter>,
    streams: Gauge,
    seconds: Latencies,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            decisions: Family::default(),
            refusals: Family::default(),
            streams: Gauge::default(),
            seconds: Latencies::new_with_constructor(|| Histogram::new(SECONDS)),
        }
    }
}

/// A stream is open while this lives.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Tally {
    /// Enters them into `registry`.
    pub fn enter(&self, registry: &mut Registry) {
        registry.register(
            "scaler_decisions",
            "Decisions told to KEDA's triggers, by who answered; method shadow: told to nobody.",
            self.decisions.clone(),
        );
        registry.register(
            "scaler_refusals",
            "Decisions to which the champion had no answer, by the reason; outcome tells what was told instead.",
            self.refusals.clone(),
        );
        registry.register(
            "scaler_streams",
            "Streams of StreamIsActive and StreamMetricSpec that are open.",
            self.streams.clone(),
        );
        registry.register(
            "scaler_seconds",
            "How long a decision took.",
            self.seconds.clone(),
        );
    }

    /// Counts a decision that was told by `method` and took so long.
    pub fn told(&self, method: &'static str, decision: &Decision, took: Duration) {
        let outcome = decision.source.as_str();
        self.decisions
            .get_or_create(&Told { method, outcome })
            .inc();
        if let Some(reason) = decision.reason() {
            self.refusals.get_or_create(&Why { method, reason }).inc();
        }
        self.seconds
            .get_or_create(&Method { method })
            .observe(took.as_secs_f64());
    }

    /// Counts a stream for as long as it is open.
    pub fn open(&self) -> Open {
        self.streams.inc();
        Open(self.streams.clone())
    }
}
