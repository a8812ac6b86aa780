//! What is read from files: the bytes of a place, the text columns of a CSV table in them, models, specs
//! and, through Python, pickles.

pub mod columns;
pub mod location;
pub mod model;
pub mod parquet;
pub mod pickle;
pub mod prometheus;
mod records;
pub mod spec;
pub mod table;
