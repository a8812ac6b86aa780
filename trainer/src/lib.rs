//! Turns rows of metrics into a validated forecast model and pushes it.
//!
//! [`pipeline`] is the way of one series: a [`source::table::Table`] of rows, then the four stages of [`stage`], each
//! consuming what the one before it made; [`fleet`] takes many along it, then [`push`]es. Only an approved model can be
//! pushed; anything else does not compile.

pub mod answer;
pub mod brake;
pub mod champion;
pub mod checks;
pub mod command;
pub mod console;
pub mod declaration;
pub mod error;
pub mod fleet;
pub mod generate;
pub mod handover;
mod lock;
pub mod mlflow;
pub mod model_folder;
mod observations;
pub mod output;
pub mod page;
pub mod pipeline;
pub mod plot;
pub mod push;
pub mod python;
pub mod replay;
pub mod report;
pub mod service;
pub mod source;
pub mod stage;
pub mod telemetry;
pub mod time;
pub mod verdict;
