//! The load tool: so many connections, each with so many requests under way, for a time. It reads answers as bytes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet};

use crate::unary::{CONNECTIONS, RECHECKED, RUN, WARM_UP, question::Asked};

const PATH: &str = "/loadcast.v1.ForecastService/GetForecast";

/// What a server is asked.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) addr: SocketAddr,
    pub(super) pid: u32,
    pub(super) asked: Asked,
    pub(super) in_flight: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Run {
    elapsed: Duration,
    /// Ascending, in microseconds.
    latencies: Vec<u32>,
    cpu_seconds: f64,
    /// Some answers, by the number of the question.
    pub(super) kept: Vec<(u64, Bytes)>,
}

impl Run {
    pub(super) fn of(elapsed: Duration, cpu_seconds: f64, of_tasks: Vec<Answered>) -> Self {
        let mut run = Self {
            elapsed,
            cpu_seconds,
            ..Self::default()
        };
        for answered in of_tasks {
            run.latencies.extend(answered.latencies);
            run.kept.extend(answered.kept);
        }
        run.latencies.sort_unstable();
        run
    }

    pub(super) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// What the server's process used of all cores for one answer.
    pub(super) fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.latencies.len() as f64
    }

    pub(super) fn latency_micros(&self, q: f64) -> f64 {
        let rank = ((self.latencies.len() as f64 - 1.0) * q) as usize;
        self.latencies
            .get(rank)
            .copied()
            .map_or(f64::NAN, f64::from)
    }
}

/// What one task was answered.
#[derive(Debug, Default)]
pub(super) struct Answered {
    latencies: Vec<u32>,
    kept: Vec<(u64, Bytes)>,
}

impl Answered {
    /// An answer that took as long, within the time that is measured.
    pub(super) fn count(&mut self, took: Duration) {
        self.latencies
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }
}

/// When a run is measured: from the warm-up's end on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Span {
    pub(super) fn now(length: Duration) -> Self {
        let begin = Instant::now() + WARM_UP;
        let end = begin + length;
        Self { begin, end }
    }
}

impl Load {
    /// Asks for the set time.
    pub(super) async fn run(self) -> Result<Run> {
        let next = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let mut senders = Vec::new();
        for _ in 0..CONNECTIONS {
            senders.push(connect(self.addr).await?);
        }
        let span = Span::now(RUN);
        for sender in &senders {
            for _ in 0..self.in_flight {
                let (sender, asked) = (sender.clone(), self.asked.clone());
                tasks.spawn(ask_on(sender, asked, Arc::clone(&next), span));
            }
        }
        tokio::time::sleep_until(span.begin.into()).await;
        let before = cpu_seconds(self.pid)?;
        tokio::time::sleep_until(span.end.into()).await;
        let used = cpu_seconds(self.pid)? - before;
        let mut answered = Vec::new();
        while let Some(task) = tasks.join_next().await {
            answered.push(task??);
        }
        Ok(Run::of(RUN, used, answered))
    }
}

type Sender = http2::SendRequest<Full<Bytes>>;

async fn connect(addr: SocketAddr) -> Result<Sender> {
    let socket = TcpStream::connect(addr).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .handshake(TokioIo::new(socket))
        .await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A connection of HTTP/1.1.
pub(super) async fn connect_plain(
    addr: SocketAddr,
) -> Result<http1::SendRequest<http_body_util::Empty<Bytes>>> {
    let socket = TcpStream::connect(addr).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask_on(
    mut sender: Sender,
    asked: Asked,
    next: Arc<AtomicU64>,
    span: Span,
) -> Result<Answered> {
    let mut answered = Answered::default();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let body = asked.request(number);
        let begun = Instant::now();
        if begun >= span.end {
            return Ok(answered);
        }
        let answer = send(&mut sender, body).await?;
        let ended = Instant::now();
        if ended >= span.begin && ended < span.end {
            answered.count(ended - begun);
            if number.is_multiple_of(RECHECKED) {
                answered.kept.push((number, answer));
            }
        }
    }
}

/// One call; its message, or why there is none.
async fn send(sender: &mut Sender, body: Bytes) -> Result<Bytes> {
    let request = Request::post(format!("http://bench{PATH}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))?;
    sender.ready().await?;
    let response: Response<Incoming> = sender.send_request(request).await?;
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers();
    let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
    let status = status.or_else(|| head.headers.get("grpc-status"));
    ensure!(
        status.is_some_and(|status| status == "0"),
        "{:?} {:?}",
        head.headers,
        trailers
    );
    let body = collected.to_bytes();
    ensure!(body.len() >= 5, "no message");
    Ok(body.slice(5..))
}

/// One question alone.
pub(super) async fn ask(addr: SocketAddr, request: &Bytes) -> Result<Bytes> {
    let mut sender = connect(addr).await?;
    send(&mut sender, request.clone()).await
}

/// What a process has used of all cores so far.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = |i: usize| -> Result<f64> {
        let field = fields.split_whitespace().nth(i);
        Ok(field.context("too few fields in stat")?.parse()?)
    };
    // utime and stime, in hundredths of a second.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
