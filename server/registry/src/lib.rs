//! Model registries: where versions are durable and aliases say which one is meant.
//!
//! [`Registry`](registry::Registry) states the guarantees; every implementation runs the same conformance suite
//! (`tests/it/conformance.rs`). [`ObjectRegistry`](object::ObjectRegistry) keeps versions on an object store: S3, Google
//! Cloud Storage, Azure, a local folder, or memory. [`MlflowRegistry`](mlflow::MlflowRegistry)
//! follows and writes an MLflow server; [`Mirrored`](mirror::Mirrored) keeps a copy of another registry for when that does
//! not answer, [`ReadOnly`](read_only::ReadOnly) follows one and never writes. [`open`](open::open) makes one from a URL.
//!
//! This is a crate of its own, nested in `server/`, so that the server (which writes and follows a registry) and the
//! trainer (which reads the champion it must beat) share it without importing each other, and `model/` stays free of I/O.

pub mod bucket;
pub mod environment;
pub mod error;
pub mod manifest;
pub mod mirror;
pub mod mlflow;
pub mod object;
pub mod open;
pub mod read_only;
pub mod registry;
