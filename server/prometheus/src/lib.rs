//! What a Prometheus knows, or what speaks its API: Thanos, Mimir, Cortex, VictoriaMetrics. The trainer asks it for months,
//! the server for the last minutes.
//!
//! [`client`] asks, [`named`] makes series of the catalog out of what it finds, [`flags`] are those of a command line.

pub mod access;
mod answer;
pub mod client;
pub mod error;
mod exchange;
pub mod flags;
pub mod named;
pub mod window;
