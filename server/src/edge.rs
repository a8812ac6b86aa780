//! The connections of both ports. A loop of our own, because those at hand leave a server open to its peers: silent
//! connections stay for ever, streams whose peer does not read keep 400 KiB each, nothing ends a connection by its age,
//! and one silent peer holds up a stop.
//!
//! What bounds a connection is here and below; what bounds a call, whatever it came over, is in [`crate::bounds`].

mod admission;
mod chatter;
mod connection;
pub(crate) mod metrics;
pub(crate) mod paced;
mod socket;
pub(crate) mod stream;
pub(crate) mod tls;

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use hyper_util::rt::TokioTimer;
use rand::RngExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::Config,
    edge::{
        admission::Admission,
        connection::{Builder, Connection},
        metrics::PortMetrics,
        paced::Answers,
        stream::Streams,
        tls::Tls,
    },
};

/// Connections are asked for a sign of life this often, and dropped when none comes in [`KEEPALIVE_TIMEOUT`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// How long a keepalive ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A request over HTTP/1.1 has its whole head here within this, and a connection on which none begins is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Streams on one connection: far above what one KEDA operator opens, one for each of its ScaledObjects.
const MAX_STREAMS_PER_CONNECTION: u32 = 20_000;

/// What is buffered for one stream beyond the message in hand: one frame. Times 10,000 readers who are stuck this is
/// 160 MB, however large the windows they opened.
const MAX_SEND_BUFFER_BYTES: usize = 16 * 1024;

/// How long to wait after no connection could be accepted, as when file descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Connections that began together do not end together: each lives for up to this share more or less than it is told.
const AGE_JITTER: f64 = 0.1;

/// What a peer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections that are open at once.
    pub(crate) connections: usize,
    /// Those of one address.
    pub(crate) connections_per_address: usize,
    /// How long a connection lives, before it is asked to leave.
    pub(crate) age: Duration,
    /// A peer that takes nothing of what it is sent for this long is cut off.
    pub(crate) stall: Duration,
    /// How long a stop waits.
    pub(crate) drain: Duration,
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            connections: config.max_connections,
            connections_per_address: config.max_connections_per_address,
            age: config.max_connection_age,
            stall: config.stalled_stream_timeout,
            drain: config.drain_deadline,
        }
    }
}

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Arrival<C> {
    pub(crate) io: C,
    /// Whose it is; `None` for one in memory.
    pub(crate) address: Option<IpAddr>,
}

/// One port.
#[derive(Debug)]
pub(crate) struct Edge {
    limits: Limits,
    metrics: PortMetrics,
    /// Cancelled when the server begins to leave.
    stop: CancellationToken,
    tls: Option<Arc<Tls>>,
}

impl Edge {
    pub(crate) fn new(limits: Limits, metrics: PortMetrics, stop: CancellationToken) -> Self {
        Self {
            limits,
            metrics,
            stop,
            tls: None,
        }
    }

    /// The same over TLS, if any.
    pub(crate) fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Serves `answers` over `connections` until the stop; then lets every call end until the drain deadline, cuts off
    /// what is left, and returns.
    pub(crate) async fn serve<C, A>(
        self,
        connections: impl Stream<Item = io::Result<Arrival<C>>>,
        answers: A,
    ) where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        A: Answers,
    {
        let builder = self.builder();
        let admission = Arc::new(Admission::new(self.limits, self.metrics.clone()));
        let tracker = TaskTracker::new();
        let cut = CancellationToken::new();
        let mut connections = std::pin::pin!(connections);
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => break,
                accepted = connections.next() => accepted,
            };
            match accepted {
                Some(Ok(Arrival { io, address })) => {
                    failing = false;
                    // Before a handshake costs anything.
                    let Some(permit) = admission.admit(address) else {
                        continue;
                    };
                    let connection = Connection {
                        age: jittered(self.limits.age),
                        stall: self.limits.stall,
                        leaving: self.stop.child_token(),
                        cut: cut.clone(),
                        metrics: self.metrics.clone(),
                        permit,
                    };
                    let (builder, answers) = (builder.clone(), answers.clone());
                    match &self.tls {
                        None => tracker.spawn(connection.serve(io, builder, answers)),
                        Some(tls) => {
                            let tls = Arc::clone(tls);
                            tracker.spawn(connection.serve_tls(tls, io, builder, answers))
                        }
                    };
                }
                // The peer's doing: the next one may do better at once.
                Some(Err(error)) if is_of_peer(&error) => {
                    tracing::debug!(%error, "a connection was gone before it was accepted");
                }
                Some(Err(error)) => {
                    self.metrics.accept_failed();
                    if !failing {
                        failing = true;
                        tracing::warn!(%error, "no connection can be accepted; trying again");
                    }
                    tokio::select! {
                        () = self.stop.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_AGAIN) => {}
                    }
                }
                // No more will come; those that came are served on.
                None => {
                    self.stop.cancelled().await;
                    break;
                }
            }
        }
        tracker.close();
        if tokio::time::timeout(self.limits.drain, tracker.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = tracker.len(),
                "the drain deadline passed; they are cut off"
            );
            cut.cancel();
            tracker.wait().await;
        }
    }

    fn builder(&self) -> Builder {
        let streams = Streams::new(self.limits.stall, self.metrics.clone());
        let mut builder = Builder::new(streams);
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            .max_send_buf_size(MAX_SEND_BUFFER_BYTES);
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT);
        builder
    }
}

fn jittered(age: Duration) -> Duration {
    age.mul_f64(rand::rng().random_range(1.0 - AGE_JITTER..=1.0 + AGE_JITTER))
}

fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests;
