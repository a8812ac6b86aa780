//! Which series a request means: names, and Kubernetes' equality-based label selectors.

use std::collections::{BTreeMap, BTreeSet};

use loadcast_model::series::SeriesName;

use crate::error::{Error, Result};

/// The most names or label requirements that one selector may hold.
const MAX_TERMS: usize = 10_000;

/// A filter over series. The default selects all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    names: BTreeSet<SeriesName>,
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Every series.
    pub fn all() -> Self {
        Self {
            names: Default::default(),
            requirements: Default::default(),
        }
    }

    /// A selector of `names` (none: any) that match `labels`, for example `namespace=shop,signal!=memory`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `selector.names` or `selector.label_selector`.
    pub fn parse(names: &[String], labels: &str) -> Result<Self> {
        if names.len() > MAX_TERMS {
            return Err(Error::invalid(
                "selector.names",
                format!(
                    "{} names; at most {MAX_TERMS}, or select by label",
                    names.len()
                ),
            ));
        }
        let names = names
            .iter()
            .map(|name| {
                name.parse().map_err(|error: loadcast_model::error::Error| {
                    Error::invalid("selector.names", error.to_string())
                })
            })
            .collect::<Result<_>>()?;
        let requirements = labels
            .split(',')
            .map(str::trim)
            .filter(|term| !term.is_empty())
            .take(MAX_TERMS)
            .map(requirement)
            .collect::<Result<_>>()?;
        Ok(Self {
            names,
            requirements,
        })
    }

    /// A selector of one series.
    pub fn of(series: SeriesName) -> Self {
        Self {
            names: BTreeSet::from([series]),
            requirements: Vec::new(),
        }
    }

    /// Whether a series of this name and these labels is meant.
    pub fn matches(&self, name: &SeriesName, labels: &BTreeMap<String, String>) -> bool {
        (self.names.is_empty() || self.names.contains(name))
            && self.requirements.iter().all(|requirement| {
                let found = labels.get(&requirement.key);
                (found == Some(&requirement.value)) == requirement.equal
            })
    }

    /// The names that were asked for one by one.
    pub fn names(&self) -> impl Iterator<Item = &SeriesName> {
        self.names.iter()
    }

    /// Whether this name was asked for by itself.
    pub fn names_it(&self, name: &SeriesName) -> bool {
        self.names.contains(name)
    }

    /// Tells selectors apart, so that a token is not continued under another filter. Not for security.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        for name in &self.names {
            hash.update(name.as_ref().as_bytes());
            hash.update(b"\0");
        }
        hash.update(b"\x01");
        for Requirement { key, value, equal } in &self.requirements {
            hash.update(key.as_bytes());
            hash.update(if *equal { b"=" } else { b"!" });
            hash.update(value.as_bytes());
            hash.update(b"\0");
        }
        hash.finalize()
    }
}

fn requirement(term: &str) -> Result<Requirement> {
    let wrong = || {
        Error::invalid(
            "selector.label_selector",
            format!("{term:?} is not key=value or key!=value"),
        )
    };
    let (key, value, equal) = if let Some((key, value)) = term.split_once("!=") {
        (key, value, false)
    } else if let Some((key, value)) = term.split_once("==") {
        (key, value, true)
    } else {
        let (key, value) = term.split_once('=').ok_or_else(wrong)?;
        (key, value, true)
    };
    let (key, value) = (key.trim(), value.trim());
    if key.is_empty() {
        return Err(wrong());
    }
    Ok(Requirement {
        key: key.to_owned(),
        value: value.to_owned(),
        equal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("namespace", "shop"), ("signal", "cpu")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }

    fn selects(names: &[&str], selector: &str) -> bool {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Selector::parse(&names, selector)
            .unwrap()
            .matches(&"web.cpu".parse().unwrap(), &labels())
    }

    #[test]
    fn names_and_labels_narrow_each_other() {
        assert!(selects(&[], ""));
        assert!(selects(&["web.cpu"], "namespace=shop"));
        assert!(selects(&[], "namespace==shop, signal!=memory"));
        assert!(!selects(&["other"], ""));
        assert!(!selects(&["web.cpu"], "signal=memory"));
        assert!(selects(&[], "absent!=x"));
        assert!(!selects(&[], "absent=x"));
    }

    #[test]
    fn a_malformed_term_is_named() {
        let error = Selector::parse(&[], "namespace").unwrap_err().to_string();
        assert!(
            error.contains("selector.label_selector") && error.contains("key=value"),
            "{error}"
        );
        let error = Selector::parse(&["a/b".to_owned()], "")
            .unwrap_err()
            .to_string();
        assert!(error.contains("selector.names"), "{error}");
    }
}
