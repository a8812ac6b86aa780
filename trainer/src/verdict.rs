//! What a stage found, in words and numbers a person can act on.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is, with its numbers.
    pub text: String,
}

/// What one stage found. Printed as its name and level, then a line for each finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    stage: &'static str,
    findings: Vec<Finding>,
}

/// The result of a stage.
pub trait Judged {
    /// What the stage found.
    fn verdict(&self) -> &Verdict;
}

impl Verdict {
    pub(crate) fn new(stage: &'static str) -> Self {
        Self {
            stage,
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
        verdict.add(Level::Refused, text);
        verdict
    }

    fn add(&mut self, level: Level, text: impl Into<String>) {
        let text = text.into();
        self.findings.push(Finding { level, text });
    }

    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        self.stage
    }

    /// What was found, in the order it was looked at.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
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
        for finding in &self.findings {
            write!(f, "\n    {:<8}{}", finding.level, finding.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_as_grave_as_its_gravest_finding_and_reads_as_lines() {
        let mut verdict = Verdict::new("validate data");
        assert_eq!(verdict.level(), Level::Ok);
        verdict.ok("10 rows");
        verdict.warn("1 missing");
        assert_eq!(verdict.level(), Level::Warn);
        let lines = "  validate data     warn\n    ok      10 rows\n    warn    1 missing";
        assert_eq!(verdict.to_string(), lines);
    }
}
