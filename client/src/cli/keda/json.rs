//! What was checked, for scripts.

use loadcast_client::{Explanation, Meaning, Rung, ScalerDecision};
use serde_json::{Value, json};

use super::Checked;

/// One trigger.
pub(super) fn checked(checked: &Checked) -> Value {
    let Explanation {
        unknown_keys,
        meaning,
    } = &checked.explanation;
    let mut view = json!({
        "trigger": checked.whose,
        "advice": checked.advice,
        "unknown_keys": unknown_keys,
    });
    let more = match meaning {
        Err(problems) => {
            let problems = problems
                .iter()
                .map(|problem| json!({"key": problem.key, "message": problem.message}));
            json!({"malformed": problems.collect::<Vec<_>>()})
        }
        Ok(meaning) => of_meaning(meaning),
    };
    if let (Value::Object(view), Value::Object(more)) = (&mut view, more) {
        view.extend(more);
    }
    view
}

fn of_meaning(meaning: &Meaning) -> Value {
    let settings = meaning.settings.iter().map(|setting| {
        json!({"key": setting.key, "value": setting.value, "is_default": setting.is_default})
    });
    json!({
        "metric_name": meaning.metric_name,
        "target": meaning.target,
        "unit": meaning.unit,
        "now": meaning.now.to_string(),
        "settings": settings.collect::<Vec<_>>(),
        "rungs": meaning.rungs.iter().map(rung).collect::<Vec<_>>(),
        "decision": decision(&meaning.decision),
        "changes_at": meaning.changes_at.map(|at| at.to_string()),
        "when_unavailable": decision(&meaning.when_unavailable),
    })
}

fn rung(rung: &Rung) -> Value {
    let gates = rung
        .gates
        .iter()
        .map(|gate| json!({"name": gate.name, "passed": gate.passed, "message": gate.message}));
    let steps = rung.steps.iter().map(
        |step| json!({"ds": step.time.to_string(), "yhat": step.yhat, "quantile": step.quantile}),
    );
    let terms = rung
        .terms
        .iter()
        .map(|term| json!({"name": term.name, "value": term.value, "message": term.message}));
    json!({
        "version": rung.version.to_string(),
        "source": rung.source.name(),
        "step_seconds": rung.step.as_secs_f64(),
        "gates": gates.collect::<Vec<_>>(),
        "steps": steps.collect::<Vec<_>>(),
        "terms": terms.collect::<Vec<_>>(),
        "reason": rung.refusal.as_ref().map(|(reason, _)| reason),
        "message": rung.refusal.as_ref().map(|(_, message)| message),
    })
}

fn decision(decision: &ScalerDecision) -> Value {
    json!({
        "source": decision.source.name(),
        "version": decision.version.map(|version| version.to_string()),
        "value": decision.value,
        "active": decision.active,
        "reason": decision.reason,
        "message": decision.message,
    })
}
