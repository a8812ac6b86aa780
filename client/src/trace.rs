//! Carries the caller's trace to the server: the W3C `traceparent` of the current span goes out with every request.

use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Adds the trace context to outgoing requests. Without an OpenTelemetry layer in the subscriber it adds nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct InjectTrace {
    propagator: TraceContextPropagator,
}

impl Interceptor for InjectTrace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let context = tracing::Span::current().context();
        self.propagator
            .inject_context(&context, &mut Headers(request.metadata_mut()));
        Ok(request)
    }
}

struct Headers<'a>(&'a mut MetadataMap);

impl Injector for Headers<'_> {
    /// A header that gRPC cannot carry is left out: a broken trace is better than a broken call.
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(key), Ok(value)) = (
            MetadataKey::from_bytes(key.as_bytes()),
            MetadataValue::try_from(value),
        ) {
            self.0.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn the_current_span_is_the_parent() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("push");
            let _entered = span.enter();
            let request = InjectTrace::default().call(Request::new(())).unwrap();
            let parent = request.metadata().get("traceparent").unwrap();
            let parts: Vec<&str> = parent.to_str().unwrap().split('-').collect();
            assert_eq!(
                parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
                [2, 32, 16, 2]
            );
            assert_ne!(parts[1], "0".repeat(32));
        });
    }

    #[test]
    fn without_a_trace_there_is_no_header() {
        let request = InjectTrace::default().call(Request::new(())).unwrap();
        assert!(request.metadata().get("traceparent").is_none());
    }
}
