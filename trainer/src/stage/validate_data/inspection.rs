//! What the rules found so far, and the error that the gravest of it makes.

use super::STAGE;
use super::rule::{Rule, Severity};
use crate::checks::{Check as _, Checks};
use crate::error::Error;
use crate::verdict::{Checked, Span, Verdict};

/// Rules being gone through.
#[derive(Debug)]
pub(super) struct Inspection<'a> {
    checks: &'a Checks<Rule>,
    verdict: Verdict,
    errors: Vec<(Rule, String, String)>,
}

/// How one rule went.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What was measured; `None` where nothing could be.
    pub(super) value: Option<f64>,
    /// What it is, with its numbers.
    pub(super) text: String,
    /// What to do about it, when the rule is broken and is an error.
    pub(super) remedy: String,
    /// Where in time.
    pub(super) spans: Vec<Span>,
}

impl Outcome {
    pub(super) fn new(value: f64, text: impl Into<String>) -> Self {
        Self {
            value: Some(value),
            text: text.into(),
            remedy: String::new(),
            spans: Vec::new(),
        }
    }

    pub(super) fn unknown(text: impl Into<String>) -> Self {
        Self {
            value: None,
            ..Self::new(0.0, text)
        }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self {
            remedy: remedy.into(),
            ..self
        }
    }

    pub(super) fn at(self, spans: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let spans = spans.into_iter();
        let spans = spans.filter_map(|(from, to)| Span::new(from, to));
        Self {
            spans: spans.take(crate::verdict::MAX_SPANS).collect(),
            ..self
        }
    }
}

impl<'a> Inspection<'a> {
    pub(super) fn new(checks: &'a Checks<Rule>) -> Self {
        Self {
            checks,
            verdict: Verdict::new(STAGE),
            errors: Vec::new(),
        }
    }

    pub(super) fn limit(&self, rule: Rule) -> f64 {
        self.checks.of(rule).limit
    }

    /// Whether what is wrong by `rule` is repaired instead of refused.
    pub(super) fn forgives(&self, rule: Rule) -> bool {
        self.checks.of(rule).consequence != Severity::Error
    }

    /// A rule that is broken when its value is above the limit.
    pub(super) fn at_most(&mut self, rule: Rule, outcome: Outcome) {
        let limit = self.limit(rule);
        let broken = outcome.value.is_some_and(|value| value > limit);
        self.judge(rule, broken, outcome);
    }

    pub(super) fn judge(&mut self, rule: Rule, broken: bool, outcome: Outcome) {
        let setting = self.checks.of(rule);
        let checked = Checked {
            check: rule.name().into(),
            passed: !broken,
            value: outcome.value,
            limit: setting.limit,
            spans: outcome.spans,
        };
        let level = if broken {
            setting.consequence.level()
        } else {
            crate::verdict::Level::Ok
        };
        if broken && setting.consequence == Severity::Error {
            self.errors
                .push((rule, outcome.text.clone(), outcome.remedy));
        }
        self.verdict.check(level, outcome.text, checked);
    }

    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.verdict.ok(text);
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.verdict.warn(text);
    }

    /// The verdict, and the first error with the names of the others.
    pub(super) fn finish(self, place: &str) -> (Verdict, Option<Error>) {
        let mut errors = self.errors.into_iter();
        let Some((rule, text, remedy)) = errors.next() else {
            return (self.verdict, None);
        };
        let others: Vec<&str> = errors.map(|(rule, ..)| rule.name()).collect();
        let others = match others.as_slice() {
            [] => String::new(),
            names => format!("; broken too: {}", names.join(", ")),
        };
        let remedy = format!("{remedy}; or accept it with --rule {}=warning", rule.name());
        let error = Error::data(format!("{text}{others}"), remedy).of_place(place);
        (self.verdict, Some(error))
    }
}
