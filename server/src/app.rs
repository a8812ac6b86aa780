//! The one composition root: binds, wires, serves, drains.

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _};
use loadcast_registry::{
    environment::Environment,
    open::{open_read_only, open_to_write},
    registry::Registry,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tower_http::trace::TraceLayer;

use crate::{
    aspired::Aspirations,
    bounds::Bounds,
    browser::BrowserLayer,
    cache::Cache,
    catalog::Declared,
    clock::Clock,
    config::Config,
    edge::{
        Arrival, Edge, Limits,
        metrics::EdgeMetrics,
        paced::Answers,
        tls::{Files, Tls},
    },
    grpc::{self, Services, health::Health},
    http_port::{self, Port},
    lanes::Lanes,
    layers::CallSpan,
    live::{self, pull::Puller},
    metrics::Metrics,
    poller::{self, Hints},
    publish::Publisher,
    refresh::Refresher,
    remote_write::RemoteWrite,
    retention::{Pruner, Retention},
    scaler::{Scaler, shadow},
    webhook::Secret,
};

/// An old version is freed within this of its last reader.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// What is written at the end has so long after the drain deadline, which everything before it may use up.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Connections that may wait to be accepted, where the system allows as many: whoever finds no place tries again a second
/// later, and again two seconds after that.
const BACKLOG: u32 = 4_096;

/// A server that has its ports and its state, and does not serve yet.
#[derive(Debug)]
pub struct App {
    grpc: TcpListener,
    grpc_addr: SocketAddr,
    http_addr: SocketAddr,
    wiring: Wiring,
}

/// What is wired together to serve.
#[derive(Debug)]
struct Wiring {
    config: Config,
    http: TcpListener,
    cache: Arc<Cache>,
    registry: Arc<dyn Registry>,
    puller: Option<Puller>,
    webhook_secret: Option<Secret>,
    tls: Option<Arc<Tls>>,
}

impl App {
    /// Takes the state directory, opens the registry and binds both ports.
    ///
    /// # Errors
    /// When any of them cannot be had; the message names the flag.
    pub async fn bind(config: Config, clock: Clock) -> anyhow::Result<Self> {
        let declared = match &config.catalog {
            Some(path) => Some(Arc::new(Declared::read(path)?)),
            None => None,
        };
        let cache = {
            let folder = config.state_dir.clone();
            tokio::task::spawn_blocking(move || Cache::open(&folder, clock))
                .await??
                .with_keep_versions(config.keep_versions)
                .with_catalog(declared)
        };
        let cache = Arc::new(cache);
        let (restoring, folder) = (Arc::clone(&cache), config.state_dir.clone());
        tokio::task::spawn_blocking(move || restoring.restore_live(&folder)).await?;
        let puller = puller(&config, &cache)?;
        let url = match &config.registry {
            Some(url) => url.clone(),
            None => {
                let folder = std::path::absolute(config.state_dir.join("registry"))?;
                url::Url::from_directory_path(folder)
                    .map_err(|()| anyhow::anyhow!("--state-dir is not a path"))?
                    .to_string()
            }
        };
        let environment = Environment::of_process();
        let registry = if config.read_only_registry {
            open_read_only(&url, &environment)?
        } else {
            // The epoch outlives kill -9 with the state directory, which one process at a time holds.
            open_to_write(&url, &environment, cache.state().epoch)?
        };
        let webhook_secret = config.webhook_secret()?;
        let tls = Files::of(&config)?.map(Tls::open).transpose()?;
        let bind = |flag: &str, addr: SocketAddr| -> anyhow::Result<(TcpListener, SocketAddr)> {
            let listener = listen(addr).with_context(|| {
                format!("{flag} {addr}: cannot listen there; choose another address or port 0")
            })?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (grpc, grpc_addr) = bind("--grpc-addr", config.grpc_addr)?;
        let (http, http_addr) = bind("--http-addr", config.http_addr)?;
        Ok(Self {
            grpc,
            grpc_addr,
            http_addr,
            wiring: Wiring {
                config,
                http,
                cache,
                registry,
                puller,
                webhook_secret,
                tls,
            },
        })
    }

    /// Where gRPC is served.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc_addr
    }

    /// Where HTTP is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The cache, for tests that look behind the API.
    pub fn cache(&self) -> &Arc<Cache> {
        &self.wiring.cache
    }

    /// As [`App::serve`], with the gRPC calls that come over `connections` instead of its port. With connections in
    /// memory nothing but the clock of tokio decides when a timer fires.
    ///
    /// # Errors
    /// As [`App::serve`].
    pub async fn serve_over<C>(
        self,
        connections: impl Stream<Item = std::io::Result<C>>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()>
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connections =
            connections.map(|accepted| accepted.map(|io| Arrival { io, address: None }));
        self.wiring.serve(connections, shutdown).await
    }

    /// Serves until `shutdown`, then drains: health says NOT_SERVING, streams end with a token, and what has not ended
    /// by the drain deadline is cut off.
    ///
    /// # Errors
    /// When work in the background panicked.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        self.wiring.serve(arrivals(self.grpc), shutdown).await
    }
}

impl Wiring {
    async fn serve<C>(
        self,
        connections: impl Stream<Item = std::io::Result<Arrival<C>>>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()>
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self {
            config,
            http,
            cache,
            registry,
            puller,
            webhook_secret,
            tls,
        } = self;
        let rest = config.rest();
        let exposition = config.exposition();
        let browser = BrowserLayer::new(&config.web.cors_allow_origin);
        let lanes = Arc::new(Lanes::default());
        let aspirations = Arc::new(Aspirations::default());
        let stop = CancellationToken::new();
        let refresher = Refresher::new(
            Arc::clone(&cache),
            Arc::clone(&registry),
            Arc::clone(&lanes),
            Arc::clone(&aspirations),
            config.alias.clone(),
            config.poll_interval,
            stop.clone(),
        );
        let retention = Arc::new(Retention::new(config.keep_registry_versions));
        let pruning = tokio::spawn(Arc::clone(&retention).run(Pruner {
            cache: Arc::clone(&cache),
            registry: Arc::clone(&registry),
            lanes: Arc::clone(&lanes),
            aspirations: Arc::clone(&aspirations),
            stop: stop.clone(),
        }));
        let hints = Hints::default();
        let metrics = Arc::new(Metrics::new(Arc::clone(&cache)));
        let scaler = Arc::new(Scaler::new(Arc::clone(&cache), Arc::clone(&aspirations)));
        metrics.enter(|registry| scaler.tally.enter(registry));
        let edge_metrics = EdgeMetrics::default();
        metrics.enter(|registry| edge_metrics.enter(registry));
        let shadowing = tokio::spawn(shadow::run(Arc::clone(&scaler), stop.clone()));
        metrics.enter(|registry| live::metrics::enter(registry, Arc::clone(&cache)));
        let observing = live::follow(Arc::clone(&cache), cache.state().revision, stop.clone());
        let observing = tokio::spawn(observing);
        let folder = config.state_dir.clone();
        let keeping = tokio::spawn(live::keep(Arc::clone(&cache), folder.clone(), stop.clone()));
        let observed = Arc::clone(&cache);
        let stopped = stop.clone();
        let pulling = tokio::spawn(async move {
            if let Some(puller) = puller {
                puller.run(stopped).await;
            }
        });
        let health = Health::new(cache.registry_answers(), cache.forgetful());
        let services = Services {
            publisher: Publisher::new(
                Arc::clone(&cache),
                Arc::clone(&registry),
                lanes,
                Arc::clone(&aspirations),
                config.alias.clone(),
                config.poll_interval,
            )
            .with_retention(retention),
            aspirations,
            cache: Arc::clone(&cache),
            registry,
            hints: hints.clone(),
            scaler,
            health: health.clone(),
            metrics: Arc::clone(&metrics),
            edge: edge_metrics.clone(),
            followed_alias: config.alias.clone(),
            stop: stop.clone(),
        };
        let remote_writing = config.web.remote_write.clone().map(|url| {
            let write = RemoteWrite::new(url, config.web.remote_write_interval, exposition.clone());
            metrics.enter(|registry| write.enter(registry));
            tokio::spawn(write.run(Arc::clone(&cache), stop.clone()))
        });
        let activating = tokio::spawn(refresher.clone().activate());
        let polls = poller::run(refresher, hints.clone(), config.poll_interval, stop.clone());
        let refreshing = tokio::spawn(polls);
        let sweeping = tokio::spawn(sweep(Arc::clone(&cache), stop.clone()));
        let http_router = http_port::router(Port {
            health: health.clone(),
            cache,
            hints,
            metrics,
            rest,
            exposition: exposition.clone(),
            webhook_secret,
        });
        let grpc_router = grpc::routes(services, http_router.clone())?.into_axum_router();
        let following_tls = tls
            .clone()
            .map(|tls| tokio::spawn(tls.follow(stop.clone())));
        let limits = Limits::of(&config);
        let edge = |port| Edge::new(limits, edge_metrics.port(port), stop.clone());
        let bounds = Bounds::new(edge_metrics.clone());
        let serving = futures::future::join(
            edge("grpc")
                .with_tls(tls.clone())
                .serve(connections, bounded(grpc_router, &bounds, &browser)),
            edge("http").serve(arrivals(http), bounded(http_router, &bounds, &browser)),
        );
        tokio::pin!(serving, shutdown);
        // Nothing ends serving but a stop: a listener that fails is tried again.
        tokio::select! {
            _ = &mut serving => {}
            () = &mut shutdown => {}
        }
        tracing::info!("stopping");
        health.drain();
        stop.cancel();
        let deadline = Instant::now() + config.drain_deadline;
        serving.await;
        let background = [
            refreshing, activating, sweeping, pruning, observing, keeping, pulling, shadowing,
        ];
        let background = futures::future::join_all(
            background
                .into_iter()
                .chain(following_tls)
                .chain(remote_writing),
        );
        let ended = match timeout_at(deadline, background).await {
            Ok(ended) => ended.into_iter().collect::<Result<(), _>>(),
            Err(_) => {
                tracing::warn!("the drain deadline passed; work in the background is cut off");
                Ok(())
            }
        };
        // Whatever was told up to the end, even where something above panicked.
        let written = write_last(observed, folder, deadline + LAST_WRITE).await;
        ended.context("work in the background panicked")?;
        written
    }
}

/// Writes what is remembered of observations, if there is any.
async fn write_last(cache: Arc<Cache>, folder: PathBuf, deadline: Instant) -> anyhow::Result<()> {
    if cache.live().changes() == 0 {
        return Ok(());
    }
    let writing = tokio::task::spawn_blocking(move || cache.write_live(&folder));
    match timeout_at(deadline, writing).await {
        Ok(written) => {
            if let Err(error) = written.context("writing observations panicked")? {
                tracing::warn!(%error, "observations are not written; they are to be told again");
            }
        }
        Err(_) => tracing::warn!(
            "the drain deadline passed; the last observations may not be written and are to be told again"
        ),
    }
    Ok(())
}

/// A port, with room for everybody who comes back at once.
fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Those whom a server before this one served may still be on their way out.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Connections as `listener` accepts them.
fn arrivals(listener: TcpListener) -> impl Stream<Item = std::io::Result<Arrival<TcpStream>>> {
    TcpListenerStream::new(listener).map(|accepted| {
        let io = accepted?;
        // An update is one small write; it must not wait for the next one. Where that cannot be had, it waits.
        let _ = io.set_nodelay(true);
        let address = io.peer_addr().ok().map(|addr| addr.ip());
        Ok(Arrival { io, address })
    })
}

/// `router` within `bounds`. Outermost is the call's span: everything below logs inside it. What went wrong is logged where
/// it is handled, in grpc/status.rs, at the level that it deserves.
fn bounded(router: axum::Router, bounds: &Bounds, browser: &BrowserLayer) -> impl Answers {
    let trace = TraceLayer::new_for_grpc()
        .make_span_with(CallSpan)
        .on_failure(());
    tower::ServiceBuilder::new()
        .layer(trace)
        .layer(browser.clone())
        .layer(bounds.clone())
        .service(router)
}

/// What pulls observations; `None` where the flags name no Prometheus.
fn puller(config: &Config, cache: &Arc<Cache>) -> anyhow::Result<Option<Puller>> {
    let prometheus = config.prometheus.connect_within(live::pull::limits());
    let prometheus = prometheus.map_err(|error| anyhow::anyhow!("{error}: {}", error.remedy()))?;
    let Some(prometheus) = prometheus else {
        return Ok(None);
    };
    let declared = cache.live().declared().context(
        "--prometheus-url stands alone: give --catalog FILE.toml, whose expressions are asked of it",
    )?;
    Ok(Some(Puller {
        cache: Arc::clone(cache),
        catalog: Arc::clone(declared.catalog()),
        prometheus,
        every: config.observe_every,
    }))
}

/// Frees old versions off the serving threads, once their last reader is gone.
async fn sweep(cache: Arc<Cache>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if cache.unswept() > 0 {
            let cache = Arc::clone(&cache);
            if let Err(error) = tokio::task::spawn_blocking(move || cache.sweep()).await {
                tracing::error!(%error, "old versions could not be freed");
            }
        }
    }
}
