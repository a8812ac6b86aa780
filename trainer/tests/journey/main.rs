//! The whole way: rows, four stages, push, registry, swap, subscriber; and what the trainer says offline.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod fit;
mod offline;
mod real_rows;
mod served;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "several test binaries share it, each uses a part")]
mod server;
mod support;
