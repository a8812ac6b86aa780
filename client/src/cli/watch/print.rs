//! One line for each thing a watch tells: text for people, or JSON objects with a `type`. Trouble with the
//! connection goes to stderr as well.

use std::io::Write;
use std::time::Duration;

use jiff::tz::TimeZone;
use loadcast_client::{Error, Forecast, Model, ModelEvent, Update};
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::json::{self, ForecastView};
use crate::cli::local::{clock, data_age, formatted, horizon_in_words, zone};
use crate::cli::show::{Summary, short};
use crate::cli::terminal::Terminal;
use crate::cli::units::Scale;
use crate::cli::watch::paint::painted;
use crate::cli::watch::session::{Line, Said, Stream};

/// Writes lines as they come, each flushed.
#[derive(Debug)]
pub(crate) struct Printer<'a, O, E> {
    json: bool,
    horizon: String,
    terminal: Terminal,
    out: &'a mut O,
    err: E,
    /// The remedy for an unreachable server was told, or is not needed because something came.
    remedied: bool,
}

impl<'a, O: Write, E: Write> Printer<'a, O, E> {
    pub(crate) fn new(
        json: bool,
        horizon: Duration,
        terminal: Terminal,
        out: &'a mut O,
        err: E,
    ) -> Self {
        Self {
            json,
            horizon: horizon_in_words(horizon),
            terminal,
            out,
            err,
            remedied: false,
        }
    }

    /// Prints one line, or nothing when it is of no interest to people.
    pub(crate) fn print(&mut self, line: &Line) -> Result<(), Failure> {
        if let Said::Stream { stream, update } = &line.said {
            self.warn(*stream, update)?;
        } else {
            self.remedied = true;
        }
        if self.json {
            serde_json::to_writer(&mut *self.out, &object(line)?)?;
            writeln!(self.out)?;
        } else if let Some(text) = text(&line.said, &self.horizon) {
            writeln!(self.out, "{}", painted(&text, &self.terminal))?;
        }
        self.out.flush()?;
        Ok(())
    }

    /// Trouble with a connection, for whoever looks at stderr.
    fn warn(&mut self, stream: Stream, update: &Update<()>) -> Result<(), Failure> {
        let stream = name(stream);
        match update {
            Update::SnapshotBegin {
                reason: Some(reason),
                ..
            } => writeln!(
                self.err,
                "{stream}: starting over from a snapshot: {reason}"
            )?,
            Update::GoingAway { retry_after } => {
                writeln!(
                    self.err,
                    "{stream}: the server is leaving for {retry_after:?}"
                )?;
            }
            Update::Disconnected { error, retry_in } => {
                let error = error.to_string();
                let (what, remedy) = error.split_once('\n').unwrap_or((&error, ""));
                writeln!(
                    self.err,
                    "{stream}: disconnected: {what}; trying again in {retry_in:?}"
                )?;
                if !self.remedied && !remedy.is_empty() {
                    writeln!(self.err, "{remedy}")?;
                    self.remedied = true;
                }
            }
            Update::Reconnected => writeln!(self.err, "{stream}: connected again")?,
            _ => {}
        }
        Ok(())
    }
}

fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Models => "models",
        Stream::Forecasts => "forecasts",
    }
}

fn text(said: &Said, horizon: &str) -> Option<String> {
    match said {
        Said::Model(model) => Some(model_text(model)),
        Said::Event(event) => Some(event_text(event)),
        Said::Forecast {
            forecast, before, ..
        } => Some(forecast_text(forecast, *before, horizon)),
        Said::Failed { series, error } => {
            let error = error.to_string();
            let what = error.lines().next().unwrap_or_default();
            Some(format!("forecast {series}: none: {what}"))
        }
        Said::Gone {
            series,
            revision,
            reason,
        } => Some(format!("gone {series} at revision {revision}: {reason}")),
        Said::Stream {
            stream,
            update:
                Update::Lagged {
                    skipped,
                    from_revision,
                    to_revision,
                },
        } => Some(format!(
            "{} lagged: {skipped} skipped between revisions {from_revision} and {to_revision}",
            name(*stream)
        )),
        Said::Stream { .. } => None,
    }
}

/// `model demo.web.cpu  SERVING  version 2  sha256 1a2b3c4d  FRESH`.
fn model_text(model: &Model) -> String {
    let mut text = format!("model {}  {}", model.series.name, model.state.name());
    if let Some(served) = &model.served {
        let digest = short(&served.artifact_sha256);
        text.push_str(&format!("  version {}  sha256 {digest}", served.version));
    }
    if let Some(freshness) = model.freshness {
        text.push_str(&format!("  {}", freshness.name()));
    }
    text
}

/// `14:03:22Z revision 12  SERVED  demo.web.cpu  version 3 (was 2)  sha256 1a2b3c4d`.
fn event_text(event: &ModelEvent) -> String {
    let at = formatted(event.at, &TimeZone::UTC, "%H:%M:%SZ");
    let mut text = format!("{at} revision {}  {}", event.revision, event.kind.name());
    if let Some(series) = &event.series {
        text.push_str(&format!("  {series}"));
    }
    if let Some(version) = event.version {
        text.push_str(&format!("  version {version}"));
    }
    if let Some(previous) = event.previous_version {
        text.push_str(&format!(" (was {previous})"));
    }
    if let Some(digest) = &event.artifact_sha256 {
        text.push_str(&format!("  sha256 {}", short(digest)));
    }
    for reason in &event.reasons {
        text.push_str(&format!("  {}: {}", reason.code, reason.message));
    }
    text
}

/// `forecast demo.web.cpu version 3: next hour mean 1.82 cores (was 1.75, +4.0 %), peak 2.31 at 14:40 UTC`.
fn forecast_text(forecast: &Forecast, before: Option<f64>, horizon: &str) -> String {
    let provenance = &forecast.provenance;
    let head = format!(
        "forecast {} version {}",
        provenance.series, provenance.version
    );
    let Some(summary) = Summary::of(forecast) else {
        return format!("{head}: no points");
    };
    let scale = Scale::of(
        forecast.unit.as_deref(),
        summary.max.abs().max(summary.min.abs()),
    );
    let was = before.map(|before| {
        format!(
            " (was {}{})",
            scale.bare(before),
            change(before, summary.mean)
        )
    });
    let stale = match provenance.freshness {
        loadcast_client::Freshness::Fresh => String::new(),
        other => format!(", {}, {}", other.name(), data_age(forecast.age)),
    };
    format!(
        "{head}: {horizon} mean {}{}, peak {} at {}{stale}",
        scale.with_unit(summary.mean),
        was.unwrap_or_default(),
        scale.bare(summary.max),
        clock(summary.max_at, &zone(&forecast.time_zone)),
    )
}

/// `, +4.0 %`; nothing where a share of zero would mean nothing.
fn change(before: f64, now: f64) -> String {
    let percent = (now - before) / before.abs() * 100.0;
    if percent.is_finite() {
        format!(", {percent:+.1} %")
    } else {
        String::new()
    }
}

/// One JSON object: its type, the token to resume with, and what is told.
fn object(line: &Line) -> Result<Value, Failure> {
    let token = &line.token;
    Ok(match &line.said {
        Said::Model(model) => {
            json!({ "type": "model", "token": token, "model": json::model(model) })
        }
        Said::Event(event) => {
            json!({ "type": "event", "token": token, "event": json::event(event) })
        }
        Said::Forecast {
            cause, forecast, ..
        } => json!({
            "type": "forecast",
            "token": token,
            "series": forecast.provenance.series,
            "cause": cause.name(),
            "forecast": serde_json::to_value(ForecastView::from(forecast.as_ref()))?,
        }),
        Said::Failed { series, error } => json!({
            "type": "forecast_error",
            "token": token,
            "series": series,
            "reason": error.reason_code(),
            "message": message(error),
        }),
        Said::Gone {
            series,
            revision,
            reason,
        } => json!({
            "type": "gone",
            "token": token,
            "series": series,
            "revision": revision.to_string(),
            "reason": reason,
        }),
        Said::Stream { stream, update } => {
            let mut object = stream_object(update);
            object["stream"] = name(*stream).into();
            object["token"] = json!(token);
            object
        }
    })
}

fn stream_object(update: &Update<()>) -> Value {
    match update {
        Update::SnapshotBegin { revision, reason } => json!({
            "type": "snapshot_begin", "revision": revision.to_string(), "reason": reason,
        }),
        Update::SnapshotEnd { revision } => {
            json!({ "type": "snapshot_end", "revision": revision.to_string() })
        }
        Update::Bookmark { revision } => {
            json!({ "type": "bookmark", "revision": revision.to_string() })
        }
        Update::Lagged {
            skipped,
            from_revision,
            to_revision,
        } => json!({
            "type": "lagged",
            "skipped": skipped.to_string(),
            "from_revision": from_revision.to_string(),
            "to_revision": to_revision.to_string(),
        }),
        Update::GoingAway { retry_after } => json!({
            "type": "going_away", "retry_after_seconds": retry_after.as_secs_f64(),
        }),
        Update::Disconnected { error, retry_in } => json!({
            "type": "disconnected",
            "message": message(error),
            "retry_in_seconds": retry_in.as_secs_f64(),
        }),
        Update::Reconnected => json!({ "type": "reconnected" }),
        _ => json!({ "type": "unknown" }),
    }
}

/// The first line of an error.
fn message(error: &Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}
