//! What was checked, for people: what was understood, the versions that were asked, the arithmetic, and what is told.

use std::io::{self, Write};

use jiff::Timestamp;
use loadcast_client::{Meaning, Rung, ScalerDecision, ScalerSource, Step};

use super::Checked;
use super::page::{Page, Tone};
use crate::cli::terminal::Terminal;
use crate::cli::units::Scale;

/// Of a longer window the first, the largest and the last steps are shown.
const MAX_STEPS: usize = 12;

/// Steps at either end of a longer window.
const ENDS: usize = 4;

/// The label of what KEDA is told now.
const TOLD: &str = "KEDA is told";

/// One trigger.
pub(super) fn print(
    checked: &Checked,
    terminal: &Terminal,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut page = Page::new(terminal, out);
    if let Some(whose) = &checked.whose {
        page.heading(whose)?;
    }
    for line in &checked.advice {
        page.line("advice", Tone::Bad, line)?;
    }
    for key in &checked.explanation.unknown_keys {
        page.line(
            "unknown key",
            Tone::Bad,
            &format!("{key}: it changes nothing; a slip of the pen?"),
        )?;
    }
    match &checked.explanation.meaning {
        Err(problems) => {
            for problem in problems {
                page.line(
                    "malformed",
                    Tone::Bad,
                    &format!("{}: {}", problem.key, problem.message),
                )?;
            }
            page.line(
                TOLD,
                Tone::Bad,
                "INVALID_ARGUMENT by every method, until that is mended",
            )
        }
        Ok(meaning) => of_meaning(&mut page, meaning),
    }
}

fn of_meaning<W: Write>(page: &mut Page<'_, W>, meaning: &Meaning) -> io::Result<()> {
    let scale = scale_of(meaning);
    for setting in &meaning.settings {
        let value = match &*setting.value {
            "" if setting.key.ends_with("Age") => "the series' own",
            "" => "none",
            value => value,
        };
        let (tone, note) = match setting.is_default {
            true => (Tone::Faint, "  (default)"),
            false => (Tone::Plain, ""),
        };
        page.line(&setting.key, tone, &format!("{value}{note}"))?;
    }
    page.line("metric", Tone::Plain, &meaning.metric_name)?;
    for of_rung in &meaning.rungs {
        rung(page, of_rung, scale)?;
    }
    page.gap()?;
    told(page, TOLD, &meaning.decision, scale)?;
    if let Some(at) = meaning.changes_at {
        page.line(
            "until",
            Tone::Plain,
            &format!("{at} at least, by this version"),
        )?;
    }
    if meaning.decision.source == ScalerSource::Champion {
        told(page, "if none answered", &meaning.when_unavailable, scale)?;
    }
    Ok(())
}

/// One scale for every value, so that they can be compared.
fn scale_of(meaning: &Meaning) -> Scale {
    let steps = meaning.rungs.iter().flat_map(|rung| &rung.steps);
    let values: Vec<f64> = steps
        .map(|step| step.quantile.unwrap_or(step.yhat))
        .chain(meaning.decision.value)
        .collect();
    Scale::for_values(meaning.unit.as_deref(), &values)
}

fn rung<W: Write>(page: &mut Page<'_, W>, rung: &Rung, scale: Scale) -> io::Result<()> {
    page.gap()?;
    let what = rung.source.name().to_lowercase();
    page.heading(&format!("version {}, {what}", rung.version))?;
    for gate in &rung.gates {
        let name = gate.name.to_lowercase().replace('_', " ");
        let (tone, state) = match gate.passed {
            true => (Tone::Good, "ok"),
            false => (Tone::Bad, "closed"),
        };
        page.line(&format!("{name} {state}"), tone, &gate.message)?;
    }
    if let (Some(first), Some(last)) = (rung.steps.first(), rung.steps.last()) {
        let (count, step) = (rung.steps.len(), rung.step.as_secs());
        let said = format!(
            "{} to {}, {count} step{} of {step} s",
            clock(first.time),
            clock(last.time),
            if count == 1 { "" } else { "s" }
        );
        page.line("window, UTC", Tone::Plain, &said)?;
        steps(page, &rung.steps, scale)?;
    }
    for term in &rung.terms {
        let said = format!("{}: {}", scale.with_unit(term.value), term.message);
        page.line(&term.name, Tone::Plain, &said)?;
    }
    if let Some((reason, message)) = &rung.refusal
        && rung.gates.iter().all(|gate| gate.passed)
    {
        page.line(reason, Tone::Bad, message)?;
    }
    Ok(())
}

fn steps<W: Write>(page: &mut Page<'_, W>, steps: &[Step], scale: Scale) -> io::Result<()> {
    let asked = |step: &Step| step.quantile.unwrap_or(step.yhat);
    // The first of equals; where all are equal, none is.
    let mut largest = 0;
    for (i, step) in steps.iter().enumerate() {
        if asked(step) > steps.get(largest).map_or(f64::NEG_INFINITY, asked) {
            largest = i;
        }
    }
    let differ = steps
        .iter()
        .any(|step| Some(asked(step)) != steps.first().map(asked));
    let mut hidden = false;
    for (i, step) in steps.iter().enumerate() {
        let at_an_end = i < ENDS || i + ENDS >= steps.len();
        if steps.len() > MAX_STEPS && !at_an_end && i != largest {
            if !hidden {
                page.line("", Tone::Faint, "...")?;
            }
            hidden = true;
            continue;
        }
        hidden = false;
        let quantile = step.quantile.map_or_else(String::new, |quantile| {
            format!(", quantile {}", scale.with_unit(quantile))
        });
        let mark = if differ && i == largest {
            ": the largest"
        } else {
            ""
        };
        let said = format!("yhat {}{quantile}{mark}", scale.with_unit(step.yhat));
        page.line(&format!("  {}", clock(step.time)), Tone::Faint, &said)?;
    }
    Ok(())
}

fn told<W: Write>(
    page: &mut Page<'_, W>,
    label: &str,
    decision: &ScalerDecision,
    scale: Scale,
) -> io::Result<()> {
    let by = match (decision.source, decision.version) {
        (ScalerSource::OnUnavailable, _) => "the number that onUnavailable gives".to_owned(),
        (ScalerSource::LastGood, Some(version)) => {
            format!("the last good answer, by version {version}")
        }
        (_, Some(version)) => format!("by version {version}"),
        _ => String::new(),
    };
    let (tone, said) = match (decision.value, decision.active) {
        (Some(value), Some(active)) => {
            let active = if active { "active" } else { "inactive" };
            let tone = if decision.reason.is_none() {
                Tone::Good
            } else {
                Tone::Plain
            };
            (tone, format!("{}, {active}; {by}", scale.with_unit(value)))
        }
        _ => {
            let said = "an error, and never 0 or false; the ScaledObject's fallback decides";
            (Tone::Bad, said.to_owned())
        }
    };
    // The other case is no news, good or bad.
    let tone = if label == TOLD { tone } else { Tone::Faint };
    page.line(label, tone, &said)?;
    // Of the other case the reason is made up.
    if let (Some(reason), Some(message), TOLD) = (&decision.reason, &decision.message, label) {
        page.line("because", Tone::Bad, &format!("{reason}: {message}"))?;
    }
    Ok(())
}

fn clock(instant: Timestamp) -> String {
    instant.strftime("%m-%d %H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use loadcast_client::{Explanation, Gate, KeyProblem, Setting, Term};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_764_000_000 + 60 * minute).unwrap()
    }

    fn decision(value: Option<f64>) -> ScalerDecision {
        let reason = value.is_none().then(|| "STALE_MODEL".to_owned());
        ScalerDecision {
            namespace: None,
            name: None,
            series: "shop.web.cpu".into(),
            metric_name: "loadcast-shop-web-cpu-4fbf7550".into(),
            trigger: "0123456789abcdef".into(),
            shadow: false,
            source: value.map_or(ScalerSource::None, |_| ScalerSource::Champion),
            version: value.map(|_| 3),
            value,
            active: value.map(|value| value > 0.0),
            message: reason.as_ref().map(|_| "too old; train again, ".repeat(12)),
            reason,
            told_at: at(0),
            since: at(0),
            times: 0,
        }
    }

    fn checked(steps: i64, value: Option<f64>) -> Checked {
        let step = |i: i64| Step {
            time: at(5 * i),
            yhat: i as f64,
            quantile: Some(i as f64 * 1.2),
        };
        let gate = |passed| Gate {
            name: "MODEL_AGE".into(),
            passed,
            message: "trained 3h ago; at most 2d, which is said at some length here ".repeat(2),
        };
        let rung = Rung {
            version: 3,
            source: ScalerSource::Champion,
            step: std::time::Duration::from_secs(300),
            gates: vec![gate(true), gate(value.is_some())],
            steps: (0..steps).map(step).collect(),
            terms: vec![Term {
                name: "activationTarget".into(),
                value: 7.0,
                message: "above 0: active".into(),
            }],
            refusal: None,
        };
        let setting = |key: &str, is_default| Setting {
            key: key.into(),
            value: String::new(),
            is_default,
        };
        Checked {
            whose: Some("shop/web, trigger predicted".into()),
            advice: vec!["no fallback: an error fails the other triggers too; ".repeat(3)],
            explanation: Explanation {
                unknown_keys: vec!["leedTime".into()],
                meaning: Ok(Meaning {
                    settings: vec![setting("maxModelAge", true), setting("clampMin", false)],
                    metric_name: "loadcast-shop-web-cpu-4fbf7550".into(),
                    target: 0.7,
                    now: at(0),
                    unit: Some("cores".into()),
                    rungs: vec![rung],
                    decision: decision(value),
                    changes_at: Some(at(5)),
                    when_unavailable: decision(None),
                }),
            },
        }
    }

    fn printed(checked: &Checked, colour: bool) -> String {
        let terminal = Terminal {
            columns: 80,
            colour,
            interactive: false,
        };
        let mut out = Vec::new();
        print(checked, &terminal, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_fits_and_colours_are_only_added() {
        for (steps, value) in [(4, Some(7.0)), (300, Some(7.0)), (0, None)] {
            let checked = checked(steps, value);
            let plain = printed(&checked, false);
            assert!(
                plain.lines().all(|line| line.chars().count() <= 80),
                "{plain}"
            );
            assert!(!plain.contains('\x1b') && !plain.lines().any(|line| line.ends_with(' ')));
            let coloured = printed(&checked, true);
            let mut bare = coloured;
            for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m"] {
                bare = bare.replace(code, "");
            }
            assert_eq!(bare, plain);
        }
    }

    #[test]
    fn a_long_window_shows_its_ends_and_its_largest_step() {
        let mut checked = checked(300, Some(7.0));
        if let Ok(meaning) = &mut checked.explanation.meaning {
            meaning.rungs[0].steps[100].quantile = Some(9_000.0);
        }
        let text = printed(&checked, false);
        assert_eq!(text.matches("yhat").count(), 2 * ENDS + 1, "{text}");
        assert!(text.contains("quantile 9000 cores: the largest"), "{text}");
    }

    #[test]
    fn an_error_says_so_and_a_malformed_key_is_named() {
        let text = printed(&checked(0, None), false);
        assert!(
            text.contains("never 0 or false") && text.contains("STALE_MODEL: too old"),
            "{text}"
        );
        let mut malformed = checked(0, None);
        malformed.explanation.meaning = Err(vec![KeyProblem {
            key: "leadTime".into(),
            message: "give 5m".into(),
        }]);
        let text = printed(&malformed, false);
        assert!(
            text.contains("malformed         leadTime: give 5m"),
            "{text}"
        );
        assert!(malformed.failure().unwrap().contains("leadTime"));
    }
}
