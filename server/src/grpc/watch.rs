//! Streams on their way out: updates become messages, and what many are told is encoded once.

pub(crate) mod forecasts;
pub(crate) mod models;
