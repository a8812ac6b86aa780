//! Answers as a healthy server gives them.

use loadcast_proto::v1 as pb;
use loadcast_proto::v1::watch_forecasts_response::Message as ForecastMessage;
use loadcast_proto::v1::watch_models_response::Message as ModelMessage;

pub(crate) const SERIES: &str = "demo.web.cpu";

/// 2026-10-08T00:00:00Z.
const MIDNIGHT: i64 = 1_791_417_600;

pub(crate) fn time(offset: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: MIDNIGHT + offset,
        nanos: 0,
    })
}

pub(crate) fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

pub(crate) fn digest() -> String {
    "1a2b3c4d".repeat(8)
}

/// A day in steps of five minutes, with a band.
pub(crate) fn forecast(version: u64, revision: u64, height: f64) -> pb::Forecast {
    let yhat: Vec<f64> = (0..288)
        .map(|i| height + (f64::from(i) / 46.0).sin())
        .collect();
    let shifted = |shift: f64| yhat.iter().map(|value| value + shift).collect();
    pb::Forecast {
        provenance: Some(pb::Provenance {
            series: SERIES.into(),
            version,
            artifact_sha256: digest(),
            alias: "champion".into(),
            cutoff: time(-7_200),
            trained_at: time(-3_600),
            epoch: "e1".into(),
            revision,
            freshness: pb::Freshness::Fresh.into(),
            reason: String::new(),
        }),
        unit: "cores".into(),
        time_zone: "UTC".into(),
        as_of: time(-3_600),
        start: time(0),
        step: seconds(300),
        lead: seconds(89_700),
        age: seconds(3_600),
        quantiles: vec![
            pb::QuantileColumn {
                level: 0.1,
                values: shifted(-0.3),
            },
            pb::QuantileColumn {
                level: 0.9,
                values: shifted(0.3),
            },
        ],
        yhat,
        ..pb::Forecast::default()
    }
}

pub(crate) fn model(name: &str) -> pb::Model {
    pb::Model {
        series: Some(pb::Series {
            name: name.into(),
            unit: "cores".into(),
            step: seconds(300),
            ..pb::Series::default()
        }),
        state: pb::ModelState::Serving.into(),
        freshness: pb::Freshness::Fresh.into(),
        served: Some(pb::ServedVersion {
            version: 2,
            artifact_sha256: digest(),
            size_bytes: 81_920,
            cutoff: time(-7_200),
            trained_at: time(-3_600),
            served_since: time(-3_000),
            revision: 11,
            ..pb::ServedVersion::default()
        }),
        ..pb::Model::default()
    }
}

pub(crate) fn about_models(token: &str, message: ModelMessage) -> pb::WatchModelsResponse {
    pb::WatchModelsResponse {
        token: token.into(),
        message: Some(message),
    }
}

pub(crate) fn served(revision: u64) -> ModelMessage {
    let event = pb::ModelEvent {
        revision,
        at: time(0),
        kind: pb::ModelEventKind::Served.into(),
        series: SERIES.into(),
        version: revision,
        previous_version: revision - 1,
        artifact_sha256: digest(),
        ..pb::ModelEvent::default()
    };
    ModelMessage::Event(event.into())
}

pub(crate) fn changed(token: &str, forecast: pb::Forecast) -> pb::WatchForecastsResponse {
    let update = pb::ForecastUpdate {
        cause: pb::UpdateCause::Version.into(),
        series: SERIES.into(),
        result: Some(pb::forecast_update::Result::Forecast(forecast)),
    };
    pb::WatchForecastsResponse {
        token: token.into(),
        message: Some(ForecastMessage::Update(update.into())),
    }
}
