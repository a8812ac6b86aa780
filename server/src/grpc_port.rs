//! The connections of the gRPC port. A loop of our own, because tonic's has no bound for what is buffered for a stream
//! whose peer does not read, and gives every stream 400 KiB of it.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Idle connections are asked for a sign of life this often, and dropped when none comes in [`KEEPALIVE_TIMEOUT`].
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// How long a keepalive ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Streams on one connection: far above what one KEDA operator opens, one for each of its ScaledObjects.
const MAX_STREAMS_PER_CONNECTION: u32 = 20_000;

/// What is buffered for one stream beyond the message in hand: one frame. Times 10,000 readers who are stuck this is
/// 160 MB, however large the windows they opened.
const MAX_SEND_BUFFER_BYTES: usize = 16 * 1024;

/// How long to wait after a connection could not be accepted, as when file descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves `router` over `connections` until `stop`; then lets every call end, and returns.
pub(crate) async fn serve<C>(
    connections: impl Stream<Item = std::io::Result<C>>,
    router: axum::Router,
    stop: &CancellationToken,
) where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES);
    builder.http1().timer(TokioTimer::new());
    let service = TowerToHyperService::new(router);
    let draining = GracefulShutdown::new();
    let mut connections = std::pin::pin!(connections);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = connections.next() => accepted,
        };
        match accepted {
            Some(Ok(connection)) => {
                let io = TokioIo::new(connection);
                let served = builder.serve_connection_with_upgrades(io, service.clone());
                let served = draining.watch(served.into_owned());
                tokio::spawn(async move {
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "a connection broke");
                    }
                });
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
            // No more will come; those that came are served on.
            None => {
                stop.cancelled().await;
                break;
            }
        }
    }
    draining.shutdown().await;
}
