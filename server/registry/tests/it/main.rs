//! The registries against what they promise, on the real things where there are any.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod conformance;
mod faults;
mod follow;
mod mirror;
mod mlflow;
mod prunes;
mod pushes;
mod sample;
