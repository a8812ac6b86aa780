//! Two series on a real MLflow, behind a proxy, and a server that follows them.

use std::{sync::Arc, time::Duration};

use loadcast_client::{ForecastQuery, Model, Range};
use loadcast_model::series::SeriesName;
use loadcast_registry::registry::{NewVersion, Registry};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    real::{Mlflow, mlflow},
    support::{TestServer, constant_model, metadata, now},
};
use loadcast_components::proxy::{Fault, Proxy};

/// Longer than any of these waits takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `flags` beside these: a server that polls often.
const POLL: &str = "--poll-interval=200ms";

/// The series `a`, to which faults are done, and `b`, which must not notice.
pub(crate) struct Scene {
    pub(crate) mlflow: &'static Mlflow,
    pub(crate) proxy: Proxy,
    pub(crate) server: TestServer,
    pub(crate) a: String,
    pub(crate) b: String,
}

impl Scene {
    /// Both series served in version 1; `None` where MLflow is not installed.
    pub(crate) async fn start(name: &str) -> Option<Self> {
        Self::start_in(name, tempfile::tempdir().unwrap()).await
    }

    /// The same with the server's state in `folder`.
    pub(crate) async fn start_in(name: &str, folder: TempDir) -> Option<Self> {
        let mlflow = tokio::task::spawn_blocking(mlflow).await.unwrap()?;
        let (a, b) = (format!("{name}.a"), format!("{name}.b"));
        for series in [&a, &b] {
            make(&*mlflow.open(), series, 1).await;
        }
        let proxy = Proxy::start(&mlflow.url).await;
        let server = serve(&proxy, folder).await;
        let scene = Self {
            mlflow,
            proxy,
            server,
            a,
            b,
        };
        scene.until(&scene.a, 1).await;
        scene.until(&scene.b, 1).await;
        Some(scene)
    }

    /// Registers the next version of `series`, past the proxy, and moves the alias.
    pub(crate) async fn make(&self, series: &str) -> u64 {
        let registry = self.mlflow.open();
        let name: SeriesName = series.parse().unwrap();
        let last = registry.versions(&name).await.unwrap();
        let version = last.last().unwrap() + 1;
        make(&*registry, series, version).await;
        version
    }

    /// Waits until `version` of `series` is served.
    pub(crate) async fn until(&self, series: &str, version: u64) {
        until(&self.server, series, version).await;
    }

    /// Waits until what GetModel says of `series` fits.
    pub(crate) async fn until_said(&self, series: &str, fits: impl Fn(&Model) -> bool) -> Model {
        until_said(&self.server, series, fits).await
    }

    /// The number that the served version of `series` answers.
    pub(crate) async fn answer(&self, series: &str) -> u64 {
        let hour = Range::Horizon(Duration::from_secs(3_600));
        let query = ForecastQuery::new(series, hour);
        let forecast = self.server.client().forecast(&query).await.unwrap();
        assert_eq!(forecast.yhat[0], forecast.provenance.version as f64);
        forecast.provenance.version
    }

    /// The other series moves, now.
    pub(crate) async fn the_other_series_moves(&self) {
        let version = self.make(&self.b).await;
        self.until(&self.b, version).await;
        assert_eq!(self.answer(&self.b).await, version);
    }

    /// A part of the address of each file of `version` of `series`.
    pub(crate) async fn files(&self, series: &str, version: u64) -> String {
        let path = format!("model-versions/get-download-uri?name={series}&version={version}");
        let answer = self.mlflow.call(Method::GET, &path, &json!({})).await;
        let uri = answer["artifact_uri"].as_str().unwrap();
        let last = uri.split('/').find(|part| part.starts_with("m-"));
        last.unwrap_or_else(|| panic!("{uri}")).to_owned()
    }

    /// The server stopped and, after `meanwhile`, started again on the same folder while MLflow does not answer.
    pub(crate) async fn restarted_without_mlflow(self, meanwhile: impl FnOnce()) -> Self {
        let folder = self.server.stop().await;
        self.proxy.fail("", Fault::Drop);
        meanwhile();
        let server = serve(&self.proxy, folder).await;
        Self { server, ..self }
    }

    /// Takes the series away, so that no other test lists them.
    pub(crate) async fn end(self) {
        let Self {
            mlflow,
            server,
            a,
            b,
            ..
        } = self;
        server.stop().await;
        for series in [a, b] {
            let body = json!({"name": series});
            let path = "registered-models/delete";
            mlflow.call(Method::DELETE, path, &body).await;
        }
    }
}

/// A server that follows the MLflow behind `proxy`.
pub(crate) async fn serve(proxy: &Proxy, folder: TempDir) -> TestServer {
    let registry = format!("--registry=mlflow+{}", proxy.url);
    TestServer::start_with(folder, &[POLL, &registry]).await
}

/// Waits until `server` serves `version` of `series`.
pub(crate) async fn until(server: &TestServer, series: &str, version: u64) {
    let name: SeriesName = series.parse().unwrap();
    let mut changed = server.cache.subscribe();
    let serving = async {
        while server.cache.get(&name).map(|served| served.version) != Some(version) {
            changed.changed().await.unwrap();
        }
    };
    if tokio::time::timeout(PATIENCE, serving).await.is_err() {
        let served = server.cache.get(&name).map(|served| served.version);
        panic!("{series}: {served:?} instead of {version} is served");
    }
}

/// Waits until what GetModel of `server` says of `series` fits.
pub(crate) async fn until_said(
    server: &TestServer,
    series: &str,
    fits: impl Fn(&Model) -> bool,
) -> Model {
    let client = server.client();
    let asking = async {
        loop {
            let model = client.model(series).await.unwrap();
            if fits(&model) {
                return model;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(model) => model,
        Err(_) => panic!("{:?}", client.model(series).await.unwrap()),
    }
}

/// Registers a version of `series` that answers its own number, which must be `version`, and moves the alias to it.
pub(crate) async fn make(registry: &dyn Registry, series: &str, version: u64) {
    let model_pr = constant_model(version as f64);
    let name: SeriesName = series.parse().unwrap();
    let registered = registry.register(NewVersion {
        metadata: metadata(&name, &model_pr),
        key: format!("{series}-{version}"),
        model_pr: model_pr.into(),
        attachments: Vec::new(),
        registered_at: now(),
        activate_at: None,
    });
    assert_eq!(registered.await.unwrap().version, version);
    let set = registry.set_alias(&name, "champion", version, None);
    set.await.unwrap();
}

/// Asks for forecasts of `series` all the time.
pub(crate) struct Load {
    stop: tokio::sync::oneshot::Sender<()>,
    asking: tokio::task::JoinHandle<(usize, Vec<String>)>,
}

impl Load {
    pub(crate) fn start(server: &TestServer, series: &[&str]) -> Self {
        let client = Arc::new(server.client());
        let hour = Range::Horizon(Duration::from_secs(3_600));
        let queries: Vec<_> = series
            .iter()
            .map(|series| ForecastQuery::new(*series, hour))
            .collect();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let asking = tokio::spawn(async move {
            let (mut asked, mut failures) = (0, Vec::new());
            while let Err(tokio::sync::oneshot::error::TryRecvError::Empty) = stopped.try_recv() {
                for query in &queries {
                    asked += 1;
                    if let Err(error) = client.forecast(query).await {
                        failures.push(error.to_string());
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (asked, failures)
        });
        Self { stop, asking }
    }

    /// How many were asked for; none failed.
    pub(crate) async fn end(self) -> usize {
        drop(self.stop);
        let (asked, failures) = self.asking.await.unwrap();
        assert_eq!(failures, [] as [String; 0], "of {asked}");
        asked
    }
}
