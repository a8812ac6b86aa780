//! `MLmodel` and `requirements.txt`, as MLflow's prophet flavor writes them.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    artifact::Metadata,
    error::{Error, Result},
};

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

/// The longest `MLmodel` that is read. One with a signature and an example has a few kilobytes.
const MAX_MLMODEL_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct MlModel {
    #[serde(default)]
    flavors: BTreeMap<String, Flavor>,
}

/// Why no pickle is read, and what to do with a Prophet in one.
pub(super) const NO_PICKLE: &str = "it is a pickle, and reading one runs the code in it, with Python; \
    turn a Prophet in it into a version of the prophet flavor with loadcast-trainer import, \
    or log it again with mlflow.prophet.log_model";

#[derive(Deserialize)]
#[serde(untagged)]
enum Flavor {
    WithData { data: String },
    Sklearn { pickled_model: String },
    PythonModel { python_model: String },
    WithPath { model_path: String },
    Other(IgnoredAny),
}

impl Flavor {
    /// Whether the flavor reads its file by unpickling it.
    fn is_pickle(&self) -> bool {
        let (Self::Sklearn {
            pickled_model: file,
        }
        | Self::PythonModel { python_model: file }
        | Self::WithPath { model_path: file }
        | Self::WithData { data: file }) = self
        else {
            return false;
        };
        let ends = [".pkl", ".pickle", ".joblib"];
        ends.iter().any(|end| file.ends_with(end))
    }
}

/// The name of the file, beside `MLmodel`, that holds the model: what the prophet flavor says in `data`.
///
/// # Errors
/// [`Error::Corrupt`] for bytes that are no `MLmodel` and for a name that leads out of the folder;
/// [`Error::Unsupported`] for a model of other flavors.
pub fn model_file(mlmodel: &[u8]) -> Result<String> {
    let corrupt = |reason: String| Error::Corrupt {
        what: "MLmodel",
        reason,
    };
    if mlmodel.len() > MAX_MLMODEL_BYTES {
        return Err(corrupt(format!(
            "{} bytes; at most {MAX_MLMODEL_BYTES} are read",
            mlmodel.len()
        )));
    }
    let text = std::str::from_utf8(mlmodel).map_err(|error| corrupt(error.to_string()))?;
    let MlModel { flavors } = serde_saphyr::from_str(text).map_err(|error| {
        let error = error.to_string();
        corrupt(
            error
                .lines()
                .next()
                .unwrap_or_default()
                .chars()
                .take(200)
                .collect(),
        )
    })?;
    match flavors.get("prophet") {
        Some(Flavor::WithData { data }) if is_plain(data) => Ok(data.clone()),
        Some(Flavor::WithData { data }) => {
            let shown: String = data.chars().take(64).collect();
            Err(corrupt(format!(
                "flavors.prophet.data {shown:?} is not a file of its folder"
            )))
        }
        Some(_) => Err(corrupt("flavors.prophet.data is missing".to_owned())),
        None if flavors.is_empty() => Err(corrupt("it names no flavor".to_owned())),
        None => {
            let names = flavors
                .keys()
                .map(|name| name.chars().take(32).collect::<String>());
            let names: Vec<String> = names.take(8).collect();
            Err(Error::unsupported(
                format!("a model of the flavor {}", names.join(", ")),
                if flavors.values().any(Flavor::is_pickle) {
                    NO_PICKLE
                } else {
                    "only Prophet models are read; log it again with mlflow.prophet.log_model"
                },
            ))
        }
    }
}

/// Whether `name` is a file beside, and no path.
fn is_plain(name: &str) -> bool {
    let odd = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
    !name.is_empty() && name != "." && name != ".." && name.len() <= 255 && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_the_prophet_flavor_says() {
        let ours = "flavors:\n  prophet:\n    data: model.pr\n    code: null\n  python_function:\n    data: x\nmodel_uuid: 1\n";
        assert_eq!(model_file(ours.as_bytes()).unwrap(), "model.pr");
    }

    #[test]
    fn another_flavor_is_refused_with_how_to_log_it_again() {
        let pickle = b"flavors:\n  python_function:\n    model_path: model.pkl\n  sklearn:\n    pickled_model: model.pkl\n";
        let error = model_file(pickle).unwrap_err().to_string();
        assert!(error.contains("python_function, sklearn"), "{error}");
        assert!(error.contains("mlflow.prophet.log_model"), "{error}");
    }

    #[test]
    fn a_pickle_is_refused_by_name_with_why_and_the_command_that_imports_it() {
        for flavors in [
            "python_function:\n    model_path: model.pkl\n  sklearn:\n    pickled_model: model.pkl\n    serialization_format: cloudpickle",
            "python_function:\n    loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl",
            "python_function:\n    data: model.joblib",
        ] {
            let pickled = format!("flavors:\n  {flavors}\n");
            let error = model_file(pickled.as_bytes()).unwrap_err().to_string();
            assert!(
                error.contains("it is a pickle, and reading one runs the code in it"),
                "{error}"
            );
            assert!(error.contains("loadcast-trainer import"), "{error}");
        }
        let other = "flavors:\n  onnx:\n    data: model.onnx\n";
        let error = model_file(other.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains("pickle"), "{error}");
    }

    #[test]
    fn hostile_files_are_refused_without_a_panic() {
        let bomb = format!(
            "a: &a [{0}]\nb: &b [{1}]\nc: &c [{2}]\nd: &d [{3}]\ne: &e [{4}]\nflavors: *e\n",
            vec!["x"; 1_000].join(","),
            vec!["*a"; 1_000].join(","),
            vec!["*b"; 1_000].join(","),
            vec!["*c"; 1_000].join(","),
            vec!["*d"; 1_000].join(","),
        );
        for hostile in [
            "",
            "null",
            "[]",
            "flavors",
            "flavors: []",
            "flavors: {prophet: 1}",
            "flavors: {prophet: {data: ../../etc/passwd}}",
            "flavors: {prophet: {data: /etc/passwd}}",
            "flavors: {prophet: {data: ..}}",
            "flavors: {prophet: {data: \"a\\0b\"}}",
            &"[".repeat(100_000),
            &"- ".repeat(100_000),
            &"{a: ".repeat(10_000),
            "\u{0}",
            &bomb,
        ] {
            let error = model_file(hostile.as_bytes()).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Corrupt {
                        what: "MLmodel",
                        ..
                    }
                ),
                "{error}"
            );
        }
        assert!(model_file(&vec![b' '; MAX_MLMODEL_BYTES + 1]).is_err());
    }

    #[test]
    fn requirements_name_the_version_of_the_format() {
        assert!(requirements_txt().contains(&format!("prophet=={PROPHET_VERSION}")));
    }
}
