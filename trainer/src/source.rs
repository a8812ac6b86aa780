//! What is read from elsewhere: the bytes of a place, tables in them, history out of Prometheus and datasets of it, models,
//! specs and, through Python, pickles.

pub mod columns;
pub mod dataset;
pub mod location;
pub mod model;
pub mod named;
pub mod parquet;
pub mod pickle;
mod records;
pub mod spec;
pub mod supply;
pub mod table;
