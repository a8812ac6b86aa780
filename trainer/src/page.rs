//! A page about each series for a person to look at: what was found in the data, how good the forecasts of the past would
//! have been, and what follows. One file without anything beside it, pictures included.

mod series;
mod style;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use tempfile::TempDir;

pub use self::series::Page;
use self::series::{pill, section};
use self::style::STYLE;
use crate::error::{Error, Result};
use crate::output;
use crate::report::{RunReport, SeriesReport};

/// The pages of a run. They wait on disk, because those of a fleet are too many for memory.
#[derive(Debug)]
pub struct Pages {
    folder: TempDir,
}

impl Pages {
    /// No page yet.
    ///
    /// # Errors
    /// [`Error::Output`] when there is no place for temporary files.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir().map_err(|error| {
            Error::output(
                format!("no temporary folder can be made: {error}"),
                "make room, or set TMPDIR to a folder that is writable",
            )
        })?;
        Ok(Self { folder })
    }

    /// Keeps `page`.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn keep(&self, page: &Page<'_>) -> Result<()> {
        let markup = section(page).into_string();
        let path = self.path(page.declaration.name.as_ref());
        output::write(&path, markup.as_bytes())
    }

    /// The page of `series` as a document of its own.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read back.
    pub fn document(&self, series: &str) -> Result<Bytes> {
        let section = self.section(series)?;
        let document = document(series, &html! { main { (PreEscaped(section)) } });
        Ok(document.into_string().into_bytes().into())
    }

    /// Writes one document of all pages to `path`, with a table of all series of `report` above them.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub fn write(&self, path: &Path, report: &RunReport) -> Result<()> {
        const PLACE: &str = "<!-- pages -->";
        let body = html! {
            main {
                @if report.series.len() != 1 || report.stopped.is_some() {
                    (overview(report))
                }
                (PreEscaped(PLACE))
            }
        };
        let shell = document("Loadcast training run", &body).into_string();
        let (before, after) = shell.split_once(PLACE).unwrap_or((&shell, ""));
        output::write_with(path, |file| {
            file.write_all(before.as_bytes())?;
            for series in &report.series {
                file.write_all(&fs::read(self.path(series.series()))?)?;
            }
            file.write_all(after.as_bytes())
        })
    }

    fn section(&self, series: &str) -> Result<String> {
        let path = self.path(series);
        fs::read_to_string(&path).map_err(|error| {
            Error::output(
                format!("{} cannot be read back: {error}", path.display()),
                "run again, and leave temporary files alone meanwhile",
            )
        })
    }

    fn path(&self, series: &str) -> PathBuf {
        self.folder.path().join(format!("{series}.html"))
    }
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

fn overview(report: &RunReport) -> Markup {
    html! {
        section {
            h1 { "Training run" }
            @if let Some(stopped) = &report.stopped {
                p.alarm { "Fleet brake: " (stopped) }
            }
            table {
                thead { tr {
                    th { "series" } th { "verdict" }
                    th.number { "skill" } th.number { "coverage" } th.number { "would move" }
                    th { "because" }
                } }
                tbody {
                    @for series in &report.series { (overview_row(series)) }
                }
            }
        }
    }
}

fn overview_row(series: &SeriesReport) -> Markup {
    let done = series.done();
    let backtest = done.and_then(|done| done.backtest.as_ref());
    let because = match done {
        Some(done) => {
            let messages: Vec<&str> = done
                .reasons
                .iter()
                .map(|one| one.message.as_str())
                .collect();
            messages.join("; ")
        }
        None => series.error().unwrap_or_default().to_owned(),
    };
    let percent = |value: Option<f64>| value.map(|value| format!("{:.0} %", 100.0 * value));
    html! {
        tr {
            td { a href={ "#" (series.series()) } { (series.series()) } }
            td { (pill(done.map(|done| done.conclusion.as_str()))) }
            td.number { (backtest.and_then(|it| it.skill).map(|skill| format!("{skill:+.2}")).unwrap_or_default()) }
            td.number { (percent(backtest.and_then(|it| it.model.coverage)).unwrap_or_default()) }
            td.number { (percent(done.and_then(|done| done.movement)).unwrap_or_default()) }
            td { (because) }
        }
    }
}
