//! The catalog: which series there are, where their values come from, and how each is trained and judged.
//! Shadow triggers the server decides and records, and nothing acts on them.
//!
//! One file for trainer and server, `catalog.toml`. Every key is known or refused; every error names the entry, the key
//! and what to write instead:
//!
//! ```toml
//! [defaults]                       # of every entry that does not say otherwise
//! step = "5m"
//! time_zone = "Europe/Berlin"
//!
//! [[series]]
//! name = "{namespace}.{workload}.cpu"   # one expression, many series: {label} is a label of a result
//! promql = "sum by (namespace, workload) (...)"   # or column = "cpu_mean_5m"
//! unit = "cores"
//! search = true                    # or spec = { weekly_seasonality = true }
//! labels = { signal = "cpu" }
//!
//! [series.schedule]                # a server calls a model stale that is older than two of these
//! every = "6h"
//!
//! [series.gates]                   # of the trainer before it promotes, and of the server on live scores
//! min_skill = 0.0
//! ```

mod read;
mod template;

use std::collections::BTreeMap;

pub use self::template::Template;
use crate::{
    backtest::Method,
    error::Result,
    series::{SeriesName, Unit, ZeroMeans},
    trigger::Trigger,
    zone::Zone,
};

/// Declared series, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// At least one; no two of one name.
    pub entries: Vec<Entry>,
}

/// One series, or as many as an expression has results.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Of the series; with labels in braces where there are many.
    pub name: Template,
    /// Of the series, beside those of the result.
    pub labels: BTreeMap<String, Template>,
    /// Where the values come from.
    pub source: Source,
    /// Of the values.
    pub unit: Option<Unit>,
    /// Spacing of the grid, in seconds; `None`: 300 of an expression, the data's own of a column.
    pub step_seconds: Option<u32>,
    /// The zone whose wall clock the series follows.
    pub zone: Zone,
    /// What an observed zero says.
    pub zero_means: ZeroMeans,
    /// The series whose history this one continues; only of an entry that is one series.
    pub predecessor: Option<SeriesName>,
    /// How it is trained; `None`: as the command line says.
    pub method: Option<Method>,
    /// The most recent history that is trained on, in seconds; `None`: as the command line says.
    pub max_train_seconds: Option<i64>,
    /// When it is to be trained again.
    pub schedule: Option<Schedule>,
    /// What a model must pass.
    pub gates: Gates,
    /// Triggers to try out: the server decides and records what they would be told.
    pub shadow: Vec<ShadowTrigger>,
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An expression of Prometheus.
    Promql(String),
    /// A column of a table.
    Column(String),
}

/// When a series is to be trained again: a server takes the limit of a model's age from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Seconds from one training to the next.
    pub every_seconds: i64,
    /// Each training begins up to so many seconds later, so that not all do at once.
    pub jitter_seconds: Option<i64>,
    /// Whether errors that grow bring the next training forward.
    pub on_drift: bool,
}

/// What a model must pass; `None` is the default of whoever judges.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Gates {
    /// The least skill against the seasonal naive: 0 is as good as it.
    pub min_skill: Option<f64>,
    /// The least share of observations that the band held, in [0, 1].
    pub min_coverage: Option<f64>,
    /// The largest share of the history that may be censored, in [0, 1].
    pub max_censored_share: Option<f64>,
}

/// What a trigger of a ScaledObject would ask. Settings are those of the trigger's metadata, so that one that proved itself is copied over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowTrigger {
    /// Unique within the entry.
    pub name: String,
    /// As a trigger's metadata would have them, without `series`.
    settings: BTreeMap<String, String>,
}

/// The step of an expression's series for which none is declared.
pub const DEFAULT_STEP_SECONDS: u32 = 300;

impl ShadowTrigger {
    /// The trigger for `series`, one of the entry's.
    ///
    /// # Errors
    /// Those of [`Trigger::read`]; none for one that was read with its catalog.
    pub fn of(&self, series: &SeriesName) -> Result<Trigger> {
        let mut metadata = self.settings.clone();
        metadata.insert("series".to_owned(), series.as_ref().to_owned());
        Trigger::read(&metadata)
    }
}

impl Entry {
    /// The labels of series of this entry, of which `of_result` are those of the result: what the entry says comes
    /// before them.
    ///
    /// # Errors
    /// Those of [`Template::fill`].
    pub fn series_labels(
        &self,
        of_result: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let mut labels = of_result.clone();
        for (key, template) in &self.labels {
            labels.insert(key.clone(), template.fill(of_result)?);
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests;
