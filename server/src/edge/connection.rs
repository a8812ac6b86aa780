//! The life of one connection: it has to begin in time, is asked to leave at its age or at the stop, and is cut off where
//! it does not.

use std::{io, sync::Arc, time::Duration};

use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    bounds::UPLOAD_CAP,
    edge::{
        admission::Permit,
        metrics::PortMetrics,
        paced::{Answers, Leaving, Paced},
        socket::{Socket, TOO_MUCH},
        stream::Streams,
        tls::Tls,
    },
};

/// Serves HTTP/1.1 and HTTP/2, whichever a peer begins with.
pub(super) type Builder = auto::Builder<Streams>;

/// A connection has begun within this, or is closed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The preface of HTTP/2. No request of HTTP/1.1 is shorter.
const PREFACE_BYTES: usize = 24;

/// Why a connection ends whose peer says nothing, though it should.
const SILENT: &str = "silent";

/// Why a connection ends whose peer breaks the protocol, or does more of what it allows than anybody needs.
const PROTOCOL: &str = "protocol";
const FLOOD: &str = "flood";

/// From when a connection is asked to leave for its age until it is cut off: streams are told at once to come again, and
/// no call lasts longer than this.
const LEAVING_GRACE: Duration = UPLOAD_CAP;

/// One connection that was admitted.
#[derive(Debug)]
pub(super) struct Connection {
    /// Until it is asked to leave.
    pub(super) age: Duration,
    pub(super) stall: Duration,
    /// Cancelled at the stop, and here at the age.
    pub(super) leaving: CancellationToken,
    /// Cancelled when nothing waits any longer.
    pub(super) cut: CancellationToken,
    pub(super) metrics: PortMetrics,
    pub(super) permit: Permit,
}

impl Connection {
    /// As [`Connection::serve`], once both sides have agreed on keys.
    pub(super) async fn serve_tls<C, A>(self, tls: Arc<Tls>, io: C, builder: Builder, answers: A)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Answers,
    {
        let greeted = tokio::select! {
            greeted = tls.accept(io) => greeted,
            () = sleep(HANDSHAKE_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
            () = self.leaving.cancelled() => return,
        };
        match greeted {
            Ok(io) => self.serve(io, builder, answers).await,
            Err(error) => {
                self.metrics.cut("handshake");
                tracing::debug!(%error, "no TLS was agreed on");
            }
        }
    }

    /// Serves `answers` over `io` until either side is done with it.
    pub(super) async fn serve<C, A>(self, io: C, builder: Builder, answers: A)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Answers,
    {
        let Self {
            age,
            stall,
            leaving,
            cut,
            metrics,
            permit,
        } = self;
        let (socket, line) = Socket::new(io, stall);
        let heard = socket.heard();
        let paced = Paced {
            answers,
            leaving: Leaving(leaving.clone()),
        };
        let mut served = Box::pin(builder.serve_connection(TokioIo::new(socket), paced));
        let has_begun = || heard.bytes() >= PREFACE_BYTES;
        let ended = async {
            tokio::select! {
                outcome = line.turns(served.as_mut()) => return outcome.err().map(|error| reason(&*error)),
                () = leaving.cancelled() => {}
                () = sleep(HANDSHAKE_TIMEOUT) => if !has_begun() { return Some("handshake") },
            }
            tokio::select! {
                outcome = line.turns(served.as_mut()) => return outcome.err().map(|error| reason(&*error)),
                () = leaving.cancelled() => {}
                () = sleep(age.saturating_sub(HANDSHAKE_TIMEOUT)) => leaving.cancel(),
            }
            served.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = line.turns(served.as_mut()) => outcome.err().map(|error| reason(&*error)),
                () = sleep(LEAVING_GRACE) => Some("age"),
                () = cut.cancelled() => Some("drain"),
            }
        }
        .await;
        // The last bytes of an orderly end, or before a silence, may wait for a peer that is slow and no worse.
        if matches!(ended, None | Some(SILENT)) {
            tokio::select! {
                _ = line.sent() => {}
                () = cut.cancelled() => {}
            }
        }
        if let Some(reason) = ended {
            metrics.cut(reason);
            if [PROTOCOL, FLOOD].contains(&reason) {
                permit.shun();
            }
            tracing::debug!(reason, "a connection was cut off");
        }
        drop((served, line));
        drop(permit);
    }
}

/// What a connection that failed failed of.
fn reason(error: &(dyn std::error::Error + 'static)) -> &'static str {
    let is_of = |kind: io::ErrorKind| {
        move |error: &(dyn std::error::Error + 'static)| {
            let error = error.downcast_ref::<io::Error>();
            error.is_some_and(|error| error.kind() == kind)
        }
    };
    // What we told the peer, and not what it told us.
    let is_of_protocol = |error: &(dyn std::error::Error + 'static)| {
        let error = error.downcast_ref::<h2::Error>();
        error.is_some_and(|error| error.is_go_away() && error.is_library())
    };
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    if error
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_timeout)
    {
        // No answer to a keepalive ping, or no head of a request in time.
        SILENT
    } else if causes.clone().any(is_of(io::ErrorKind::TimedOut)) {
        "stalled"
    } else if causes.clone().any(is_of(TOO_MUCH)) {
        FLOOD
    } else if causes.any(is_of_protocol) {
        PROTOCOL
    } else {
        "broken"
    }
}
