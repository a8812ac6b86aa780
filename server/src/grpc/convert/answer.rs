//! Answers, on their way out.

use jiff::Timestamp;
use loadcast_proto::v1 as pb;
use tonic::Status;
use uuid::Uuid;

use crate::{
    answer::Answer,
    error::Error,
    feed::forecasts::{Cause, Update},
    freshness::Freshness,
    grpc::convert::{duration_out, seconds_out, span_out, timestamp_out},
    served::Served,
};

/// Where an answer comes from. `asked_by_alias`: false when a version was asked for by number.
pub(crate) fn provenance(
    served: &Served,
    freshness: Freshness,
    epoch: Uuid,
    asked_by_alias: bool,
) -> pb::Provenance {
    let metadata = served.loaded.metadata();
    pb::Provenance {
        series: metadata.series.name.to_string(),
        version: served.version,
        artifact_sha256: metadata.sha256.clone(),
        alias: if asked_by_alias {
            served.alias.clone()
        } else {
            String::new()
        },
        cutoff: Some(timestamp_out(metadata.cutoff)),
        trained_at: Some(timestamp_out(metadata.trained_at)),
        epoch: epoch.to_string(),
        revision: served.revision,
        freshness: freshness_out(freshness).into(),
        reason: String::new(),
    }
}

/// How fresh, on its way out.
pub(crate) fn freshness_out(freshness: Freshness) -> pb::Freshness {
    match freshness {
        Freshness::Fresh => pb::Freshness::Fresh,
        Freshness::StaleModel => pb::Freshness::StaleModel,
        Freshness::StaleData => pb::Freshness::StaleData,
    }
}

/// An answer on its way out.
pub(crate) fn forecast(answer: Answer, epoch: Uuid, asked_by_alias: bool) -> pb::Forecast {
    let Answer {
        served,
        grid,
        forecast,
        freshness,
        clamps,
        components,
    } = answer;
    let metadata = served.loaded.metadata();
    let age = Timestamp::from_second(grid.as_of)
        .map_or(0, |as_of| as_of.duration_since(metadata.cutoff).as_secs());
    pb::Forecast {
        provenance: Some(provenance(&served, freshness, epoch, asked_by_alias)),
        unit: metadata
            .series
            .unit
            .map_or_else(String::new, |unit| unit.to_string()),
        time_zone: metadata.series.zone.to_string(),
        as_of: Some(seconds_out(grid.as_of)),
        start: Some(seconds_out(grid.start)),
        step: Some(span_out(i64::from(grid.step))),
        lead: Some(span_out(grid.last() - grid.as_of)),
        age: Some(span_out(age)),
        yhat: forecast.yhat,
        trend: if components {
            forecast.trend
        } else {
            Vec::new()
        },
        quantiles: forecast
            .quantiles
            .into_iter()
            .map(|quantile| pb::QuantileColumn {
                level: quantile.level,
                values: quantile.values,
            })
            .collect(),
        components: forecast
            .components
            .into_iter()
            .map(|component| pb::ComponentColumn {
                multiplicative: component.is_multiplicative(),
                name: component.name,
                values: component.values,
            })
            .collect(),
        clamps: (clamps.min.is_some() || clamps.max.is_some()).then_some(pb::Clamps {
            min: clamps.min,
            max: clamps.max,
        }),
        peaks: Vec::new(),
        arrow_ipc: Vec::new().into(),
        correction: None,
        band_calibrated: metadata.band_calibration.is_some(),
    }
}

/// Why one series of many has no answer.
pub(crate) fn item_error(error: Error) -> pb::ItemError {
    let (_, reason) = error.reason();
    let status = Status::from(error);
    pb::ItemError {
        code: status.code().into(),
        reason: reason.to_owned(),
        message: status.message().to_owned(),
    }
}

/// A forecast feed's update on its way out.
pub(crate) fn watch_forecasts(
    update: Update,
    token: String,
    epoch: Uuid,
) -> pb::WatchForecastsResponse {
    use pb::watch_forecasts_response::Message;
    let message = match update {
        Update::SnapshotBegin { revision, gap } => Message::SnapshotBegin(pb::SnapshotBegin {
            revision,
            reason: gap.map_or_else(String::new, |gap| gap.code().to_owned()),
        }),
        Update::SnapshotEnd { revision } => Message::SnapshotEnd(pb::SnapshotEnd { revision }),
        Update::Forecast {
            series,
            cause,
            result,
        } => {
            let result = match *result {
                Ok(answer) => pb::forecast_update::Result::Forecast(forecast(answer, epoch, true)),
                Err(error) => pb::forecast_update::Result::Error(item_error(error)),
            };
            Message::Update(pb::ForecastUpdate {
                cause: match cause {
                    Cause::Snapshot => pb::UpdateCause::Snapshot,
                    Cause::Version => pb::UpdateCause::Version,
                    Cause::Step => pb::UpdateCause::Step,
                    Cause::Freshness => pb::UpdateCause::Freshness,
                }
                .into(),
                series: series.to_string(),
                result: Some(result),
            })
        }
        Update::Gone {
            series,
            revision,
            reason,
        } => Message::Gone(pb::SeriesGone {
            series: series.to_string(),
            revision,
            reason,
        }),
        Update::Bookmark { revision } => Message::Bookmark(pb::Bookmark { revision }),
        Update::GoingAway { retry_after } => Message::GoingAway(pb::GoingAway {
            retry_after: Some(duration_out(retry_after)),
        }),
    };
    pb::WatchForecastsResponse {
        token,
        message: Some(message),
    }
}
