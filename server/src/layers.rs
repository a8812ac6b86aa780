//! What every request passes on its way in. tower layers see the head of a response and not its stream; what must last
//! as long as a stream lives in the stream.

use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_http::trace::MakeSpan;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The longest path that becomes part of a span; ours are far shorter.
const MAX_METHOD_BYTES: usize = 128;

/// Of the W3C.
const TRACEPARENT: &str = "traceparent";

/// One span for each call, named after the RPC conventions, child of the caller's `traceparent`. A call that nobody traces
/// has one for who debugs: it takes some microseconds in all, of which a span would be a good part.
#[derive(Debug, Clone, Copy)]
pub struct CallSpan;

impl<B> MakeSpan<B> for CallSpan {
    fn make_span(&mut self, request: &http::Request<B>) -> Span {
        let path = request.uri().path().trim_start_matches('/');
        let method = path.get(..MAX_METHOD_BYTES).unwrap_or(path);
        if !request.headers().contains_key(TRACEPARENT) {
            return tracing::debug_span!("call", rpc.method = method);
        }
        let span = tracing::info_span!(
            "call",
            otel.name = method,
            otel.kind = "server",
            rpc.system = "grpc",
            rpc.method = method,
            trace_id = field::Empty,
        );
        let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
        let context = parent.span().span_context().clone();
        if context.is_valid() {
            span.record("trace_id", field::display(context.trace_id()));
            if let Err(error) = span.set_parent(parent) {
                tracing::debug!(%error, "the caller's trace context cannot be taken over");
            }
        }
        span
    }
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The W3C traceparent of the present span; empty when there is none.
pub fn traceparent() -> String {
    let context = Span::current().context();
    let mut carrier = std::collections::HashMap::new();
    TraceContextPropagator::new().inject_context(&context, &mut carrier);
    carrier.remove(TRACEPARENT).unwrap_or_default()
}
