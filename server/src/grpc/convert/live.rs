//! Observations on their way in, and what they say on its way out.

use loadcast_model::{score::Scores, series::SeriesName};
use loadcast_proto::v1 as pb;

use crate::{
    error::{Error, Result},
    grpc::convert::{question::series_name, span_out, step_in, timestamp_out, whole_second_in},
    live::{LeadScores, MAX_MAGNITUDE, View},
};

/// The most values of one message: a week of minutes.
pub(crate) const MAX_VALUES: usize = 10_080;

/// A run of observations of one series.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) series: SeriesName,
    /// Epoch seconds of the first.
    pub(crate) start: i64,
    /// Seconds between them; `None`: the series' own.
    pub(crate) step: Option<u32>,
    pub(crate) values: Vec<f64>,
}

/// A message on its way in.
pub(crate) fn run(wire: pb::ObserveActualsRequest) -> Result<Run> {
    let series = series_name("series", &wire.series)?;
    let start = wire.start.as_ref().ok_or_else(|| {
        Error::invalid(
            "start",
            "not set; give the instant of the first value, for example 2026-01-31T12:00:00Z",
        )
    })?;
    let step = wire.step.as_ref().map(|step| step_in("step", step));
    if wire.values.is_empty() || wire.values.len() > MAX_VALUES {
        let count = wire.values.len();
        return Err(Error::invalid(
            "values",
            format!("{count} values; give 1 to {MAX_VALUES} in a message, and send several"),
        ));
    }
    let absurd = |value: &f64| value.abs() > MAX_MAGNITUDE;
    if let Some(i) = wire.values.iter().position(absurd) {
        return Err(Error::invalid(
            format!("values[{i}]"),
            format!(
                "{:e} was not measured (the largest magnitude is {MAX_MAGNITUDE:e}); write NaN where a value is missing",
                wire.values[i]
            ),
        ));
    }
    Ok(Run {
        series,
        start: whole_second_in("start", start)?,
        step: step.transpose()?,
        values: wire.values,
    })
}

/// What observations say of a series.
pub(crate) fn live(view: &View) -> Option<pb::Live> {
    let last = view.last?;
    let scores = view.scores.as_ref()?;
    Some(pb::Live {
        observed_at: Some(timestamp_out(last.at)),
        last_value: last.value,
        version: view.version,
        since: Some(timestamp_out(scores.since)),
        leads: scores.leads.iter().map(lead).collect(),
        gate: view.gate.as_ref().map(super::model::reason),
        unscored: scores.unscored.clone().unwrap_or_default(),
    })
}

fn lead(scores: &LeadScores) -> pb::LeadScores {
    pb::LeadScores {
        lead: Some(span_out(scores.lead_seconds)),
        rows: scores.rows,
        mae: scores.mae,
        coverage: scores.coverage,
        skill: scores.skill,
        seasonal_naive_mae: scores.seasonal_naive_mae,
        skill_last_value: scores.skill_last_value,
        last_value_mae: scores.last_value_mae,
        skill_rows: scores.skill_rows,
    }
}

/// The scores that gates judge, as scores are told elsewhere.
pub(crate) fn scores(view: &View) -> Option<pb::Scores> {
    let judged = view.scores.as_ref()?.judged()?;
    Some(super::model::scores(&Scores {
        mae: judged.mae,
        coverage: judged.coverage,
        skill: judged.skill,
        origins: u32::try_from(judged.rows).unwrap_or(u32::MAX),
        horizon_seconds: Some(judged.lead_seconds),
        ..Scores::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> pb::ObserveActualsRequest {
        pb::ObserveActualsRequest {
            series: "shop.web.cpu".to_owned(),
            start: Some(prost_types::Timestamp::default()),
            step: Some(span_out(300)),
            values: vec![1.0, f64::NAN],
        }
    }

    type Spoil = fn(&mut pb::ObserveActualsRequest);

    #[test]
    fn what_makes_no_sense_is_refused_naming_field_and_remedy() {
        assert!(run(message()).is_ok());
        let cases: [(Spoil, &str, &str); 8] = [
            (|m| m.series.clear(), "series: ", "letters"),
            (|m| m.start = None, "start: ", "2026-01-31"),
            (
                |m| {
                    m.start = Some(prost_types::Timestamp {
                        seconds: 0,
                        nanos: 5,
                    })
                },
                "start: ",
                "whole seconds",
            ),
            (
                |m| {
                    m.start = Some(prost_types::Timestamp {
                        seconds: i64::MAX,
                        nanos: 0,
                    })
                },
                "start: ",
                "RFC 3339",
            ),
            (|m| m.step = Some(span_out(0)), "step: ", "300s"),
            (|m| m.values.clear(), "values: ", "1 to"),
            (
                |m| m.values = vec![0.0; MAX_VALUES + 1],
                "values: ",
                "several",
            ),
            (|m| m.values.push(f64::INFINITY), "values[2]: ", "NaN"),
        ];
        for (spoil, field, remedy) in cases {
            let mut message = message();
            spoil(&mut message);
            let error = run(message).unwrap_err().to_string();
            assert!(
                error.starts_with(field) && error.contains(remedy),
                "{error}"
            );
        }
    }
}
