//! What is asked for: one forecast, or a watch over many.

use std::time::Duration;

use jiff::Timestamp;
use loadcast_proto::v1 as pb;

use crate::types::series::{Clamps, Selector};
use crate::types::time::{duration_out, timestamp_out};

/// One question about one series.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastQuery {
    /// The series' name.
    pub series: String,
    /// What part of time is asked for.
    pub range: Range,
    /// Spacing of the points: whole seconds, at least one; `None`: the series' own step.
    pub step: Option<Duration>,
    /// Quantile levels in (0, 1), each at most once, at most 32.
    pub levels: Vec<f64>,
    /// Levels of the range's maximum, as `levels`; at the series' own step.
    pub peak_levels: Vec<f64>,
    /// Trend and every component beside the forecast itself.
    pub components: bool,
    /// Answer as if it were this instant; `None`: now.
    pub as_of: Option<Timestamp>,
    /// A version of the registry instead of the served one; goes before `alias`.
    pub version: Option<u64>,
    /// The version another alias points at instead of the served one.
    pub alias: Option<String>,
    /// Bounds to put on every value of the answer, in the series' unit.
    pub clamps: Option<Clamps>,
}

/// One question about many series.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchQuery {
    /// Which series; of those named, one that is not served has an error of its own.
    pub selector: Selector,
    /// What part of time is asked for.
    pub range: Range,
    /// Spacing of the points: whole seconds, at least one; `None`: each series' own step.
    pub step: Option<Duration>,
    /// Quantile levels in (0, 1), each at most once, at most 32.
    pub levels: Vec<f64>,
    /// Trend and every component beside the forecast itself.
    pub components: bool,
    /// Answer as if it were this instant; `None`: now.
    pub as_of: Option<Timestamp>,
    /// The versions another alias points at instead of the served ones.
    pub alias: Option<String>,
    /// Bounds to put on every value of the answers, in each series' unit.
    pub clamps: Option<Clamps>,
}

/// A part of the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// From now, the first point at now floored to the step.
    Horizon(Duration),
    /// A window of the calendar in the series' time zone.
    Window(Window),
    /// From `start` to `end`, which is excluded.
    Between {
        /// The first instant.
        start: Timestamp,
        /// After the last instant.
        end: Timestamp,
    },
}

/// Half-open windows in the series' time zone, counted from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Tomorrow 00:00 to 24:00.
    NextDay,
    /// The 7 days from tomorrow 00:00.
    NextWeek,
    /// The next Saturday 00:00 to Monday 00:00 that has not begun.
    NextWeekend,
    /// The 30 days from tomorrow 00:00.
    NextMonth,
}

/// What forecasts to watch.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchQuery {
    /// Which series.
    pub selector: Selector,
    /// How far ahead, from a now that moves.
    pub horizon: Duration,
    /// Spacing of the points; `None`: each series' own step.
    pub step: Option<Duration>,
    /// Quantile levels in (0, 1).
    pub levels: Vec<f64>,
    /// Trend and every component beside the forecast itself.
    pub components: bool,
    /// Continue after this message of an earlier watch; `None`: begin with a snapshot.
    pub token: Option<String>,
    /// Versions that the caller holds already: the first snapshot leaves them out.
    pub known_versions: Vec<KnownVersion>,
    /// Updates only when this holds.
    pub condition: Option<WatchCondition>,
    /// Bounds to put on every value, in the series' unit.
    pub clamps: Option<Clamps>,
}

/// A version that the caller holds already.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KnownVersion {
    /// The series' name.
    pub series: String,
    /// The registry's number.
    pub version: u64,
    /// Lower-case hex of the SHA-256 of model.pr.
    pub artifact_sha256: String,
}

/// "Tell me when this quantile at this lead has moved by more than so many percent since you last told me."
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WatchCondition {
    /// The quantile's level in (0, 1); `None`: the point forecast.
    pub level: Option<f64>,
    /// Counted from now.
    pub lead: Duration,
    /// In percent of the value told last.
    pub moved_percent: f64,
}

impl ForecastQuery {
    /// The served model's point forecast over `range` at the series' own step, as of now.
    #[must_use]
    pub fn new(series: impl Into<String>, range: Range) -> Self {
        Self {
            series: series.into(),
            range,
            step: None,
            levels: Vec::new(),
            peak_levels: Vec::new(),
            components: false,
            as_of: None,
            version: None,
            alias: None,
            clamps: None,
        }
    }
}

impl BatchQuery {
    /// The served models' point forecasts over `range` at each series' own step, as of now.
    #[must_use]
    pub fn new(selector: Selector, range: Range) -> Self {
        Self {
            selector,
            range,
            step: None,
            levels: Vec::new(),
            components: false,
            as_of: None,
            alias: None,
            clamps: None,
        }
    }
}

impl WatchQuery {
    /// Point forecasts of the selected series for the next `horizon`, beginning with a snapshot.
    #[must_use]
    pub fn new(selector: Selector, horizon: Duration) -> Self {
        Self {
            selector,
            horizon,
            step: None,
            levels: Vec::new(),
            components: false,
            token: None,
            known_versions: Vec::new(),
            condition: None,
            clamps: None,
        }
    }
}

impl From<Window> for pb::Window {
    fn from(window: Window) -> Self {
        match window {
            Window::NextDay => Self::NextDay,
            Window::NextWeek => Self::NextWeek,
            Window::NextWeekend => Self::NextWeekend,
            Window::NextMonth => Self::NextMonth,
        }
    }
}

impl From<Range> for pb::get_forecast_request::Range {
    fn from(range: Range) -> Self {
        match range {
            Range::Horizon(horizon) => Self::Horizon(duration_out(horizon)),
            Range::Window(window) => Self::Window(pb::Window::from(window).into()),
            Range::Between { start, end } => Self::TimeRange(pb::TimeRange {
                start: Some(timestamp_out(start)),
                end: Some(timestamp_out(end)),
            }),
        }
    }
}

impl From<ForecastQuery> for pb::GetForecastRequest {
    fn from(query: ForecastQuery) -> Self {
        use pb::get_forecast_request::Model;
        Self {
            series: query.series,
            step: query.step.map(duration_out),
            levels: query.levels,
            components: query.components,
            as_of: query.as_of.map(timestamp_out),
            future: None,
            format: pb::AnswerFormat::Columns.into(),
            clamps: query.clamps.map(Into::into),
            peak_levels: query.peak_levels,
            range: Some(query.range.into()),
            model: query
                .version
                .map(Model::Version)
                .or_else(|| query.alias.map(Model::Alias)),
        }
    }
}

impl From<BatchQuery> for pb::BatchGetForecastsRequest {
    fn from(query: BatchQuery) -> Self {
        use pb::batch_get_forecasts_request::Range as Wire;
        Self {
            selector: Some(query.selector.into()),
            step: query.step.map(duration_out),
            levels: query.levels,
            components: query.components,
            as_of: query.as_of.map(timestamp_out),
            alias: query.alias.unwrap_or_default(),
            format: pb::AnswerFormat::Columns.into(),
            clamps: query.clamps.map(Into::into),
            range: Some(match query.range.into() {
                pb::get_forecast_request::Range::TimeRange(range) => Wire::TimeRange(range),
                pb::get_forecast_request::Range::Horizon(horizon) => Wire::Horizon(horizon),
                pb::get_forecast_request::Range::Window(window) => Wire::Window(window),
            }),
        }
    }
}

impl From<WatchQuery> for pb::WatchForecastsRequest {
    fn from(query: WatchQuery) -> Self {
        Self {
            selector: Some(query.selector.into()),
            horizon: Some(duration_out(query.horizon)),
            step: query.step.map(duration_out),
            levels: query.levels,
            components: query.components,
            token: query.token.unwrap_or_default(),
            snapshot_on_gap: true,
            known_versions: query.known_versions.into_iter().map(Into::into).collect(),
            condition: query.condition.map(Into::into),
            clamps: query.clamps.map(Into::into),
        }
    }
}

impl From<KnownVersion> for pb::KnownVersion {
    fn from(known: KnownVersion) -> Self {
        Self {
            series: known.series,
            version: known.version,
            artifact_sha256: known.artifact_sha256,
        }
    }
}

impl From<WatchCondition> for pb::WatchCondition {
    fn from(condition: WatchCondition) -> Self {
        Self {
            level: condition.level.unwrap_or_default(),
            lead: Some(duration_out(condition.lead)),
            moved_percent: condition.moved_percent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_goes_before_an_alias() {
        let query = ForecastQuery {
            version: Some(3),
            alias: Some("candidate".into()),
            ..ForecastQuery::new("web", Range::Window(Window::NextWeekend))
        };
        let request = pb::GetForecastRequest::from(query);
        assert_eq!(
            request.model,
            Some(pb::get_forecast_request::Model::Version(3))
        );
        assert_eq!(
            request.range,
            Some(pb::get_forecast_request::Range::Window(
                pb::Window::NextWeekend.into()
            ))
        );
    }

    #[test]
    fn a_watch_always_takes_a_snapshot_over_an_error() {
        let query = WatchQuery::new(Selector::all(), Duration::from_secs(60));
        let request = pb::WatchForecastsRequest::from(query);
        assert!(request.snapshot_on_gap);
        assert_eq!(request.token, "");
    }
}
