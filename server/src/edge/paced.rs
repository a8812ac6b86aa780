//! Answers on their way to a connection: frame by frame, so that it shows whether the peer takes them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{TryFutureExt as _, future::MapOk};
use http::{Extensions, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service, ServiceExt as _, util::Oneshot};

use crate::edge::stream;

/// The most bytes that are handed on at once: a stream that is slow is told from one that is stalled by whether it takes
/// these.
const MAX_FRAME_BYTES: usize = 16 * 1024;

/// What answers the requests of a port.
pub(crate) trait Answers:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
    /// What it answers with.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static;
}

impl<S, B> Answers for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Body = B;
}

/// Cancelled when the connection that a request came over is to end; a stream then tells its client to come again. In the
/// request's extensions.
#[derive(Debug, Clone)]
pub(crate) struct Leaving(pub(super) CancellationToken);

impl Leaving {
    /// When a stream that answers a request with these `extensions` is to end: with its connection, at the latest at `stop`.
    pub(crate) fn of(extensions: &Extensions, stop: &CancellationToken) -> CancellationToken {
        match extensions.get::<Self>() {
            Some(Self(leaving)) => leaving.clone(),
            None => stop.clone(),
        }
    }
}

/// The answers to one connection.
#[derive(Debug, Clone)]
pub(super) struct Paced<A> {
    pub(super) answers: A,
    pub(super) leaving: Leaving,
}

impl<A: Answers> hyper::service::Service<Request<Incoming>> for Paced<A> {
    type Response = Response<PacedBody<A::Body>>;
    type Error = Infallible;
    type Future =
        MapOk<Oneshot<A, Request<Incoming>>, fn(Response<A::Body>) -> Response<PacedBody<A::Body>>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.leaving.clone());
        let answering = self.answers.clone().oneshot(request);
        answering.map_ok(|response| response.map(PacedBody::new))
    }
}

/// A body in frames of at most [`MAX_FRAME_BYTES`].
#[derive(Debug)]
pub(super) struct PacedBody<B> {
    inner: B,
    /// Of the frame in hand.
    rest: Bytes,
}

impl<B> PacedBody<B> {
    fn new(inner: B) -> Self {
        let rest = Bytes::new();
        Self { inner, rest }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        stream::taken();
        if self.rest.is_empty() {
            let frame = match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                other => return other,
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        stream::handed();
        let len = self.rest.len().min(MAX_FRAME_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(len)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.inner.size_hint();
        if self.rest.is_empty() {
            return hint;
        }
        let rest = self.rest.len() as u64;
        let mut whole = SizeHint::new();
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole.set_lower(hint.lower() + rest);
        whole
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_large_frame_is_handed_on_in_pieces_and_none_is_lost() {
        let whole: Bytes = (0..40_000_u32).map(|i| i as u8).collect();
        let mut body = PacedBody::new(Full::new(whole.clone()));
        assert_eq!(body.size_hint().exact(), Some(40_000));
        let mut sizes = Vec::new();
        let mut told = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            sizes.push(data.len());
            told.extend_from_slice(&data);
            assert_eq!(
                body.size_hint().exact(),
                Some((whole.len() - told.len()) as u64)
            );
        }
        assert_eq!(sizes, [16_384, 16_384, 7_232]);
        assert!(told == whole && body.is_end_stream());
    }
}
