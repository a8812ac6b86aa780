//! Loadcast's server: forecasts out of a hot-swappable cache, over gRPC and HTTP.
//!
//! A forecast goes straight down and straight back: [`layers`] -> `grpc/forecast.rs` -> [`cache`] (pin) -> [`answer`]
//! -> `grpc/convert`. A model comes by one of two inlets, [`publish`] (push) or [`refresh`] (registry), both of which
//! verify ([`load`]) and end in one door, [`cache::Cache::commit`]: durable ([`state`]), then visible ([`served`]),
//! then told ([`event_log`]). [`app`] is the one place that knows everybody.

pub mod answer;
pub mod app;
pub mod aspired;
pub mod backoff;
pub mod bounds;
mod browser;
pub mod cache;
pub mod candidate;
pub mod catalog;
pub mod clock;
pub mod commit;
pub mod config;
mod edge;
pub mod error;
pub mod event;
pub mod event_log;
pub mod exposition;
pub mod feed;
pub mod freshness;
mod grpc;
mod http_port;
pub mod lanes;
pub mod layers;
pub mod live;
pub mod load;
mod memo;
pub mod metrics;
pub mod obtain;
pub mod plan;
pub mod poller;
pub mod publish;
pub mod question;
pub mod reclaim;
pub mod recommendation;
pub mod refresh;
mod remote_write;
mod rest;
pub mod retention;
pub mod scaler;
pub mod selector;
pub mod served;
pub mod shutdown;
pub mod state;
pub mod telemetry;
pub mod token;
pub mod webhook;
pub mod window;
