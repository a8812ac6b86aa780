//! Forecasts as Prometheus series: what each series is expected to be at chosen leads, and whether anybody should act on
//! it. What is stale has no number; that, too, is a series.
//!
//! Labels are in the style of Grafana's machine learning: `ml_forecast` is `yhat`, `yhat_lower` (the lowest level below
//! the median), `yhat_upper` (the highest above it) or `yhat_quantile`.

mod family;
mod labels;
mod query;
mod text;

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::{
    answer::answer,
    cache::Cache,
    error::{Error, Result},
    live::Seen,
    question::{Question, floor_to_step},
    selector::Selector,
    served::Served,
};

pub(crate) use family::FAMILIES;

pub use query::Lead;
pub(crate) use query::{asked, leads, levels};

/// The most samples of one answer: some 10 MB of text.
pub(crate) const MAX_SAMPLES: usize = 50_000;

/// The most leads of one answer.
pub(crate) const MAX_LEADS: usize = 24;

/// What is asked for at once; others wait for their turn, as a scrape of everything keeps a core busy.
static EXPOSITIONS: Semaphore = Semaphore::const_new(2);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// How far ahead, each once.
    pub(crate) leads: Vec<Lead>,
    /// Quantile levels beside the point forecast, each once.
    pub(crate) levels: Vec<f64>,
    /// Of which series.
    pub(crate) selector: Selector,
}

/// What is told of one series.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Series, unit and the series' own labels, by names that Prometheus takes, in the order of names.
    pub(crate) labels: Vec<(String, String)>,
    /// The registry's number.
    pub(crate) version: u64,
    /// Seconds since the last observation that model or server knows.
    pub(crate) data_age: f64,
    /// Seconds since the model was trained.
    pub(crate) model_age: f64,
    /// The last observation that the server was told of.
    pub(crate) actual: Option<f64>,
    /// The forecasts, or the reason code of why nobody should act on them.
    pub(crate) points: std::result::Result<Vec<Point>, &'static str>,
}

/// One forecast.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) lead: Lead,
    /// The value of `ml_forecast`.
    pub(crate) kind: &'static str,
    /// `None`: the point forecast.
    pub(crate) level: Option<f64>,
    /// In the series' unit.
    pub(crate) value: f64,
}

impl Ask {
    /// Every series that matches, in the order of names, off the serving threads.
    ///
    /// # Errors
    /// [`Error::Exhausted`] naming the bound when that would be more than [`MAX_SAMPLES`].
    pub(crate) async fn tell(self, cache: Arc<Cache>) -> Result<Vec<Told>> {
        self.in_turn(cache, |told| told).await
    }

    /// The same in Prometheus's text format, up to some 10 MB, written in the same turn.
    ///
    /// # Errors
    /// As [`Ask::tell`].
    pub(crate) async fn text(self, cache: Arc<Cache>) -> Result<String> {
        self.in_turn(cache, |told| text::text(&told)).await
    }

    async fn in_turn<T: Send + 'static>(
        self,
        cache: Arc<Cache>,
        make: impl FnOnce(Vec<Told>) -> T + Send + 'static,
    ) -> Result<T> {
        let turn = EXPOSITIONS
            .acquire()
            .await
            .map_err(|error| Error::Internal(error.to_string()))?;
        let telling = tokio::task::spawn_blocking(move || {
            // With the work and not with who waits for it: a scrape that hangs up does not end it.
            let _turn = turn;
            self.told(&cache).map(make)
        });
        telling
            .await
            .map_err(|error| Error::Internal(format!("an exposition died: {error}")))?
    }

    fn told(&self, cache: &Cache) -> Result<Vec<Told>> {
        let (state, now) = (cache.state(), cache.clock().now());
        let mut served: Vec<&Arc<Served>> = state
            .entries
            .iter()
            .filter(|(name, entry)| self.selector.matches(name, &entry.series.labels))
            .filter_map(|(_, entry)| entry.served.as_ref())
            .collect();
        let each = self.leads.len() * (1 + self.levels.len()) + FAMILIES.len() - 1;
        let samples = served.len().saturating_mul(each);
        if samples > MAX_SAMPLES {
            return Err(Error::Exhausted {
                subject: "samples",
                description: format!(
                    "{} series at {} leads with {} levels beside the point forecast are up to {samples} samples; at most \
                     {MAX_SAMPLES}: ask for fewer leads or levels, or part the series by ?selector=namespace=shop",
                    served.len(),
                    self.leads.len(),
                    self.levels.len()
                ),
            });
        }
        let name = |served: &Served| served.loaded.metadata().series.name.clone();
        served.sort_by_cached_key(|served| name(served));
        Ok(served
            .into_iter()
            .map(|served| {
                let seen = cache.seen(served);
                self.of(served, &seen, now)
            })
            .collect())
    }

    fn of(&self, served: &Arc<Served>, seen: &Seen, now: Timestamp) -> Told {
        let metadata = served.loaded.metadata();
        let points = self.points(served, seen, now);
        let (_, known_until) = seen.known_to(metadata);
        Told {
            labels: labels::of_series(&metadata.series),
            version: served.version,
            data_age: now.duration_since(known_until).as_secs_f64(),
            model_age: now.duration_since(metadata.trained_at).as_secs_f64(),
            actual: seen.last().map(|last| last.value),
            points: points.map_err(|error| error.reason().1),
        }
    }

    fn points(&self, served: &Arc<Served>, seen: &Seen, now: Timestamp) -> Result<Vec<Point>> {
        let step = served.loaded.metadata().series.step_seconds.max(1);
        // Within a step every replica and every scrape says the same.
        let begin = floor_to_step(now.as_second(), step);
        let mut points = Vec::with_capacity(self.leads.len() * (1 + self.levels.len()));
        for lead in &self.leads {
            let start = begin.saturating_add(lead.seconds());
            let question = Question::at(start, &self.levels);
            let answer = answer(Arc::clone(served), &question, now, seen)?;
            answer.actionable()?;
            let first = |values: &[f64]| {
                let first = values.first().copied();
                first.ok_or_else(|| Error::Internal("an answer without a point".to_owned()))
            };
            points.push(Point {
                lead: *lead,
                kind: "yhat",
                level: None,
                value: first(&answer.forecast.yhat)?,
            });
            for quantile in &answer.forecast.quantiles {
                points.push(Point {
                    lead: *lead,
                    kind: self.kind(quantile.level),
                    level: Some(quantile.level),
                    value: first(&quantile.values)?,
                });
            }
        }
        Ok(points)
    }

    /// What Grafana's machine learning would call the quantile at `level`.
    fn kind(&self, level: f64) -> &'static str {
        let lowest = self.levels.iter().copied().fold(1.0, f64::min);
        let highest = self.levels.iter().copied().fold(0.0, f64::max);
        if level < 0.5 && level == lowest {
            "yhat_lower"
        } else if level > 0.5 && level == highest {
            "yhat_upper"
        } else {
            "yhat_quantile"
        }
    }
}
