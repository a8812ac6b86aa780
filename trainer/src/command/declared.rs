//! The flags that declare series: a catalog, or one expression.

use std::sync::Arc;

use loadcast_model::catalog::Catalog;

use crate::error::{Error, Result};
use crate::source::location;
use crate::time::read_length;

/// A catalog, or one entry of it.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// What series there are and where their values come from: see deploy/catalog
    #[arg(long, env = "LOADCAST_CATALOG", value_name = "FILE.toml", conflicts_with_all = ["promql", "name"])]
    catalog: Option<String>,
    /// One expression for Prometheus, in place of a catalog
    #[arg(
        long,
        env = "LOADCAST_PROMQL",
        value_name = "EXPRESSION",
        requires = "name"
    )]
    promql: Option<String>,
    /// The name of its series; with labels in braces where it gives many: {namespace}.{workload}.cpu
    #[arg(
        long,
        env = "LOADCAST_NAME",
        value_name = "TEMPLATE",
        requires = "promql"
    )]
    name: Option<String>,
    /// The unit of its values: cores, bytes, 1/s, percent or 1
    #[arg(long, env = "LOADCAST_UNIT", value_name = "UNIT", requires = "promql")]
    unit: Option<String>,
    /// How much history is asked of Prometheus, and read of a dataset [default: what is trained on, --max-train or the
    /// catalog's max_train, and the 31 days that the gate of a month needs before it]
    #[arg(long, env = "LOADCAST_HISTORY", value_parser = read_length, value_name = "DURATION")]
    pub(super) history: Option<i64>,
}

impl Args {
    /// The catalog that the flags give; `None` where they give none.
    ///
    /// # Errors
    /// [`Error::Source`] when the file cannot be read; [`Error::Settings`] naming entry, key and remedy.
    pub(super) async fn catalog(&self, step: Option<i64>) -> Result<Option<Arc<Catalog>>> {
        let (text, place) = match (&self.catalog, &self.promql, &self.name) {
            (Some(place), ..) => {
                let bytes = location::read(place).await?;
                let text = String::from_utf8(bytes.into()).map_err(|_| {
                    Error::settings(format!("--catalog {place} is no text"), "give a TOML file")
                })?;
                (text, format!("--catalog {place}"))
            }
            (None, Some(promql), Some(name)) => {
                (self.entry(name, promql, step), "--promql".to_owned())
            }
            _ => return Ok(None),
        };
        let catalog: std::result::Result<Catalog, _> = text.parse();
        catalog.map(|it| Some(Arc::new(it))).map_err(|error| {
            Error::settings(
                format!("{place}: {error}"),
                "change what it names; deploy/catalog/kubernetes.toml shows every kind of entry",
            )
        })
    }

    /// The one expression as a catalog says it.
    fn entry(&self, name: &str, promql: &str, step: Option<i64>) -> String {
        let mut entry = toml::Table::new();
        entry.insert("name".to_owned(), name.into());
        entry.insert("promql".to_owned(), promql.into());
        if let Some(unit) = &self.unit {
            entry.insert("unit".to_owned(), unit.as_str().into());
        }
        if let Some(step) = step {
            entry.insert("step".to_owned(), format!("{step}s").into());
        }
        let series = toml::Value::Array(vec![entry.into()]);
        toml::Table::from_iter([("series".to_owned(), series)]).to_string()
    }
}
