//! The four stages. Each consumes what the one before it made, so none can be left out.

pub mod prepare_features;
pub mod train;
pub mod validate_data;
pub mod validate_model;
