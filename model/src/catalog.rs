//! The catalog: which series there are, where their values come from, and how each is trained and judged.
//! Schedules and shadow triggers are read and checked too, and kept for the server: nothing acts on them yet.
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
//! [series.schedule]                # kept for the server: read and checked, nothing acts on it yet
//! every = "6h"
//!
//! [series.gates]
//! min_skill = 0.0
//! ```

mod read;
mod template;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use self::template::Template;
use crate::{
    backtest::Method,
    series::{SeriesName, Unit, ZeroMeans},
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
    /// When it is to be trained again. Kept for the server: nothing acts on it yet.
    pub schedule: Option<Schedule>,
    /// What a model must pass.
    pub gates: Gates,
    /// Triggers to try out. Kept for the server: nothing evaluates them yet.
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

/// When a series is to be trained again. Kept for the server: nothing acts on it yet.
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

/// What a trigger of a ScaledObject would ask. Kept for the server: nothing evaluates it yet. Keys are those of the trigger's metadata, so
/// that one that proved itself is copied over.
#[derive(Debug, Clone, PartialEq)]
pub struct ShadowTrigger {
    /// Unique within the entry.
    pub name: String,
    /// Per pod, in the series' unit; above 0.
    pub target: f64,
    /// Seconds ahead that are looked at.
    pub lead_time_seconds: i64,
    /// What the window is reduced to.
    pub aggregate: Aggregate,
    /// Which forecast.
    pub quantile: Level,
    /// Active strictly above.
    pub activation_target: f64,
    /// Multiplies the value.
    pub scale: f64,
    /// Added as a fraction of the value.
    pub margin: f64,
    /// The value is at least this.
    pub clamp_min: Option<f64>,
    /// The value is at most this.
    pub clamp_max: Option<f64>,
}

/// What a window of forecasts is reduced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The largest.
    #[default]
    Max,
    /// The mean.
    Avg,
    /// The last.
    Last,
}

/// Which forecast of an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level {
    /// yhat.
    Point,
    /// The quantile at a level in (0, 1).
    Quantile(f64),
}

/// The step of an expression's series for which none is declared.
pub const DEFAULT_STEP_SECONDS: u32 = 300;

impl Entry {
    /// The labels of series of this entry, of which `of_result` are those of the result: what the entry says comes
    /// before them.
    ///
    /// # Errors
    /// Those of [`Template::fill`].
    pub fn series_labels(
        &self,
        of_result: &BTreeMap<String, String>,
    ) -> crate::error::Result<BTreeMap<String, String>> {
        let mut labels = of_result.clone();
        for (key, template) in &self.labels {
            labels.insert(key.clone(), template.fill(of_result)?);
        }
        Ok(labels)
    }
}

#[cfg(test)]
mod tests;
