//! One connection, whose peer can cease to read.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use anyhow::Result;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpSocket, TcpStream},
};
use tonic::transport::{Channel, Endpoint};

/// What the system holds for a peer that does not read. By itself it would grow to tens of megabytes, and nobody would
/// ever be stuck.
const RECEIVE_BUFFER_BYTES: u32 = 32 * 1024;

/// The largest window that HTTP/2 allows.
const HUGE: u32 = (1 << 31) - 1;

/// A connection to the server.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) channel: Channel,
    stuck: Arc<AtomicBool>,
}

impl Peer {
    /// Connects, with huge windows.
    pub(super) async fn connect(addr: SocketAddr) -> Result<Self> {
        Self::connect_with(addr, None).await
    }

    /// The same, with a small socket buffer behind the windows: once nothing is read, it is soon full.
    pub(super) async fn connect_narrow(addr: SocketAddr) -> Result<Self> {
        Self::connect_with(addr, Some(RECEIVE_BUFFER_BYTES)).await
    }

    async fn connect_with(addr: SocketAddr, receive_buffer: Option<u32>) -> Result<Self> {
        let stuck = Arc::new(AtomicBool::new(false));
        let gate = Arc::clone(&stuck);
        let connect = tower::service_fn(move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let socket = TcpSocket::new_v4()?;
                if let Some(bytes) = receive_buffer {
                    socket.set_recv_buffer_size(bytes)?;
                }
                let socket = socket.connect(addr).await?;
                socket.set_nodelay(true)?;
                Ok::<_, io::Error>(TokioIo::new(Gated { socket, gate }))
            }
        });
        let endpoint = Endpoint::from_static("http://server")
            .initial_connection_window_size(HUGE)
            .initial_stream_window_size(HUGE);
        let channel = endpoint.connect_with_connector(connect).await?;
        Ok(Self { channel, stuck })
    }

    /// From now on nothing is read from the socket.
    pub(super) fn get_stuck(&self) {
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
