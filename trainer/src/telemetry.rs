//! Logs on standard error: warnings and worse, or what `RUST_LOG` asks for. Spans carry a W3C trace, which a push takes
//! to the server; an exporter is one more processor on the provider.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Installs the subscriber of this process. A second call changes nothing.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(filter);
    let provider = SdkTracerProvider::builder().build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("loadcast-trainer"));
    // Spans exist whatever is logged: the trace is what ties a push to the event that it causes.
    let subscriber = tracing_subscriber::registry()
        .with(logs)
        .with(spans.with_filter(LevelFilter::INFO));
    if subscriber.try_init().is_err() {
        tracing::debug!("a subscriber is installed already");
    }
}
