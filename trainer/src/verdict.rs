//! What a stage found, in words and numbers a person can act on.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; the run goes on.
    Warn,
    /// The run of this series ends here.
    Refused,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is, with its numbers.
    pub text: String,
    /// The check that was made, where it was one of those with a name.
    #[serde(flatten)]
    pub checked: Option<Checked>,
}

/// A named check and how it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// Its name: of a rule or of a gate.
    pub check: Cow<'static, str>,
    /// Whether it was passed.
    pub passed: bool,
    /// What was measured; `None` where nothing could be.
    pub value: Option<f64>,
    /// What the value was held against.
    pub limit: f64,
    /// Where in time, the first [`MAX_SPANS`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
}

/// The most spans that a finding keeps: more are no longer looked at one by one.
pub const MAX_SPANS: usize = 100;

/// A part of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first instant.
    pub from: Timestamp,
    /// The last instant.
    pub to: Timestamp,
}

/// What one stage found. Printed as its name and level, then a line for each finding but the checks that were passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    stage: Cow<'static, str>,
    findings: Vec<Finding>,
}

/// The result of a stage.
pub trait Judged {
    /// What the stage found.
    fn verdict(&self) -> &Verdict;
}

/// The verdicts of stages, one after another.
#[derive(Debug, Default)]
pub struct Verdicts(Vec<Verdict>);

impl Verdicts {
    /// Keeps a verdict.
    pub fn push(&mut self, verdict: Verdict) {
        self.0.push(verdict);
    }

    /// Runs one stage and keeps what it found, or why it refused.
    ///
    /// # Errors
    /// Those of the stage.
    pub fn stage<T: Judged>(
        &mut self,
        name: &'static str,
        stage: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let result = stage();
        self.push(match &result {
            Ok(done) => done.verdict().clone(),
            Err(error) => Verdict::refused(name, error.to_string()),
        });
        result
    }

    /// Those since the last call.
    pub fn take(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.0)
    }
}

impl Span {
    /// From and to in seconds since 1970; `None` beyond the calendar.
    pub(crate) fn new(from: i64, to: i64) -> Option<Self> {
        let at = |seconds| Timestamp::from_second(seconds).ok();
        Some(Self {
            from: at(from)?,
            to: at(to)?,
        })
    }
}

impl Verdict {
    pub(crate) fn new(stage: &'static str) -> Self {
        Self {
            stage: Cow::Borrowed(stage),
            findings: Vec::new(),
        }
    }

    pub(crate) fn ok(&mut self, text: impl Into<String>) {
        self.add(Level::Ok, text);
    }

    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.add(Level::Warn, text);
    }

    /// The verdict of a stage that ended with an error.
    pub(crate) fn refused(stage: &'static str, text: impl Into<String>) -> Self {
        let mut verdict = Self::new(stage);
        verdict.refuse(text);
        verdict
    }

    /// Something that ends the run and is no named check.
    pub(crate) fn refuse(&mut self, text: impl Into<String>) {
        self.add(Level::Refused, text);
    }

    fn add(&mut self, level: Level, text: impl Into<String>) {
        let text = text.into();
        self.findings.push(Finding {
            level,
            text,
            checked: None,
        });
    }

    pub(crate) fn check(&mut self, level: Level, text: impl Into<String>, mut checked: Checked) {
        let text = text.into();
        checked.spans.truncate(MAX_SPANS);
        self.findings.push(Finding {
            level,
            text,
            checked: Some(checked),
        });
    }

    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// What was found, in the order it was looked at.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The named checks that were not passed.
    pub fn not_passed(&self) -> impl Iterator<Item = (&Finding, &Checked)> {
        let checks = self.findings.iter();
        checks
            .filter_map(|finding| Some((finding, finding.checked.as_ref()?)))
            .filter(|(_, checked)| !checked.passed)
    }

    /// The gravest level found.
    #[must_use]
    pub fn level(&self) -> Level {
        self.findings
            .iter()
            .map(|f| f.level)
            .max()
            .unwrap_or(Level::Ok)
    }

    /// Every named check in a line: its name, how it went, what was measured and the limit, and in words.
    #[must_use]
    pub fn table(&self) -> String {
        let number = |value: f64| match value.abs() < 1e7 {
            true => format!("{value:.4}")
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned(),
            false => format!("{value:.3e}"),
        };
        let mut table = format!(
            "{:<14}{:<9}{:>12}{:>10}  {}\n",
            "check", "level", "value", "limit", "found"
        );
        for finding in &self.findings {
            let Some(checked) = &finding.checked else {
                continue;
            };
            let level = match (checked.passed, finding.level) {
                (true, _) => "passed".to_owned(),
                (false, Level::Ok) => "info".to_owned(),
                (false, level) => level.to_string(),
            };
            let value = checked.value.map_or_else(|| "unknown".to_owned(), number);
            table += &format!(
                "{:<14}{level:<9}{value:>12}{:>10}  {}\n",
                checked.check,
                number(checked.limit),
                finding.text
            );
        }
        table
    }
}

impl Finding {
    /// Whether it is worth a line: everything but a check that was passed.
    fn is_told(&self) -> bool {
        self.level > Level::Ok || self.checked.as_ref().is_none_or(|checked| !checked.passed)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Refused => "refused",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:<18}{}", self.stage, self.level())?;
        for finding in self.findings.iter().filter(|finding| finding.is_told()) {
            write!(f, "\n    {:<8}", finding.level)?;
            if let Some(checked) = &finding.checked {
                write!(f, "{}: ", checked.check)?;
            }
            write!(f, "{}", finding.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(passed: bool) -> Checked {
        Checked {
            check: "missing".into(),
            passed,
            value: Some(0.1),
            limit: 0.0,
            spans: Vec::new(),
        }
    }

    #[test]
    fn a_verdict_is_as_grave_as_its_gravest_finding_and_reads_as_lines() {
        let mut verdict = Verdict::new("validate data");
        assert_eq!(verdict.level(), Level::Ok);
        verdict.ok("10 rows");
        verdict.check(Level::Ok, "none missing", checked(true));
        verdict.check(Level::Warn, "1 missing", checked(false));
        assert_eq!(verdict.level(), Level::Warn);
        let lines = "  validate data     warn\n    ok      10 rows\n    warn    missing: 1 missing";
        assert_eq!(verdict.to_string(), lines);
        assert_eq!(verdict.not_passed().count(), 1);
        let json = serde_json::to_string(&verdict).unwrap();
        assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
        let table = verdict.table();
        assert!(
            table.contains("missing       passed") && table.contains("missing       warn"),
            "{table}"
        );
    }
}
