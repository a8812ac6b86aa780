//! The attacks by name, and what comes of each.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{flood, slow};

/// Attackers come from an address of their own, so that the cap of theirs is not the healthy client's.
const ADDRESS: [u8; 4] = [127, 0, 0, 2];

/// What a system holds for a peer that does not read.
const RECEIVE_BUFFER_BYTES: u32 = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attack {
    SilentTcp,
    HalfPreface,
    OneByteASecond,
    RapidReset,
    ContinuationFlood,
    PingFlood,
    SettingsFlood,
    GzipBomb,
    NeverReading,
    ManyConnections,
    SubscribeStorm,
}

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connected: AtomicU64,
    /// By the server, one way or the other.
    pub(crate) closed: AtomicU64,
    /// Frames, streams or calls that were sent.
    pub(crate) sent: AtomicU64,
    /// Calls that were answered, with whatever status.
    pub(crate) answered: AtomicU64,
}

impl Tally {
    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn text(&self) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{} connected, {} closed by the server, {} sent, {} answered",
            of(&self.connected),
            of(&self.closed),
            of(&self.sent),
            of(&self.answered)
        )
    }
}

/// What every attacker knows.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stop: CancellationToken,
}

impl Target {
    /// A server at `addr`, to whom nothing has happened yet.
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            tally: Arc::default(),
            stop: CancellationToken::new(),
        }
    }

    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        socket.bind((ADDRESS, 0).into())?;
        let stream = socket.connect(self.addr).await?;
        Tally::count(&self.tally.connected);
        Ok(stream)
    }
}

impl Attack {
    pub(crate) const ALL: [Self; 11] = [
        Self::SilentTcp,
        Self::HalfPreface,
        Self::OneByteASecond,
        Self::RapidReset,
        Self::ContinuationFlood,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::GzipBomb,
        Self::NeverReading,
        Self::ManyConnections,
        Self::SubscribeStorm,
    ];

    /// Attacks with `peers` until the target's stop.
    pub(crate) fn begin(self, target: &Target, peers: usize) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let connections = match self {
            Self::NeverReading | Self::SubscribeStorm => peers.div_ceil(slow::STREAMS),
            _ => peers,
        };
        for _ in 0..connections {
            let (target, stop) = (target.clone(), target.stop.clone());
            tasks.spawn(async move {
                let attacking = async {
                    let outcome = match self {
                        Self::SilentTcp => slow::say(&target, b"").await,
                        Self::HalfPreface => slow::say(&target, b"PRI * HTTP/2").await,
                        Self::OneByteASecond => slow::byte_by_byte(&target).await,
                        Self::ManyConnections => slow::sit(&target).await,
                        Self::NeverReading => slow::never_read(&target).await,
                        Self::SubscribeStorm => slow::subscribe(&target).await,
                        Self::RapidReset => flood::resets(&target).await,
                        Self::ContinuationFlood => flood::continuations(&target).await,
                        Self::PingFlood => flood::pings(&target).await,
                        Self::SettingsFlood => flood::settings(&target).await,
                        Self::GzipBomb => flood::bombs(&target).await,
                    };
                    // A connection that broke is what was wanted; its task is done.
                    drop(outcome);
                };
                tokio::select! {
                    () = attacking => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        tasks
    }
}
