//! Named checks, each with a consequence and a limit that can be set: the rules of stage 1 and the gates of stage 4.
//!
//! On the command line and in a table of TOML a setting is written the same: `gaps=error` keeps the limit,
//! `gaps=error:0.05` changes it too.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};

/// A kind of checks.
pub trait Check: Copy + Ord + fmt::Debug + 'static {
    /// What follows when one is not passed.
    type Consequence: Copy + PartialEq + fmt::Debug + 'static;
    /// What they are called together, for messages.
    const KIND: &'static str;
    /// All of them, in the order they are told.
    const ALL: &'static [Self];
    /// All consequences and their names.
    const CONSEQUENCES: &'static [(&'static str, Self::Consequence)];

    /// As it is written.
    fn name(self) -> &'static str;

    /// What holds when nothing was set.
    fn default_setting(self) -> Setting<Self::Consequence>;
}

/// What follows from a check, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting<C> {
    /// When it is not passed.
    pub consequence: C,
    /// In the unit of the check's value.
    pub limit: f64,
}

/// Settings of every check of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks<K: Check>(BTreeMap<K, Setting<K::Consequence>>);

/// One setting as it is written: `NAME=CONSEQUENCE[:LIMIT]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Override<K: Check> {
    check: K,
    consequence: K::Consequence,
    limit: Option<f64>,
}

impl<K: Check> Default for Checks<K> {
    fn default() -> Self {
        let all = K::ALL.iter().copied();
        Self(all.map(|check| (check, check.default_setting())).collect())
    }
}

impl<K: Check> Checks<K> {
    /// The setting of `check`.
    #[must_use]
    pub fn of(&self, check: K) -> Setting<K::Consequence> {
        self.0
            .get(&check)
            .copied()
            .unwrap_or_else(|| check.default_setting())
    }

    /// These settings with further ones over them.
    #[must_use]
    pub fn with(mut self, overrides: &[Override<K>]) -> Self {
        for one in overrides {
            let limit = one.limit.unwrap_or_else(|| self.of(one.check).limit);
            let setting = Setting {
                consequence: one.consequence,
                limit,
            };
            self.0.insert(one.check, setting);
        }
        self
    }
}

impl<K: Check> Override<K> {
    /// A setting of `check`; its limit stays where `limit` is `None`.
    #[must_use]
    pub fn new(check: K, consequence: K::Consequence, limit: Option<f64>) -> Self {
        Self {
            check,
            consequence,
            limit,
        }
    }

    fn parse(name: &str, setting: &str) -> Result<Self, String> {
        let list = |names: Vec<&str>| names.join(", ");
        let check = K::ALL.iter().copied().find(|check| check.name() == name);
        let check = check.ok_or_else(|| {
            let names = K::ALL.iter().map(|check| check.name()).collect();
            format!("`{name}` is no {}: write one of {}", K::KIND, list(names))
        })?;
        let (word, limit) = match setting.split_once(':') {
            Some((word, limit)) => (word, Some(limit)),
            None => (setting, None),
        };
        let found = K::CONSEQUENCES.iter().find(|(name, _)| *name == word);
        let Some((_, consequence)) = found else {
            let names = K::CONSEQUENCES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "{} {name}: `{word}` is none of {}",
                K::KIND,
                list(names)
            ));
        };
        let limit = limit.map(|text| match text.parse::<f64>() {
            Ok(limit) if limit.is_finite() => Ok(limit),
            _ => Err(format!(
                "{} {name}: `{text}` is no limit: write a number",
                K::KIND
            )),
        });
        Ok(Self::new(check, *consequence, limit.transpose()?))
    }
}

impl<K: Check> FromStr for Override<K> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, setting) = text.split_once('=').ok_or_else(|| {
            format!(
                "`{text}` sets no {}: write NAME=WORD or NAME=WORD:LIMIT",
                K::KIND
            )
        })?;
        Self::parse(name.trim(), setting.trim())
    }
}

/// A table such as `{ gaps = "error", history = "warning:7" }` over the defaults.
impl<'de, K: Check> Deserialize<'de> for Checks<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = BTreeMap::<String, String>::deserialize(deserializer)?;
        let overrides = table
            .iter()
            .map(|(name, setting)| Override::parse(name, setting));
        let overrides: Result<Vec<Override<K>>, String> = overrides.collect();
        Ok(Self::default().with(&overrides.map_err(D::Error::custom)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::validate_data::rule::{Rule, Severity};

    #[test]
    fn a_setting_is_written_the_same_in_a_flag_and_in_a_table() {
        let flags = ["gaps=error", "history=warning:7"].map(|text| text.parse().unwrap());
        let set = Checks::<Rule>::default().with(&flags);
        let table: Checks<Rule> =
            toml::from_str("gaps = \"error\"\nhistory = \"warning:7\"\n").unwrap();
        assert_eq!(set, table);
        assert_eq!(set.of(Rule::Gaps).consequence, Severity::Error);
        assert_eq!(set.of(Rule::Gaps).limit, Rule::Gaps.default_setting().limit);
        assert_eq!(set.of(Rule::History).limit, 7.0);
        assert_eq!(set.of(Rule::Missing), Rule::Missing.default_setting());
    }

    #[test]
    fn a_wrong_setting_says_what_to_write() {
        for (text, says) in [
            ("gaps", "NAME=WORD"),
            ("holes=error", "write one of schema, order"),
            (
                "gaps=fatal",
                "rule gaps: `fatal` is none of info, warning, error",
            ),
            ("gaps=error:much", "`much` is no limit"),
            ("gaps=error:inf", "`inf` is no limit"),
        ] {
            let error = text.parse::<Override<Rule>>().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
