//! Following a registry that misbehaves as the script says, in tokio's own time.

use std::{collections::HashSet, sync::Arc, time::Duration};

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;
use loadcast_server::{
    aspired::{Aspiration, Aspirations, Progress},
    cache::Cache,
    clock::{Clock, ClockSetter},
    lanes::Lanes,
    poller::{self, Hints},
    refresh::Refresher,
    served::Change,
};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    scripted::{Fault, Scripted},
    support::{now, quick_folder},
};

const SECOND: Duration = Duration::from_secs(1);

/// A replica that follows a registry every second.
struct Replica {
    cache: Arc<Cache>,
    aspirations: Arc<Aspirations>,
    hints: Hints,
    lanes: Arc<Lanes>,
    clock: ClockSetter,
    stop: CancellationToken,
    tasks: [JoinHandle<()>; 2],
    _folder: TempDir,
}

impl Replica {
    fn of(registry: &Arc<Scripted>) -> Self {
        let folder = quick_folder();
        let (clock, setter) = Clock::set_at(now());
        let cache = Arc::new(Cache::open(folder.path(), clock).unwrap());
        let aspirations = Arc::new(Aspirations::default());
        let lanes = Arc::new(Lanes::default());
        let stop = CancellationToken::new();
        let refresher = Refresher::new(
            Arc::clone(&cache),
            Arc::clone(registry) as Arc<dyn Registry>,
            Arc::clone(&lanes),
            Arc::clone(&aspirations),
            "champion".to_owned(),
            SECOND,
            stop.clone(),
        );
        let hints = Hints::default();
        let activating = tokio::spawn(refresher.clone().activate());
        let polls = poller::run(refresher, hints.clone(), SECOND, stop.clone());
        Self {
            cache,
            aspirations,
            hints,
            lanes,
            clock: setter,
            stop,
            tasks: [activating, tokio::spawn(polls)],
            _folder: folder,
        }
    }

    /// The version of `series` that is served; 0 for none.
    fn served(&self, series: &str) -> u64 {
        let served = self.cache.get(&series.parse().unwrap());
        served.map_or(0, |served| served.version)
    }

    /// Waits until `version` of `series` is served.
    async fn until(&self, series: &str, version: u64) {
        let mut changed = self.cache.subscribe();
        while self.served(series) != version {
            changed.changed().await.unwrap();
        }
    }

    fn progress(&self, series: &str) -> Option<Progress> {
        let aspiration = self.aspirations.get(&series.parse().unwrap());
        aspiration.map(|aspiration| aspiration.progress)
    }

    /// The kinds of the events after `revision`.
    fn events(&self, revision: u64) -> Vec<&'static str> {
        let events = self.cache.events_after(revision, 1_000).unwrap();
        events.iter().map(|event| event.kind.name()).collect()
    }

    /// Ends as a server does, however much hangs.
    async fn end(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_hangs_delays_no_other_and_is_loaded_once() {
    let registry = Scripted::new();
    registry.make("bad", None).await;
    registry.make("good", None).await;
    registry.fail("fetch bad", Fault::Hang);
    let replica = Replica::of(&registry);
    for version in 1..=5 {
        replica.until("good", version).await;
        registry.make("good", None).await;
    }
    assert_eq!(registry.times("fetch bad").len(), 1, "one load in flight");
    assert!(matches!(replica.progress("bad"), Some(Progress::Loading)));
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn thirty_models_that_fail_do_not_stand_in_the_way_of_a_new_one() {
    let registry = Scripted::new();
    let names: Vec<String> = (0..30).map(|i| format!("bad.{i}")).collect();
    for name in &names {
        registry.make(name, None).await;
    }
    // They fail at once, and hang when they are tried again.
    let mut seen = HashSet::new();
    registry.set(move |call| {
        call.starts_with("fetch bad").then(|| {
            if seen.insert(call.to_owned()) {
                Fault::Unreachable(None)
            } else {
                Fault::Hang
            }
        })
    });
    let replica = Replica::of(&registry);
    tokio::time::sleep(10 * SECOND).await;
    registry.make("good", None).await;
    let served = tokio::time::timeout(2 * SECOND, replica.until("good", 1));
    served.await.unwrap();
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_series_that_fails_is_tried_less_and_less_often_and_not_before_it_may_be() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    registry.fail("fetch a", Fault::Unreachable(None));
    let replica = Replica::of(&registry);
    tokio::time::sleep(600 * SECOND).await;
    let times = registry.times("fetch a");
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] <= 2 * SECOND, "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 62 * SECOND), "{gaps:?}");
    assert!((12..30).contains(&times.len()), "{} attempts", times.len());
    assert!(matches!(
        replica.progress("a"),
        Some(Progress::Retrying { .. })
    ));

    let asked = Duration::from_secs(300);
    let until = registry.times("fetch a").len();
    registry.fail("fetch a", Fault::Unreachable(Some(asked)));
    tokio::time::sleep(900 * SECOND).await;
    let times = registry.times("fetch a");
    let late = &times[until..];
    assert!(late.len() >= 2);
    for pair in late.windows(2) {
        assert!(pair[1] - pair[0] >= asked, "Retry-After");
    }
    registry.heal();
    replica.until("a", 1).await;
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_moves_on_from_a_version_that_fails_is_followed_at_once() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    registry.fail("fetch a 2", Fault::Unreachable(Some(3_600 * SECOND)));
    registry.make("a", None).await;
    tokio::time::sleep(3 * SECOND).await;
    registry.make("a", None).await;
    let served = tokio::time::timeout(2 * SECOND, replica.until("a", 3));
    served.await.unwrap();
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_does_not_answer_is_told_of_once_and_asked_less_and_less_often() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    tokio::time::sleep(SECOND).await;
    let (revision, polls) = (replica.cache.state().revision, registry.times("poll").len());
    registry.fail("poll", Fault::Unreachable(None));
    tokio::time::sleep(600 * SECOND).await;
    let times = registry.times("poll");
    let asked = times.len() - polls;
    assert!((20..60).contains(&asked), "{asked} polls in ten minutes");
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(longest.unwrap() <= 30 * SECOND, "{longest:?}");
    assert_eq!(replica.events(revision), ["REGISTRY_UNREACHABLE"]);
    assert!(!*replica.cache.registry_answers().borrow());
    assert_eq!(replica.served("a"), 1);
    registry.make("a", None).await;
    registry.heal();
    let back = tokio::time::timeout(30 * SECOND, replica.until("a", 2));
    back.await.expect("recovery within one backoff");
    assert_eq!(
        replica.events(revision),
        ["REGISTRY_UNREACHABLE", "REGISTRY_BACK", "SERVED"]
    );
    assert!(*replica.cache.registry_answers().borrow());
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_who_ask_for_a_refresh_cause_one_poll_and_are_all_told_its_end() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    tokio::time::sleep(SECOND / 2).await;
    registry.make("a", None).await;
    let before = registry.times("poll").len();
    let asked = futures::future::join_all((0..1_000).map(|_| replica.hints.refresh())).await;
    for report in asked {
        let report = report.unwrap();
        assert_eq!((report.aspired, report.loaded, report.failed), (1, 1, 0));
    }
    assert_eq!(replica.served("a"), 2, "the poll ended, its loads too");
    assert_eq!(registry.times("poll").len(), before + 1);
    // Hints without end are polls at a bounded rate.
    let before = registry.times("poll").len();
    for _ in 0..1_000 {
        replica.hints.hint();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let polls = registry.times("poll").len() - before;
    assert!((40..=52).contains(&polls), "{polls} polls in ten seconds");
    registry.fail("poll", Fault::Unreachable(None));
    let error = replica.hints.refresh().await.unwrap_err();
    assert!(error.to_string().contains("as the script says"), "{error}");
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_flaps_a_hundred_times_a_second_is_followed_once_a_poll() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    registry.make("a", None).await;
    registry.make("b", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 2).await;
    replica.until("b", 1).await;
    let revision = replica.cache.state().revision;
    let (polls, fetches) = (registry.times("poll").len(), registry.times("fetch").len());
    for flap in 0..1_000_u64 {
        registry.point("a", 1 + flap % 2).await;
        if flap == 500 {
            registry.make("b", None).await;
        }
        tokio::time::sleep(SECOND / 100).await;
    }
    let polls = registry.times("poll").len() - polls;
    assert!((9..=11).contains(&polls), "{polls}");
    let events = replica.cache.state().revision - revision;
    assert!(events <= polls as u64 + 1, "{events}");
    // Version 1 and the new one of b; what was served before is in memory.
    assert!(registry.times("fetch").len() - fetches <= 2);
    assert_eq!(replica.served("b"), 2);
    registry.point("a", 1).await;
    replica.until("a", 1).await;
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_names_no_more_goes_on_being_served_and_is_told_when_two_listings_agree()
{
    let registry = Scripted::new();
    registry.make("a", None).await;
    registry.make("b", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    replica.until("b", 1).await;
    let revision = replica.cache.state().revision;
    let a: SeriesName = "a".parse().unwrap();
    // One listing without it is no news.
    *registry.unlisted.lock().unwrap() = vec![a.clone()];
    replica.hints.refresh().await.unwrap();
    registry.unlisted.lock().unwrap().clear();
    replica.hints.refresh().await.unwrap();
    replica.hints.refresh().await.unwrap();
    assert_eq!(replica.events(revision), [] as [&str; 0]);
    // Two are.
    *registry.unlisted.lock().unwrap() = vec![a.clone()];
    for _ in 0..3 {
        replica.hints.refresh().await.unwrap();
    }
    assert_eq!(replica.events(revision), ["ALIAS_GONE"]);
    assert_eq!(replica.served("a"), 1);
    let gone = replica.cache.entry(&a).unwrap().alias_gone.clone();
    assert!(gone.unwrap().message.contains("set the alias"));
    registry.make("b", None).await;
    replica.until("b", 2).await;
    registry.unlisted.lock().unwrap().clear();
    replica.hints.refresh().await.unwrap();
    assert_eq!(
        replica.events(revision),
        ["ALIAS_GONE", "SERVED", "ALIAS_BACK"]
    );
    assert!(replica.cache.entry(&a).unwrap().alias_gone.is_none());
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_that_is_still_being_made_is_asked_for_at_every_poll_while_the_old_one_serves() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    registry.fail("fetch a 2", Fault::NotReady);
    registry.make("a", None).await;
    tokio::time::sleep(10 * SECOND).await;
    assert!(matches!(
        replica.progress("a"),
        Some(Progress::NotReady { .. })
    ));
    assert!((9..=11).contains(&registry.times("fetch a 2").len()));
    assert_eq!(replica.served("a"), 1);
    registry.heal();
    let served = tokio::time::timeout(2 * SECOND, replica.until("a", 2));
    served.await.unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(replica.progress("a").is_none());
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_version_with_an_instant_is_loaded_beside_and_switched_on_every_replica_then() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replicas = [Replica::of(&registry), Replica::of(&registry)];
    for replica in &replicas {
        replica.until("a", 1).await;
    }
    let activate_at = now() + 600 * SECOND;
    registry.make("a", Some(activate_at)).await;
    tokio::time::sleep(5 * SECOND).await;
    let fetched = registry.times("fetch a 2").len();
    assert_eq!(fetched, 2, "once by each");
    // The registry need not be there at the instant.
    registry.fail("", Fault::Unreachable(None));
    for replica in &replicas {
        assert!(matches!(
            replica.progress("a"),
            Some(Progress::Waiting { .. })
        ));
        replica.clock.set(activate_at - SECOND);
        tokio::time::sleep(SECOND).await;
        assert_eq!(replica.served("a"), 1);
    }
    for replica in replicas {
        replica.clock.set(activate_at);
        replica.until("a", 2).await;
        tokio::task::yield_now().await;
        replica.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_version_whose_alias_moved_away_before_its_instant_is_never_served() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    let activate_at = now() + 600 * SECOND;
    registry.make("a", Some(activate_at)).await;
    tokio::time::sleep(3 * SECOND).await;
    assert!(replica.progress("a").is_some());
    registry.point("a", 1).await;
    tokio::time::sleep(3 * SECOND).await;
    assert!(replica.progress("a").is_none());
    let revision = replica.cache.state().revision;
    replica.clock.set(activate_at + 60 * SECOND);
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!(
        (replica.served("a"), replica.cache.state().revision),
        (1, revision)
    );
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_ordered_here_while_a_load_was_under_way_is_not_undone_by_it() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    let served = replica.cache.get(&"a".parse().unwrap()).unwrap();
    registry.fail("fetch a 2", Fault::Slow(3 * SECOND));
    registry.make("a", None).await;
    tokio::time::sleep(2 * SECOND).await;
    assert!(matches!(replica.progress("a"), Some(Progress::Loading)));
    // An order, as a push or a rollback gives it: in the registry, then here.
    registry.make("a", None).await;
    let order = Change::Serve {
        loaded: Arc::clone(&served.loaded),
        version: 3,
        alias: "champion".to_owned(),
    };
    replica.cache.commit(order, String::new()).await.unwrap();
    let revision = replica.cache.state().revision;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(
        (replica.served("a"), replica.cache.state().revision),
        (3, revision)
    );
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_ordered_for_a_later_instant_is_not_switched_to_at_the_earlier_one() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    let activate_at = now() + 600 * SECOND;
    registry.make("a", Some(activate_at)).await;
    tokio::time::sleep(5 * SECOND).await;
    let Some(Progress::Waiting { loaded, .. }) = replica.progress("a") else {
        panic!("{:?}", replica.progress("a"));
    };
    // The instant comes while an order is under way, which puts another version in its place.
    let series: SeriesName = "a".parse().unwrap();
    let order = replica.lanes.enter(&series).await;
    registry.fail("", Fault::Unreachable(None));
    replica.clock.set(activate_at);
    tokio::time::sleep(SECOND / 2).await;
    let later = activate_at + 600 * SECOND;
    let ordered = Aspiration {
        version: 3,
        alias: "champion".to_owned(),
        seen_at: activate_at,
        failures: 0,
        progress: Progress::Waiting {
            activate_at: later,
            loaded,
        },
    };
    replica.aspirations.order(&series, ordered);
    drop(order);
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(replica.served("a"), 1);
    replica.clock.set(later);
    replica.until("a", 3).await;
    tokio::task::yield_now().await;
    replica.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_is_still_being_made_is_asked_for_at_every_poll() {
    let registry = Scripted::new();
    registry.make("a", None).await;
    registry.make("a", None).await;
    registry.point("a", 1).await;
    registry.name("a", "candidate", 2).await;
    registry.fail("fetch a 2", Fault::NotReady);
    let replica = Replica::of(&registry);
    replica.until("a", 1).await;
    tokio::time::sleep(10 * SECOND).await;
    let (polls, fetches) = (registry.times("poll"), registry.times("fetch a 2"));
    assert!(fetches.len() >= 9, "{} of {}", fetches.len(), polls.len());
    registry.heal();
    let candidates = replica.cache.candidates();
    let series = "a".parse().unwrap();
    while candidates.get(&series).is_err() {
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(candidates.get(&series).unwrap().version, 2);
    replica.end().await;
}
