//! The four stages. Each consumes what the one before it made, so none can be left out. A model that is imported was
//! trained elsewhere; it passes one stage of its own instead.

pub mod compare_with_python;
pub mod prepare_features;
pub mod train;
pub mod validate_data;
pub mod validate_model;
