//! Following the registry: the second inlet to the cache. Looks, plans ([`crate::plan`]), and acts: each series on its
//! own, so that none waits for another.

mod candidates;
mod refusal;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::{Aspired, Registry};
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    aspired::{Aspirations, Progress},
    backoff::Backoff,
    cache::Cache,
    error::{Error, Result},
    event::Reason,
    lanes::Lanes,
    obtain::{Obtained, obtain},
    plan::{Action, plan, unnamed},
    refresh::{candidates::CANDIDATE_LOADS, refusal::is_not_ready},
    served::{Change, RETIRED, State},
};

/// How many series are loaded at once: enough to hide the registry's round trip and share an fsync, few enough to leave
/// the cores to those who ask.
const LOADS: usize = 16;

/// How many series whose last attempt failed are loaded at once, apart from [`LOADS`]: those that hang again do not stand
/// in the way of those that never failed.
const RETRIES: usize = 4;

/// The longest wait before a series that cannot be loaded is tried again.
const SERIES_CAP: Duration = Duration::from_secs(60);

/// Follows one alias of a registry. Cheap to clone; clones agree.
#[derive(Debug, Clone)]
pub struct Refresher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cache: Arc<Cache>,
    registry: Arc<dyn Registry>,
    lanes: Arc<Lanes>,
    aspirations: Arc<Aspirations>,
    alias: String,
    backoff: Backoff,
    loads: Semaphore,
    retries: Semaphore,
    candidate_loads: Semaphore,
    /// What the last complete poll did not name.
    missed: Mutex<BTreeSet<SeriesName>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What one poll led to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Series that the registry names a version of.
    pub aspired: u64,
    /// Versions that are served now, or wait for their instant, because of this poll.
    pub loaded: u64,
    /// Versions that could not be loaded: refused, or to be tried again.
    pub failed: u64,
    /// Series that were not tried, for they failed lately.
    pub backing_off: u64,
}

/// A poll whose loads may still be under way.
#[derive(Debug)]
pub struct Round {
    report: Report,
    loads: Vec<JoinHandle<bool>>,
    /// What is not counted: what needs no download, and candidates.
    said: Vec<JoinHandle<()>>,
    /// A copy of the registry answered, for the registry did not.
    pub(crate) from_copy: bool,
}

impl Round {
    /// Waits until everything that the poll began has ended.
    pub async fn ended(self) -> Report {
        let mut report = self.report;
        for load in self.loads {
            match load.await {
                Ok(true) => report.loaded += 1,
                _ => report.failed += 1,
            }
        }
        futures::future::join_all(self.said).await;
        report
    }
}

/// What of a series tells whether somebody changed it: the revision of what is served, and whether it was removed.
type Standing = (Option<u64>, bool);

impl Refresher {
    /// A refresher of `cache` that follows `alias` in `registry` about every `interval`, notes in `aspirations` what is on
    /// its way, and gives up what it is doing when `stop` is cancelled.
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<dyn Registry>,
        lanes: Arc<Lanes>,
        aspirations: Arc<Aspirations>,
        alias: String,
        interval: Duration,
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            cache,
            registry,
            lanes,
            aspirations,
            alias,
            backoff: Backoff::new(interval, SERIES_CAP),
            loads: Semaphore::new(LOADS),
            retries: Semaphore::new(RETRIES),
            candidate_loads: Semaphore::new(CANDIDATE_LOADS),
            missed: Mutex::default(),
            tasks: TaskTracker::new(),
            stop,
        }))
    }

    /// Looks once, and begins what is to be done. A registry that does not answer is told of, and changes nothing.
    ///
    /// # Errors
    /// [`Error::Registry`] when it does not answer; [`Error::State`] when that, or that it is back, cannot be made durable.
    pub async fn poll(&self) -> Result<Round> {
        let inner = &self.0;
        inner.cache.remember().await;
        // From before the look: whatever is pushed or ordered here meanwhile is newer than what the look shows.
        let before = inner.cache.state();
        let on_the_way = inner.aspirations.all();
        let mark = inner.cache.candidates().mark();
        let poll = match inner
            .unless_stopped(inner.registry.poll(&inner.alias))
            .await?
        {
            Ok(poll) => poll,
            Err(error) => {
                let message = error.to_string();
                let change = Change::RegistryUnreachable { message };
                inner.cache.commit(change, String::new()).await?;
                return Err(error.into());
            }
        };
        if let Some(message) = poll.copy.clone() {
            let change = Change::RegistryUnreachable { message };
            inner.cache.commit(change, String::new()).await?;
        } else {
            inner.answered().await?;
        }
        let actions = {
            let mut missed = inner.missed.lock().unwrap_or_else(PoisonError::into_inner);
            let actions = plan(&before, &on_the_way, &missed, &poll, Instant::now());
            if poll.copy.is_none() {
                *missed = unnamed(&before, &poll);
            }
            actions
        };
        let mut round = Round {
            report: Report {
                aspired: poll.aspired.len() as u64,
                ..Report::default()
            },
            loads: Vec::new(),
            said: Vec::new(),
            from_copy: poll.copy.is_some(),
        };
        if poll.copy.is_none() {
            let candidates = self.follow_candidates(mark, &poll.candidates);
            round.said.extend(candidates);
        }
        for action in actions {
            match action {
                Action::Load(aspired) => {
                    let standing = standing(&before, &aspired.series);
                    let beside = on_the_way.get(&aspired.series).map(|begun| begun.version);
                    round.loads.extend(self.begin(aspired, standing, beside));
                }
                Action::BackOff => round.report.backing_off += 1,
                Action::Forget { series, version } => inner.aspirations.end(&series, version),
                Action::Retire { series } => {
                    let inner = Arc::clone(inner);
                    let retire = async move { inner.retire(&series).await };
                    round.said.push(self.0.tasks.spawn(retire));
                }
                Action::AliasGone { series } => {
                    let reason = inner.alias_gone();
                    round
                        .said
                        .push(self.say(Change::AliasGone { series, reason }));
                }
                Action::AliasBack { series } => {
                    round.said.push(self.say(Change::AliasBack { series }));
                }
            }
        }
        Ok(round)
    }

    /// Begins to load `aspired`, whose series stood at `standing` before the look with the version `beside` on its way;
    /// nothing, when something newer is on its way by now.
    fn begin(
        &self,
        aspired: Aspired,
        standing: Standing,
        beside: Option<u64>,
    ) -> Option<JoinHandle<bool>> {
        let inner = Arc::clone(&self.0);
        let now = inner.cache.clock().now();
        let alias = aspired.rule.name(&inner.alias).to_owned();
        let Aspired {
            series, version, ..
        } = &aspired;
        let failures = inner
            .aspirations
            .begin(series, *version, &alias, beside, now)?;
        let load = Load {
            aspired,
            alias,
            standing,
            failures,
        };
        Some(self.0.tasks.spawn(async move { inner.load(load).await }))
    }

    /// Begins to commit `change`. One that cannot be kept is planned again by the next poll.
    fn say(&self, change: Change) -> JoinHandle<()> {
        let inner = Arc::clone(&self.0);
        self.0.tasks.spawn(async move { inner.say(change).await })
    }

    /// Runs `task` among what [`Refresher::ended`] waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(task);
    }

    /// Serves each version that waits for its instant when that has come, whether or not the registry answers then; until
    /// `stop`.
    pub async fn activate(self) {
        let inner = &self.0;
        loop {
            let mut waiting = inner.aspirations.waiting();
            waiting.sort_by_key(|(_, activate_at)| *activate_at);
            let first = waiting.first().map(|(_, activate_at)| *activate_at);
            let due = async {
                match first {
                    Some(activate_at) => inner.cache.clock().wait_until(activate_at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = inner.stop.cancelled() => return,
                () = inner.aspirations.one_more_waits() => continue,
                () = due => {}
            }
            let now = inner.cache.clock().now();
            let due = waiting.into_iter().filter(|(_, at)| *at <= now);
            let switches = due.map(|(series, _)| async move { inner.switch(&series).await });
            futures::future::join_all(switches).await;
        }
    }

    /// Returns once nothing that was begun is under way any more. `stop` must have been cancelled.
    pub async fn ended(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// A version to be loaded.
struct Load {
    aspired: Aspired,
    alias: String,
    standing: Standing,
    failures: u32,
}

impl Inner {
    /// Notes that the registry answered, and says so where it had not.
    async fn answered(&self) -> Result<()> {
        self.cache.registry_answered();
        if self.cache.state().registry_unreachable.is_none() {
            return Ok(());
        }
        self.aspirations.retry_now();
        self.cache.candidates().retry_now();
        let change = Change::RegistryBack;
        self.cache.commit(change, String::new()).await.map(drop)
    }

    fn alias_gone(&self) -> Reason {
        let message = format!(
            "the registry names no version of it by {:?} any more, so what was served goes on being served; set the alias, or retire the series",
            self.alias
        );
        Reason::new("ALIAS_GONE", message)
    }

    async fn say(&self, change: Change) {
        if let Err(error) = self.cache.commit(change, String::new()).await {
            tracing::error!(%error, "what a poll showed cannot be kept; trying again at the next");
        }
    }

    /// Stops serving `series`, unless its tombstone was taken away since it was listed.
    async fn retire(&self, series: &SeriesName) {
        let _lane = self.lanes.enter(series).await;
        match self.unless_stopped(self.registry.tombstone(series)).await {
            Ok(Ok(Some(tombstone))) => {
                self.aspirations.supersede(series);
                let change = Change::Remove {
                    series: series.clone(),
                    reason: Reason::new(RETIRED, tombstone.reason),
                };
                self.say(change).await;
            }
            Ok(Err(error)) => {
                tracing::warn!(%series, %error, "cannot read the tombstone; trying again at the next poll");
            }
            Ok(Ok(None)) | Err(_) => {}
        }
    }

    /// Fetches outside the series' lane, so that a slow registry holds up no push, and serves inside it, unless somebody
    /// changed the series since the look, or what is to come: then that is newer. Whether the version is served or waits for its instant.
    async fn load(&self, load: Load) -> bool {
        let Aspired {
            series, version, ..
        } = &load.aspired;
        let slots = if load.failures == 0 {
            &self.loads
        } else {
            &self.retries
        };
        let obtained = self.unless_stopped(async {
            let _slot = slots.acquire().await;
            obtain(&self.cache, &*self.registry, series, *version).await
        });
        let Ok(obtained) = obtained.await else {
            return false;
        };
        let _lane = self.lanes.enter(series).await;
        if !self.aspirations.is_loading(series, *version) {
            return false;
        }
        if standing(&self.cache.state(), series) != load.standing {
            self.aspirations.end(series, *version);
            return false;
        }
        let outcome = match obtained {
            Ok(obtained) => self.install(&load, obtained).await.map(|()| true),
            Err(error) => {
                let rejected = self.reject(series, *version, false, error).await;
                rejected.map(|_| {
                    self.aspirations.end(series, *version);
                    false
                })
            }
        };
        outcome.unwrap_or_else(|error| {
            self.retry_later(&load, &error);
            false
        })
    }

    /// What `asking` answers, unless the server stops before. What is being committed is not cut off so.
    async fn unless_stopped<T>(&self, asking: impl Future<Output = T>) -> Result<T> {
        let answer = self.stop.run_until_cancelled(asking).await;
        answer.ok_or(Error::GoingAway)
    }

    async fn install(&self, load: &Load, obtained: Obtained) -> Result<()> {
        let Aspired {
            series, version, ..
        } = &load.aspired;
        let Obtained {
            loaded,
            activate_at,
        } = obtained;
        if let Some(activate_at) = activate_at.filter(|at| *at > self.cache.clock().now()) {
            let progress = Progress::Waiting {
                activate_at,
                loaded,
            };
            self.aspirations.advance(series, *version, progress);
            return Ok(());
        }
        let change = Change::Serve {
            loaded,
            version: *version,
            alias: load.alias.clone(),
        };
        self.cache.commit(change, String::new()).await?;
        self.aspirations.end(series, *version);
        Ok(())
    }

    fn retry_later(&self, load: &Load, error: &Error) {
        let Aspired {
            series, version, ..
        } = &load.aspired;
        let message = error.to_string();
        let progress = if is_not_ready(error) {
            Progress::NotReady { message }
        } else {
            let asked = error.retry_after();
            let failures = load.failures.saturating_add(1);
            let delay = self.backoff.delay(failures, asked, rand::random());
            tracing::warn!(%series, version, %error, ?delay, failures, "cannot load; trying again");
            Progress::Retrying {
                message,
                until: Instant::now() + delay,
            }
        };
        self.aspirations.advance(series, *version, progress);
    }

    /// Serves the version of `series` that waits for its instant, if one still does and that has come: what was ordered
    /// meanwhile may wait for a later one.
    async fn switch(&self, series: &SeriesName) {
        let _lane = self.lanes.enter(series).await;
        let Some(aspiration) = self.aspirations.get(series) else {
            return;
        };
        let Progress::Waiting {
            activate_at,
            loaded,
        } = aspiration.progress
        else {
            return;
        };
        if activate_at > self.cache.clock().now() {
            return;
        }
        let version = aspiration.version;
        let change = Change::Serve {
            loaded,
            version,
            alias: aspiration.alias,
        };
        match self.cache.commit(change, String::new()).await {
            Ok(_) => self.aspirations.end(series, version),
            Err(error) => {
                tracing::error!(%series, version, %error, "cannot switch at the set instant; trying again");
                let progress = Progress::Retrying {
                    message: error.to_string(),
                    until: Instant::now() + self.backoff.delay(1, None, rand::random()),
                };
                self.aspirations.advance(series, version, progress);
            }
        }
    }
}

fn standing(state: &State, series: &SeriesName) -> Standing {
    state.entries.get(series).map_or((None, false), |entry| {
        let served = entry.served.as_ref().map(|served| served.revision);
        (served, entry.removed.is_some())
    })
}
