//! Registration in MLflow by its own client, in Python: for models that are imported, and for no others. What a trainer
//! makes is pushed to a server, which registers it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model_folder;
use crate::push;
use crate::python::Python;
use crate::stage::compare_with_python::Faithful;

const SCRIPT: &str = include_str!("python/register_version.py");

/// A version of a registered model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// MLflow's number.
    pub version: u64,
    /// The run that it belongs to.
    pub run_id: Option<String>,
    /// Where the alias pointed before; `None` when it is new, or none was moved.
    pub moved_from: Option<u64>,
    /// The same bytes and series had been registered before; no second version was made.
    pub already_registered: bool,
}

#[derive(Serialize)]
struct Question<'a> {
    tracking_uri: &'a str,
    name: &'a str,
    folder: &'a Path,
    key: &'a str,
    sha256: &'a str,
    tags: BTreeMap<&'static str, String>,
    params: BTreeMap<&'static str, String>,
    alias: Option<&'a str>,
}

/// Registers the model as a version of its series' name, of the prophet flavor, and then moves `alias` where one is
/// given. The same bytes and series are one version, however often they are registered.
///
/// MLflow has no compare-and-set of an alias: the last of two writers wins.
///
/// # Errors
/// [`Error::Source`](crate::error::Error::Source) when MLflow cannot be reached or refuses; it says whether the version
/// exists then.
pub async fn register(
    faithful: &Faithful,
    python: &Python,
    tracking_uri: &str,
    alias: Option<&str>,
) -> Result<Registered> {
    let folder = crate::python::scratch()?;
    let metadata = faithful.metadata();
    model_folder::write(folder.path(), faithful.model_pr(), metadata)?;
    let series = &metadata.series;
    let key = push::imported::key(faithful, None);
    let tags = BTreeMap::from([
        ("loadcast.key", key.clone()),
        ("loadcast.sha256", metadata.sha256.clone()),
        ("loadcast.size_bytes", metadata.size_bytes.to_string()),
        ("loadcast.cutoff", metadata.cutoff.to_string()),
        ("loadcast.imported_from", faithful.place().to_owned()),
        ("loadcast.trainer_version", metadata.trainer_version.clone()),
    ]);
    let params = BTreeMap::from([
        ("step_seconds", series.step_seconds.to_string()),
        ("time_zone", series.zone.to_string()),
        ("rows", metadata.rows.to_string()),
        ("data_sha256", metadata.data_sha256.clone()),
    ]);
    let question = Question {
        tracking_uri,
        name: series.name.as_ref(),
        folder: folder.path(),
        key: &key,
        sha256: &metadata.sha256,
        tags,
        params,
        alias,
    };
    python.ask(SCRIPT, &question).await
}

impl fmt::Display for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<18}version {}", "register", self.version)?;
        if self.already_registered {
            write!(f, " (registered before; no second one was made)")?;
        }
        Ok(())
    }
}
