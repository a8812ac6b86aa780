//! The JSON that scripts read. Versions and revisions are strings, as protobuf's own JSON has them; instants are
//! RFC 3339; numbers round-trip.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loadcast_client::{Forecast, Live, Model, ModelEvent, Provenance, Reason, Scores};
use serde::Serialize;
use serde_json::{Value, json};

/// One forecast.
#[derive(Debug, Serialize)]
pub(crate) struct ForecastView<'a> {
    provenance: Value,
    unit: Option<&'a str>,
    time_zone: &'a str,
    as_of: String,
    start: String,
    step_seconds: f64,
    lead_seconds: f64,
    age_seconds: f64,
    band_calibrated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    clamps: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correction: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    peaks: BTreeMap<String, f64>,
    points: Points<'a>,
}

/// The points as columns, `ds` among them.
#[derive(Debug, Serialize)]
struct Points<'a> {
    ds: Vec<String>,
    yhat: &'a [f64],
    #[serde(skip_serializing_if = "<[f64]>::is_empty")]
    trend: &'a [f64],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    quantiles: BTreeMap<String, &'a [f64]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<&'a str, ComponentView<'a>>,
}

#[derive(Debug, Serialize)]
struct ComponentView<'a> {
    multiplicative: bool,
    values: &'a [f64],
}

impl<'a> From<&'a Forecast> for ForecastView<'a> {
    fn from(forecast: &'a Forecast) -> Self {
        Self {
            provenance: provenance(&forecast.provenance),
            unit: forecast.unit.as_deref(),
            time_zone: &forecast.time_zone,
            as_of: forecast.as_of.to_string(),
            start: forecast.start.to_string(),
            step_seconds: forecast.step.as_secs_f64(),
            lead_seconds: forecast.lead.as_secs_f64(),
            age_seconds: forecast.age.as_secs_f64(),
            band_calibrated: forecast.band_calibrated,
            clamps: forecast
                .clamps
                .map(|clamps| json!({ "min": clamps.min, "max": clamps.max })),
            correction: forecast.correction.map(|correction| {
                json!({
                    "shift": correction.shift,
                    "decay_per_step": correction.decay_per_step,
                    "observed_at": time(correction.observed_at),
                    "level_shift": correction.level_shift,
                })
            }),
            peaks: forecast
                .peaks
                .iter()
                .map(|peak| (peak.level.to_string(), peak.value))
                .collect(),
            points: Points {
                ds: forecast.times().map(|time| time.to_string()).collect(),
                yhat: &forecast.yhat,
                trend: &forecast.trend,
                quantiles: forecast
                    .quantiles
                    .iter()
                    .map(|quantile| (quantile.level.to_string(), quantile.values.as_slice()))
                    .collect(),
                components: forecast
                    .components
                    .iter()
                    .map(|component| {
                        let view = ComponentView {
                            multiplicative: component.multiplicative,
                            values: &component.values,
                        };
                        (component.name.as_str(), view)
                    })
                    .collect(),
            },
        }
    }
}

/// Where an answer comes from.
pub(crate) fn provenance(provenance: &Provenance) -> Value {
    json!({
        "series": provenance.series,
        "version": provenance.version.to_string(),
        "artifact_sha256": provenance.artifact_sha256,
        "alias": provenance.alias,
        "cutoff": provenance.cutoff.to_string(),
        "trained_at": provenance.trained_at.to_string(),
        "epoch": provenance.epoch,
        "revision": provenance.revision.to_string(),
        "freshness": provenance.freshness.name(),
        "reason": provenance.reason,
    })
}

/// One series and its models.
pub(crate) fn model(model: &Model) -> Value {
    let series = &model.series;
    json!({
        "series": series.name,
        "labels": series.labels,
        "unit": series.unit,
        "step_seconds": series.step.map(|step| step.as_secs_f64()),
        "time_zone": series.time_zone,
        "predecessor": series.predecessor,
        "state": model.state.name(),
        "reason": model.reason,
        "message": model.message,
        "freshness": model.freshness.map(|freshness| freshness.name()),
        "served": model.served.as_ref().map(|served| json!({
            "version": served.version.to_string(),
            "artifact_sha256": served.artifact_sha256,
            "size_bytes": served.size_bytes.to_string(),
            "alias": served.alias,
            "cutoff": served.cutoff.to_string(),
            "trained_at": served.trained_at.to_string(),
            "served_since": served.served_since.to_string(),
            "revision": served.revision.to_string(),
            "rows": served.rows.to_string(),
            "scores": served.scores.as_ref().map(scores),
            "trainer_version": served.trainer_version,
        })),
        "aspired": model.aspired.as_ref().map(|aspired| json!({
            "version": aspired.version.to_string(),
            "alias": aspired.alias,
            "seen_at": time(aspired.seen_at),
            "activate_at": time(aspired.activate_at),
        })),
        "last_rejection": model.last_rejection.as_ref().map(|rejection| json!({
            "at": rejection.at.to_string(),
            "version": rejection.version.map(|version| version.to_string()),
            "artifact_sha256": rejection.artifact_sha256,
            "reasons": reasons(&rejection.reasons),
            "scores": rejection.scores.as_ref().map(scores),
        })),
        "live_scores": model.live_scores.as_ref().map(scores),
        "live": model.live.as_ref().map(live),
        "kept_versions": model.kept_versions.iter().map(u64::to_string).collect::<Vec<_>>(),
        "aliases": model.aliases.iter()
            .map(|(alias, version)| (alias.clone(), version.to_string()))
            .collect::<BTreeMap<_, _>>(),
    })
}

/// What observations say of what is served.
fn live(live: &Live) -> Value {
    json!({
        "observed_at": live.observed_at.to_string(),
        "last_value": live.last_value,
        "version": live.version.to_string(),
        "since": live.since.to_string(),
        "gate": live.gate.as_ref().map(|gate| json!({"code": gate.code, "message": gate.message})),
        "unscored": live.unscored,
        "leads": live.leads.iter().map(|scores| json!({
            "lead_seconds": scores.lead.as_secs(),
            "rows": scores.rows.to_string(),
            "mae": scores.mae,
            "coverage": scores.coverage,
            "skill": scores.skill,
            "seasonal_naive_mae": scores.seasonal_naive_mae,
            "skill_last_value": scores.skill_last_value,
            "last_value_mae": scores.last_value_mae,
            "skill_rows": scores.skill_rows.to_string(),
        })).collect::<Vec<_>>(),
    })
}

/// One committed change.
pub(crate) fn event(event: &ModelEvent) -> Value {
    json!({
        "revision": event.revision.to_string(),
        "at": event.at.to_string(),
        "kind": event.kind.name(),
        "series": event.series,
        "labels": event.labels,
        "version": event.version.map(|version| version.to_string()),
        "previous_version": event.previous_version.map(|version| version.to_string()),
        "artifact_sha256": event.artifact_sha256,
        "alias": event.alias,
        "reasons": reasons(&event.reasons),
        "scores": event.scores.as_ref().map(scores),
        "traceparent": event.traceparent,
    })
}

fn reasons(reasons: &[Reason]) -> Value {
    reasons
        .iter()
        .map(|reason| json!({ "code": reason.code, "message": reason.message }))
        .collect()
}

fn scores(scores: &Scores) -> Value {
    json!({
        "mae": scores.mae,
        "rmse": scores.rmse,
        "smape": scores.smape,
        "mase": scores.mase,
        "coverage": scores.coverage,
        "winkler": scores.winkler,
        "pinball": scores.pinball.iter()
            .map(|pinball| (pinball.level.to_string(), pinball.score))
            .collect::<BTreeMap<_, _>>(),
        "seasonal_naive_mase": scores.seasonal_naive_mase,
        "skill": scores.skill,
        "origins": scores.origins,
        "horizon_seconds": scores.horizon.map(|horizon| horizon.as_secs_f64()),
    })
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use loadcast_client::Quantile;

    use super::*;
    use crate::cli::show::tests::forecast;

    #[test]
    fn a_forecast_is_one_object_with_columns() {
        let mut forecast = forecast(vec![0.1 + 0.2, 2.0]);
        forecast.quantiles = vec![Quantile {
            level: 0.9,
            values: vec![1.0, 3.0],
        }];
        let text = serde_json::to_string(&ForecastView::from(&forecast)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["provenance"]["version"], "3");
        assert_eq!(value["provenance"]["revision"], "12");
        assert_eq!(value["provenance"]["freshness"], "FRESH");
        assert_eq!(value["step_seconds"], 300.0);
        assert_eq!(value["points"]["ds"][1], "2026-10-08T00:05:00Z");
        assert_eq!(value["points"]["yhat"][0].as_f64(), Some(0.1 + 0.2));
        assert_eq!(value["points"]["quantiles"]["0.9"][1], 3.0);
        assert!(value["points"].get("trend").is_none());
    }
}
