//! Connections that misbehave.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream},
};
use tonic::transport::{Channel, Endpoint};

/// What the system holds for a peer that does not read. By itself it would grow to tens of megabytes, and nobody would
/// ever be stuck.
const RECEIVE_BUFFER_BYTES: u32 = 32 * 1024;

/// A peer that, from a moment on, takes nothing from its socket, and had opened huge windows before.
pub(crate) struct StuckPeer {
    pub(crate) channel: Channel,
    stuck: Arc<AtomicBool>,
}

impl StuckPeer {
    /// Connects to `addr`, still well.
    pub(crate) async fn connect(addr: &str) -> Self {
        let stuck = Arc::new(AtomicBool::new(false));
        let (gate, target) = (Arc::clone(&stuck), addr.to_owned());
        let connect = tower::service_fn(move |_| {
            let (gate, target) = (Arc::clone(&gate), target.clone());
            async move {
                let socket = TcpSocket::new_v4()?;
                socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
                let socket = socket.connect(target.parse().unwrap()).await?;
                socket.set_nodelay(true)?;
                Ok::<_, io::Error>(TokioIo::new(Gated { socket, gate }))
            }
        });
        let huge = Some((1 << 31) - 1);
        let endpoint = Endpoint::from_static("http://stuck")
            .initial_connection_window_size(huge)
            .initial_stream_window_size(huge);
        let channel = endpoint.connect_with_connector(connect).await.unwrap();
        Self { channel, stuck }
    }

    /// From now on nothing is read.
    pub(crate) fn get_stuck(&self) {
        self.stuck.store(true, Ordering::Relaxed);
    }
}

struct Gated {
    socket: TcpStream,
    gate: Arc<AtomicBool>,
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.gate.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
