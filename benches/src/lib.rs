//! What `make bench` measures. Each section of the report has its module, and each subject in it a file of its own.

pub mod engine;
pub mod fanout;
mod pushed;
pub mod python;
pub mod report;
pub mod timing;
pub mod trainer;
pub mod unary;
