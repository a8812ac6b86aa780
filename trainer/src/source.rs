//! Rows from files: the bytes of a place, and the text columns of a CSV table in them.

pub mod columns;
pub mod location;
mod records;
pub mod table;
