//! Turns rows of metrics into a validated forecast model and pushes it.
//!
//! [`pipeline`] is the whole way: a [`source::table::Table`] of rows, then the four stages of [`stage`], each consuming
//! what the one before it made, then [`push`]. Only an approved model can be pushed; anything else does not compile.

pub mod answer;
pub mod command;
pub mod console;
pub mod declaration;
pub mod error;
pub mod generate;
pub mod handover;
pub mod mlflow;
pub mod model_folder;
mod observations;
pub mod output;
pub mod pipeline;
pub mod push;
pub mod python;
pub mod replay;
pub mod report;
pub mod source;
pub mod stage;
pub mod telemetry;
pub mod time;
pub mod verdict;
