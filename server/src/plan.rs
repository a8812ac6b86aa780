//! What to do about what a poll showed: a pure function of what is served, what is on its way, and what the registry says.

use std::collections::{BTreeMap, BTreeSet};

use loadcast_model::series::SeriesName;
use loadcast_registry::registry::{Aspired, Poll, Rule};
use tokio::time::Instant;

use crate::{
    aspired::{Aspiration, Progress},
    served::{Entry, State},
};

/// What to do about one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Fetch, verify and serve this version, beside what is served.
    Load(Aspired),
    /// Nothing yet: loading it failed, and it is not time to try again.
    BackOff,
    /// Stop serving it: the registry has a tombstone.
    Retire {
        /// The series.
        series: SeriesName,
    },
    /// Say that the alias which named what is served is gone. It goes on being served.
    AliasGone {
        /// The series.
        series: SeriesName,
    },
    /// Say that the alias is back where it was.
    AliasBack {
        /// The series.
        series: SeriesName,
    },
    /// What was on its way is not wanted any more.
    Forget {
        /// The series.
        series: SeriesName,
        /// What was on its way.
        version: u64,
    },
}

/// What makes `served` what `poll` says. `on_the_way` is what earlier polls began, `missed` what the last complete poll
/// did not name either ([`unnamed`]).
///
/// Nothing but a tombstone unloads a series. An alias that is not there is a question to a human and not an order: what
/// it named goes on being served, and that is said once two polls agree. A version that was refused is not tried again
/// until the alias moves. Of what a copy of the registry says, which may be old, only what is not known at all is loaded.
pub fn plan(
    served: &State,
    on_the_way: &BTreeMap<SeriesName, Aspiration>,
    missed: &BTreeSet<SeriesName>,
    poll: &Poll,
    now: Instant,
) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut wanted = BTreeSet::new();
    for aspired in &poll.aspired {
        let entry = served.entries.get(&aspired.series).map(|entry| &**entry);
        if poll.copy.is_some() && entry.is_some_and(is_or_was_served) {
            continue;
        }
        match judge(entry, aspired) {
            Judged::Wanted => {
                wanted.insert(&aspired.series);
                actions.extend(start(on_the_way.get(&aspired.series), aspired, now));
            }
            Judged::Served | Judged::Refused => {
                let was_gone = entry.is_some_and(|entry| entry.alias_gone.is_some());
                actions.extend(was_gone.then(|| Action::AliasBack {
                    series: aspired.series.clone(),
                }));
            }
            Judged::FallsBack => {}
        }
    }
    if poll.copy.is_some() {
        return actions;
    }
    let unnamed = unnamed(served, poll);
    let gone = unnamed.intersection(missed).filter(|series| {
        let entry = served.entries.get(*series);
        entry.is_some_and(|entry| entry.alias_gone.is_none())
    });
    actions.extend(gone.map(|series| Action::AliasGone {
        series: series.clone(),
    }));
    let unloaded = poll.retired.iter().filter(|series| {
        let entry = served.entries.get(*series);
        entry.is_none_or(|entry| entry.served.is_some() || entry.removed.is_none())
    });
    actions.extend(unloaded.map(|series| Action::Retire {
        series: series.clone(),
    }));
    let retired = |series| poll.retired.binary_search(series).is_ok();
    let forgotten = on_the_way
        .iter()
        .filter(|(series, _)| !wanted.contains(series) && !retired(series));
    actions.extend(forgotten.map(|(series, begun)| Action::Forget {
        series: series.clone(),
        version: begun.version,
    }));
    actions
}

/// Every series that is served and of which `poll` names no version, or only one by a stage instead of the alias.
pub fn unnamed(served: &State, poll: &Poll) -> BTreeSet<SeriesName> {
    let retired: BTreeSet<&SeriesName> = poll.retired.iter().collect();
    let aspired: BTreeMap<&SeriesName, &Aspired> = poll
        .aspired
        .iter()
        .map(|line| (&line.series, line))
        .collect();
    let entries = served.entries.iter();
    let unnamed = entries.filter(|(series, entry)| {
        let is_named = |line: &&Aspired| judge(Some(entry), line) != Judged::FallsBack;
        entry.served.is_some()
            && !retired.contains(series)
            && !aspired.get(series).is_some_and(is_named)
    });
    unnamed.map(|(series, _)| series.clone()).collect()
}

fn is_or_was_served(entry: &Entry) -> bool {
    entry.served.is_some() || entry.removed.is_some()
}

/// What a line of a listing is to what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    Wanted,
    Served,
    /// It was refused, and the alias has not moved since.
    Refused,
    /// The series has been served by its alias, and would now be by a stage.
    FallsBack,
}

fn judge(entry: Option<&Entry>, aspired: &Aspired) -> Judged {
    let served = entry.and_then(|entry| entry.served.as_deref());
    let by_alias = served.is_some_and(|served| !Rule::STAGES.contains(&served.alias.as_str()));
    if by_alias && aspired.rule != Rule::Alias {
        return Judged::FallsBack;
    }
    // What was served by a stage and now by its alias is served anew, so that it will not fall back.
    let newly_by_alias = aspired.rule == Rule::Alias && !by_alias;
    if served.is_some_and(|served| served.version == aspired.version) && !newly_by_alias {
        return Judged::Served;
    }
    if entry.and_then(|entry| entry.refused) == Some(aspired.version) {
        return Judged::Refused;
    }
    Judged::Wanted
}

/// How to go about a wanted version, of whose series `begun` is on its way.
fn start(begun: Option<&Aspiration>, aspired: &Aspired, now: Instant) -> Option<Action> {
    let load = || Some(Action::Load(aspired.clone()));
    let Some(begun) = begun else {
        return load();
    };
    let same = begun.version == aspired.version;
    match &begun.progress {
        // One load in flight per series, whatever the alias does meanwhile: the next poll sees where it stands then.
        Progress::Loading => None,
        Progress::Waiting { .. } if same => None,
        Progress::Retrying { until, .. } if same && *until > now => Some(Action::BackOff),
        Progress::NotReady { .. } | Progress::Retrying { .. } | Progress::Waiting { .. } => load(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::event::{Event, EventKind, Reason};

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

    fn line(series: &str, version: u64) -> Aspired {
        Aspired {
            series: name(series),
            version,
            rule: Rule::Alias,
        }
    }

    fn listing(aspired: &[Aspired]) -> Poll {
        Poll {
            aspired: aspired.to_vec(),
            ..Poll::default()
        }
    }

    fn plan_of(state: &State, poll: &Poll) -> Vec<Action> {
        let nothing = (BTreeMap::new(), BTreeSet::new());
        plan(state, &nothing.0, &nothing.1, poll, Instant::now())
    }

    fn refused(version: u64, beside: bool) -> EventKind {
        EventKind::Rejected {
            series: name("a"),
            labels: Default::default(),
            version,
            sha256: String::new(),
            reasons: vec![Reason::new("CORRUPT", "bent")],
            scores: None,
            beside,
        }
    }

    #[test]
    fn what_is_new_is_loaded_and_what_was_refused_is_not_tried_again_until_it_moves() {
        let empty = State::empty(Uuid::nil());
        let load = |version| vec![Action::Load(line("a", version))];
        assert_eq!(plan_of(&empty, &listing(&[line("a", 1)])), load(1));
        let state = after(&empty, refused(1, false));
        assert_eq!(plan_of(&state, &listing(&[line("a", 1)])), []);
        assert_eq!(plan_of(&state, &listing(&[line("a", 2)])), load(2));
    }

    #[test]
    fn what_was_refused_beside_hides_no_refused_champion_and_is_tried_when_the_alias_moves_to_it() {
        let state = after(&State::empty(Uuid::nil()), refused(1, false));
        let reported = refused(0, false);
        for later in [refused(2, true), reported] {
            let state = after(&state, later);
            assert_eq!(plan_of(&state, &listing(&[line("a", 1)])), []);
            let load = Action::Load(line("a", 2));
            assert_eq!(plan_of(&state, &listing(&[line("a", 2)])), [load]);
        }
    }

    #[test]
    fn a_tombstone_is_acted_on_once() {
        let empty = State::empty(Uuid::nil());
        let poll = Poll {
            aspired: Vec::new(),
            retired: vec![name("a")],
            ..Poll::default()
        };
        let retire = Action::Retire { series: name("a") };
        assert_eq!(plan_of(&empty, &poll), [retire]);
        let removed = EventKind::Removed {
            series: name("a"),
            labels: Default::default(),
            previous_version: 0,
            reason: Reason::new("RETIRED", "old"),
        };
        assert_eq!(plan_of(&after(&empty, removed), &poll), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_is_begun_once_and_what_failed_waits_unless_the_alias_moves() {
        let empty = State::empty(Uuid::nil());
        let now = Instant::now();
        let until = now + Duration::from_secs(5);
        let retrying = Progress::Retrying {
            message: "503".to_owned(),
            until,
        };
        let not_ready = Progress::NotReady {
            message: "PENDING".to_owned(),
        };
        let wait = vec![Action::BackOff];
        let load = |version| vec![Action::Load(line("a", version))];
        for (progress, version, at, expected) in [
            (Progress::Loading, 2, now, vec![]),
            (Progress::Loading, 3, now, vec![]),
            (retrying.clone(), 2, now, wait),
            (retrying.clone(), 2, until, load(2)),
            (retrying, 3, now, load(3)),
            (not_ready, 2, now, load(2)),
        ] {
            let begun = Aspiration {
                version: 2,
                alias: "champion".to_owned(),
                seen_at: Timestamp::UNIX_EPOCH,
                failures: 1,
                progress,
            };
            let on_the_way = [(name("a"), begun)].into();
            let poll = listing(&[line("a", version)]);
            let planned = plan(&empty, &on_the_way, &BTreeSet::new(), &poll, at);
            assert_eq!(planned, expected, "{on_the_way:?} {version}");
            let planned = plan(&empty, &on_the_way, &BTreeSet::new(), &listing(&[]), at);
            let forget = Action::Forget {
                series: name("a"),
                version: 2,
            };
            assert_eq!(planned, [forget]);
        }
    }

    #[test]
    fn of_a_copy_only_what_is_not_known_is_loaded_and_nothing_is_unloaded_or_called_gone() {
        let empty = State::empty(Uuid::nil());
        let removed = after(
            &empty,
            EventKind::Removed {
                series: name("a"),
                labels: Default::default(),
                previous_version: 1,
                reason: Reason::new("RETIRED", "old"),
            },
        );
        let copy = Poll {
            aspired: vec![line("a", 1), line("b", 1)],
            retired: vec![name("c")],
            copy: Some("refused".to_owned()),
            ..Poll::default()
        };
        assert_eq!(plan_of(&removed, &copy), [Action::Load(line("b", 1))]);
    }
}
