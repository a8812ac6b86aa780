//! What both ports answer to plain HTTP: is it alive, is it ready, what it counts; and what MLflow tells them.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    cache::Cache,
    error::Error,
    exposition::{self, Ask},
    grpc::health::Health,
    metrics::{self, Metrics},
    poller::Hints,
    rest,
    webhook::{MAX_BODY_BYTES, Secret},
};

/// What the routes need.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) health: Health,
    pub(crate) cache: Arc<Cache>,
    pub(crate) hints: Hints,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rest: rest::Setting,
    /// What a scrape of forecasts is told when it asks for nothing else.
    pub(crate) exposition: Ask,
    /// What MLflow signs its webhooks with; `None`: none are taken.
    pub(crate) webhook_secret: Option<Secret>,
}

/// `/livez`: the process answers. `/readyz`: it takes requests; 503 while it drains. `/metrics` and
/// `/metrics/forecasts`: for Prometheus.
/// `/webhooks/mlflow`: 202 and a poll. The others are those of [`rest`].
pub(crate) fn router(port: Port) -> Router {
    let mut router = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
        .route("/metrics/forecasts", get(forecasts))
        .merge(rest::router(Arc::clone(&port.cache), port.rest.clone()));
    if port.webhook_secret.is_some() {
        let hook = post(webhook).layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
        router = router.route("/webhooks/mlflow", hook);
    }
    router.with_state(port)
}

/// An absent registry or an unwritable disk is told of and does not make the server unready: it serves what it has.
async fn ready(State(port): State<Port>) -> (StatusCode, String) {
    if !port.health.is_serving() {
        let body = "going away\n".to_owned();
        return (StatusCode::SERVICE_UNAVAILABLE, body);
    }
    let mut body = "ready\n".to_owned();
    if let Some(outage) = &port.cache.state().registry_unreachable {
        let age = port.cache.clock().now().duration_since(outage.since);
        let last = port.cache.registry_last_success();
        let last = last.map_or_else(
            || "has not answered since this server started".to_owned(),
            |last| format!("last answered at {last}"),
        );
        body.push_str(&format!(
            "registry: unreachable since {}, {} seconds ago; {last}; {}\n",
            outage.since,
            age.as_secs(),
            outage.message
        ));
    }
    if let Some(outage) = &*port.cache.forgetful().borrow() {
        body.push_str(&format!(
            "state: not remembered since {}; make room, then it is; {}\n",
            outage.since, outage.message
        ));
    }
    (StatusCode::OK, body)
}

/// OpenMetrics to who asks for it, as Prometheus does; else the format that every tool reads.
async fn text(State(port): State<Port>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let (media_type, text) = match accept {
        Some(accept) if accept.contains("application/openmetrics-text") => {
            (metrics::MEDIA_TYPE, port.metrics.text())
        }
        _ => (metrics::CLASSIC_MEDIA_TYPE, port.metrics.classic_text()),
    };
    match text {
        Ok(text) => ([(header::CONTENT_TYPE, media_type)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What cannot be asked, or is too much, is 400 with the reason and the remedy.
async fn forecasts(State(port): State<Port>, RawQuery(query): RawQuery) -> Response {
    let asked = exposition::asked(query.as_deref().unwrap_or_default(), &port.exposition);
    let told = match asked {
        Ok(ask) => ask.text(Arc::clone(&port.cache)).await,
        Err(error) => Err(error),
    };
    match told {
        Ok(text) => {
            let media_type = [(header::CONTENT_TYPE, metrics::CLASSIC_MEDIA_TYPE)];
            (media_type, text).into_response()
        }
        Err(error @ (Error::Invalid { .. } | Error::Exhausted { .. })) => {
            tracing::debug!(%error, "answering");
            (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "answering");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn webhook(
    State(port): State<Port>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let Some(secret) = &port.webhook_secret else {
        return (StatusCode::NOT_FOUND, "no webhook secret is set\n");
    };
    match secret.check(&headers, &body, port.cache.clock().now()) {
        Ok(()) => {
            port.hints.hint();
            (StatusCode::ACCEPTED, "polling\n")
        }
        Err(reason) => {
            tracing::warn!(reason, "a webhook was refused");
            (StatusCode::UNAUTHORIZED, reason)
        }
    }
}
