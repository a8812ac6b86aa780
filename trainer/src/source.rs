//! What is read from files: the bytes of a place, the text columns of a CSV table in them, models and specs.

pub mod columns;
pub mod location;
pub mod model;
mod records;
pub mod spec;
pub mod table;
