//! What was told, and what must wait its turn: a new version's forecast comes after the event that announces it.

use std::collections::BTreeMap;
use std::time::Duration;

use loadcast_client::{
    Error, Forecast, ForecastUpdate, Model, ModelEvent, ModelEventKind, ModelUpdate, Update,
    UpdateCause,
};
use tokio::time::Instant;

use crate::cli::show::Summary;

/// A forecast whose event does not come is told anyway: longer than a server leaves an idle stream without a bookmark.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// One thing to print.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) token: Option<String>,
    pub(crate) said: Said,
}

/// What it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Model(Box<Model>),
    Event(Box<ModelEvent>),
    Forecast {
        cause: UpdateCause,
        forecast: Box<Forecast>,
        /// The mean that was told before for this series.
        before: Option<f64>,
    },
    Failed {
        series: String,
        error: Error,
    },
    Gone {
        series: String,
        revision: u64,
        reason: String,
    },
    /// Anything about the stream itself.
    Stream {
        stream: Stream,
        update: Update<()>,
    },
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Models,
    Forecasts,
}

/// The state of a watch. Bounded by the number of series: one waiting forecast and one mean for each.
#[derive(Debug)]
pub(crate) struct Session {
    with_forecasts: bool,
    /// Every event up to here was told; `None` while a snapshot is on its way.
    told: Option<u64>,
    waiting: BTreeMap<String, Waiting>,
    /// The last forecast that was told for each series.
    last: BTreeMap<String, Last>,
    events: u64,
    /// Series whose new version was told and its forecast not yet, with the version's revision.
    owed: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Last {
    revision: u64,
    mean: Option<f64>,
}

#[derive(Debug)]
struct Waiting {
    revision: u64,
    since: Instant,
    token: Option<String>,
    cause: UpdateCause,
    forecast: Box<Forecast>,
}

impl Session {
    pub(crate) fn new(with_forecasts: bool) -> Self {
        Self {
            with_forecasts,
            told: None,
            waiting: BTreeMap::new(),
            last: BTreeMap::new(),
            events: 0,
            owed: BTreeMap::new(),
        }
    }

    /// Events told so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// So many events were told, and the forecast of each new version.
    pub(crate) fn has_told(&self, wanted: u64) -> bool {
        self.events >= wanted && self.owed.is_empty()
    }

    /// New versions whose forecast is still to be told.
    pub(crate) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// When the forecast that has waited longest is told without its event.
    pub(crate) fn overdue_at(&self) -> Option<Instant> {
        let since = self.waiting.values().map(|waiting| waiting.since).min()?;
        Some(since + LONGEST_WAIT)
    }

    /// Tells what has waited too long.
    pub(crate) fn release_overdue(&mut self, now: Instant) -> Vec<Line> {
        self.release(|waiting| now >= waiting.since + LONGEST_WAIT)
    }

    /// A message about models.
    pub(crate) fn model(&mut self, update: Update<ModelUpdate>, token: Option<&str>) -> Vec<Line> {
        let mut lines = Vec::new();
        let token = token.map(str::to_owned);
        match update {
            Update::Message(ModelUpdate::Model(model)) => lines.push(Line {
                token,
                said: Said::Model(model),
            }),
            Update::Message(ModelUpdate::Event(event)) => {
                self.events += 1;
                self.told = Some(event.revision);
                if let (true, ModelEventKind::Served, Some(series)) =
                    (self.with_forecasts, event.kind, &event.series)
                {
                    let told = self.last.get(series).map_or(0, |last| last.revision);
                    if told < event.revision {
                        self.owed.insert(series.clone(), event.revision);
                    }
                }
                if let (ModelEventKind::Removed, Some(series)) = (event.kind, &event.series) {
                    self.owed.remove(series);
                }
                lines.push(Line {
                    token,
                    said: Said::Event(event),
                });
            }
            other => {
                match other {
                    Update::SnapshotBegin { .. } => {
                        self.told = None;
                        // Another epoch may count from one again.
                        self.last.values_mut().for_each(|last| last.revision = 0);
                    }
                    Update::SnapshotEnd { revision } | Update::Bookmark { revision } => {
                        self.told = Some(revision);
                    }
                    _ => {}
                }
                lines.push(about(Stream::Models, other, token));
            }
        }
        if let Some(told) = self.told {
            lines.extend(self.release(|waiting| waiting.revision <= told));
        }
        lines
    }

    /// A message about forecasts.
    pub(crate) fn forecast(
        &mut self,
        update: Update<ForecastUpdate>,
        token: Option<&str>,
    ) -> Vec<Line> {
        let token = token.map(str::to_owned);
        match update {
            Update::Message(ForecastUpdate::Forecast { cause, forecast }) => {
                let series = forecast.provenance.series.clone();
                let revision = forecast.provenance.revision;
                // A later forecast takes the place of one that waits, and its turn.
                let since = self
                    .waiting
                    .get(&series)
                    .map_or_else(Instant::now, |waiting| waiting.since);
                let waiting = Waiting {
                    revision,
                    since,
                    token,
                    cause,
                    forecast,
                };
                self.waiting.insert(series, waiting);
                let told = self.told;
                self.release(|waiting| told.is_some_and(|told| waiting.revision <= told))
            }
            Update::Message(ForecastUpdate::Failed { series, error, .. }) => {
                self.owed.remove(&series);
                vec![Line {
                    token,
                    said: Said::Failed { series, error },
                }]
            }
            Update::Message(ForecastUpdate::Gone {
                series,
                revision,
                reason,
            }) => {
                self.owed.remove(&series);
                self.waiting.remove(&series);
                self.last.remove(&series);
                vec![Line {
                    token,
                    said: Said::Gone {
                        series,
                        revision,
                        reason,
                    },
                }]
            }
            other => vec![about(Stream::Forecasts, other, token)],
        }
    }

    /// Tells the waiting forecasts that may be told now, in the order of names.
    fn release(&mut self, may: impl Fn(&Waiting) -> bool) -> Vec<Line> {
        let ready: Vec<String> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| may(waiting))
            .map(|(series, _)| series.clone())
            .collect();
        let mut lines = Vec::with_capacity(ready.len());
        for series in ready {
            let Some(waiting) = self.waiting.remove(&series) else {
                continue;
            };
            if self
                .owed
                .get(&series)
                .is_some_and(|owed| waiting.revision >= *owed)
            {
                self.owed.remove(&series);
            }
            let last = Last {
                revision: waiting.revision,
                mean: Summary::of(&waiting.forecast).map(|summary| summary.mean),
            };
            let before = self.last.insert(series, last).and_then(|last| last.mean);
            lines.push(Line {
                token: waiting.token,
                said: Said::Forecast {
                    cause: waiting.cause,
                    forecast: waiting.forecast,
                    before,
                },
            });
        }
        lines
    }
}

/// What a stream says about itself. Messages never come here.
fn about<M>(stream: Stream, update: Update<M>, token: Option<String>) -> Line {
    let update = update.map(drop);
    Line {
        token,
        said: Said::Stream { stream, update },
    }
}
