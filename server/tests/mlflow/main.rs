//! The server on a real MLflow: what strangers do to it, what a network does to it, and when it is gone.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod disk;
mod faults;
mod follow;
mod kill;
mod many;
mod outage;
mod pushes;
mod real;
mod scene;
#[path = "../it/support.rs"]
mod support;
