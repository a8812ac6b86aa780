//! Observations pulled from Prometheus by the catalog: every entry with an expression is asked, at intervals, for what came
//! after the last observation of its series that are served. An answer counts whole or not at all; an entry that fails
//! is left alone for longer and longer, and asked for all that is missing then, up to a day.

use std::{
    collections::{BTreeMap, HashSet},
    num::NonZero,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use loadcast_model::{
    catalog::{Catalog, Entry, Source},
    series::SeriesName,
};
use loadcast_prometheus::{
    client::{Limits, Prometheus},
    error::Result,
    named::{Named, name, step_seconds},
    window::Window,
};
use rand::RngExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{MAX_MAGNITUDE, Outcome, past::DAY};
use crate::{backoff::Backoff, cache::Cache};

/// An instant is asked for so many seconds later: by then what was scraped can be read.
const SETTLES: i64 = 15;

/// So many steps are asked for again, for samples that came late.
const AGAIN: i64 = 3;

/// An entry that fails is left alone for no longer than this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(600);

/// Entries that are asked at once.
const ENTRIES_AT_ONCE: usize = 4;

/// Bounds of one question: a day of minutes of a thousand series, and no long tries, for the next round is soon. Those that
/// flags set are the same as everywhere.
pub fn limits() -> Limits {
    Limits {
        points: 1_500,
        body: 16 * 1024 * 1024,
        held: 3_000_000,
        attempts: 3,
        backoff: Duration::from_millis(500),
        longest_pause: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        ..Limits::default()
    }
}

/// What asks.
#[derive(Debug)]
pub struct Puller {
    /// What takes the observations.
    pub cache: Arc<Cache>,
    /// Which expressions.
    pub catalog: Arc<Catalog>,
    /// Whom.
    pub prometheus: Arc<Prometheus>,
    /// How often.
    pub every: Duration,
}

/// How it stands with one entry.
#[derive(Debug)]
struct Standing {
    entry: usize,
    failures: u32,
    due: Instant,
    /// What was answered last ended here, in epoch seconds.
    answered_until: Option<i64>,
    /// The series that were served then.
    asked: HashSet<SeriesName>,
}

/// What one entry is asked for: the served series and the last observation of each.
type Wanted = BTreeMap<SeriesName, Option<i64>>;

impl Puller {
    /// Asks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let entries = self.catalog.entries.iter().enumerate();
        let asked = entries.filter(|(_, entry)| matches!(entry.source, Source::Promql(_)));
        let mut standings: Vec<Standing> = asked
            .map(|(entry, _)| Standing {
                entry,
                failures: 0,
                due: Instant::now(),
                answered_until: None,
                asked: HashSet::new(),
            })
            .collect();
        while stop
            .run_until_cancelled(self.round(&mut standings))
            .await
            .is_some()
        {
            // So that many servers do not ask together.
            let pause = self.every.mul_f64(rand::rng().random_range(0.9..1.1));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&self, standings: &mut [Standing]) {
        let mut wanted = self.wanted().await;
        let now = Instant::now();
        let due = standings.iter_mut().filter(|standing| standing.due <= now);
        let due = due.filter_map(|standing| {
            let wanted = wanted.remove(&standing.entry)?;
            Some((standing, wanted))
        });
        stream::iter(due)
            .for_each_concurrent(ENTRIES_AT_ONCE, |(standing, wanted)| {
                self.ask(standing, wanted)
            })
            .await;
    }

    /// The served series of each entry.
    async fn wanted(&self) -> BTreeMap<usize, Wanted> {
        let cache = Arc::clone(&self.cache);
        let found = tokio::task::spawn_blocking(move || {
            let mut wanted: BTreeMap<usize, Wanted> = BTreeMap::new();
            let live = cache.live();
            let Some(declared) = live.declared() else {
                return wanted;
            };
            for entry in cache.state().entries.values() {
                let series = &entry.series;
                if entry.served.is_some()
                    && let Some(index) = declared.index(series)
                {
                    let last = live.view(&series.name).and_then(|view| view.last);
                    let last = last.map(|last| last.at.as_second());
                    wanted
                        .entry(index)
                        .or_default()
                        .insert(series.name.clone(), last);
                }
            }
            wanted
        });
        found.await.unwrap_or_else(|error| {
            tracing::error!(%error, "looking for what to observe died");
            BTreeMap::new()
        })
    }

    async fn ask(&self, standing: &mut Standing, wanted: Wanted) {
        let Some(entry) = self.catalog.entries.get(standing.entry) else {
            return;
        };
        let Source::Promql(expression) = &entry.source else {
            return;
        };
        let now = self.cache.clock().now().as_second();
        let window = window(standing, &wanted, step_seconds(entry), now);
        if window.is_empty() {
            return;
        }
        match self.pull(entry, expression, window, &wanted).await {
            Ok(()) => {
                standing.failures = 0;
                standing.answered_until = Some(window.until);
                standing.asked = wanted.into_keys().collect();
            }
            Err(error) => {
                standing.failures = standing.failures.saturating_add(1);
                let backoff = Backoff::new(self.every, LONGEST_BACKOFF);
                let jitter = rand::rng().random_range(0.0..1.0);
                let pause = backoff.delay(standing.failures, None, jitter);
                standing.due = Instant::now() + pause;
                self.cache
                    .live()
                    .counts()
                    .pull_failures
                    .fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    entry = %entry.name, %error, remedy = error.remedy(), ?pause,
                    failures = standing.failures,
                    "Prometheus did not tell what happened; nothing is changed and it is asked again"
                );
            }
        }
    }

    /// Takes what `expression` was in `window`; all of it or, with an error, nothing.
    async fn pull(
        &self,
        entry: &Entry,
        expression: &str,
        window: Window,
        wanted: &Wanted,
    ) -> Result<()> {
        let found = self.prometheus.range(expression, window).await?;
        let named = name(entry, found)?;
        let runs: Vec<(SeriesName, i64, Vec<f64>)> = named
            .into_iter()
            .filter_map(|named| run(named, wanted, window.step))
            .collect();
        let (cache, step) = (Arc::clone(&self.cache), step_seconds(entry));
        let taking = tokio::task::spawn_blocking(move || {
            for (series, start, values) in runs {
                if let Outcome::Refused(refused) =
                    cache.observe_blocking(&series, start, Some(step), &values)
                {
                    tracing::warn!(%series, ?refused, "what Prometheus told of a series cannot be used");
                }
            }
        });
        if let Err(error) = taking.await {
            tracing::error!(%error, "taking observations died");
        }
        Ok(())
    }
}

/// What is asked for at `now`: from the first step that one of the series lacks, but no more than a day, up to what has
/// settled. What was answered before is asked for again only as far as samples come late.
fn window(standing: &Standing, wanted: &Wanted, step: u32, now: i64) -> Window {
    let step = i64::from(NonZero::new(step).map_or(1, NonZero::get));
    let until = (now - SETTLES).div_euclid(step) * step + step;
    let day_ago = until - DAY - step;
    let late = standing
        .answered_until
        .map(|until| until.saturating_sub(AGAIN * step));
    let lacks = |(series, last): (&SeriesName, &Option<i64>)| {
        let first = last.map_or(day_ago, |last| last + step);
        match late {
            Some(late) if standing.asked.contains(series) => first.max(late),
            _ => first,
        }
    };
    let from = wanted.iter().map(lacks).min().unwrap_or(until);
    Window::new(from.max(day_ago), until, step)
}

/// The samples of a series that is wanted and lacks them, as a run with its holes.
fn run(named: Named, wanted: &Wanted, step: i64) -> Option<(SeriesName, i64, Vec<f64>)> {
    let last = wanted.get(&named.series.name)?;
    let mut samples = named
        .samples
        .into_iter()
        .filter(|sample| last.is_none_or(|last| sample.instant > last))
        // No measurement: a hole.
        .filter(|sample| sample.value.abs() <= MAX_MAGNITUDE);
    let first = samples.next()?;
    let mut values = vec![first.value];
    for sample in samples {
        let index = usize::try_from((sample.instant - first.instant) / step).ok()?;
        // Bounded by the window, which is a day.
        values.resize(index, f64::NAN);
        values.push(sample.value);
    }
    Some((named.series.name, first.instant, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 300;
    const NOW: i64 = 1_800_000_000 + 20;

    fn standing(answered_until: Option<i64>, asked: &[&str]) -> Standing {
        Standing {
            entry: 0,
            failures: 0,
            due: Instant::now(),
            answered_until,
            asked: asked.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    fn asked(standing: &Standing, wanted: &[(&str, Option<i64>)], now: i64) -> (i64, i64) {
        let wanted = wanted
            .iter()
            .map(|(name, last)| (name.parse().unwrap(), *last));
        let window = window(standing, &wanted.collect(), 300, now);
        (window.from - NOW + 20, window.until - NOW + 20)
    }

    #[test]
    fn what_came_after_the_last_observation_is_asked_for_and_a_day_of_what_is_new() {
        let fresh = standing(None, &[]);
        let last = NOW - 20 - 2 * STEP;
        assert_eq!(asked(&fresh, &[("a", Some(last))], NOW), (-STEP, STEP));
        assert_eq!(asked(&fresh, &[("a", None)], NOW), (-DAY, STEP));
        assert_eq!(
            asked(&fresh, &[("a", Some(last)), ("b", None)], NOW),
            (-DAY, STEP)
        );
        // What has not settled is not asked for.
        assert_eq!(asked(&fresh, &[("a", Some(last))], NOW - 6), (-STEP, 0));
        assert_eq!(
            asked(&fresh, &[("a", Some(last + 2 * STEP))], NOW),
            (STEP, STEP)
        );
    }

    #[test]
    fn a_series_that_is_silent_is_not_asked_for_again_and_again() {
        let told = standing(Some(NOW - 20), &["a", "silent"]);
        let last = NOW - 20 - STEP;
        let silent = [("a", Some(last)), ("silent", None)];
        assert_eq!(asked(&told, &silent, NOW), (-AGAIN * STEP, STEP));
        let new = [("a", Some(last)), ("new", None)];
        assert_eq!(asked(&told, &new, NOW), (-DAY, STEP));
    }
}
