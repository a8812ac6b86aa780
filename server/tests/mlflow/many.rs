//! Many models on a real MLflow.
