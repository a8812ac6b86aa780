//! What a dataset tells of one entry: the time that is complete, and the series.

use std::collections::{BTreeMap, BTreeSet};

use loadcast_model::series::{Series, SeriesName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::SCHEMA;
use crate::error::{Error, Result};
use crate::source::location::Location;
use loadcast_prometheus::window::Window;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    schema: u32,
    /// The entry's name, as the catalog writes it.
    pub(super) name: String,
    promql: String,
    step_seconds: u32,
    /// In order, apart from each other.
    complete: Vec<Span>,
    pub(super) series: BTreeMap<SeriesName, Kept>,
}

/// `from..until`, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    from: i64,
    until: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) series: Series,
    /// The labels of the result that it is.
    pub(super) result: BTreeMap<String, String>,
    pub(super) months: BTreeSet<String>,
}

impl Manifest {
    pub(super) fn new(name: &str, promql: &str, step_seconds: u32) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            promql: promql.to_owned(),
            step_seconds,
            complete: Vec::new(),
            series: BTreeMap::new(),
        }
    }

    /// Where it is in the dataset. Two entries differ in their names, and so in these.
    pub(super) fn path(&self) -> String {
        format!("entries/{}.json", SeriesName::cleaned(&self.name))
    }

    pub(super) fn decode(place: &Location, bytes: &[u8]) -> Result<Self> {
        decode(place, bytes)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        json(self)
    }

    /// Whether `declared` is what was collected here before.
    pub(super) fn continues(&self, declared: &Self, dataset: &str) -> Result<()> {
        let differs = if self.promql.trim() != declared.promql.trim() {
            "another expression"
        } else if self.step_seconds != declared.step_seconds {
            "another step"
        } else {
            return Ok(());
        };
        Err(Error::settings(
            format!("{}: {dataset} has history of it by {differs}", self.name),
            "collect it under another name or into another dataset: one name's history is of one kind",
        ))
    }

    pub(super) fn keep(
        &mut self,
        series: Series,
        result: BTreeMap<String, String>,
        months: impl Iterator<Item = String>,
    ) {
        let kept = self.series.entry(series.name.clone());
        let kept = kept.or_insert_with(|| Kept {
            series: series.clone(),
            result,
            months: BTreeSet::new(),
        });
        kept.series = series;
        kept.months.extend(months);
    }

    /// The parts of `window` that are not complete.
    pub(super) fn missing(&self, window: Window) -> Vec<Window> {
        let mut missing = Vec::new();
        let mut from = window.from;
        for span in &self.complete {
            if span.until <= from {
                continue;
            }
            if span.from >= window.until {
                break;
            }
            if span.from > from {
                missing.push(Window::new(from, span.from, window.step));
            }
            from = span.until;
        }
        if from < window.until {
            missing.push(Window::new(from, window.until, window.step));
        }
        missing
    }

    /// `window` is complete.
    pub(super) fn complete(&mut self, window: Window) {
        self.complete.push(Span {
            from: window.from,
            until: window.until,
        });
        self.complete.sort_unstable_by_key(|span| span.from);
        let mut joined: Vec<Span> = Vec::with_capacity(self.complete.len());
        for span in &self.complete {
            match joined.last_mut() {
                Some(last) if span.from <= last.until => last.until = last.until.max(span.until),
                _ => joined.push(*span),
            }
        }
        self.complete = joined;
    }
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value)
        .expect("plain structs with string keys serialise without error");
    json.push(b'\n');
    json
}

pub(super) fn decode<T: DeserializeOwned>(place: &Location, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::source(
            format!("{} is no part of a dataset: {error}", place.shown()),
            "give another place, or bring this file back as it was",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_complete_is_not_missing_and_spans_that_touch_are_one() {
        let mut manifest = Manifest::new("a", "x", 10);
        let window = |from, until| Window::new(from, until, 10);
        assert_eq!(manifest.missing(window(0, 100)), [window(0, 100)]);
        manifest.complete(window(20, 40));
        manifest.complete(window(60, 80));
        assert_eq!(
            manifest.missing(window(0, 100)),
            [window(0, 20), window(40, 60), window(80, 100)]
        );
        assert_eq!(manifest.missing(window(30, 70)), [window(40, 60)]);
        manifest.complete(window(40, 60));
        assert_eq!(manifest.complete.len(), 1);
        assert!(manifest.missing(window(20, 80)).is_empty());
    }
}
