//! What is served beside gRPC, over real sockets: the REST of the original, browsers, and forecasts for Prometheus.
//!
//! Python's Prophet and FastAPI, and Prometheus, are put under .tools by .ci/tools.sh; where one is absent its tests say so
//! and pass, unless LOADCAST_REQUIRE_ALL=1.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod browser;
mod equal;
mod forecasts;
mod models;
mod openapi;
mod original;
mod prometheus;
mod receiver;
mod refused;
#[path = "../it/support.rs"]
mod support;
