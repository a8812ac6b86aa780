//! Every rule of stage 1 and every gate of stage 4 has data that breaks it, and only it.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod brake;
mod gates;
mod level_shift;
mod prepared;
mod rules;
#[path = "../shared/server.rs"]
#[allow(dead_code, reason = "several test binaries share it, each uses a part")]
mod server;
mod support;
