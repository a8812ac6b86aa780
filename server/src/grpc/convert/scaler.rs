//! What triggers are told, on its way out.

use loadcast_model::{
    series::SeriesName,
    trigger::{Level, Trigger},
};
use loadcast_proto::v1 as pb;

use crate::{
    error::{Error, Result},
    grpc::convert::{seconds_out, span_out, timestamp_out},
    scaler::{
        asked::TriggerId,
        decision::Source,
        explain::{Explained, Explanation, Meaning},
        record::{Mode, Record, Whose},
        spec::metric_name,
    },
};

/// Between the parts of a page token; in no name that Kubernetes permits.
const SEPARATOR: char = '\n';

/// A mode on its way in; `None`: both.
pub(crate) fn mode_in(wire: pb::ScalerMode) -> Result<Option<Mode>> {
    Ok(match wire {
        pb::ScalerMode::Unspecified => None,
        pb::ScalerMode::Acting => Some(Mode::Acting),
        pb::ScalerMode::Shadow => Some(Mode::Shadow),
    })
}

/// Where a page ends.
pub(crate) fn page_token(whose: &Whose) -> String {
    let mode = match whose.mode {
        Mode::Acting => "a",
        Mode::Shadow => "s",
    };
    let parts = [
        &whose.namespace,
        &whose.name,
        whose.series.as_ref(),
        &whose.trigger.to_hex(),
        mode,
    ];
    parts.join(&SEPARATOR.to_string())
}

/// Where the next page begins; `None`: at the first.
pub(crate) fn page_token_in(token: &str) -> Result<Option<Whose>> {
    if token.is_empty() {
        return Ok(None);
    }
    let whose = || {
        let mut parts = token.split(SEPARATOR);
        Some(Whose {
            namespace: parts.next()?.to_owned(),
            name: parts.next()?.to_owned(),
            series: parts.next()?.parse::<SeriesName>().ok()?,
            trigger: TriggerId::of_hex(parts.next()?)?,
            mode: match parts.next()? {
                "a" => Mode::Acting,
                "s" => Mode::Shadow,
                _ => return None,
            },
        })
    };
    let whose = whose().ok_or_else(|| {
        Error::invalid(
            "page_token",
            "not one of this server; leave it out to begin anew",
        )
    })?;
    Ok(Some(whose))
}

/// What one trigger was told.
pub(crate) fn decision(whose: &Whose, record: &Record) -> pb::ScalerDecision {
    let decision = &record.decision;
    let told = decision.told.as_ref().ok();
    let mode = match whose.mode {
        Mode::Acting => pb::ScalerMode::Acting,
        Mode::Shadow => pb::ScalerMode::Shadow,
    };
    let refusal = decision.refusal.as_deref();
    pb::ScalerDecision {
        namespace: whose.namespace.clone(),
        name: whose.name.clone(),
        series: whose.series.to_string(),
        metric_name: metric_name(&whose.series),
        trigger: whose.trigger.to_string(),
        mode: mode.into(),
        source: source(decision.source).into(),
        version: decision.version,
        value: told.map(|demand| demand.value),
        active: told.map(|demand| demand.active),
        reason: refusal.map_or_else(String::new, |error| error.code().to_owned()),
        message: refusal.map_or_else(String::new, ToString::to_string),
        told_at: Some(timestamp_out(record.told_at)),
        since: Some(timestamp_out(record.since)),
        times: record.times,
    }
}

fn source(source: Source) -> pb::ScalerSource {
    match source {
        Source::Champion => pb::ScalerSource::Champion,
        Source::Previous => pb::ScalerSource::Previous,
        Source::LastGood => pb::ScalerSource::LastGood,
        Source::OnUnavailable => pb::ScalerSource::OnUnavailable,
        Source::None => pb::ScalerSource::None,
    }
}

/// An explanation.
pub(crate) fn explanation(explanation: Explanation) -> pb::ExplainTriggerResponse {
    let unknown_keys = explanation.unknown;
    match explanation.meaning {
        Err(malformed) => pb::ExplainTriggerResponse {
            malformed: malformed
                .into_iter()
                .map(|(key, message)| pb::KeyProblem { key, message })
                .collect(),
            unknown_keys,
            ..pb::ExplainTriggerResponse::default()
        },
        Ok(meaning) => pb::ExplainTriggerResponse {
            unknown_keys,
            ..of_meaning(*meaning)
        },
    }
}

fn of_meaning(meaning: Meaning) -> pb::ExplainTriggerResponse {
    let whose = meaning.whose();
    let changes_at = meaning.decision.changes_at;
    let shown = |decision| decision_of(&whose, decision, meaning.now);
    let trigger = &meaning.asked.trigger;
    pb::ExplainTriggerResponse {
        malformed: Vec::new(),
        unknown_keys: Vec::new(),
        metric_name: metric_name(&trigger.series),
        target: trigger.target,
        now: Some(timestamp_out(meaning.now)),
        rungs: meaning
            .rungs
            .iter()
            .map(|explained| rung(trigger, explained))
            .collect(),
        decision: Some(shown(meaning.decision)),
        changes_at: Some(seconds_out(changes_at)),
        unit: meaning
            .unit
            .map_or_else(String::new, |unit| unit.to_string()),
        when_unavailable: Some(shown(meaning.when_unavailable)),
        settings: meaning
            .settings
            .into_iter()
            .map(|(key, value, is_default)| pb::TriggerSetting {
                key: key.to_owned(),
                value,
                is_default,
            })
            .collect(),
    }
}

fn decision_of(
    whose: &Whose,
    of: crate::scaler::decision::Decision,
    now: jiff::Timestamp,
) -> pb::ScalerDecision {
    pb::ScalerDecision {
        // It was told to nobody.
        mode: pb::ScalerMode::Unspecified.into(),
        times: 0,
        ..decision(whose, &Record::first(of, now))
    }
}

fn rung(trigger: &Trigger, explained: &Explained) -> pb::TriggerRung {
    let mut wire = pb::TriggerRung {
        version: explained.version,
        source: source(explained.source).into(),
        gates: explained
            .gates
            .iter()
            .map(|gate| pb::TriggerGate {
                name: gate.name().to_owned(),
                passed: gate.is_open(),
                message: gate.message(),
            })
            .collect(),
        steps: Vec::new(),
        step: Some(span_out(explained.step.into())),
        terms: Vec::new(),
        reason: String::new(),
        message: String::new(),
    };
    if let Some(refusal) = explained.refusal.as_deref() {
        wire.reason = refusal.code().to_owned();
        wire.message = refusal.to_string();
    }
    if let Some((times, forecast, _)) = &explained.computed {
        let quantile = forecast.quantiles.first();
        wire.steps = times
            .iter()
            .zip(&forecast.yhat)
            .enumerate()
            .map(|(i, (time, yhat))| pb::TriggerStep {
                time: Some(seconds_out(*time)),
                yhat: *yhat,
                quantile: quantile.and_then(|quantile| quantile.values.get(i).copied()),
            })
            .collect();
        wire.terms = terms(trigger, explained);
    }
    wire
}

/// The arithmetic, as far as the trigger has it.
fn terms(trigger: &Trigger, explained: &Explained) -> Vec<pb::TriggerTerm> {
    let Some((times, _, terms)) = &explained.computed else {
        return Vec::new();
    };
    let term = |name: &str, value: f64, message: String| pb::TriggerTerm {
        name: name.to_owned(),
        value,
        message,
    };
    let settings = trigger.settings();
    let text = |key: &str| {
        let setting = settings.iter().find(|(of, _)| *of == key);
        setting.map_or_else(String::new, |(_, value)| value.clone())
    };
    let of = match trigger.level {
        Level::Point => "yhat".to_owned(),
        Level::Quantile(level) => format!("quantile {level}"),
    };
    let said = format!("{} of {of} over {} steps", text("aggregate"), times.len());
    let mut all = vec![term("aggregate", terms.aggregate, said)];
    if trigger.scale != 1.0 {
        all.push(term(
            "scale",
            terms.scaled,
            format!("times {}", trigger.scale),
        ));
    }
    if trigger.margin != 0.0 {
        all.push(term(
            "margin",
            terms.widened,
            format!("and {} of it more", trigger.margin),
        ));
    }
    if trigger.floor_at_observed {
        let said = match explained.observed {
            Some(observed) => format!("at least the last observation, {observed}"),
            None => "nothing was observed lately: no floor".to_owned(),
        };
        all.push(term("floorAtObserved", terms.floored, said));
    }
    if terms.floored < 0.0 {
        all.push(term(
            "floor",
            terms.floored.max(0.0),
            "demand is never negative".to_owned(),
        ));
    }
    let unclamped = terms.floored.max(0.0);
    if trigger.clamps.min.is_some_and(|min| unclamped < min) {
        all.push(term(
            "clampMin",
            terms.value,
            format!("at least {}", text("clampMin")),
        ));
    }
    if trigger.clamps.max.is_some_and(|max| unclamped > max) {
        all.push(term(
            "clampMax",
            terms.value,
            format!("at most {}", text("clampMax")),
        ));
    }
    let active = terms.value > trigger.activation_target;
    let said = format!(
        "{} {}: {}",
        if active { "above" } else { "not above" },
        trigger.activation_target,
        if active { "active" } else { "inactive" }
    );
    all.push(term("activationTarget", terms.value, said));
    all
}
