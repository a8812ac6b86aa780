//! What KEDA is told, rule by rule of its contract: the wire as KEDA speaks it, real sockets, and a clock that is set.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod decisions;
mod house;
mod keda;
mod ladder;
mod observed;
mod ramp;
mod rules;
mod shadow;
mod storm;
#[path = "../it/support.rs"]
mod support;
