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
mod prometheus;
mod scripted;
mod secured;
mod stages;
mod wire;
