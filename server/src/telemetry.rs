//! Logs and traces. Spans exist from the start, with W3C context taken from and given to peers; an exporter is one more
//! processor on the provider below, nothing else changes.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    field::MakeExt as _,
    fmt::format::{Writer, debug_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::LogFormat;

/// Keeps telemetry alive; flush it last.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Installs the process-wide subscriber: logs on stderr in `format`, filtered by RUST_LOG (default `info`).
pub fn init(format: LogFormat) -> Telemetry {
    // Nobody exports yet: only what a caller has sampled is recorded, for its context goes on.
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // In a file colours are noise; NO_COLOR it knows by itself.
    let logs = if std::io::stderr().is_terminal() {
        logs
    } else {
        logs.with_ansi(false)
    };
    let logs = match format {
        LogFormat::Human => logs
            .with_target(false)
            .fmt_fields(debug_fn(readable_field).delimited(" "))
            .boxed(),
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
    };
    // Without what costs a clock or a name at every poll.
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("loadcast-server"))
        .with_tracked_inactivity(false)
        .with_threads(false)
        .with_location(false);
    tracing_subscriber::registry()
        .with(filter)
        .with(spans)
        .with(logs)
        .init();
    Telemetry { provider }
}

/// A field as a person reads it; what only exporters need is left out.
fn readable_field(
    writer: &mut Writer<'_>,
    field: &tracing::field::Field,
    value: &dyn std::fmt::Debug,
) -> std::fmt::Result {
    match field.name() {
        "message" => write!(writer, "{value:?}"),
        "rpc.system" => Ok(()),
        name if name.starts_with("otel.") => Ok(()),
        name => write!(writer, "{name}={value:?}"),
    }
}

impl Telemetry {
    /// Hands over what is still buffered.
    pub fn flush(self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "telemetry was not flushed");
        }
    }
}
