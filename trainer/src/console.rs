//! What a person sees of a run: what was found on standard output, a bar on standard error.
//!
//! The bar appears on terminals only; elsewhere the lines of the series are the progress.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::error::Result;
use crate::report::{RunReport, SeriesReport};
use crate::stage::validate_model::Conclusion;
use crate::verdict::{Judged, Verdict, Verdicts};

/// How often the bar's spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Series whose every stage is told; of more, a line each.
const TOLD_WHOLE: usize = 10;

/// The most kinds of failure that a summary lists.
const KINDS: usize = 10;

/// Prints what became of each series, one after another.
pub struct Console<'a> {
    out: &'a mut (dyn Write + Send),
    bar: ProgressBar,
    verdicts: Verdicts,
    series: usize,
    begun: Instant,
}

impl<'a> Console<'a> {
    /// A console that prints to `out`.
    pub fn new(out: &'a mut (dyn Write + Send)) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(TICK);
        Self {
            out,
            bar,
            verdicts: Verdicts::default(),
            series: 1,
            begun: Instant::now(),
        }
    }

    /// Begins another series, whose stages are told as they end.
    pub fn begin(&mut self, title: impl fmt::Display) {
        self.line(title);
    }

    /// Begins to do `what` to `series` series.
    pub fn begin_fleet(&mut self, what: &'static str, series: usize) {
        self.series = series;
        let style = "{spinner} {msg} [{bar:30}] {pos}/{len} series, {rate}, {eta} left";
        let style = ProgressStyle::with_template(style);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{:.1}/s", state.per_sec());
        });
        self.bar.set_style(style);
        self.bar.set_length(series as u64);
        self.bar.set_position(0);
        self.bar.reset_eta();
        self.bar.set_message(what);
    }

    /// Prints a line. A closed output is no reason to stop a run.
    pub fn line(&mut self, line: impl fmt::Display) {
        let out = &mut self.out;
        self.bar.suspend(|| {
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        });
    }

    /// Runs one stage and prints what it found, or why it refused.
    ///
    /// # Errors
    /// Those of the stage.
    pub fn stage<T: Judged>(
        &mut self,
        name: &'static str,
        stage: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.bar.set_message(name);
        let mut verdicts = Verdicts::default();
        let result = verdicts.stage(name, stage);
        for verdict in verdicts.take() {
            self.found(verdict);
        }
        result
    }

    /// Prints what a stage found.
    pub fn found(&mut self, verdict: Verdict) {
        self.line(&verdict);
        self.verdicts.push(verdict);
    }

    /// The verdicts since the last call.
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        self.verdicts.take()
    }

    /// Tells how a series of a run was judged.
    pub fn judged(&mut self, report: &SeriesReport) {
        self.bar.inc(1);
        if self.series > TOLD_WHOLE {
            self.line(in_a_line(report));
            return;
        }
        self.line(report.title());
        for verdict in report.verdicts() {
            self.line(verdict);
        }
    }

    /// Tells where its model went.
    pub fn pushed(&mut self, report: &SeriesReport, dry_run: bool) {
        self.bar.inc(1);
        if self.series > TOLD_WHOLE {
            return;
        }
        let Some(done) = report.done() else {
            return;
        };
        if self.series > 1 {
            self.line(report.series());
        }
        if let Some(folder) = &done.folder {
            self.line(format!("  wrote {folder}"));
        }
        match &done.receipt {
            Some(receipt) => self.line(receipt),
            None if dry_run => self.line("  push              left out (--dry-run)"),
            None => {}
        }
    }

    /// Tells how many came to what, where there was more than one.
    pub fn summary(&mut self, report: &RunReport) {
        if report.series.len() < 2 {
            return;
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        self.line(summary(&report.series, seconds));
    }
}

/// How a series was judged, in a line.
fn in_a_line(report: &SeriesReport) -> String {
    let name = report.series();
    let Some(done) = report.done() else {
        let word = if report.is_rejected() {
            "REJECT"
        } else {
            "failed"
        };
        let because = report.error().unwrap_or_default();
        return format!("{word:<15} {name}: {because}");
    };
    let backtest = done.backtest.as_ref();
    let number =
        |value: Option<f64>| value.map_or_else(|| "   ?".to_owned(), |v| format!("{v:+.2}"));
    let skill = number(backtest.and_then(|it| it.skill));
    let coverage = backtest.and_then(|it| it.model.coverage);
    let coverage =
        coverage.map_or_else(|| "?".to_owned(), |share| format!("{:.0} %", 100.0 * share));
    let because: Vec<&str> = done.reasons.iter().map(|one| &*one.code).collect();
    let because = match because.as_slice() {
        [] => String::new(),
        codes => format!(": {}", codes.join(", ")),
    };
    let word = done.conclusion.as_str();
    format!("{word:<15} skill {skill}  coverage {coverage:>5}  {name}{because}")
}

fn summary(series: &[SeriesReport], seconds: f64) -> String {
    let count =
        |fits: &dyn Fn(&SeriesReport) -> bool| series.iter().filter(|one| fits(one)).count();
    let of = |conclusion| {
        move |one: &SeriesReport| one.done().is_some_and(|done| done.conclusion == conclusion)
    };
    let promoted = count(&of(Conclusion::Promote));
    let candidates = count(&of(Conclusion::CandidateOnly));
    let rejected = count(&|one| one.is_rejected());
    let failed = count(&|one| one.done().is_none() && !one.is_rejected());
    let mut text = format!(
        "{} series in {seconds:.1} s: {promoted} to promote, {candidates} candidates only, {rejected} rejected, {failed} failed",
        series.len()
    );
    let mut kinds: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    for one in series {
        for kind in kinds_of(one) {
            kinds.entry(kind).or_insert_with(|| (0, one.series())).0 += 1;
        }
    }
    let mut kinds: Vec<(String, (usize, &str))> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(&b.0)));
    let others = kinds.len().saturating_sub(KINDS);
    for (kind, (count, first)) in kinds.into_iter().take(KINDS) {
        text += &format!("\n  {count:>6}  {kind} (such as {first})");
    }
    if others > 0 {
        text += &format!("\n          and {others} other reasons");
    }
    text
}

/// Why it was not promoted: the gates by their codes, or the failure.
fn kinds_of(report: &SeriesReport) -> Vec<String> {
    let codes = |reasons: &[crate::stage::validate_model::Reason]| {
        reasons.iter().map(|one| one.code.to_string()).collect()
    };
    match (report.done(), report.refusal()) {
        (Some(done), _) => codes(&done.reasons),
        (None, Some(refusal)) if !refusal.reasons.is_empty() => codes(&refusal.reasons),
        _ => report.error().map(str::to_owned).into_iter().collect(),
    }
}

impl Drop for Console<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("series", &self.series)
            .finish_non_exhaustive()
    }
}
