//! From the text of a catalog to its types: what TOML says, then what that means, entry by entry and key by key.

use std::{collections::BTreeMap, collections::BTreeSet, str::FromStr};

use serde::Deserialize;
use toml::de::Error as TomlError;

use super::{Aggregate, Catalog, Entry, Gates, Level, Schedule, ShadowTrigger, Source, Template};
use crate::{
    backtest::Method,
    error::{Error, Result},
    length::{DAY, MINUTE, read_length},
    series::{SeriesName, ZeroMeans},
    spec::Spec,
};

/// Entries beyond this are not a catalog but a listing: one expression declares many series.
const MAX_ENTRIES: usize = 10_000;

/// What a trigger looks ahead when it does not say.
const DEFAULT_LEAD_TIME: i64 = 5 * MINUTE;

/// What a trigger asks for when it does not say.
const DEFAULT_LEVEL: f64 = 0.9;

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
    shadow: Vec<RawShadow>,
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawShadow {
    name: String,
    target: f64,
    lead_time: Option<String>,
    #[serde(default)]
    aggregate: Aggregate,
    quantile: Option<RawLevel>,
    activation_target: Option<f64>,
    scale: Option<f64>,
    margin: Option<f64>,
    clamp_min: Option<f64>,
    clamp_max: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawLevel {
    Number(f64),
    Word(String),
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
        gates: place.gates(
            &raw.gates
                .or_else(|| defaults.gates.clone())
                .unwrap_or_default(),
        )?,
        shadow: place.shadow(raw.shadow)?,
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

    fn shadow(&self, raws: Vec<RawShadow>) -> Result<Vec<ShadowTrigger>> {
        let mut names = BTreeSet::new();
        let mut triggers = Vec::with_capacity(raws.len());
        for raw in raws {
            let key = |key: &str| format!("shadow.{}.{key}", raw.name);
            if raw.name.is_empty() || !names.insert(raw.name.clone()) {
                return Err(self.wrong(
                    "shadow.name",
                    "empty, or that of two triggers; give each its own",
                ));
            }
            if !raw.target.is_finite() || raw.target <= 0.0 {
                return Err(self.wrong(
                    &key("target"),
                    format!("{} is not above 0; write what one pod carries", raw.target),
                ));
            }
            let lead_time = self.length(&key("leadTime"), raw.lead_time.as_ref())?;
            let quantile = match raw.quantile {
                None => Level::Quantile(DEFAULT_LEVEL),
                Some(RawLevel::Number(level)) if level > 0.0 && level < 1.0 => {
                    Level::Quantile(level)
                }
                Some(RawLevel::Word(word)) if word == "point" => Level::Point,
                Some(_) => {
                    return Err(self.wrong(
                        &key("quantile"),
                        "write a level between 0 and 1, or \"point\"",
                    ));
                }
            };
            let number =
                |name: &str, value: Option<f64>| self.within(&key(name), value, f64::MIN, f64::MAX);
            triggers.push(ShadowTrigger {
                target: raw.target,
                lead_time_seconds: lead_time.unwrap_or(DEFAULT_LEAD_TIME),
                aggregate: raw.aggregate,
                quantile,
                activation_target: number("activationTarget", raw.activation_target)?
                    .unwrap_or(0.0),
                scale: number("scale", raw.scale)?.unwrap_or(1.0),
                margin: number("margin", raw.margin)?.unwrap_or(0.0),
                clamp_min: number("clampMin", raw.clamp_min)?,
                clamp_max: number("clampMax", raw.clamp_max)?,
                name: raw.name.clone(),
            });
        }
        Ok(triggers)
    }
}
