//! Answers, on their way out.

use jiff::Timestamp;
use loadcast_model::series::SeriesName;
use loadcast_proto::v1 as pb;
use tonic::Status;
use uuid::Uuid;

use crate::{
    answer::Answer,
    error::{Error, Result},
    event::Reason,
    feed::forecasts::Cause,
    freshness::Freshness,
    grpc::convert::{seconds_out, span_out, timestamp_out},
    served::Served,
};

/// Where an answer comes from. `asked_by_alias`: false when a version was asked for by number.
pub(crate) fn provenance(
    served: &Served,
    freshness: Freshness,
    epoch: Uuid,
    asked_by_alias: bool,
    gate: Option<&Reason>,
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
        reason: gate.map_or_else(String::new, |gate| gate.code.clone()),
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
        correction,
        peaks,
        gate,
    } = answer;
    let metadata = served.loaded.metadata();
    let age = Timestamp::from_second(grid.as_of)
        .map_or(0, |as_of| as_of.duration_since(metadata.cutoff).as_secs());
    pb::Forecast {
        provenance: Some(provenance(
            &served,
            freshness,
            epoch,
            asked_by_alias,
            gate.as_ref(),
        )),
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
        peaks: peaks
            .into_iter()
            .map(|(level, value)| pb::LevelValue { level, value })
            .collect(),
        arrow_ipc: Vec::new().into(),
        correction: correction.map(|correction| pb::Correction {
            shift: correction.shift,
            decay_per_step: correction.left_after_a_step,
            observed_at: Some(timestamp_out(correction.observed_at)),
            level_shift: correction.level_shift,
        }),
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

/// The latest of one series, or why there is none.
pub(crate) fn update(
    series: &SeriesName,
    cause: Cause,
    result: Result<Answer>,
    epoch: Uuid,
) -> pb::ForecastUpdate {
    use pb::forecast_update::Result as Wire;
    let cause = match cause {
        Cause::Snapshot => pb::UpdateCause::Snapshot,
        Cause::Version => pb::UpdateCause::Version,
        Cause::Step => pb::UpdateCause::Step,
        Cause::Freshness => pb::UpdateCause::Freshness,
        Cause::Observed => pb::UpdateCause::Observed,
    };
    pb::ForecastUpdate {
        cause: cause.into(),
        series: series.to_string(),
        result: Some(match result {
            Ok(answer) => Wire::Forecast(forecast(answer, epoch, true)),
            Err(error) => Wire::Error(item_error(error)),
        }),
    }
}

/// One item of many, on its way out.
pub(crate) fn batch_item(
    series: &SeriesName,
    result: Result<Answer>,
    epoch: Uuid,
) -> pb::BatchGetForecastsResponse {
    use pb::batch_get_forecasts_response::Result as Wire;
    pb::BatchGetForecastsResponse {
        series: series.to_string(),
        result: Some(match result {
            Ok(answer) => Wire::Forecast(forecast(answer, epoch, true)),
            Err(error) => Wire::Error(item_error(error)),
        }),
    }
}
