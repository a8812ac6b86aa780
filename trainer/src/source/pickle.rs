//! A Prophet in a pickle: where it is, and what Python says is in it.
//!
//! A pickle is a program: reading it runs what it holds. So it is read by Python, in a process of its own, when whoever
//! asks has said that its writer is trusted; and never by a server.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use loadcast_model::holiday::Holiday;
use loadcast_model::inputs::Inputs;
use loadcast_model::series::SeriesName;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::python::Python;

const SCRIPT: &str = include_str!("../python/read_pickle.py");

/// Where a pickle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `models:/NAME/3`, `models:/NAME@ALIAS`, `models:/NAME/STAGE` or `models:/m-ID`.
    Registered(String),
    /// `runs:/RUN_ID/PATH`.
    Run(String),
    /// A file, or a folder that MLflow wrote.
    Local(String),
}

/// What Python found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// Where it was, an alias resolved to the version it pointed at.
    pub place: String,
    /// The file.
    pub pickle: Pickle,
    /// The class that the pickle holds: Prophet, or what wraps it.
    pub holder: String,
    /// When MLflow logged it or the file was written; `None` where MLflow does not say.
    pub logged_at: Option<Timestamp>,
    /// Which Python and Prophet read it.
    pub python: String,
    /// As Prophet's model_to_json writes it.
    pub model_json: String,
    /// Rows that it was fitted to.
    pub rows: u64,
    /// The most usual spacing of these rows.
    pub step_seconds: u32,
    /// Lower-case hex of the SHA-256 of these rows' times and values.
    pub data_sha256: String,
    /// The grid that predict() was asked, in seconds of the wall clock.
    pub times: Vec<i64>,
    /// What stood beside these times.
    pub inputs: AskedInputs,
    /// Days of a country's holidays, where the model has any.
    pub holidays: Vec<Holiday>,
    /// What predict() said.
    pub yhat: Vec<f64>,
    /// The same, of its trend.
    pub trend: Vec<f64>,
}

/// A pickle, named so that what was trusted can be found again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pickle {
    /// The name of the file.
    pub name: String,
    /// Its length.
    pub size_bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
    /// The MLflow flavor that names it.
    pub flavor: String,
}

/// Columns beside the grid, as [`Inputs`] has them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedInputs {
    cap: Vec<f64>,
    floor: Vec<f64>,
    regressors: std::collections::BTreeMap<String, Vec<f64>>,
    conditions: std::collections::BTreeMap<String, Vec<bool>>,
}

#[derive(Serialize)]
struct Question<'a> {
    place: String,
    fetch: bool,
    tracking_uri: Option<&'a str>,
    trust_pickle: bool,
}

/// Has `python` fetch and read the pickle at `place`, and forecast a grid by it.
///
/// # Errors
/// [`Error::Settings`] without `trust_pickle`, naming the pickle and its digest, and for a Python that cannot do it;
/// [`Error::Source`] for a place that has none or cannot be reached; [`Error::Model`] when it holds no Prophet, one
/// that was never fitted, or one of a version that this Python's Prophet cannot read.
pub async fn read(
    python: &Python,
    place: &Place,
    tracking_uri: Option<&str>,
    trust_pickle: bool,
) -> Result<Imported> {
    let fetch = !matches!(place, Place::Local(_));
    if fetch && tracking_uri.is_none() {
        return Err(Error::settings(
            format!("{place} is in MLflow, and nobody said where that is"),
            "give --tracking-uri http://HOST:PORT, or set MLFLOW_TRACKING_URI",
        ));
    }
    let question = Question {
        place: place.to_string(),
        fetch,
        tracking_uri,
        trust_pickle,
    };
    python.ask(SCRIPT, &question).await
}

impl Place {
    /// The registered model's name, where that can be a series'.
    #[must_use]
    pub fn series(&self) -> Option<SeriesName> {
        let Self::Registered(uri) = self else {
            return None;
        };
        let name = uri.strip_prefix("models:/")?;
        let (name, _) = name.rsplit_once(['/', '@'])?;
        name.parse().ok()
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        const FORMS: &str = "write models:/NAME/3, models:/NAME@ALIAS, runs:/RUN_ID/PATH, or the path of a file or folder";
        let wrong = |what: &str| Err(format!("`{text}` {what}: {FORMS}"));
        if let Some(name) = text.strip_prefix("models:/") {
            let parts = match name.rsplit_once(['/', '@']) {
                Some((name, version)) => {
                    !name.is_empty() && !name.contains(['/', '@', ':']) && !version.is_empty()
                }
                None => name.len() > 2 && name.starts_with("m-"),
            };
            return if parts {
                Ok(Self::Registered(text.to_owned()))
            } else {
                wrong("names no version of a registered model")
            };
        }
        if let Some(run) = text.strip_prefix("runs:/") {
            return match run.split_once('/') {
                Some((id, path)) if !id.is_empty() && !path.is_empty() => {
                    Ok(Self::Run(text.to_owned()))
                }
                _ => wrong("names no artifact of a run"),
            };
        }
        match text.split_once(":/") {
            Some((scheme, _)) => wrong(&format!("is a {scheme}: URL, which is not read here")),
            None if text.is_empty() => wrong("is empty"),
            None => Ok(Self::Local(text.to_owned())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(text) | Self::Run(text) | Self::Local(text) => f.write_str(text),
        }
    }
}

impl Imported {
    /// What stood beside the grid, and the days of holidays.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        Inputs {
            cap: self.inputs.cap.clone(),
            floor: self.inputs.floor.clone(),
            regressors: self.inputs.regressors.clone(),
            conditions: self.inputs.conditions.clone(),
            holidays: self.holidays.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_name_their_series() {
        for (text, series) in [
            ("models:/CPU_Prophet_Model/3", Some("CPU_Prophet_Model")),
            ("models:/shop.web.cpu@champion", Some("shop.web.cpu")),
            (
                "models:/CPU_Prophet_Model/Production",
                Some("CPU_Prophet_Model"),
            ),
            ("models:/two words/3", None),
            ("models:/m-0123456789abcdef", None),
            ("runs:/0123456789abcdef/model", None),
            ("some/model.pkl", None),
            ("/var/models/cpu", None),
        ] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place.to_string(), text);
            let named = place.series().map(|name| name.to_string());
            assert_eq!(named.as_deref(), series, "{text}");
        }
    }

    #[test]
    fn a_wrong_uri_is_refused_with_the_forms_there_are() {
        for text in [
            "",
            "models:/",
            "models:/CPU_Prophet_Model",
            "models:/CPU_Prophet_Model/",
            "models:/a/b/3",
            "models://host/a/3",
            "runs:/",
            "runs:/0123456789abcdef",
            "runs:/0123456789abcdef/",
            "s3://bucket/model.pkl",
            "http://127.0.0.1:5000",
        ] {
            let error = text.parse::<Place>().unwrap_err();
            assert!(
                error.contains("models:/NAME@ALIAS, runs:/RUN_ID/PATH"),
                "{error}"
            );
        }
    }
}
