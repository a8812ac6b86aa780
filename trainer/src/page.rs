//! A page about each series for a person to look at: what was found in the data, how good the forecasts of the past would
//! have been, and what follows. One file without anything beside it, pictures included.

mod series;
mod style;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use self::series::Page;
use self::series::{failed, pill};
use self::style::STYLE;
use crate::brake::BRAKED;
use crate::error::Result;
use crate::output;
use crate::report::{RunReport, SeriesReport};
use crate::stage::validate_model::{Conclusion, Reason};

/// The part of a document about one series.
#[must_use]
pub fn section(page: &Page<'_>) -> String {
    series::section(page).into_string()
}

/// A section that says PROMOTE, of a model that is held back for `reason`.
#[must_use]
pub fn held(section: &str, reason: &Reason) -> String {
    let promoted = pill(Some(Conclusion::Promote.as_str())).into_string();
    let candidate = pill(Some(Conclusion::CandidateOnly.as_str())).into_string();
    let because = series::because_of(std::slice::from_ref(reason)).into_string();
    let passed = series::because_of(&[]).into_string();
    section
        .replacen(&promoted, &candidate, 1)
        .replacen(&passed, &because, 1)
}

/// A document of one section.
#[must_use]
pub fn alone(series: &str, section: &str) -> Bytes {
    let document = document(series, &html! { main { (PreEscaped(section)) } });
    document.into_string().into_bytes().into()
}

/// Writes one document of the sections of all series of `report` to `path`, each in the file that `file` names, with a table
/// of all above them. They come from disk one by one, because those of a fleet are too many for memory.
///
/// # Errors
/// [`Error::Output`](crate::error::Error::Output) when it cannot be written, or a section cannot be read back.
pub fn write(path: &Path, report: &RunReport, file: impl Fn(&str) -> PathBuf) -> Result<()> {
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
    output::write_with(path, |out| {
        out.write_all(before.as_bytes())?;
        for series in &report.series {
            // A series that failed before there was anything to show has none.
            let section = match fs::read_to_string(file(series.series())) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                read => read?,
            };
            let reasons = series
                .done()
                .map_or(&[][..], |done| done.reasons.as_slice());
            let braked = reasons.iter().find(|reason| reason.code == BRAKED);
            let section = braked.map_or_else(|| section.clone(), |reason| held(&section, reason));
            out.write_all(section.as_bytes())?;
        }
        out.write_all(after.as_bytes())
    })
}

/// A whole page with the style of all.
pub(crate) fn document(title: &str, body: &Markup) -> Markup {
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
            td {
                @if done.is_some() || series.is_rejected() {
                    (pill(done.map(|done| done.conclusion.as_str())))
                } @else { (failed()) }
            }
            td.number { (backtest.and_then(|it| it.skill).map(|skill| format!("{skill:+.2}")).unwrap_or_default()) }
            td.number { (percent(backtest.and_then(|it| it.model.coverage)).unwrap_or_default()) }
            td.number { (percent(done.and_then(|done| done.movement)).unwrap_or_default()) }
            td { (because) }
        }
    }
}
