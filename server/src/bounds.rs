//! What bounds a call: it ends by its deadline, and only so many streams are open at once. Both bounds live in the body
//! of the response, for a stream is its body; a tower layer around the head alone would let go of it too early.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until, timeout_at},
};
use tonic::Status;
use tower::{BoxError, Layer, Service};

use crate::{
    edge::{metrics::EdgeMetrics, stream},
    error::Error,
};

/// A call whose client sets no deadline is answered, or its stream begun, within this.
pub const ANSWER_CAP: Duration = Duration::from_secs(30);

/// The same for a call that streams to the server: 64 MiB over a slow line, and an fsync.
pub const UPLOAD_CAP: Duration = Duration::from_secs(300);

/// The same for a call of KEDA, which sets no deadline and holds a lock while it waits. It takes microseconds.
pub const SCALER_CAP: Duration = Duration::from_secs(1);

/// Streams that are open at once, over all connections. Each costs some kilobytes.
pub const MAX_STREAMS: usize = 50_000;

/// Of these, streams of whole batches: each holds megabytes, a thousand times what another stream does.
pub const MAX_BULK_STREAMS: usize = 64;

/// Calls with one answer that are at work at once, over all connections. Those that compute take turns on the cores; those
/// that wait for a registry cost some kilobytes each.
pub const MAX_CALLS: usize = 10_000;

/// A header of 8 digits and a unit; nothing longer is a deadline.
const MAX_TIMEOUT_DIGITS: usize = 8;

/// What a method does with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One message back.
    Unary,
    /// One message back to KEDA.
    Scaler,
    /// Messages from the client.
    Upload,
    /// Messages from the server, for as long as both like.
    Stream,
}

impl Shape {
    fn of(path: &str) -> Self {
        match path.rsplit('/').next() {
            Some("PushModel" | "ObserveActuals") => Self::Upload,
            Some(
                "WatchModels"
                | "WatchForecasts"
                | "BatchGetForecasts"
                | "Watch"
                | "ServerReflectionInfo"
                | "StreamIsActive"
                | "StreamMetricSpec"
                | "DoGet"
                | "ListFlights",
            ) => Self::Stream,
            _ if path.starts_with("/externalscaler.") => Self::Scaler,
            _ => Self::Unary,
        }
    }

    fn cap(self) -> Duration {
        match self {
            Self::Upload => UPLOAD_CAP,
            Self::Scaler => SCALER_CAP,
            Self::Unary | Self::Stream => ANSWER_CAP,
        }
    }
}

/// Bounds every call that passes. Plain HTTP has the cap of an answer alone.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    streams: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    metrics: EdgeMetrics,
}

impl Bounds {
    /// At most [`MAX_STREAMS`] and [`MAX_CALLS`] at once.
    pub(crate) fn new(metrics: EdgeMetrics) -> Self {
        Self::of(MAX_STREAMS, MAX_CALLS, metrics)
    }

    fn of(streams: usize, calls: usize, metrics: EdgeMetrics) -> Self {
        Self {
            streams: Arc::new(Semaphore::new(streams)),
            calls: Arc::new(Semaphore::new(calls)),
            metrics,
        }
    }

    /// A place for a call of this shape, or what it is answered instead.
    fn admit(&self, shape: Shape) -> Result<Permit, Status> {
        let (places, open, subject, description) = match shape {
            Shape::Stream => (
                &self.streams,
                self.metrics.streams(),
                "streams",
                "as many streams as this server carries are open; close some, or ask another replica",
            ),
            Shape::Unary | Shape::Scaler | Shape::Upload => (
                &self.calls,
                self.metrics.calls(),
                "calls",
                "as many calls as this server takes are at work; ask fewer at once, or another replica",
            ),
        };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            self.metrics.shed(subject);
            let description = description.to_owned();
            return Err(Error::Exhausted {
                subject,
                description,
            }
            .into());
        };
        open.inc();
        Ok(Permit {
            open: open.clone(),
            _place: place,
        })
    }
}

/// A call's place, given back when it is dropped.
#[derive(Debug)]
struct Permit {
    open: Gauge,
    _place: OwnedSemaphorePermit,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.open.dec();
    }
}

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded {
            inner,
            bounds: self.clone(),
        }
    }
}

/// A service within [`Bounds`].
#[derive(Debug, Clone)]
pub(crate) struct Bounded<S> {
    inner: S,
    bounds: Bounds,
}

impl<S, B, R> Service<Request<B>> for Bounded<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: HttpBody<Data = Bytes> + Default + Unpin + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<BoundedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let now = Instant::now();
        if let Some(refusal) = not_a_call(&request) {
            return std::future::ready(Ok(refusal)).boxed();
        }
        if !is_grpc(request.headers()) {
            let answering = self.inner.call(request);
            return async move {
                match timeout_at(now + ANSWER_CAP, answering).await {
                    Ok(response) => Ok(response?.map(BoundedBody::unbounded)),
                    Err(_) => Ok(plainly(StatusCode::GATEWAY_TIMEOUT)),
                }
            }
            .boxed();
        }
        let shape = Shape::of(request.uri().path());
        let permit = match self.bounds.admit(shape) {
            Ok(permit) => permit,
            Err(status) => return std::future::ready(Ok(instead(status))).boxed(),
        };
        // Begun here and not when it is polled, so that it fires before the transport's own timer for the same header,
        // which would answer CANCELLED.
        let (asked, cap) = (timeout(request.headers()), shape.cap());
        let deadline = asked.map(|timeout| now + timeout);
        let head_by = sleep_until(now + asked.map_or(cap, |asked| asked.min(cap)));
        let answering = self.inner.call(request);
        async move {
            if let Some(deadline) = deadline {
                stream::ends_by(deadline);
            }
            let response = tokio::select! {
                biased;
                response = answering => response?,
                () = head_by => return Ok(instead(expired())),
            };
            // What a call with one answer has to say is said; only a stream may still be waiting for something.
            let deadline = deadline.filter(|_| shape == Shape::Stream);
            Ok(response.map(|inner| BoundedBody {
                inner,
                deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
                ended: false,
                _permit: Some(permit),
            }))
        }
        .boxed()
    }
}

/// What a request to a service of gRPC is answered that is no call of it. tonic looks at neither method nor media type, and
/// any web page may have a browser post `text/plain` here without asking.
fn not_a_call<B, R: Default>(request: &Request<B>) -> Option<Response<BoundedBody<R>>> {
    let path = request.uri().path().strip_prefix('/')?;
    let (service, _) = path.split_once('/')?;
    if !service.contains('.') {
        return None;
    }
    let (code, header, wanted) = if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, header::ALLOW, "POST")
    } else if !is_grpc(request.headers()) {
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        (code, header::ACCEPT, "application/grpc")
    } else {
        return None;
    };
    let mut response = plainly(code);
    response
        .headers_mut()
        .insert(header, HeaderValue::from_static(wanted));
    Some(response)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// A status in the place of an answer.
fn instead<R: Default>(status: Status) -> Response<BoundedBody<R>> {
    status.into_http::<R>().map(BoundedBody::unbounded)
}

/// A bare status of HTTP.
fn plainly<R: Default>(code: StatusCode) -> Response<BoundedBody<R>> {
    let mut response = Response::new(BoundedBody::unbounded(R::default()));
    *response.status_mut() = code;
    response
}

fn expired() -> Status {
    Status::deadline_exceeded("the deadline of the call passed; ask for less, or allow more time")
}

/// The `grpc-timeout` of a call; `None` when there is none, or none that can be read.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > MAX_TIMEOUT_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3_600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// A body that ends with DEADLINE_EXCEEDED when its deadline passes, and gives its permit back when it is dropped.
#[derive(Debug)]
pub(crate) struct BoundedBody<B> {
    inner: B,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
    _permit: Option<Permit>,
}

impl<B> BoundedBody<B> {
    fn unbounded(inner: B) -> Self {
        Self {
            inner,
            deadline: None,
            ended: false,
            _permit: None,
        }
    }
}

impl<B> HttpBody for BoundedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            self.ended = true;
            let mut trailers = HeaderMap::new();
            expired().add_header(&mut trailers)?;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Pin::new(&mut self.inner).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests;
