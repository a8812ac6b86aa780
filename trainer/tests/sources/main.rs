//! Where rows come from, on the real things: Prometheus as Debian packages it, MinIO, and a server that is pushed to.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod collect;
mod exposition;
mod fleet;
mod house;
mod killed;
mod kubernetes;
mod minio;
mod names;
mod scripted;
mod secured;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "several test binaries share it, each uses a part")]
mod server;
mod stages;
mod wire;
