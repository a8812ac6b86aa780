//! The promises of the API, each by a test of its own name.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod p09;
mod p10;
mod p11;
mod p12;
mod p13;
mod p14;
mod soak;
mod storm;
#[path = "../it/support.rs"]
mod support;
