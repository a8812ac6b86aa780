//! What bounds a request: it ends by its deadline, and only so many of its shape are open at once. Both bounds live in the
//! body of the response, for a stream is its body; a tower layer around the head alone would let go of it too early.

mod places;
mod shape;

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
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tower::{BoxError, Layer, Service};

use crate::{
    bounds::{
        places::{Permit, Places},
        shape::Shape,
    },
    edge::{metrics::EdgeMetrics, stream},
};

/// A call whose client sets no deadline is answered, or its stream begun, within this.
pub const ANSWER_CAP: Duration = Duration::from_secs(30);

/// The same for a call that streams to the server: 64 MiB over a slow line, and an fsync.
pub const UPLOAD_CAP: Duration = Duration::from_secs(300);

/// The same for a call of KEDA, which sets no deadline and holds a lock while it waits. It takes microseconds.
pub const SCALER_CAP: Duration = Duration::from_secs(1);

/// Streams of whole batches by Flight that are open at once: each holds megabytes, a thousand times what another stream
/// does.
pub const MAX_BULK_STREAMS: usize = 64;

/// Paths of HTTP that are always answered.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// A header of 8 digits and a unit; nothing longer is a deadline.
const MAX_TIMEOUT_DIGITS: usize = 8;

/// Bounds every request that passes.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    places: Arc<Places>,
}

impl Bounds {
    /// As many at once as `places.rs` says.
    pub(crate) fn new(metrics: EdgeMetrics) -> Self {
        Self::of(Places::new(metrics))
    }

    fn of(places: Places) -> Self {
        Self {
            places: Arc::new(places),
        }
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
        let path = request.uri().path();
        let is_call = is_of_grpc(path);
        let shape = if is_call {
            Shape::of(path)
        } else {
            Shape::Plain
        };
        // The kubelet must not take a server that is busy for a dead one.
        let permit = if PROBES.contains(&path) {
            None
        } else {
            match self.bounds.places.admit(shape) {
                Ok(permit) => Some(permit),
                Err(error) => {
                    let refusal = if is_call {
                        instead(error.into())
                    } else {
                        come_again()
                    };
                    return std::future::ready(Ok(refusal)).boxed();
                }
            }
        };
        // Begun here and not when it is polled, so that it fires before the transport's own timer for the same header,
        // which would answer CANCELLED.
        let (asked, cap) = (timeout(request.headers()), shape.cap());
        let answered_by = now + asked.map_or(cap, |asked| asked.min(cap));
        let head_by = sleep_until(answered_by);
        // A stream goes on for as long as its client likes; what has one answer is taken by then, too.
        let deadline = match asked {
            _ if !shape.streams() => Some(answered_by),
            asked => asked.map(|timeout| now + timeout),
        };
        let answering = self.inner.call(request);
        async move {
            if let Some(deadline) = deadline {
                stream::ends_by(deadline);
            }
            let response = tokio::select! {
                biased;
                response = answering => response?,
                () = head_by => {
                    return Ok(if is_call {
                        instead(expired())
                    } else {
                        plainly(StatusCode::GATEWAY_TIMEOUT)
                    });
                }
            };
            // What a call with one answer has to say is said; only a stream may still be waiting for something.
            let deadline = deadline.filter(|_| shape.streams());
            Ok(response.map(|inner| BoundedBody {
                inner,
                deadline: deadline.map(|deadline| Box::pin(sleep_until(deadline))),
                ended: false,
                _permit: permit,
            }))
        }
        .boxed()
    }
}

/// What a request to a service of gRPC is answered that is no call of it. tonic looks at neither method nor media type, and
/// any web page may have a browser post `text/plain` here without asking.
fn not_a_call<B, R: Default>(request: &Request<B>) -> Option<Response<BoundedBody<R>>> {
    if !is_of_grpc(request.uri().path()) {
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

/// `/package.Service/Method`: no path of plain HTTP has a dot before a second slash.
fn is_of_grpc(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split_once('/')
        .is_some_and(|(service, _)| service.contains('.'))
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

/// One request of plain HTTP too many.
fn come_again<R: Default>() -> Response<BoundedBody<R>> {
    let mut response = plainly(StatusCode::SERVICE_UNAVAILABLE);
    let second = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, second);
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
