//! `MLmodel` and `requirements.txt`, as MLflow's prophet flavor writes them.

use crate::artifact::Metadata;

/// The version of Python's Prophet whose format model.pr is.
pub(crate) const PROPHET_VERSION: &str = "1.5.0";

/// The Python that the format was checked with.
const PYTHON_VERSION: &str = "3.11.7";

/// The content of `MLmodel` (YAML). Both flavors are there: `mlflow.prophet` and `mlflow.pyfunc` each need their own.
pub fn mlmodel_yaml(metadata: &Metadata) -> String {
    let created = metadata.trained_at.strftime("%Y-%m-%d %H:%M:%S.%6f");
    format!(
        "artifact_path: model\n\
         flavors:\n\
         \x20 prophet:\n\
         \x20   code: null\n\
         \x20   data: model.pr\n\
         \x20   model_type: Prophet\n\
         \x20   prophet_version: {PROPHET_VERSION}\n\
         \x20 python_function:\n\
         \x20   data: model.pr\n\
         \x20   loader_module: mlflow.prophet\n\
         \x20   python_version: {PYTHON_VERSION}\n\
         model_size_bytes: {}\n\
         model_uuid: {}\n\
         utc_time_created: '{created}'\n",
        metadata.size_bytes,
        // The digest names the bytes; MLflow wants 32 digits.
        metadata.sha256.get(..32).unwrap_or(&metadata.sha256),
    )
}

/// The content of `requirements.txt`.
pub fn requirements_txt() -> &'static str {
    "mlflow\nprophet==1.5.0\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_name_the_version_of_the_format() {
        assert!(requirements_txt().contains(&format!("prophet=={PROPHET_VERSION}")));
    }
}
