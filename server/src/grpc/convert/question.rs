//! Requests for forecasts, on their way in.

use loadcast_model::{artifact::Clamps, holiday::Holiday, inputs::Inputs, series::SeriesName};
use loadcast_proto::v1::{self as pb, get_forecast_request::Range as WireRange};

use crate::{
    error::{Error, Result},
    feed::{Known, KnownVersions},
    grpc::convert::{step_in, timestamp_in, whole_second_in, whole_seconds_in},
    question::{MAX_LEAD_SECONDS, MAX_LEVELS, Question, Range},
    selector::Selector,
    window::Window,
};

/// The most known versions that one watch may bring.
const MAX_KNOWN: usize = 100_000;

/// Which version is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pick {
    /// What is served by this alias; `None`: by the followed one.
    Alias(Option<String>),
    /// This number.
    Version(u64),
}

/// A name on its way in.
pub(crate) fn series_name(field: &str, name: &str) -> Result<SeriesName> {
    name.parse()
        .map_err(|error: loadcast_model::error::Error| Error::invalid(field, error.to_string()))
}

/// A selector on its way in; none selects all.
pub(crate) fn selector(wire: Option<pb::SeriesSelector>) -> Result<Selector> {
    let wire = wire.unwrap_or_default();
    Selector::parse(&wire.names, &wire.label_selector)
}

/// A request for one series on its way in.
pub(crate) fn question(request: pb::GetForecastRequest) -> Result<(SeriesName, Pick, Question)> {
    let name = series_name("series", &request.series)?;
    if request.format() == pb::AnswerFormat::ArrowIpc {
        return Err(Error::Unsupported {
            feature: "format ANSWER_FORMAT_ARROW_IPC".to_owned(),
            description: "answers travel as columns for now; leave format out".to_owned(),
        });
    }
    let range = match request.range {
        Some(WireRange::TimeRange(range)) => time_range(&range)?,
        Some(WireRange::Horizon(horizon)) => Range::Horizon(whole_seconds_in("horizon", &horizon)?),
        Some(WireRange::Window(window)) => Range::Window(window_in(window)?),
        None => {
            return Err(Error::invalid(
                "range",
                "none given; set one of time_range, horizon (for example 3600s) or window (for example WINDOW_NEXT_DAY)",
            ));
        }
    };
    let pick = match request.model {
        Some(pb::get_forecast_request::Model::Version(version)) => Pick::Version(version),
        Some(pb::get_forecast_request::Model::Alias(alias)) => Pick::Alias(Some(alias)),
        None => Pick::Alias(None),
    };
    let question = Question {
        range,
        step_seconds: step(request.step.as_ref())?,
        levels: levels("levels", request.levels)?,
        peak_levels: levels("peak_levels", request.peak_levels)?,
        components: request.components,
        as_of: request
            .as_of
            .as_ref()
            .map(|as_of| timestamp_in("as_of", as_of))
            .transpose()?,
        clamps: clamps("clamps", request.clamps)?,
        inputs: inputs(request.future.unwrap_or_default())?,
    };
    Ok((name, pick, question))
}

/// A request for many series on its way in, and the alias that is to answer.
pub(crate) fn batch(
    request: pb::BatchGetForecastsRequest,
) -> Result<(Selector, Option<String>, Question)> {
    use pb::batch_get_forecasts_request::Range as Many;
    let one = pb::GetForecastRequest {
        // The question of each series is the same; whose it is comes from the selector.
        series: "any".to_owned(),
        range: request.range.map(|range| match range {
            Many::TimeRange(range) => WireRange::TimeRange(range),
            Many::Horizon(horizon) => WireRange::Horizon(horizon),
            Many::Window(window) => WireRange::Window(window),
        }),
        step: request.step,
        levels: request.levels,
        components: request.components,
        as_of: request.as_of,
        format: request.format,
        clamps: request.clamps,
        ..pb::GetForecastRequest::default()
    };
    let (_, _, question) = question(one)?;
    let alias = Some(request.alias).filter(|alias| !alias.is_empty());
    Ok((selector(request.selector)?, alias, question))
}

/// A watch of forecasts on its way in.
pub(crate) fn watch_question(request: &pb::WatchForecastsRequest) -> Result<Question> {
    let horizon = request
        .horizon
        .as_ref()
        .ok_or_else(|| Error::invalid("horizon", "none given; give for example 3600s"))?;
    Ok(Question {
        range: Range::Horizon(whole_seconds_in("horizon", horizon)?),
        step_seconds: step(request.step.as_ref())?,
        levels: levels("levels", request.levels.clone())?,
        peak_levels: Vec::new(),
        components: request.components,
        as_of: None,
        clamps: clamps("clamps", request.clamps)?,
        inputs: Inputs::default(),
    })
}

/// What a model cannot know by itself, on its way in. Lengths are checked against the points, by the model.
fn inputs(wire: pb::FutureInputs) -> Result<Inputs> {
    let holidays = wire.holidays.into_iter().enumerate().map(|(i, holiday)| {
        let ds = holiday.date.parse().map_err(|_| {
            Error::invalid(
                format!("future.holidays[{i}].date"),
                "not a day; give for example 2026-12-25",
            )
        })?;
        Ok(Holiday {
            holiday: holiday.name,
            ds,
            lower_window: holiday.lower_window,
            upper_window: holiday.upper_window,
            prior_scale: None,
        })
    });
    let regressors = wire.regressors.into_iter();
    let conditions = wire.conditions.into_iter();
    Ok(Inputs {
        cap: wire.cap,
        floor: wire.floor,
        regressors: regressors
            .map(|(name, column)| (name, column.values))
            .collect(),
        conditions: conditions
            .map(|(name, column)| (name, column.values))
            .collect(),
        holidays: holidays.collect::<Result<_>>()?,
    })
}

/// "When this quantile at this lead has moved by more than so many percent."
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Movement {
    /// `None`: the point forecast.
    pub(crate) level: Option<f64>,
    /// Seconds from now floored to the step.
    pub(crate) lead: i64,
    /// Of the value told last.
    pub(crate) percent: f64,
}

/// A condition on its way in.
pub(crate) fn movement(wire: &pb::WatchCondition) -> Result<Movement> {
    let level = match wire.level {
        0.0 => None,
        level if level > 0.0 && level < 1.0 => Some(level),
        level => {
            return Err(Error::invalid(
                "condition.level",
                format!(
                    "{level} is not between 0 and 1; give for example 0.9, or 0 for the point forecast"
                ),
            ));
        }
    };
    let lead = match &wire.lead {
        None
        | Some(prost_types::Duration {
            seconds: 0,
            nanos: 0,
        }) => 0,
        Some(lead) => whole_seconds_in("condition.lead", lead)?,
    };
    if lead > MAX_LEAD_SECONDS {
        return Err(Error::invalid(
            "condition.lead",
            "more than 5 years ahead, where no model here knows anything; give a nearer one",
        ));
    }
    let percent = wire.moved_percent;
    if !(percent >= 0.0 && percent.is_finite()) {
        return Err(Error::invalid(
            "condition.moved_percent",
            format!("{percent} is no share of a value; give for example 5, or 0 for any movement"),
        ));
    }
    Ok(Movement {
        level,
        lead,
        percent,
    })
}

/// What a client holds, on its way in.
pub(crate) fn known_versions(wire: Vec<pb::KnownVersion>) -> Result<KnownVersions> {
    if wire.len() > MAX_KNOWN {
        return Err(Error::invalid(
            "known_versions",
            format!("{} versions; at most {MAX_KNOWN}", wire.len()),
        ));
    }
    wire.into_iter()
        .map(|known| {
            let series = series_name("known_versions.series", &known.series)?;
            let held = Known {
                version: known.version,
                sha256: known.artifact_sha256,
            };
            Ok((series, held))
        })
        .collect()
}

fn step(wire: Option<&prost_types::Duration>) -> Result<Option<u32>> {
    wire.map(|step| step_in("step", step)).transpose()
}

fn time_range(wire: &pb::TimeRange) -> Result<Range> {
    let instant = |field: &str, wire: Option<&prost_types::Timestamp>| match wire {
        Some(instant) => whole_second_in(field, instant),
        None => Err(Error::invalid(
            field,
            "not set; give an instant, for example 2026-01-31T12:00:00Z",
        )),
    };
    Ok(Range::Between {
        start: instant("time_range.start", wire.start.as_ref())?,
        end: instant("time_range.end", wire.end.as_ref())?,
    })
}

/// A named window on its way in.
pub(crate) fn window_in(wire: i32) -> Result<Window> {
    match pb::Window::try_from(wire) {
        Ok(pb::Window::NextDay) => Ok(Window::NextDay),
        Ok(pb::Window::NextWeek) => Ok(Window::NextWeek),
        Ok(pb::Window::NextWeekend) => Ok(Window::NextWeekend),
        Ok(pb::Window::NextMonth) => Ok(Window::NextMonth),
        Ok(pb::Window::Unspecified) | Err(_) => Err(Error::invalid(
            "window",
            "not a window; give WINDOW_NEXT_DAY, WINDOW_NEXT_WEEK, WINDOW_NEXT_WEEKEND or WINDOW_NEXT_MONTH",
        )),
    }
}

fn levels(field: &str, levels: Vec<f64>) -> Result<Vec<f64>> {
    if levels.len() > MAX_LEVELS {
        return Err(Error::invalid(
            field,
            format!("{} levels; at most {MAX_LEVELS}", levels.len()),
        ));
    }
    for (i, level) in levels.iter().enumerate() {
        if !(*level > 0.0 && *level < 1.0) {
            return Err(Error::invalid(
                format!("{field}[{i}]"),
                format!("{level} is not between 0 and 1; give for example 0.9"),
            ));
        }
        if levels[..i].contains(level) {
            return Err(Error::invalid(
                format!("{field}[{i}]"),
                format!("{level} is given twice"),
            ));
        }
    }
    Ok(levels)
}

/// Bounds on their way in.
pub(crate) fn clamps(field: &str, wire: Option<pb::Clamps>) -> Result<Clamps> {
    let Some(pb::Clamps { min, max }) = wire else {
        return Ok(Clamps::default());
    };
    for (name, bound) in [("min", min), ("max", max)] {
        if bound.is_some_and(|bound| !bound.is_finite()) {
            return Err(Error::invalid(
                format!("{field}.{name}"),
                "not a finite number; leave it out for no bound",
            ));
        }
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(Error::invalid(
            format!("{field}.min"),
            format!("{min} is above the maximum {max}; swap them"),
        ));
    }
    Ok(Clamps { min, max })
}
