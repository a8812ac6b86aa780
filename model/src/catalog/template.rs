//! A text with labels in braces: `{namespace}.{workload}.cpu`.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::error::{Error, Result};

/// A text with labels in braces, which the labels of a result fill.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    Text(String),
    Label(String),
}

impl Template {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The labels it names, in order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Label(label) => Some(label.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Whether it names no label: it is one text.
    pub fn is_fixed(&self) -> bool {
        self.labels().next().is_none()
    }

    /// The text that `labels` make of it.
    ///
    /// # Errors
    /// [`Error::MissingInput`] naming a label that is not there or empty, and those that are there.
    pub fn fill(&self, labels: &BTreeMap<String, String>) -> Result<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Label(label) => match labels.get(label).filter(|value| !value.is_empty()) {
                    Some(value) => text.push_str(value),
                    None => {
                        let there: Vec<&str> = labels.keys().map(String::as_str).collect();
                        return Err(Error::missing(
                            format!("label {label}"),
                            format!(
                                "the template {:?} names it and this result has {}; keep it in the expression with by ({label})",
                                self.text,
                                if there.is_empty() {
                                    "no labels".to_owned()
                                } else {
                                    there.join(", ")
                                }
                            ),
                        ));
                    }
                },
            }
        }
        Ok(text)
    }
}

impl FromStr for Template {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |reason: &str| {
            Error::invalid(
                "template",
                format!("{text:?} {reason}; write labels in braces, {{namespace}}.{{workload}}"),
            )
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some(open) = rest.find(['{', '}']) else {
                parts.push(Part::Text(rest.to_owned()));
                break;
            };
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let inner = rest[open..]
                .strip_prefix('{')
                .ok_or_else(|| wrong("closes a brace that was not opened"))?;
            let (label, tail) = inner
                .split_once('}')
                .ok_or_else(|| wrong("opens a brace that is not closed"))?;
            if !is_label(label) {
                return Err(wrong("has braces around what is no label"));
            }
            parts.push(Part::Label(label.to_owned()));
            rest = tail;
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, as Prometheus has it.
fn is_label(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
