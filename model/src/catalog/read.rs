//! From the text of a catalog to its types: what TOML says, then what that means, entry by entry and key by key.

use std::{collections::BTreeMap, collections::BTreeSet, str::FromStr};

use serde::Deserialize;
use toml::de::Error as TomlError;

use super::{Catalog, Entry, Gates, Schedule, ShadowTrigger, Source, Template};
use crate::{
    backtest::Method,
    error::{Error, Result},
    length::{DAY, read_length},
    series::{SeriesName, ZeroMeans},
    spec::Spec,
    trigger::unknown_keys,
};

/// Entries beyond this are not a catalog but a listing: one expression declares many series.
const MAX_ENTRIES: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    series: Vec<Raw>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Defaults {
    labels: BTreeMap<String, String>,
    step: Option<String>,
    time_zone: Option<String>,
    zero_means: Option<ZeroMeans>,
    search: Option<bool>,
    spec: Option<Spec>,
    max_train: Option<String>,
    schedule: Option<RawSchedule>,
    gates: Option<RawGates>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Option<String>,
    promql: Option<String>,
    column: Option<String>,
    unit: Option<String>,
    predecessor: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    step: Option<String>,
    time_zone: Option<String>,
    zero_means: Option<ZeroMeans>,
    search: Option<bool>,
    spec: Option<Spec>,
    max_train: Option<String>,
    schedule: Option<RawSchedule>,
    gates: Option<RawGates>,
    #[serde(default)]
    shadow: Vec<toml::Table>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSchedule {
    every: String,
    jitter: Option<String>,
    #[serde(default)]
    on_drift: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawGates {
    min_skill: Option<f64>,
    min_coverage: Option<f64>,
    max_censored_share: Option<f64>,
    // Refused: no gate acts on them, and whoever writes them counts on one.
    max_coverage: Option<toml::Value>,
    min_value: Option<toml::Value>,
    max_value: Option<toml::Value>,
    max_model_age: Option<toml::Value>,
    max_data_age: Option<toml::Value>,
}

impl RawGates {
    /// Gate by gate, what is not set here as `defaults` set it.
    fn or(self, defaults: Self) -> Self {
        Self {
            min_skill: self.min_skill.or(defaults.min_skill),
            min_coverage: self.min_coverage.or(defaults.min_coverage),
            max_censored_share: self.max_censored_share.or(defaults.max_censored_share),
            max_coverage: self.max_coverage.or(defaults.max_coverage),
            min_value: self.min_value.or(defaults.min_value),
            max_value: self.max_value.or(defaults.max_value),
            max_model_age: self.max_model_age.or(defaults.max_model_age),
            max_data_age: self.max_data_age.or(defaults.max_data_age),
        }
    }
}

/// An entry that is being read: where its errors are.
struct Place(String);

impl FromStr for Catalog {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        if file.series.is_empty() {
            return Err(Error::invalid(
                "catalog",
                "it declares no series; write [[series]] with name and promql or column",
            ));
        }
        if file.series.len() > MAX_ENTRIES {
            return Err(Error::invalid(
                "catalog",
                format!(
                    "{} entries, at most {MAX_ENTRIES} are read; let one expression give many series by a template of its name",
                    file.series.len()
                ),
            ));
        }
        let mut names = BTreeSet::new();
        let mut entries = Vec::with_capacity(file.series.len());
        for (at, raw) in file.series.into_iter().enumerate() {
            let entry = entry(at + 1, raw, &file.defaults)?;
            if !names.insert(entry.name.clone()) {
                return Err(Error::invalid(
                    "catalog",
                    format!(
                        "two entries have the name {}; give each its own",
                        entry.name
                    ),
                ));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}

fn syntax(text: &str, error: &TomlError) -> Error {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map_or(1, |before| 1 + before.matches('\n').count());
    Error::invalid(
        format!("catalog, line {line}"),
        error.message().trim().replace('\n', ", "),
    )
}

fn entry(number: usize, raw: Raw, defaults: &Defaults) -> Result<Entry> {
    let place = Place(match &raw.name {
        Some(name) => format!("catalog entry {number} ({name})"),
        None => format!("catalog entry {number}"),
    });
    let name = raw.name.as_deref().ok_or_else(|| {
        place.wrong("name", "missing; write a series' name, or a template such as {namespace}.{workload}.cpu of a promql's results")
    })?;
    let name: Template = place.read("name", name)?;
    let source = match (raw.promql, raw.column) {
        (Some(promql), None) if !promql.trim().is_empty() => Source::Promql(promql),
        (None, Some(column)) if !column.is_empty() => Source::Column(column),
        (Some(_), Some(_)) => {
            return Err(place.wrong("column", "stands beside promql; keep one of them"));
        }
        _ => {
            return Err(place.wrong("promql", "missing or empty; write promql = \"EXPRESSION\", or column = \"NAME\" for a column of a table"));
        }
    };
    match (&source, name.is_fixed()) {
        (Source::Column(_), false) => {
            return Err(place.wrong(
                "name",
                "has labels in braces, which a column has not; write the series' name",
            ));
        }
        (_, true) => drop(place.read::<SeriesName>("name", name.as_str())?),
        _ => {}
    }
    let predecessor = raw
        .predecessor
        .map(|text| place.read::<SeriesName>("predecessor", &text));
    let predecessor = predecessor.transpose()?;
    if predecessor.is_some() && !name.is_fixed() {
        return Err(place.wrong(
            "predecessor",
            "stands in an entry of many series; give the renamed series an entry of its own",
        ));
    }
    let mut labels = BTreeMap::new();
    for (key, text) in defaults.labels.iter().chain(&raw.labels) {
        let template: Template = place.read(&format!("labels.{key}"), text)?;
        if matches!(source, Source::Column(_)) && !template.is_fixed() {
            return Err(place.wrong(
                &format!("labels.{key}"),
                "has labels in braces, which a column has not; write the value",
            ));
        }
        labels.insert(key.clone(), template);
    }
    let unit = raw.unit.map(|text| place.read("unit", &text)).transpose()?;
    let zone = raw.time_zone.as_ref().or(defaults.time_zone.as_ref());
    let zone = zone.map(|text| place.read("time_zone", text)).transpose()?;
    let step = place.length("step", raw.step.as_ref().or(defaults.step.as_ref()))?;
    let step_seconds = step
        .map(|step| {
            u32::try_from(step)
                .ok()
                .filter(|step| i64::from(*step) <= DAY)
                .ok_or_else(|| place.wrong("step", "longer than a day; write one such as 5m"))
        })
        .transpose()?;
    let method = match (raw.search, raw.spec) {
        (None, None) => (defaults.search, defaults.spec.clone()),
        own => own,
    };
    let method = match method {
        (Some(true), Some(_)) => {
            return Err(place.wrong("spec", "stands beside search = true; keep one of them"));
        }
        (Some(true), None) => Some(Method::Search),
        (_, Some(spec)) => Some(Method::Spec(Box::new(spec))),
        (Some(false), None) => Some(Method::Spec(Box::default())),
        (None, None) => None,
    };
    let schedule = raw.schedule.or_else(|| defaults.schedule.clone());
    let (gates, of_all) = (raw.gates.unwrap_or_default(), defaults.gates.clone());
    let gates = place.gates(&gates.or(of_all.unwrap_or_default()))?;
    let shadow = place.shadow(raw.shadow, &name)?;
    Ok(Entry {
        name,
        labels,
        source,
        unit,
        step_seconds,
        zone: zone.unwrap_or_default(),
        zero_means: raw.zero_means.or(defaults.zero_means).unwrap_or_default(),
        predecessor,
        method,
        max_train_seconds: place.length(
            "max_train",
            raw.max_train.as_ref().or(defaults.max_train.as_ref()),
        )?,
        schedule: schedule.map(|raw| place.schedule(&raw)).transpose()?,
        gates,
        shadow,
    })
}

impl Place {
    fn wrong(&self, key: &str, reason: impl Into<String>) -> Error {
        Error::invalid(format!("{}, key {key}", self.0), reason)
    }

    fn read<T: FromStr<Err = Error>>(&self, key: &str, text: &str) -> Result<T> {
        text.parse().map_err(|error| match error {
            Error::Invalid { reason, .. } => self.wrong(key, reason),
            other => self.wrong(key, other.to_string()),
        })
    }

    fn length(&self, key: &str, text: Option<&String>) -> Result<Option<i64>> {
        let read = |text: &String| read_length(text).map_err(|reason| self.wrong(key, reason));
        text.map(read).transpose()
    }

    fn within(&self, key: &str, value: Option<f64>, least: f64, most: f64) -> Result<Option<f64>> {
        match value {
            Some(value) if !(least..=most).contains(&value) || !value.is_finite() => {
                Err(self.wrong(key, format!("{value} is not from {least} to {most}")))
            }
            value => Ok(value),
        }
    }

    fn schedule(&self, raw: &RawSchedule) -> Result<Schedule> {
        let every = self.length("schedule.every", Some(&raw.every))?;
        Ok(Schedule {
            every_seconds: every.unwrap_or(DAY),
            jitter_seconds: self.length("schedule.jitter", raw.jitter.as_ref())?,
            on_drift: raw.on_drift,
        })
    }

    fn gates(&self, raw: &RawGates) -> Result<Gates> {
        const BOUNDS: &str = "bound the forecast itself by --floor and --cap";
        const AGES: &str = "write it into the trigger, as maxModelAge or maxDataAge";
        for (key, value, instead) in [
            (
                "max_coverage",
                &raw.max_coverage,
                "only min_coverage is judged",
            ),
            ("min_value", &raw.min_value, BOUNDS),
            ("max_value", &raw.max_value, BOUNDS),
            ("max_model_age", &raw.max_model_age, AGES),
            ("max_data_age", &raw.max_data_age, AGES),
        ] {
            if value.is_some() {
                return Err(self.wrong(
                    &format!("gates.{key}"),
                    format!("this version has no such gate; take it out: {instead}"),
                ));
            }
        }
        Ok(Gates {
            min_skill: self.within("gates.min_skill", raw.min_skill, f64::MIN, 1.0)?,
            min_coverage: self.within("gates.min_coverage", raw.min_coverage, 0.0, 1.0)?,
            max_censored_share: self.within(
                "gates.max_censored_share",
                raw.max_censored_share,
                0.0,
                1.0,
            )?,
        })
    }

    fn shadow(&self, raws: Vec<toml::Table>, name: &Template) -> Result<Vec<ShadowTrigger>> {
        // Names of many series are known with their results; any stands in for them.
        let series = match name.is_fixed() {
            true => name.as_str(),
            false => "series",
        };
        let series: SeriesName = self.read("name", series)?;
        let mut names = BTreeSet::new();
        let read = |mut raw: toml::Table| {
            let name = match raw.remove("name") {
                Some(toml::Value::String(name)) if !name.is_empty() => name,
                _ => return Err(self.wrong("shadow.name", "missing or empty; write one")),
            };
            if !names.insert(name.clone()) {
                return Err(self.wrong("shadow.name", "that of two triggers; give each its own"));
            }
            let of = |key: &str| format!("shadow.{name}.{key}");
            let mut settings = BTreeMap::new();
            for (key, value) in raw {
                let value = match value {
                    toml::Value::String(text) => text,
                    toml::Value::Integer(number) => number.to_string(),
                    toml::Value::Float(number) => number.to_string(),
                    toml::Value::Boolean(choice) => choice.to_string(),
                    _ => return Err(self.wrong(&of(&key), "write text, a number, true or false")),
                };
                settings.insert(key, value);
            }
            if settings.contains_key("series") {
                return Err(self.wrong(&of("series"), "take it out: it is the entry's"));
            }
            if let Some(key) = unknown_keys(&settings).first() {
                return Err(self.wrong(
                    &of(key),
                    "no setting of a trigger; write target, leadTime, aggregate, quantile or another that a ScaledObject takes",
                ));
            }
            let trigger = ShadowTrigger {
                settings,
                name: name.clone(),
            };
            match trigger.of(&series) {
                Ok(_) => Ok(trigger),
                Err(Error::Invalid { field, reason }) => Err(self.wrong(&of(&field), reason)),
                Err(other) => Err(other),
            }
        };
        raws.into_iter().map(read).collect()
    }
}
