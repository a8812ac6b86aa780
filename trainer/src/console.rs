//! What a person sees of a run: verdicts on standard output, a bar on standard error.
//!
//! The bar appears on terminals only; elsewhere the verdicts alone are the progress.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::Result;
use crate::verdict::{Judged, Verdict};

/// How often the bar's spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// The stages of one series: the bar's length.
const STAGES: u64 = 4;

/// Prints the stages of one series after another and keeps their verdicts.
pub struct Console<'a> {
    out: &'a mut (dyn Write + Send),
    bar: ProgressBar,
    verdicts: Vec<Verdict>,
}

impl<'a> Console<'a> {
    /// A console that prints to `out`.
    pub fn new(out: &'a mut (dyn Write + Send)) -> Self {
        let bar = ProgressBar::new(STAGES);
        let style = ProgressStyle::with_template("{spinner} {wide_msg} [{bar:24}] {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(TICK);
        let verdicts = Vec::new();
        Self { out, bar, verdicts }
    }

    /// Begins another series.
    pub fn begin(&mut self, title: impl fmt::Display) {
        self.bar.set_position(0);
        self.line(title);
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
        self.told(name, || {
            let result = stage();
            let verdict = match &result {
                Ok(done) => done.verdict().clone(),
                Err(error) => Verdict::refused(name, error.to_string()),
            };
            (verdict, result)
        })
    }

    /// Runs one stage that tells its verdict whatever comes of it, and prints that.
    pub fn told<T>(&mut self, name: &'static str, stage: impl FnOnce() -> (Verdict, T)) -> T {
        self.bar.set_message(name);
        let (verdict, result) = stage();
        self.line(&verdict);
        self.verdicts.push(verdict);
        self.bar.inc(1);
        result
    }

    /// The verdicts since the last call.
    pub fn take_verdicts(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
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
            .field("verdicts", &self.verdicts)
            .finish_non_exhaustive()
    }
}
