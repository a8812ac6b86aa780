//! Candidates: of a series the version that the alias `candidate` names, loaded beside what is served and asked for by that
//! alias. A candidate changes nothing that is served: it is no part of the state, makes no event unless it is
//! refused, and is loaded anew after a restart. Promoted, it is served from memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use loadcast_model::series::{Labels, SeriesName};
use loadcast_registry::registry::CANDIDATE;
use tokio::time::Instant;

use crate::{error::Error, obtain::Obtained, served::Served};

/// The candidates of one server, one of a series at most.
#[derive(Debug, Default)]
pub struct Candidates(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    /// Counts what was put here by others than polls, so that a look from before it does not undo it.
    orders: u64,
    by_series: BTreeMap<SeriesName, Candidate>,
    /// Series that were retired here, and the order that did; until a look from after it.
    retired: BTreeMap<SeriesName, u64>,
}

#[derive(Debug)]
struct Candidate {
    /// What the alias names.
    version: u64,
    progress: Progress,
    /// Attempts to load it that failed, one after another.
    failures: u32,
    /// What answers: `version`, or the one before it for as long as that is not loaded.
    ready: Option<Ready>,
    /// The order that put it here; 0 for a poll.
    order: u64,
}

/// How far the version that the alias names got.
#[derive(Debug)]
enum Progress {
    Loading,
    Retrying { message: String, until: Instant },
    Refused { message: String },
    Loaded,
}

#[derive(Debug)]
struct Ready {
    served: Arc<Served>,
    /// Not served before this, when it is promoted.
    activate_at: Option<Timestamp>,
}

/// A candidate to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The series.
    pub series: SeriesName,
    /// The registry's number.
    pub version: u64,
    /// Attempts that failed before.
    pub failures: u32,
}

impl Candidates {
    /// What answers for `series` under the alias.
    ///
    /// # Errors
    /// [`Error::NoCandidate`] with the reason.
    pub fn get(&self, series: &SeriesName) -> Result<Arc<Served>, Error> {
        let all = self.lock();
        let candidate = all.by_series.get(series);
        if let Some(ready) = candidate.and_then(|candidate| candidate.ready.as_ref()) {
            return Ok(Arc::clone(&ready.served));
        }
        let (reason, why) = match candidate {
            None => (
                "NO_CANDIDATE",
                "the registry names none; push one with that alias, or set it to a version"
                    .to_owned(),
            ),
            Some(Candidate {
                version, progress, ..
            }) => match progress {
                Progress::Loading | Progress::Loaded => (
                    "CANDIDATE_LOADING",
                    format!("version {version} is being loaded; ask again"),
                ),
                Progress::Retrying { message, .. } => (
                    "CANDIDATE_LOADING",
                    format!("version {version} cannot be loaded yet: {message}"),
                ),
                Progress::Refused { message } => (
                    "CANDIDATE_REJECTED",
                    format!("version {version} was refused: {message}"),
                ),
            },
        };
        Err(Error::NoCandidate {
            series: series.clone(),
            reason,
            why,
        })
    }

    /// `version` of `series`, when it is the loaded candidate.
    pub fn obtain(&self, series: &SeriesName, version: u64) -> Option<Obtained> {
        let all = self.lock();
        let ready = all.by_series.get(series)?.ready.as_ref()?;
        (ready.served.version == version).then(|| Obtained {
            loaded: Arc::clone(&ready.served.loaded),
            activate_at: ready.activate_at,
        })
    }

    /// To be taken before a look at the registry: what is ordered after it is newer than the look.
    pub fn mark(&self) -> u64 {
        self.lock().orders
    }

    /// The candidate was ordered here, and loaded. Returns what answered before.
    pub fn order(&self, candidate: Served, activate_at: Option<Timestamp>) -> Option<Arc<Served>> {
        let mut all = self.lock();
        all.orders += 1;
        let order = all.orders;
        let series = candidate.loaded.metadata().series.name.clone();
        let candidate = Candidate {
            version: candidate.version,
            progress: Progress::Loaded,
            failures: 0,
            ready: Some(Ready {
                served: Arc::new(candidate),
                activate_at,
            }),
            order,
        };
        let before = all.by_series.insert(series, candidate);
        before.and_then(Candidate::into_served)
    }

    /// The series is retired here. Returns what answered before.
    pub fn retire(&self, series: &SeriesName) -> Option<Arc<Served>> {
        let mut all = self.lock();
        all.orders += 1;
        let order = all.orders;
        all.retired.insert(series.clone(), order);
        let removed = all.by_series.remove(series);
        removed.and_then(Candidate::into_served)
    }

    /// Takes over what a complete listing says, which began at `mark`, and begins what is to be loaded. Returns that, and
    /// what answers no longer.
    pub fn follow(
        &self,
        mark: u64,
        listed: &[(SeriesName, u64)],
        now: Instant,
    ) -> (Vec<Wanted>, Vec<Arc<Served>>) {
        let mut all = self.lock();
        let listed: BTreeMap<&SeriesName, u64> = listed.iter().map(|(s, v)| (s, *v)).collect();
        let gone: Vec<SeriesName> = all
            .by_series
            .iter()
            .filter(|(series, candidate)| candidate.order <= mark && !listed.contains_key(series))
            .map(|(series, _)| series.clone())
            .collect();
        let gone = gone
            .iter()
            .filter_map(|series| all.by_series.remove(series)?.into_served())
            .collect();
        let mut wanted = Vec::new();
        all.retired.retain(|_, order| *order > mark);
        for (series, version) in listed {
            if all.retired.contains_key(series) {
                continue;
            }
            let candidate = all
                .by_series
                .entry(series.clone())
                .or_insert_with(|| Candidate {
                    version: 0,
                    progress: Progress::Loaded,
                    failures: 0,
                    ready: None,
                    order: 0,
                });
            if candidate.order > mark || !candidate.begin(version, now) {
                continue;
            }
            wanted.push(Wanted {
                series: series.clone(),
                version,
                failures: candidate.failures,
            });
        }
        (wanted, gone)
    }

    /// A wanted candidate was loaded. Returns what is not needed any more: what answered before, or this one when it is no
    /// longer wanted.
    pub fn loaded(&self, candidate: Served, activate_at: Option<Timestamp>) -> Option<Arc<Served>> {
        let mut all = self.lock();
        let candidate = Arc::new(candidate);
        let series = &candidate.loaded.metadata().series.name;
        let Some(wanted) = wanted(&mut all, series, candidate.version) else {
            return Some(candidate);
        };
        wanted.progress = Progress::Loaded;
        wanted.failures = 0;
        let ready = Ready {
            served: candidate,
            activate_at,
        };
        wanted.ready.replace(ready).map(|before| before.served)
    }

    /// A wanted candidate can never be loaded.
    pub fn refused(&self, series: &SeriesName, version: u64, message: String) {
        if let Some(wanted) = wanted(&mut self.lock(), series, version) {
            wanted.progress = Progress::Refused { message };
        }
    }

    /// A wanted candidate could not be loaded, has failed `failures` times in a row, and is not tried again before `until`.
    pub fn failed(
        &self,
        series: &SeriesName,
        version: u64,
        failures: u32,
        message: String,
        until: Instant,
    ) {
        if let Some(wanted) = wanted(&mut self.lock(), series, version) {
            wanted.failures = failures;
            wanted.progress = Progress::Retrying { message, until };
        }
    }

    /// What failed because the registry was away may be tried again at once.
    pub fn retry_now(&self) {
        for candidate in self.lock().by_series.values_mut() {
            if let Progress::Retrying { until, .. } = &mut candidate.progress {
                *until = Instant::now();
                candidate.failures = 0;
            }
        }
    }

    /// The series that have a candidate which answers, and the labels of that.
    pub fn answering(&self) -> Vec<(SeriesName, Labels)> {
        let all = self.lock();
        let ready = all
            .by_series
            .values()
            .filter_map(|candidate| candidate.ready.as_ref());
        ready
            .map(|ready| {
                let series = &ready.served.loaded.metadata().series;
                (series.name.clone(), Arc::clone(&series.labels))
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The candidate that is being loaded, if it still is that version.
fn wanted<'a>(all: &'a mut All, series: &SeriesName, version: u64) -> Option<&'a mut Candidate> {
    let candidate = all.by_series.get_mut(series)?;
    let is_it = candidate.version == version && matches!(candidate.progress, Progress::Loading);
    is_it.then_some(candidate)
}

impl Candidate {
    /// Whether `version` is to be loaded now; notes that it is.
    fn begin(&mut self, version: u64, now: Instant) -> bool {
        let is_new = self.version != version;
        let is_due = match &self.progress {
            // One load at a time: the next listing sees where the alias stands then.
            Progress::Loading => false,
            Progress::Retrying { until, .. } => is_new || *until <= now,
            Progress::Refused { .. } | Progress::Loaded => is_new,
        };
        if is_due {
            self.version = version;
            self.progress = Progress::Loading;
            if is_new {
                self.failures = 0;
            }
        }
        is_due
    }

    fn into_served(self) -> Option<Arc<Served>> {
        self.ready.map(|ready| ready.served)
    }
}

impl Obtained {
    /// What answers under the alias `candidate` since `now`, when `revision` was served.
    pub fn as_candidate(&self, version: u64, revision: u64, now: Timestamp) -> Served {
        Served {
            loaded: Arc::clone(&self.loaded),
            version,
            alias: CANDIDATE.to_owned(),
            previous_version: 0,
            revision,
            served_since: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn listed(version: u64) -> [(SeriesName, u64); 1] {
        [("a".parse().unwrap(), version)]
    }

    fn begun(candidates: &Candidates, version: u64, now: Instant) -> Vec<(u64, u32)> {
        let (wanted, _) = candidates.follow(candidates.mark(), &listed(version), now);
        wanted
            .iter()
            .map(|one| (one.version, one.failures))
            .collect()
    }

    fn reason(candidates: &Candidates) -> &'static str {
        match candidates.get(&"a".parse().unwrap()) {
            Err(Error::NoCandidate { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_candidate_is_loaded_once_tried_again_when_it_is_due_and_refused_until_the_alias_moves()
     {
        let candidates = Candidates::default();
        let a: SeriesName = "a".parse().unwrap();
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        assert_eq!(reason(&candidates), "NO_CANDIDATE");
        assert_eq!(begun(&candidates, 1, now), [(1, 0)]);
        assert_eq!(reason(&candidates), "CANDIDATE_LOADING");
        assert_eq!(begun(&candidates, 1, now), [], "it is under way");
        assert_eq!(begun(&candidates, 2, now), [], "one at a time");
        candidates.failed(&a, 1, 1, "503".to_owned(), later);
        assert_eq!(begun(&candidates, 1, now), []);
        assert_eq!(begun(&candidates, 1, later), [(1, 1)]);
        candidates.refused(&a, 2, "of another version".to_owned());
        assert_eq!(reason(&candidates), "CANDIDATE_LOADING");
        candidates.refused(&a, 1, "bent".to_owned());
        assert_eq!(reason(&candidates), "CANDIDATE_REJECTED");
        assert_eq!(begun(&candidates, 1, later), []);
        assert_eq!(begun(&candidates, 2, later), [(2, 0)]);
        let (wanted, _) = candidates.follow(candidates.mark(), &[], later);
        assert_eq!(wanted, []);
        assert_eq!(reason(&candidates), "NO_CANDIDATE");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_from_before_a_retirement_brings_no_candidate_back() {
        let candidates = Candidates::default();
        let a: SeriesName = "a".parse().unwrap();
        let now = Instant::now();
        let mark = candidates.mark();
        assert!(candidates.retire(&a).is_none());
        let (wanted, _) = candidates.follow(mark, &listed(1), now);
        assert_eq!(wanted, []);
        assert_eq!(reason(&candidates), "NO_CANDIDATE");
        assert_eq!(begun(&candidates, 1, now), [(1, 0)], "a later look does");
    }

    #[tokio::test(start_paused = true)]
    async fn a_candidate_that_backs_off_is_tried_at_once_when_the_registry_is_back() {
        let candidates = Candidates::default();
        let now = Instant::now();
        assert_eq!(begun(&candidates, 1, now), [(1, 0)]);
        let later = now + Duration::from_secs(60);
        candidates.failed(&"a".parse().unwrap(), 1, 7, "503".to_owned(), later);
        assert_eq!(begun(&candidates, 1, now), []);
        candidates.retry_now();
        assert_eq!(begun(&candidates, 1, now), [(1, 0)]);
    }
}
