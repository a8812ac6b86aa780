//! What both ports answer to plain HTTP: is it alive, is it ready.

use axum::{Router, http::StatusCode, routing::get};

use crate::grpc::health::Health;

/// `/livez`: the process answers. `/readyz`: it takes requests; 503 while it drains.
pub(crate) fn router(health: Health) -> Router {
    let ready = move || {
        let health = health.clone();
        async move {
            if health.is_serving() {
                (StatusCode::OK, "ready\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "going away\n")
            }
        }
    };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
}
