//! MLflow killed.
