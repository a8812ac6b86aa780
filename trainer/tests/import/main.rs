//! `loadcast-trainer import` on what the original logged in a real MLflow, and on pickles of every kind.
//!
//! Python's Prophet and MLflow are installed under .tools/python by .ci/tools.sh; where they are absent these tests say
//! so and pass, unless LOADCAST_REQUIRE_ALL=1.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

mod imported;
mod interpreter;
mod original;
mod refused;
