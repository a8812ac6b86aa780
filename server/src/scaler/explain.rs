//! How what a trigger would be told comes about, line by line. Asking changes nothing.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use loadcast_model::{
    error::Error as ModelError,
    forecaster::Forecast,
    series::Unit,
    trigger::{Terms, Trigger, is_set, unknown_keys},
};

use crate::{
    error::Error,
    scaler::{
        Rung, Scaler,
        asked::Asked,
        computed::{checked, forecast},
        decision::{Decision, Source},
        gate::{Gate, gates},
        ladder::{may_descend, rungs},
        record::Whose,
    },
};

/// What metadata means, and what it leads to.
#[derive(Debug)]
pub struct Explanation {
    /// Keys that are neither a trigger's nor KEDA's.
    pub unknown: Vec<String>,
    /// Of metadata that can be read; else each key that cannot, and why.
    pub meaning: Result<Box<Meaning>, Vec<(String, String)>>,
}

/// What metadata that can be read leads to.
#[derive(Debug)]
pub struct Meaning {
    /// What is asked.
    pub asked: Arc<Asked>,
    /// The name of a key, what it means, and whether that is its default.
    pub settings: Vec<(&'static str, String, bool)>,
    /// The instant that is explained.
    pub now: Timestamp,
    /// Of the series.
    pub unit: Option<Unit>,
    /// From the champion to the version that answers, or all of them.
    pub rungs: Vec<Explained>,
    /// What would be told.
    pub decision: Decision,
    /// What would be told, were there no version to trust.
    pub when_unavailable: Decision,
}

/// One version, and how far it got.
#[derive(Debug)]
pub struct Explained {
    /// The registry's number.
    pub version: u64,
    /// Champion or previous.
    pub source: Source,
    /// Seconds between steps.
    pub step: u32,
    /// What it has to pass.
    pub gates: Vec<Gate>,
    /// Steps of the window, their forecast, and what becomes of it; `None` where a gate is closed or nothing was computed.
    pub computed: Option<(Vec<i64>, Forecast, Terms)>,
    /// The last observation, where one came in lately.
    pub observed: Option<f64>,
    /// Why it does not answer; `None` where it does.
    pub refusal: Option<Arc<Error>>,
}

/// Explains what `metadata` leads to at `now`.
pub async fn explain(
    scaler: &Scaler,
    metadata: &BTreeMap<String, String>,
    now: Timestamp,
) -> Explanation {
    let unknown = unknown_keys(metadata).into_iter().map(str::to_owned);
    let unknown = unknown.collect();
    let meaning = match Asked::read(metadata) {
        Ok(asked) => Ok(Box::new(meaning(scaler, metadata, asked, now).await)),
        Err(_) => Err(malformed(metadata)),
    };
    Explanation { unknown, meaning }
}

async fn meaning(
    scaler: &Scaler,
    metadata: &BTreeMap<String, String>,
    asked: Asked,
    now: Timestamp,
) -> Meaning {
    let asked = Arc::new(asked);
    let settings = asked.trigger.settings().into_iter();
    let settings = settings.map(|(key, value)| (key, value, !is_set(metadata, key)));
    let entry = scaler.cache().entry(&asked.trigger.series);
    let mut explained = Vec::new();
    for rung in entry.iter().flat_map(|entry| rungs(entry)) {
        let of_rung = explain_rung(scaler, &asked, rung, now).await;
        let ends = of_rung.refusal.as_deref().is_none_or(|it| !may_descend(it));
        explained.push(of_rung);
        if ends {
            break;
        }
    }
    let decision = scaler.decide(&asked, now).await;
    let nothing = Error::Gated {
        series: asked.trigger.series.clone(),
        reason: "NOTHING_TO_TRUST",
        why: "no version answers".to_owned(),
    };
    let when_unavailable = scaler.unavailable(&asked, Arc::new(nothing), decision.changes_at, now);
    Meaning {
        settings: settings.collect(),
        now,
        unit: entry.and_then(|entry| entry.series.unit),
        rungs: explained,
        decision,
        when_unavailable,
        asked,
    }
}

async fn explain_rung(
    scaler: &Scaler,
    asked: &Asked,
    Rung {
        served,
        entry,
        source,
    }: Rung<'_>,
    now: Timestamp,
) -> Explained {
    let standing = scaler.standing(served, entry, now);
    let gates = gates(&asked.trigger, &standing);
    let step = standing.step_seconds;
    let mut explained = Explained {
        version: served.version,
        source,
        step,
        computed: None,
        observed: standing.observed,
        refusal: gates
            .iter()
            .find(|gate| !gate.is_open())
            .map(|closed| Arc::new(closed.refusal(&asked.trigger.series))),
        gates,
    };
    if explained.refusal.is_some() {
        return explained;
    }
    let window = asked.trigger.window(now.as_second(), step);
    let ends = asked.trigger.ends(now.as_second(), step);
    match forecast(asked, Arc::clone(served), ends, now, standing.seen).await {
        Ok(answer) => {
            let observed = standing.observed;
            let demand = asked.trigger.demand(&answer.forecast, observed);
            explained.refusal = checked(asked, demand).err().map(Arc::new);
            let terms = asked.trigger.terms(&answer.forecast, observed).ok();
            explained.computed = terms.map(|terms| (window, answer.forecast, terms));
        }
        Err(error) => explained.refusal = Some(Arc::new(error)),
    }
    explained
}

/// Every key that cannot be read, and why: each is taken out in turn until the rest can be.
fn malformed(metadata: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut left = metadata.clone();
    let mut problems: Vec<(String, String)> = Vec::new();
    while let Err(ModelError::Invalid { field, reason }) = Trigger::read(&left) {
        left.remove(&field);
        let bare = field.strip_suffix("FromEnv").unwrap_or(&field);
        // What cannot be left out is told of once, and something stands in for it.
        for (required, stand_in) in [("series", "x"), ("target", "1")] {
            if bare == required && !is_set(&left, required) {
                left.insert(required.to_owned(), stand_in.to_owned());
            }
        }
        problems.push((field, reason));
        if problems.len() > metadata.len() + 2 {
            break;
        }
    }
    problems
}

impl Meaning {
    /// Whose trigger a decision of this explanation is: nobody's.
    pub fn whose(&self) -> Whose {
        Whose::scaled_object("", "", &self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
        let pairs = pairs.iter();
        let metadata = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let problems = malformed(&metadata.collect()).into_iter();
        problems.map(|(key, _)| key).collect()
    }

    #[test]
    fn every_malformed_key_is_named_as_it_was_written_and_not_only_the_first() {
        assert_eq!(problems(&[]), ["series", "target"]);
        assert_eq!(
            problems(&[
                ("series", "a/b"),
                ("targetFromEnv", "many"),
                ("leadTime", "5"),
                ("quantile", "p90"),
                ("minSkill", "0"),
            ]),
            ["series", "targetFromEnv", "leadTime", "quantile"]
        );
        let clamps = [
            ("series", "a"),
            ("target", "1"),
            ("clampMin", "5"),
            ("clampMax", "4"),
        ];
        assert_eq!(problems(&clamps), ["clampMax"]);
    }
}
