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
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};
use tonic::{Status, body::Body};
use tower::{BoxError, Layer, Service};

use crate::error::Error;

/// A call whose client sets no deadline is answered, or its stream begun, within this.
pub const ANSWER_CAP: Duration = Duration::from_secs(30);

/// The same for a call that streams to the server: 64 MiB over a slow line, and an fsync.
pub const UPLOAD_CAP: Duration = Duration::from_secs(300);

/// Streams that are open at once, over all connections. Each costs some kilobytes.
pub const MAX_STREAMS: usize = 50_000;

/// Of these, streams of whole batches: each holds megabytes, a thousand times what another stream does.
pub const MAX_BULK_STREAMS: usize = 64;

/// A header of 8 digits and a unit; nothing longer is a deadline.
const MAX_TIMEOUT_DIGITS: usize = 8;

/// What a method does with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One message back.
    Unary,
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
                | "DoGet"
                | "ListFlights",
            ) => Self::Stream,
            _ => Self::Unary,
        }
    }

    fn cap(self) -> Duration {
        match self {
            Self::Upload => UPLOAD_CAP,
            Self::Unary | Self::Stream => ANSWER_CAP,
        }
    }
}

/// Bounds every gRPC call that passes; plain HTTP passes as it is.
#[derive(Debug, Clone)]
pub struct Bounds {
    streams: Arc<Semaphore>,
}

impl Bounds {
    /// At most `max_streams` open at once.
    pub fn new(max_streams: usize) -> Self {
        Self {
            streams: Arc::new(Semaphore::new(max_streams)),
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new(MAX_STREAMS)
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
pub struct Bounded<S> {
    inner: S,
    bounds: Bounds,
}

impl<S, B, R> Service<Request<B>> for Bounded<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !is_grpc(request.headers()) {
            let answering = self.inner.call(request);
            return async move { Ok(answering.await?.map(Body::new)) }.boxed();
        }
        let shape = Shape::of(request.uri().path());
        let permit = match shape {
            Shape::Stream => match Arc::clone(&self.bounds.streams).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return refused(too_many_streams()),
            },
            Shape::Unary | Shape::Upload => None,
        };
        // Begun here and not when it is polled, so that it fires before the transport's own timer for the same header,
        // which would answer CANCELLED.
        let now = Instant::now();
        let (asked, cap) = (timeout(request.headers()), shape.cap());
        let deadline = asked.map(|timeout| Box::pin(sleep_until(now + timeout)));
        let head_by = sleep_until(now + asked.map_or(cap, |asked| asked.min(cap)));
        let answering = self.inner.call(request);
        async move {
            tokio::select! {
                biased;
                response = answering => Ok(response?.map(|inner| {
                    let inner = Body::new(inner);
                    Body::new(BoundedBody { inner, deadline, ended: false, _permit: permit })
                })),
                () = head_by => Ok(expired().into_http()),
            }
        }
        .boxed()
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn refused<E: Send + 'static>(status: Status) -> BoxFuture<'static, Result<Response<Body>, E>> {
    std::future::ready(Ok(status.into_http())).boxed()
}

fn too_many_streams() -> Status {
    Error::Exhausted {
        subject: "streams",
        description:
            "as many streams as this server carries are open; close some, or ask another replica"
                .to_owned(),
    }
    .into()
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
struct BoundedBody {
    inner: Body,
    deadline: Option<Pin<Box<Sleep>>>,
    ended: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
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
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt as _;
    use tonic::Code;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    fn call(path: &str, timeout: Option<&str>) -> Request<()> {
        let mut request = Request::builder()
            .uri(path)
            .header("content-type", "application/grpc");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        request.body(()).unwrap()
    }

    /// A body that says nothing and stays open.
    fn silent() -> Body {
        Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
            Result<Frame<Bytes>, Status>,
        >()))
    }

    async fn never(_: Request<()>) -> Result<Response<Body>, Infallible> {
        std::future::pending().await
    }

    async fn open(_: Request<()>) -> Result<Response<Body>, Infallible> {
        Ok(Response::new(silent()))
    }

    fn code(headers: &HeaderMap) -> Code {
        Status::from_header_map(headers).unwrap().code()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_never_answered_ends_by_its_deadline_or_by_the_cap() {
        for (path, timeout, expected) in [
            (
                "/loadcast.v1.ForecastService/GetForecast",
                Some("250m"),
                Duration::from_millis(250),
            ),
            ("/loadcast.v1.ForecastService/GetForecast", None, ANSWER_CAP),
            (
                "/loadcast.v1.ForecastService/GetForecast",
                Some("9H"),
                ANSWER_CAP,
            ),
            (
                "/loadcast.v1.ForecastService/GetForecast",
                Some("soon"),
                ANSWER_CAP,
            ),
            ("/loadcast.v1.ModelService/PushModel", None, UPLOAD_CAP),
            (
                "/loadcast.v1.ModelService/PushModel",
                Some("3S"),
                Duration::from_secs(3),
            ),
            ("/loadcast.v1.ModelService/WatchModels", None, ANSWER_CAP),
        ] {
            let begin = Instant::now();
            let service = Bounds::default().layer(service_fn(never));
            let response = service.oneshot(call(path, timeout)).await.unwrap();
            assert_eq!(code(response.headers()), Code::DeadlineExceeded);
            let took = begin.elapsed();
            assert!(
                took >= expected && took < expected + Duration::from_millis(5),
                "{took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_stream_ends_by_its_deadline_and_without_one_it_stays() {
        let watch = "/loadcast.v1.ModelService/WatchModels";
        let service = Bounds::default().layer(service_fn(open));
        let response = service
            .clone()
            .oneshot(call(watch, Some("2S")))
            .await
            .unwrap();
        let begin = Instant::now();
        let mut body = response.into_body();
        let trailers = body
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_trailers()
            .unwrap();
        assert_eq!(code(&trailers), Code::DeadlineExceeded);
        assert!(body.frame().await.is_none());
        assert!(begin.elapsed() >= Duration::from_secs(2));
        let mut body = service
            .oneshot(call(watch, None))
            .await
            .unwrap()
            .into_body();
        let day = Duration::from_secs(86_400);
        assert!(tokio::time::timeout(day, body.frame()).await.is_err());
    }

    #[tokio::test]
    async fn a_stream_holds_its_permit_as_long_as_its_body_and_the_one_too_many_is_told_when_to_return()
     {
        use tonic_types::StatusExt as _;
        let watch = "/loadcast.v1.ForecastService/WatchForecasts";
        let service = Bounds::new(1).layer(service_fn(open));
        let first = service.clone().oneshot(call(watch, None)).await.unwrap();
        let second = service.clone().oneshot(call(watch, None)).await.unwrap();
        let status = Status::from_header_map(second.headers()).unwrap();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let details = status.get_error_details();
        assert!(details.quota_failure().is_some() && details.retry_info().is_some());
        let unary = "/loadcast.v1.ModelService/GetModel";
        let other = service.clone().oneshot(call(unary, None)).await.unwrap();
        assert!(Status::from_header_map(other.headers()).is_none());
        drop(first);
        let third = service.oneshot(call(watch, None)).await.unwrap();
        assert!(Status::from_header_map(third.headers()).is_none());
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let read = |text: &str| timeout(call("/", Some(text)).headers());
        assert_eq!(read("1H"), Some(Duration::from_secs(3_600)));
        assert_eq!(
            read("99999999M"),
            Some(Duration::from_secs(99_999_999 * 60))
        );
        assert_eq!(read("5S"), Some(Duration::from_secs(5)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
        for wrong in ["", "S", "5", "-5S", "999999999S", "5s", "5 S"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
