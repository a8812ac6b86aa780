//! What is forecast: one quantity of one workload.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    artifact::sha256_hex,
    error::{Error, Result},
    zone::Zone,
};

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// Hexadecimal digits of the hash that ends a name which had to be cut.
const HASH_DIGITS: usize = 8;

/// A series' name: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`. The key everywhere, and the registered model's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeriesName(Arc<str>);

impl SeriesName {
    /// The name `[<cluster>.]<namespace>.<workload>.<signal>`. Characters that a name cannot hold become `-`; a name
    /// that would be too long, or was changed, ends in a short hash of what it was, so that it stays one series' own.
    pub fn from_labels(
        cluster: Option<&str>,
        namespace: &str,
        workload: &str,
        signal: &str,
    ) -> Self {
        let parts: Vec<&str> = cluster
            .into_iter()
            .chain([namespace, workload, signal])
            .collect();
        Self::cleaned(&parts.join("."))
    }

    /// The name that `whole` is, or the one nearest to it: see [`from_labels`](Self::from_labels).
    pub fn cleaned(whole: &str) -> Self {
        if let Ok(name) = whole.parse() {
            return name;
        }
        let mut name: String = whole
            .chars()
            .map(|c| if is_name_char(c) { c } else { '-' })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            name.insert(0, 'x');
        }
        name.truncate(MAX_NAME_BYTES - HASH_DIGITS - 1);
        let hash = sha256_hex(whole.as_bytes());
        Self(format!("{name}-{}", &hash[..HASH_DIGITS]).into())
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl FromStr for SeriesName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let right = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.len() <= MAX_NAME_BYTES
            && text.chars().all(is_name_char);
        if right {
            Ok(Self(text.into()))
        } else {
            let shown: String = text.chars().take(MAX_NAME_BYTES).collect();
            Err(Error::invalid(
                "series",
                format!(
                    "{shown:?} is not a series name; use 1 to {MAX_NAME_BYTES} letters, digits, dots, dashes and underscores, beginning with a letter or digit"
                ),
            ))
        }
    }
}

impl TryFrom<String> for SeriesName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<SeriesName> for String {
    fn from(name: SeriesName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl AsRef<str> for SeriesName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The unit of a series' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// CPU cores.
    #[serde(rename = "cores")]
    Cores,
    /// Bytes.
    #[serde(rename = "bytes")]
    Bytes,
    /// Per second: requests, messages.
    #[serde(rename = "1/s")]
    PerSecond,
    /// 0 to 100 of something.
    #[serde(rename = "percent")]
    Percent,
    /// A plain number.
    #[serde(rename = "1")]
    One,
}

impl Unit {
    /// Every unit.
    pub const ALL: [Self; 5] = [
        Self::Cores,
        Self::Bytes,
        Self::PerSecond,
        Self::Percent,
        Self::One,
    ];

    /// As it is written everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cores => "cores",
            Self::Bytes => "bytes",
            Self::PerSecond => "1/s",
            Self::Percent => "percent",
            Self::One => "1",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Unit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|unit| unit.as_str() == text)
            .ok_or_else(|| {
                Error::invalid(
                    "unit",
                    format!("{text:?} is not a unit; use cores, bytes, 1/s, percent or 1"),
                )
            })
    }
}

/// What an observed zero says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroMeans {
    /// Scaled to zero: a real observation.
    #[default]
    Value,
    /// Nothing was measured.
    Missing,
}

/// Labels by name. Shared: a server has those of a series in the model, in its entry and in every event about it.
pub type Labels = Arc<BTreeMap<String, String>>;

/// One forecastable quantity of one workload. The name is the identity; everything else describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The key everywhere.
    pub name: SeriesName,
    /// Searchable, never identity.
    #[serde(default)]
    pub labels: Labels,
    /// Of the values; `None` when nobody said.
    pub unit: Option<Unit>,
    /// Spacing of the grid, in seconds; at least 1.
    pub step_seconds: u32,
    /// The zone whose wall clock the series follows.
    #[serde(rename = "time_zone")]
    pub zone: Zone,
    /// What an observed zero says.
    #[serde(default)]
    pub zero_means: ZeroMeans,
    /// The series whose history this one continues after a rename.
    #[serde(default)]
    pub predecessor: Option<SeriesName>,
}

/// The step that is assumed of a series about which nothing is known: five minutes.
const DEFAULT_STEP_SECONDS: u32 = 300;

impl Series {
    /// A series about which only the name is known: no labels, no unit, a step of 300 s, UTC.
    pub fn new(name: SeriesName) -> Self {
        Self {
            name,
            labels: Labels::default(),
            unit: None,
            step_seconds: DEFAULT_STEP_SECONDS,
            zone: Zone::utc(),
            zero_means: ZeroMeans::default(),
            predecessor: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_registries_take() {
        for name in ["CPU_Prophet_Model", "shop.web.cpu", "0", &"a".repeat(128)] {
            assert_eq!(name.parse::<SeriesName>().unwrap().to_string(), name);
        }
        for name in ["", ".a", "a/b", "a:b", "a b", "ä", &"a".repeat(129)] {
            let error = name.parse::<SeriesName>().unwrap_err().to_string();
            assert!(
                error.starts_with("series: ") && error.contains("use 1 to 128"),
                "{error}"
            );
        }
    }

    #[test]
    fn names_from_labels_are_valid_and_told_apart() {
        let name = |workload: &str| SeriesName::from_labels(None, "shop", workload, "cpu");
        assert_eq!(name("web").to_string(), "shop.web.cpu");
        let (a, b) = (name(&"w".repeat(200)), name(&"w".repeat(201)));
        assert_ne!(a, b);
        assert_ne!(name("a/b"), name("a:b"));
        for made in [
            a,
            b,
            name("a/b"),
            SeriesName::from_labels(Some("-x"), "", "", ""),
        ] {
            assert_eq!(made.to_string().parse::<SeriesName>().unwrap(), made);
        }
    }

    #[test]
    fn units_are_read_as_written_and_others_are_refused_with_the_list() {
        for unit in Unit::ALL {
            assert_eq!(unit.to_string().parse::<Unit>().unwrap(), unit);
            assert_eq!(
                serde_json::to_string(&unit).unwrap(),
                format!("{:?}", unit.as_str())
            );
        }
        assert!(
            "gigs"
                .parse::<Unit>()
                .unwrap_err()
                .to_string()
                .contains("percent")
        );
    }
}
