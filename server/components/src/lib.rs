//! Real components that tests drive, each found where `.ci/tools.sh` puts it, started on a free port, and gone with the
//! tests; and a proxy that does to their answers what a network may. For tests alone: no program links it.

// Helpers of tests are tests, which clippy does not see: they panic with what went wrong.
#![allow(clippy::unwrap_used)]

pub mod minio;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod soak;
pub mod tools;
