//! Following the registry: the second inlet to the cache. Decides purely ([`plan`]), acts thinly ([`Refresher`]).

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use loadcast_model::series::SeriesName;
use loadcast_registry::{
    error::Error as RegistryError,
    registry::{Aspired, Poll, Registry, Rule},
};
use tokio_util::sync::CancellationToken;

use crate::{
    aspired::{Aspiration, Aspirations},
    cache::Cache,
    error::{Error, Result},
    event::Reason,
    lanes::Lanes,
    obtain::obtain,
    served::{Change, RETIRED, Served, State},
};

/// How many series are loaded at once: enough to hide the registry's round trip and share an fsync, few enough to leave
/// the cores to those who ask.
const LOADS: usize = 16;

/// What to do about one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Fetch, verify and serve this version.
    Load {
        /// The series.
        series: SeriesName,
        /// The version that the alias points at.
        version: u64,
    },
    /// Stop serving it: the registry has a tombstone.
    Retire {
        /// The series.
        series: SeriesName,
    },
}

/// What makes `served` what the registry says. Nothing but what is retired is unloaded: a series that is not
/// listed goes on being served, for an alias that disappeared is a question to a human and not an order.
pub fn plan(served: &State, poll: &Poll) -> Vec<Action> {
    let wanted = poll.aspired.iter().filter(|aspired| {
        let Some(entry) = served.entries.get(&aspired.series) else {
            return true;
        };
        if falls_back(served_by(entry.served.as_deref()), aspired.rule) {
            return false;
        }
        let is_served = entry
            .served
            .as_ref()
            .is_some_and(|current| current.version == aspired.version);
        let is_refused = entry
            .rejection
            .as_ref()
            .is_some_and(|last| last.version == aspired.version);
        !is_served && !is_refused
    });
    let unwanted = poll.retired.iter().filter(|series| {
        served
            .entries
            .get(*series)
            .is_none_or(|entry| entry.served.is_some() || entry.removed.is_none())
    });
    let load = |aspired: &Aspired| Action::Load {
        series: aspired.series.clone(),
        version: aspired.version,
    };
    let retire = |series: &SeriesName| Action::Retire {
        series: series.clone(),
    };
    unwanted.map(retire).chain(wanted.map(load)).collect()
}

/// Whether a series that has been served by its alias would now be served by a stage: a question to a human as well.
fn falls_back(served_by: Option<&str>, rule: Rule) -> bool {
    rule != Rule::Alias && served_by.is_some_and(|by| !Rule::STAGES.contains(&by))
}

/// The alias or stage by which a series is served.
fn served_by(served: Option<&Served>) -> Option<&str> {
    served.map(|served| served.alias.as_str())
}

/// Follows one alias of a registry.
#[derive(Debug, Clone)]
pub struct Refresher {
    cache: Arc<Cache>,
    registry: Arc<dyn Registry>,
    lanes: Arc<Lanes>,
    aspirations: Arc<Aspirations>,
    alias: String,
}

impl Refresher {
    /// A refresher of `cache` that follows `alias` in `registry` and notes in `aspirations` what is on its way.
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<dyn Registry>,
        lanes: Arc<Lanes>,
        aspirations: Arc<Aspirations>,
        alias: String,
    ) -> Self {
        Self {
            cache,
            registry,
            lanes,
            aspirations,
            alias,
        }
    }

    /// Refreshes every `interval` until `stop`.
    pub async fn run(self, interval: Duration, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::error!(%error, "a refresh could not be committed");
            }
        }
    }

    /// Looks once, and acts on what it sees. A registry that does not answer is told of, and changes nothing; one series
    /// that cannot be loaded keeps no other from it.
    ///
    /// # Errors
    /// The first [`Error::State`] when changes cannot be made durable.
    pub async fn refresh(&self) -> Result<()> {
        let poll = match self.registry.poll(&self.alias).await {
            Ok(poll) => poll,
            Err(error) => {
                let message = error.to_string();
                let change = Change::RegistryUnreachable { message };
                return self.cache.commit(change, String::new()).await.map(drop);
            }
        };
        self.cache.registry_answered();
        if self.cache.state().registry_unreachable.is_some() {
            self.cache
                .commit(Change::RegistryBack, String::new())
                .await?;
        }
        let plan = plan(&self.cache.state(), &poll);
        let outcomes = futures::stream::iter(plan)
            .map(|action| self.act(action))
            .buffer_unordered(LOADS);
        outcomes
            .fold(Ok(()), async |all: Result<()>, one| all.and(one))
            .await
    }

    async fn act(&self, action: Action) -> Result<()> {
        match action {
            Action::Retire { series } => self.retire(&series).await,
            Action::Load { series, version } => {
                let aspiration = Aspiration {
                    version,
                    alias: self.alias.clone(),
                    seen_at: self.cache.clock().now(),
                    trouble: None,
                };
                self.aspirations.begin(&series, aspiration);
                self.load(&series).await
            }
        }
    }

    /// Stops serving `series`, unless its tombstone was taken away since it was listed.
    async fn retire(&self, series: &SeriesName) -> Result<()> {
        let _lane = self.lanes.enter(series).await;
        match self.registry.tombstone(series).await {
            Ok(Some(tombstone)) => {
                self.aspirations.end(series);
                let change = Change::Remove {
                    series: series.clone(),
                    reason: Reason::new(RETIRED, tombstone.reason),
                };
                self.cache.commit(change, String::new()).await.map(drop)
            }
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::warn!(%series, %error, "cannot read the tombstone; trying again at the next poll");
                Ok(())
            }
        }
    }

    /// Serves what is aspired of `series` now, which may be newer than the listing; nothing when the series was
    /// retired since.
    async fn load(&self, series: &SeriesName) -> Result<()> {
        let _lane = self.lanes.enter(series).await;
        let aspired = match self.registry.aspired_of(series, &self.alias).await {
            Ok(aspired) => aspired,
            Err(error) => return self.give_up(series, 0, Error::Registry(error)).await,
        };
        let served = self.cache.get(series);
        let wanted = aspired.filter(|aspired| {
            !falls_back(served_by(served.as_deref()), aspired.rule)
                && served
                    .as_ref()
                    .is_none_or(|served| served.version != aspired.version)
        });
        let Some(Aspired { version, rule, .. }) = wanted else {
            self.aspirations.end(series);
            return Ok(());
        };
        let loaded = match obtain(&self.cache, &*self.registry, series, version).await {
            Ok(loaded) => loaded,
            Err(error) => return self.give_up(series, version, error).await,
        };
        let change = Change::Serve {
            loaded,
            version,
            alias: rule.name(&self.alias).to_owned(),
        };
        self.aspirations.end(series);
        self.cache.commit(change, String::new()).await.map(drop)
    }

    /// A version that cannot be served is refused by name; a registry that stopped answering is tried again next time.
    async fn give_up(&self, series: &SeriesName, version: u64, error: Error) -> Result<()> {
        let code = match &error {
            Error::Rejected { code, .. } => *code,
            Error::Registry(RegistryError::Corrupt { .. }) => "CORRUPT",
            Error::Registry(RegistryError::NotFound { .. }) => "VERSION_MISSING",
            Error::Registry(RegistryError::Unsupported { .. }) => "UNSUPPORTED",
            Error::Registry(error) => {
                tracing::warn!(%series, version, %error, "cannot fetch; trying again at the next poll");
                self.aspirations.delay(series, error.to_string());
                return Ok(());
            }
            _ => return Err(error),
        };
        self.aspirations.end(series);
        let change = Change::Reject {
            series: series.clone(),
            version,
            sha256: String::new(),
            reasons: vec![Reason::new(code, error.to_string())],
            scores: None,
        };
        self.cache.commit(change, String::new()).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::event::{Event, EventKind};

    fn name(series: &str) -> SeriesName {
        series.parse().unwrap()
    }

    fn after(state: &State, kind: EventKind) -> State {
        state.after(&Event {
            revision: state.revision + 1,
            at: Timestamp::UNIX_EPOCH,
            traceparent: String::new(),
            kind,
        })
    }

    fn aspired(series: &str, version: u64) -> Poll {
        let aspired = vec![Aspired {
            series: name(series),
            version,
            rule: Rule::Alias,
        }];
        Poll {
            aspired,
            retired: Vec::new(),
        }
    }

    #[test]
    fn what_is_new_is_loaded_and_what_was_refused_is_not_tried_again_until_it_moves() {
        let empty = State::empty(Uuid::nil());
        let load = |version| {
            vec![Action::Load {
                series: name("a"),
                version,
            }]
        };
        assert_eq!(plan(&empty, &aspired("a", 1)), load(1));
        let refused = after(
            &empty,
            EventKind::Rejected {
                series: name("a"),
                labels: Default::default(),
                version: 1,
                sha256: String::new(),
                reasons: vec![Reason::new("CORRUPT", "bent")],
                scores: None,
            },
        );
        assert_eq!(plan(&refused, &aspired("a", 1)), []);
        assert_eq!(plan(&refused, &aspired("a", 2)), load(2));
    }

    #[test]
    fn a_tombstone_is_acted_on_once() {
        let empty = State::empty(Uuid::nil());
        let poll = Poll {
            aspired: Vec::new(),
            retired: vec![name("a")],
        };
        let retire = Action::Retire { series: name("a") };
        assert_eq!(plan(&empty, &poll), [retire]);
        let removed = after(
            &empty,
            EventKind::Removed {
                series: name("a"),
                labels: Default::default(),
                previous_version: 0,
                reason: Reason::new(RETIRED, "old"),
            },
        );
        assert_eq!(plan(&removed, &poll), []);
    }

    #[test]
    fn a_series_that_followed_its_alias_does_not_fall_back_to_a_stage() {
        for (served_by, rule, falls) in [
            (Some("champion"), Rule::Production, true),
            (Some("champion"), Rule::Staging, true),
            (Some("champion"), Rule::Alias, false),
            (
                Some(Rule::Staging.name("champion")),
                Rule::Production,
                false,
            ),
            (Some(Rule::Production.name("champion")), Rule::Alias, false),
            (None, Rule::Staging, false),
        ] {
            assert_eq!(falls_back(served_by, rule), falls, "{served_by:?} {rule:?}");
        }
    }
}
