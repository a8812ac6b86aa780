//! What browsers need: gRPC-web beside gRPC on the same port, and which pages of other origins may ask.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    FutureExt as _, TryFutureExt as _,
    future::{BoxFuture, Either, MapOk},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body::Body as HttpBody;
use http_body_util::Either as EitherBody;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService, ResponseFuture};
use tower::{BoxError, Layer, Service, ServiceExt as _};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what a preflight said.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3_600);

/// Headers that gRPC-web sends beyond the simple ones, and the trace that may come with them.
const REQUEST_HEADERS: [&str; 6] = [
    "content-type",
    "x-grpc-web",
    "x-user-agent",
    "grpc-timeout",
    "traceparent",
    "tracestate",
];

/// Trailers that become headers where an answer has no body, and that a page may read.
const RESPONSE_HEADERS: [&str; 3] = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/// An origin that may ask: `https://HOST[:PORT]` or `*`.
///
/// # Errors
/// In words, with the remedy.
pub(crate) fn origin(text: &str) -> Result<HeaderValue, String> {
    let wrong = || {
        format!("{text:?} is not an origin; write it like https://dash.example:8443, or * for any")
    };
    if text != "*" {
        let url: url::Url = text.parse().map_err(|_| wrong())?;
        // What a browser sends is compared to the letter: no path, no slash, no port that goes without saying.
        let is_origin = url.origin().ascii_serialization() == text && !text.contains('*');
        if !is_origin || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
    }
    HeaderValue::from_str(text).map_err(|_| wrong())
}

/// Tells browsers that pages of `origins` may ask, and none besides; without any, only pages of the same origin may.
fn cors(origins: &[HeaderValue]) -> CorsLayer {
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let any = HeaderValue::from_static("*");
    let allowed = if origins.contains(&any) {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().cloned())
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(PREFLIGHT_MAX_AGE)
}

/// What comes from pages passes CORS, and gRPC-web becomes gRPC; gRPC itself, which no page can send, passes untouched.
#[derive(Debug, Clone)]
pub(crate) struct BrowserLayer(Arc<CorsLayer>);

impl BrowserLayer {
    /// For pages of `origins`; without any, of the same origin only.
    pub(crate) fn new(origins: &[HeaderValue]) -> Self {
        Self(Arc::new(cors(origins)))
    }
}

/// See [`BrowserLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Browser<S> {
    inner: S,
    // What pages need is made when one asks: a service is cloned for each call.
    cors: Arc<CorsLayer>,
}

impl<S: Clone> Layer<S> for BrowserLayer {
    type Service = Browser<S>;

    fn layer(&self, inner: S) -> Browser<S> {
        Browser {
            inner,
            cors: Arc::clone(&self.0),
        }
    }
}

type FromPages<E> = BoxFuture<'static, Result<Response<Body>, E>>;

impl<S, B, R> Service<Request<B>> for Browser<S>
where
    S: Clone + Send + 'static,
    S: Service<Request<B>, Response = Response<R>>,
    S: Service<
            Request<Body>,
            Response = Response<R>,
            Error = <S as Service<Request<B>>>::Error,
            Future: Send + 'static,
        >,
    <S as Service<Request<B>>>::Error: Send + 'static,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError> + fmt::Display,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError> + fmt::Display,
{
    type Response = Response<EitherBody<R, Body>>;
    type Error = <S as Service<Request<B>>>::Error;
    type Future = Either<
        MapOk<<S as Service<Request<B>>>::Future, fn(Response<R>) -> Self::Response>,
        MapOk<FromPages<Self::Error>, fn(Response<Body>) -> Self::Response>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<Request<B>>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if is_grpc(request.headers()) {
            let answering = self.inner.call(request);
            Either::Left(answering.map_ok(|answer| answer.map(EitherBody::Left)))
        } else {
            let web = Web {
                web: GrpcWebLayer::new().layer(self.inner.clone()),
                plain: self.inner.clone(),
            };
            let pages = self.cors.layer(web);
            let answering = pages.oneshot(request.map(Body::new)).boxed();
            Either::Right(answering.map_ok(|answer| answer.map(EitherBody::Right)))
        }
    }
}

/// Turns gRPC-web into gRPC, and leaves all else alone: tonic's own layer refuses every other request over HTTP/1.1.
#[derive(Debug, Clone)]
pub(crate) struct Web<S> {
    plain: S,
    web: GrpcWebService<S>,
}

impl<S, R> Service<Request<Body>> for Web<S>
where
    S: Service<Request<Body>, Response = Response<R>>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError> + fmt::Display,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        Either<MapOk<S::Future, fn(Response<R>) -> Self::Response>, ResponseFuture<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.plain.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if is_grpc_web(request.headers()) {
            Either::Right(self.web.call(request))
        } else {
            let answering = self.plain.call(request);
            Either::Left(answering.map_ok(|answer| answer.map(Body::new)))
        }
    }
}

fn is_grpc_web(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc-web"))
}

/// Whether this is gRPC as programs send it: a page cannot, for it has no trailers.
fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
        && !is_grpc_web(headers)
        && !headers.contains_key(header::ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_those_that_browsers_send() {
        for good in [
            "*",
            "https://dash.example",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert_eq!(origin(good).unwrap(), good, "{good}");
        }
        for bad in [
            "",
            "dash.example",
            "https://dash.example/",
            "https://dash.example:443",
            "https://Dash.example",
            "file:///x",
            "null",
            "https://*.example",
        ] {
            let error = origin(bad).unwrap_err();
            assert!(
                error.contains("https://dash.example:8443"),
                "{bad}: {error}"
            );
        }
    }
}
