//! The part of a page that is about one series.

use loadcast_model::backtest::{Backtest, Method};
use loadcast_model::score::Measures;
use maud::{Markup, PreEscaped, html};

use crate::declaration::Declaration;
use crate::error::Error;
use crate::plot;
use crate::stage::validate_data;
use crate::stage::validate_model::{
    self, AgainstChampion, Approved, Evidence, Judgement, Outcome, Reason,
};
use crate::time::show_instant;
use crate::verdict::{Checked, Finding, Level, Verdict};

/// Days of history before the origin of a day, and before that of a month.
const DAYS_BEFORE: i64 = 3;
const DAYS_BEFORE_MONTH: i64 = 14;

/// What there is to say of a series.
#[derive(Debug)]
pub struct Page<'a> {
    /// Which one.
    pub declaration: &'a Declaration,
    /// What the stages said, as far as it got.
    pub verdicts: &'a [Verdict],
    /// The judgement, or why there is none.
    pub judged: Result<&'a Judgement, &'a Error>,
}

/// The page as a section of a document.
pub(super) fn section(page: &Page<'_>) -> Markup {
    let name = page.declaration.name.as_ref();
    let conclusion = match page.judged.map(|judgement| &judgement.outcome) {
        Ok(Outcome::Approved(approved)) => Some(approved.conclusion().as_str()),
        Ok(Outcome::Rejected(_)) | Err(_) => None,
    };
    html! {
        section id=(name) {
            h1 {
                (name)
                @if page.judged.is_ok() { (pill(conclusion)) } @else { (failed()) }
            }
            (because(page))
            @if let Ok(judgement) = page.judged {
                @if let Outcome::Approved(approved) = &judgement.outcome { (facts(page, approved)) }
            }
            @if let Some(verdict) = page.verdict(validate_model::STAGE) {
                h2 { "Gates" }
                (checks(verdict))
            }
            @if let Ok(judgement) = page.judged { (history(page, &judgement.evidence)) }
            @if let Some(verdict) = page.verdict(validate_data::STAGE) {
                h2 { "Rules of the data" }
                (checks(verdict))
            }
            @if let Ok(judgement) = page.judged { (backtests(judgement)) }
            h2 { "Notes of the stages" }
            @for verdict in page.verdicts { (notes(verdict)) }
        }
    }
}

/// A conclusion as a coloured word; `None` is a rejection.
pub(super) fn pill(conclusion: Option<&str>) -> Markup {
    let (class, word) = match conclusion {
        Some("PROMOTE") => ("pill good", "PROMOTE"),
        Some(other) => ("pill warn", other),
        None => ("pill bad", "REJECT"),
    };
    html! { span class=(class) { (word) } }
}

/// The word for a series of which no model was judged.
pub(super) fn failed() -> Markup {
    html! { span class="pill bad" { "FAILED" } }
}

impl Page<'_> {
    fn verdict(&self, stage: &str) -> Option<&Verdict> {
        self.verdicts
            .iter()
            .find(|verdict| verdict.stage() == stage)
    }
}

fn because(page: &Page<'_>) -> Markup {
    let reasons: &[Reason] = match page.judged.map(|judgement| &judgement.outcome) {
        Ok(Outcome::Approved(approved)) => approved.reasons(),
        Ok(Outcome::Rejected(rejected)) => rejected.reasons(),
        Err(error) => {
            return html! {
                ul.lead { li { (error) } }
                p.quiet { "Remedy: " (error.remedy()) }
            };
        }
    };
    let warnings: Vec<&Finding> = page
        .verdict(validate_data::STAGE)
        .into_iter()
        .flat_map(Verdict::not_passed)
        .map(|(finding, _)| finding)
        .filter(|finding| finding.level > Level::Ok)
        .collect();
    html! {
        ul.lead {
            (because_of(reasons))
            @for finding in warnings {
                li { "Data: " (finding.text) }
            }
        }
    }
}

/// Why a model is not promoted.
pub(super) fn because_of(reasons: &[Reason]) -> Markup {
    html! {
        @if reasons.is_empty() { li { "Every gate was passed." } }
        @for reason in reasons { li { b { (reason.code) } ": " (reason.message) } }
    }
}

fn facts(page: &Page<'_>, approved: &Approved) -> Markup {
    let series = approved.series();
    let unit = series.unit.map_or("not given", |unit| unit.as_str());
    let labels: Vec<String> = series
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let made = match approved.method() {
        Method::Search => "search, distilled",
        Method::Spec(_) => "a fit of the spec",
    };
    html! {
        dl {
            dt { "column, unit" } dd { (page.declaration.column) ", " (unit) }
            dt { "step, zone" } dd { (series.step_seconds) " s, " (series.zone) }
            dt { "rows" } dd { (approved.rows()) }
            dt { "last observation" } dd { (show_instant(approved.cutoff())) }
            dt { "made by" } dd { (made) }
            dt { "model.pr" } dd { (approved.model_pr().len()) " bytes, sha256 " (approved.sha256().get(..12).unwrap_or_default()) "…" }
            @if !labels.is_empty() { dt { "labels" } dd { (labels.join(", ")) } }
        }
    }
}

fn checks(verdict: &Verdict) -> Markup {
    let named = verdict.findings().iter();
    let named: Vec<(&Finding, &Checked)> = named
        .filter_map(|finding| Some((finding, finding.checked.as_ref()?)))
        .collect();
    // What was not passed first: it is what a person looks for.
    let order = |passed| {
        named
            .iter()
            .filter(move |(_, checked)| checked.passed == passed)
    };
    html! {
        table {
            thead { tr { th { "check" } th { "" } th.number { "value" } th.number { "limit" } th { "found" } } }
            tbody {
                @for (finding, checked) in order(false).chain(order(true)) {
                    tr class=(if checked.passed { "passed" } else { "" }) {
                        td { (checked.check) }
                        td { (outcome(finding.level, checked)) }
                        td.number { (checked.value.map_or_else(|| "unknown".to_owned(), short)) }
                        td.number { (short(checked.limit)) }
                        td { (finding.text) }
                    }
                }
            }
        }
    }
}

fn outcome(level: Level, checked: &Checked) -> Markup {
    let (class, word) = match (checked.passed, level) {
        (true, _) if checked.value.is_none() => ("pill", "unknown"),
        (true, _) => ("pill good", "passed"),
        (false, Level::Ok) => ("pill", "told"),
        (false, Level::Warn) => ("pill warn", "not passed"),
        (false, Level::Refused) => ("pill bad", "refused"),
    };
    html! { span class=(class) { (word) } }
}

fn history(page: &Page<'_>, evidence: &Evidence) -> Markup {
    let Some(found) = page.verdict(validate_data::STAGE) else {
        return html! {};
    };
    let title = "The data, what the rules found in it, and the next day";
    let svg = plot::data::picture(title, evidence, found);
    html! {
        h2 { "Data" }
        (PreEscaped(svg))
        @if evidence.window < evidence.grid.values.len() {
            p.quiet { "What is shaded is older than the window of training; it only judges the model." }
        }
    }
}

fn backtests(judgement: &Judgement) -> Markup {
    let evidence = &judgement.evidence;
    let (day, month, champion) = match &judgement.outcome {
        Outcome::Approved(it) => (it.skill(), it.month(), it.against_champion()),
        Outcome::Rejected(it) => (it.skill(), None, None),
    };
    let served = evidence.champion.served();
    let of_champion = |first: Option<&i64>| {
        // Before its cutoff its forecast is no forecast.
        let served = served?;
        first
            .is_some_and(|ds| *ds > served.cutoff)
            .then_some(&served.forecast)
    };
    let days = evidence.days.iter().zip(1..).map(|(origin, k)| {
        let title = format!(
            "Day {k} of {}, from {}",
            evidence.days.len(),
            wall(origin.ds.first())
        );
        let champion = of_champion(origin.ds.first());
        plot::origin::picture(
            &title,
            "same as yesterday",
            &evidence.grid,
            origin,
            DAYS_BEFORE,
            champion,
        )
    });
    let months = evidence.month.iter().map(|origin| {
        let title = format!("30 days, from {}", wall(origin.ds.first()));
        plot::origin::picture(
            &title,
            "same as last week",
            &evidence.grid,
            origin,
            DAYS_BEFORE_MONTH,
            None,
        )
    });
    html! {
        h2 { "Forecasts of the past, from what was known then" }
        (scores(day, month, champion))
        @for svg in days.chain(months) { (PreEscaped(svg)) }
        @if evidence.days.is_empty() { p.quiet { "None: the history is too short." } }
    }
}

fn wall(time: Option<&i64>) -> String {
    time.map(|time| loadcast_model::spec::format_wall_time(*time))
        .unwrap_or_default()
}

fn scores(
    day: Option<&Backtest>,
    month: Option<&Backtest>,
    champion: Option<&AgainstChampion>,
) -> Markup {
    let row = |name: String, measures: &Measures, skill: Option<f64>| {
        let number = |value: Option<f64>| value.map(short).unwrap_or_default();
        html! {
            tr {
                td { (name) }
                td.number { (number(measures.mae)) }
                td.number { (number(measures.rmse)) }
                td.number { (number(measures.mase)) }
                td.number { (number(measures.smape)) }
                td.number { (measures.coverage.map(|share| format!("{:.0} %", 100.0 * share)).unwrap_or_default()) }
                td.number { (skill.map(|skill| format!("{skill:+.2}")).unwrap_or_default()) }
            }
        }
    };
    html! {
        table {
            thead { tr {
                th { "" } th.number { "MAE" } th.number { "RMSE" } th.number { "MASE" } th.number { "sMAPE" }
                th.number { "in 80 % band" } th.number { "skill" }
            } }
            tbody {
                @for (backtest, length, naive) in [(day, "a day", "yesterday"), (month, "30 days", "last week")] {
                    @if let Some(it) = backtest {
                        (row(format!("this model, {length} ahead"), &it.model, it.skill))
                        (row(format!("same as {naive}"), &it.seasonal_naive, None))
                    }
                }
            }
        }
        @if let Some(it) = champion {
            p {
                "Against version " (it.version) ", which is served, on " (it.values)
                " values that neither had seen: MAE " b { (short(it.mae)) } " to " (short(it.champion_mae)) "."
            }
        }
    }
}

fn notes(verdict: &Verdict) -> Markup {
    let plain = verdict
        .findings()
        .iter()
        .filter(|finding| finding.checked.is_none());
    html! {
        @for finding in plain {
            p { span.quiet { (verdict.stage()) ": " } (finding.text) }
        }
    }
}

/// A number with four significant digits.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = (3.0 - size.log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (-1.0, "-1"),
            (123_456.0, "123456"),
            (0.012_345, "0.01235"),
            (2.5e9, "2.500e9"),
            (f64::MAX, "1.798e308"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
