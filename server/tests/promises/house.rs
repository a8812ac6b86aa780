//! A server in this process, on port 0 or over connections in memory, and cheap ways to give it a history.

use std::{net::SocketAddr, sync::Arc};

use clap::Parser as _;
use futures::FutureExt as _;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_proto::v1::{
    self as pb, forecast_service_client::ForecastServiceClient,
    model_service_client::ModelServiceClient,
};
use loadcast_server::{
    app::App,
    cache::Cache,
    clock::{Clock, ClockSetter},
    config::Config,
    event::Reason,
    load::Loaded,
    served::Change,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::support::{Process, metadata, now, push};

/// What one direction of a connection in memory holds.
const PIPE_BYTES: usize = 16 * 1024;

/// A server that is gone with its test.
pub(crate) struct House {
    pub(crate) cache: Arc<Cache>,
    pub(crate) clock: ClockSetter,
    _folder: TempDir,
    way_in: WayIn,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

enum WayIn {
    Port(SocketAddr),
    Memory(mpsc::Sender<std::io::Result<DuplexStream>>),
}

impl House {
    /// A server on port 0.
    pub(crate) async fn start() -> Self {
        Self::open(false).await
    }

    /// A server over connections in memory, for tests in which tokio's time is paused.
    pub(crate) async fn in_memory() -> Self {
        Self::open(true).await
    }

    async fn open(memory: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse_from([
            "loadcast-server",
            "--grpc-addr=127.0.0.1:0",
            "--http-addr=127.0.0.1:0",
            "--registry=memory:",
            // What a test commits is in no registry: a poll would tell that, in the middle of a long test.
            "--poll-interval=1h",
            &format!("--state-dir={}", folder.path().join("state").display()),
        ]);
        let (clock, setter) = Clock::set_at(now());
        let app = App::bind(config, clock).await.unwrap();
        let cache = Arc::clone(app.cache());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let (way_in, serving) = if memory {
            let (sender, connections) = mpsc::channel(1);
            let serving = app.serve_over(ReceiverStream::new(connections), stopped);
            let serving = tokio::spawn(serving.map(Result::unwrap));
            (WayIn::Memory(sender), serving)
        } else {
            let addr = app.grpc_addr();
            let serving = tokio::spawn(app.serve(stopped).map(Result::unwrap));
            (WayIn::Port(addr), serving)
        };
        Self {
            cache,
            clock: setter,
            _folder: folder,
            way_in,
            stop,
            serving,
        }
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        self.connect(Endpoint::from_static("http://house")).await
    }

    /// A connection of its own with windows of 64 KiB: a reader that stops is soon felt.
    pub(crate) async fn narrow_channel(&self) -> Channel {
        let window = Some(65_535);
        let endpoint = Endpoint::from_static("http://house")
            .initial_connection_window_size(window)
            .initial_stream_window_size(window);
        self.connect(endpoint).await
    }

    /// The bytes of a connection of its own; in memory only.
    pub(crate) async fn pipe(&self) -> DuplexStream {
        let WayIn::Memory(sender) = &self.way_in else {
            panic!("only a house in memory has pipes");
        };
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        sender.send(Ok(theirs)).await.unwrap();
        ours
    }

    /// What `/metrics` says of `metric`, in the sum of the samples that have `labels`; in memory only.
    pub(crate) async fn metric(&self, metric: &str, labels: &str) -> f64 {
        let mut pipe = self.pipe().await;
        let request = b"GET /metrics HTTP/1.1\r\nhost: house\r\nconnection: close\r\n\r\n";
        pipe.write_all(request).await.unwrap();
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.unwrap();
        let samples = text.lines().filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            let (name, of) = name.split_once('{').unwrap_or((name, ""));
            (name == metric && of.contains(labels)).then(|| value.parse::<f64>().unwrap())
        });
        samples.sum()
    }

    /// Tells the server to stop; it has when what this returns has ended.
    pub(crate) fn stop(self) -> JoinHandle<()> {
        self.stop.cancel();
        self.serving
    }

    async fn connect(&self, endpoint: Endpoint) -> Channel {
        match &self.way_in {
            WayIn::Port(addr) => {
                let addr = *addr;
                let connect = tower::service_fn(move |_| async move {
                    let socket = TcpStream::connect(addr).await?;
                    socket.set_nodelay(true)?;
                    Ok::<_, std::io::Error>(TokioIo::new(socket))
                });
                endpoint.connect_with_connector(connect).await.unwrap()
            }
            WayIn::Memory(sender) => {
                let sender = sender.clone();
                let connect = tower::service_fn(move |_| {
                    let sender = sender.clone();
                    async move {
                        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
                        let closed = |_| std::io::Error::other("the server is gone");
                        sender.send(Ok(theirs)).await.map_err(closed)?;
                        Ok::<_, std::io::Error>(TokioIo::new(ours))
                    }
                });
                endpoint.connect_with_connector(connect).await.unwrap()
            }
        }
    }

    pub(crate) async fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel().await)
    }

    pub(crate) async fn forecasts(&self) -> ForecastServiceClient<Channel> {
        ForecastServiceClient::new(self.channel().await)
    }

    /// The real client; on a port only.
    pub(crate) fn client(&self) -> Client {
        match &self.way_in {
            WayIn::Port(addr) => Client::new(&format!("http://{addr}")).unwrap(),
            WayIn::Memory(_) => panic!("the real client needs a port"),
        }
    }

    /// Where the history stands.
    pub(crate) fn revision(&self) -> u64 {
        self.cache.state().revision
    }

    /// Serves a constant model of `series`; returns the revision.
    pub(crate) async fn serve(&self, series: &str, level: f64) -> u64 {
        self.serve_labelled(series, level, &[]).await
    }

    pub(crate) async fn serve_labelled(
        &self,
        series: &str,
        level: f64,
        labels: &[(&str, &str)],
    ) -> u64 {
        let mut push = push(series, level);
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        push.series.labels.extend(labels.iter().map(own));
        match &self.way_in {
            WayIn::Port(_) => drop(self.client().push(push).await.unwrap()),
            // The real client needs a port.
            WayIn::Memory(_) => {
                let metadata = metadata(&series.parse().unwrap(), &push.model_pr);
                let change = Change::Serve {
                    loaded: Arc::new(Loaded::verify(metadata, &push.model_pr).unwrap()),
                    version: self.revision() + 1,
                    alias: "champion".to_owned(),
                };
                return self.commit(change).await;
            }
        }
        // As it is served and not as the push was told, which is what P11 is about.
        let served = self.cache.get(&series.parse().unwrap());
        served.unwrap().revision
    }

    /// A candidate of `series` is refused, `why`: the cheapest event. Returns the revision.
    pub(crate) async fn reject(&self, series: &str, why: &str) -> u64 {
        let change = Change::Reject {
            series: series.parse().unwrap(),
            version: 0,
            sha256: String::new(),
            reasons: vec![Reason::new("SKILL", why)],
            scores: None,
            beside: false,
        };
        self.commit(change).await
    }

    pub(crate) async fn commit(&self, change: Change) -> u64 {
        let committed = self.cache.commit(change, String::new()).await.unwrap();
        committed.revision
    }

    /// Makes the log forget all but the last 1,000 events: they are 8 days old by the next commit.
    pub(crate) async fn age_log(&self) {
        self.clock
            .set(now() + std::time::Duration::from_secs(8 * 86_400));
        self.reject("aged", "a week has passed").await;
    }
}

/// A connection to a process of its own.
pub(crate) async fn channel_to(process: &Process) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", process.grpc)).unwrap();
    endpoint.tcp_nodelay(true).connect().await.unwrap()
}

/// Bytes of a process that are in memory.
pub(crate) fn resident_bytes(process: &Process) -> u64 {
    let path = format!("/proc/{}/status", process.child.id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// Any series of these names; none: all.
pub(crate) fn selector(names: &[&str], labels: &str) -> Option<pb::SeriesSelector> {
    Some(pb::SeriesSelector {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        label_selector: labels.to_owned(),
    })
}

/// Seconds after [`now`].
pub(crate) fn after(seconds: u64) -> Timestamp {
    now() + std::time::Duration::from_secs(seconds)
}
