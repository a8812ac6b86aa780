use super::*;
use crate::brake::Brake as FleetBrake;

const SERVER: Option<&str> = Some("http://a:1");

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn plan(folder: &Path, now: i64) -> Plan {
    let mut plan = Plan::new("rows.csv", at(now));
    plan.journal = Some(folder.to_owned());
    plan
}

/// Whether a run of `plan` with rows `data` goes on with what is there.
fn goes_on(plan: &Plan, server: Option<&str>, data: &str) -> bool {
    let mut spool = Spool::open(plan, server).unwrap();
    spool.begin(Some(data.to_owned()), plan.now).unwrap()
}

#[test]
fn an_interrupted_run_goes_on_as_of_then_and_an_ended_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!goes_on(&plan(folder.path(), 1_000), SERVER, "x"));
    let later = plan(folder.path(), 2_000);
    assert!(goes_on(&later, SERVER, "x"));
    let spool = Spool::open(&later, SERVER).unwrap();
    assert_eq!(spool.now(), at(1_000));
    assert_eq!(Spool::last_end(&later).unwrap(), None);
    spool.end(at(2_500)).unwrap();
    drop(spool);
    assert_eq!(Spool::last_end(&later).unwrap(), Some(at(2_500)));
    assert!(!goes_on(&plan(folder.path(), 3_000), SERVER, "x"));
}

#[test]
fn a_run_of_other_rows_settings_server_or_day_begins_anew_and_a_dry_run_is_never_gone_on_with_in_earnest()
 {
    let folder = tempfile::tempdir().unwrap();
    let first = plan(folder.path(), 1_000);
    let mut braked = first.clone();
    braked.brake = Some(FleetBrake {
        share: 0.9,
        ..FleetBrake::default()
    });
    let next_day = plan(folder.path(), 1_000 + MAX_AGE_SECONDS);
    for (other, server, data) in [
        (&first, SERVER, "y"),
        (&first, Some("http://b:1"), "x"),
        (&first, None, "x"),
        (&braked, SERVER, "x"),
        (&next_day, SERVER, "x"),
    ] {
        Spool::open(&first, SERVER).unwrap().end(at(0)).unwrap();
        assert!(!goes_on(&first, SERVER, "x"));
        assert!(goes_on(&first, SERVER, "x"));
        assert!(!goes_on(other, server, data), "{server:?} {data}");
    }
}

#[test]
fn what_the_brake_said_before_the_first_push_holds_for_the_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000);
    for (said, holds) in [
        (Some("too many"), Some("too many")),
        (None, Some("too many")),
    ] {
        let mut spool = Spool::open(&plan, SERVER).unwrap();
        spool.begin(Some("x".to_owned()), plan.now).unwrap();
        let held = spool.held(|| said.map(str::to_owned)).unwrap();
        assert_eq!(held.as_deref(), holds);
    }
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("series/mine.txt");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    let error = Spool::open(&plan(folder.path(), 1_000), SERVER).unwrap_err();
    assert!(
        error.to_string().contains("files of something else"),
        "{error}"
    );
    assert!(mine.is_file());
}

#[test]
fn two_runs_at_a_time_are_refused_and_shards_are_beside_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), 1_000);
    let _first = Spool::open(&plan, SERVER).unwrap();
    let error = Spool::open(&plan, SERVER).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    let mut shards = [plan.clone(), plan.clone()];
    let mut open = Vec::new();
    for (index, shard) in (0..).zip(&mut shards) {
        shard.shard = crate::fleet::shard::Shard::new(index, 2).unwrap();
        open.push(Spool::open(shard, SERVER).unwrap());
    }
}
