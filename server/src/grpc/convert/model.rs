//! Models and their events, on their way out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use loadcast_model::{
    score::Scores,
    series::{Series, ZeroMeans},
};
use loadcast_proto::v1 as pb;

use crate::{
    aspired::{Aspiration, Progress},
    event::{Event, EventKind, Reason},
    grpc::convert::{answer::freshness_out, live, span_out, timestamp_out},
    live::Seen,
    served::{Entry, Outage, Rejection, Served, State},
};

/// A series on its way out.
pub(crate) fn series(series: &Series) -> pb::Series {
    pb::Series {
        name: series.name.to_string(),
        labels: (*series.labels).clone(),
        unit: series
            .unit
            .map_or_else(String::new, |unit| unit.to_string()),
        step: Some(span_out(i64::from(series.step_seconds))),
        time_zone: series.zone.to_string(),
        zero_means: match series.zero_means {
            ZeroMeans::Value => pb::ZeroMeans::Value,
            ZeroMeans::Missing => pb::ZeroMeans::Missing,
        }
        .into(),
        predecessor: series
            .predecessor
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
    }
}

/// Scores on their way out.
pub(crate) fn scores(scores: &Scores) -> pb::Scores {
    pb::Scores {
        mae: scores.mae,
        rmse: scores.rmse,
        smape: scores.smape,
        mase: scores.mase,
        coverage: scores.coverage,
        winkler: scores.winkler,
        pinball: Vec::new(),
        seasonal_naive_mase: scores.seasonal_naive_mase,
        skill: scores.skill,
        origins: scores.origins,
        horizon: scores.horizon_seconds.map(span_out),
    }
}

/// One series as ListModels, GetModel and snapshots tell of it.
pub(crate) fn model(
    entry: &Entry,
    aspiration: Option<&Aspiration>,
    state: &State,
    now: Timestamp,
    aliases: BTreeMap<String, u64>,
    seen: &Seen,
) -> pb::Model {
    let (model_state, reason, message) = model_state(entry, aspiration, state, now);
    pb::Model {
        series: Some(series(&entry.series)),
        state: model_state.into(),
        reason,
        message,
        served: entry.served.as_deref().map(served),
        aspired: aspiration.map(aspired),
        last_rejection: entry.rejection.as_ref().map(rejection),
        freshness: entry
            .served
            .as_deref()
            .map_or(pb::Freshness::Unspecified, |served| {
                freshness_out(seen.freshness(served.loaded.metadata(), now))
            })
            .into(),
        live_scores: seen.view().and_then(|view| live::scores(view)),
        kept_versions: entry.kept.iter().map(|kept| kept.version).collect(),
        aliases,
        live: seen.view().and_then(|view| live::live(view)),
    }
}

fn model_state(
    entry: &Entry,
    aspiration: Option<&Aspiration>,
    state: &State,
    now: Timestamp,
) -> (pb::ModelState, String, String) {
    if let Some(aspiration) = aspiration
        && state.registry_unreachable.is_none()
    {
        return on_the_way(aspiration, entry.served.is_some());
    }
    if entry.served.is_some() {
        return match (&state.registry_unreachable, &entry.alias_gone) {
            (Some(Outage { since, message }), _) => (
                pb::ModelState::RegistryUnreachable,
                "REGISTRY_UNREACHABLE".to_owned(),
                format!(
                    "served from memory; the registry does not answer since {since}, {} seconds ago: {message}",
                    now.duration_since(*since).as_secs()
                ),
            ),
            (None, _) if entry.gate.is_some() => gated(entry),
            (None, Some(Reason { code, message })) => {
                (pb::ModelState::Serving, code.clone(), message.clone())
            }
            (None, None) => (pb::ModelState::Serving, String::new(), String::new()),
        };
    }
    if let Some(reason) = &entry.removed {
        return (
            pb::ModelState::Retired,
            reason.code.clone(),
            reason.message.clone(),
        );
    }
    match entry
        .rejection
        .as_ref()
        .and_then(|rejection| rejection.reasons.first())
    {
        Some(Reason { code, message }) => (pb::ModelState::Rejected, code.clone(), message.clone()),
        None => (
            pb::ModelState::Unspecified,
            "UNKNOWN_SERIES".to_owned(),
            "nothing is known of it here".to_owned(),
        ),
    }
}

/// The state of a series whose gate is closed.
fn gated(entry: &Entry) -> (pb::ModelState, String, String) {
    let gate = entry.gate.as_ref().map(|gate| gate.reason.clone());
    let (code, message) = gate.map_or_else(Default::default, |it| (it.code, it.message));
    (pb::ModelState::Serving, code, message)
}

/// The state of a series, of which a version is on its way.
fn on_the_way(aspiration: &Aspiration, is_served: bool) -> (pb::ModelState, String, String) {
    let loading = |reason: &str, message: &str| {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        (pb::ModelState::Loading, reason, message)
    };
    match &aspiration.progress {
        Progress::Loading => loading("", ""),
        Progress::NotReady { message } => loading("NOT_READY", message),
        Progress::Retrying { message, .. } => loading("RETRYING", message),
        Progress::Waiting { activate_at, .. } => {
            let version = aspiration.version;
            let message = format!("version {version} is loaded and served from {activate_at} on");
            let (_, reason, message) = loading("ACTIVATES_LATER", &message);
            let state = if is_served {
                pb::ModelState::Serving
            } else {
                pb::ModelState::Loading
            };
            (state, reason, message)
        }
    }
}

fn aspired(aspiration: &Aspiration) -> pb::AspiredVersion {
    pb::AspiredVersion {
        version: aspiration.version,
        alias: aspiration.alias.clone(),
        seen_at: Some(timestamp_out(aspiration.seen_at)),
        activate_at: match aspiration.progress {
            Progress::Waiting { activate_at, .. } => Some(timestamp_out(activate_at)),
            _ => None,
        },
    }
}

fn served(served: &Served) -> pb::ServedVersion {
    let metadata = served.loaded.metadata();
    pb::ServedVersion {
        version: served.version,
        artifact_sha256: metadata.sha256.clone(),
        size_bytes: metadata.size_bytes,
        alias: served.alias.clone(),
        cutoff: Some(timestamp_out(metadata.cutoff)),
        trained_at: Some(timestamp_out(metadata.trained_at)),
        served_since: Some(timestamp_out(served.served_since)),
        revision: served.revision,
        rows: metadata.rows,
        scores: metadata.scores.as_ref().map(scores),
        trainer_version: metadata.trainer_version.clone(),
        clamps: metadata.clamps.map(|clamps| pb::Clamps {
            min: clamps.min,
            max: clamps.max,
        }),
    }
}

fn rejection(rejection: &Rejection) -> pb::Rejection {
    pb::Rejection {
        at: Some(timestamp_out(rejection.at)),
        version: rejection.version,
        artifact_sha256: rejection.sha256.clone(),
        reasons: rejection.reasons.iter().map(reason).collect(),
        scores: rejection.scores.as_ref().map(scores),
    }
}

/// A reason on its way out.
pub(crate) fn reason(reason: &Reason) -> pb::Reason {
    pb::Reason {
        code: reason.code.clone(),
        message: reason.message.clone(),
    }
}

/// An event on its way out.
pub(crate) fn event(event: &Event) -> pb::ModelEvent {
    let base = pb::ModelEvent {
        revision: event.revision,
        at: Some(timestamp_out(event.at)),
        traceparent: event.traceparent.clone(),
        ..pb::ModelEvent::default()
    };
    match &event.kind {
        EventKind::Served {
            series,
            labels,
            version,
            previous_version,
            sha256,
            alias,
            scores: found,
        } => pb::ModelEvent {
            kind: pb::ModelEventKind::Served.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            version: *version,
            previous_version: *previous_version,
            artifact_sha256: sha256.clone(),
            alias: alias.clone(),
            scores: found.as_ref().map(scores),
            ..base
        },
        EventKind::Removed {
            series,
            labels,
            previous_version,
            reason: why,
        } => pb::ModelEvent {
            kind: pb::ModelEventKind::Removed.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            previous_version: *previous_version,
            reasons: vec![reason(why)],
            ..base
        },
        EventKind::Rejected {
            series,
            labels,
            version,
            sha256,
            reasons,
            scores: found,
            beside: _,
        } => pb::ModelEvent {
            kind: pb::ModelEventKind::Rejected.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            version: *version,
            artifact_sha256: sha256.clone(),
            reasons: reasons.iter().map(reason).collect(),
            scores: found.as_ref().map(scores),
            ..base
        },
        EventKind::AliasGone {
            series,
            labels,
            reason: why,
        } => pb::ModelEvent {
            kind: pb::ModelEventKind::AliasGone.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            reasons: vec![reason(why)],
            ..base
        },
        EventKind::AliasBack { series, labels } => pb::ModelEvent {
            kind: pb::ModelEventKind::AliasBack.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            ..base
        },
        EventKind::GateClosed {
            series,
            labels,
            version,
            reason: why,
        } => pb::ModelEvent {
            kind: pb::ModelEventKind::GateClosed.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            version: *version,
            reasons: vec![reason(why)],
            ..base
        },
        EventKind::GateOpened {
            series,
            labels,
            version,
        } => pb::ModelEvent {
            kind: pb::ModelEventKind::GateOpened.into(),
            series: series.to_string(),
            labels: (**labels).clone(),
            version: *version,
            ..base
        },
        EventKind::RegistryUnreachable { message } => pb::ModelEvent {
            kind: pb::ModelEventKind::RegistryUnreachable.into(),
            reasons: vec![reason(&Reason::new(
                "REGISTRY_UNREACHABLE",
                message.clone(),
            ))],
            ..base
        },
        EventKind::RegistryBack => pb::ModelEvent {
            kind: pb::ModelEventKind::RegistryBack.into(),
            ..base
        },
    }
}
