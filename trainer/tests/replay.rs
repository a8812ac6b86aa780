//! The replay on synthetic and real history: what it promises of a forecast, and that nobody sees the future.

// Helpers of tests are tests, which clippy does not see.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use loadcast_model::grid::Grid;
use loadcast_model::trigger::Trigger;
use loadcast_trainer::generate::{self, Workload};
use loadcast_trainer::replay::behavior::Behavior;
use loadcast_trainer::replay::hpa::HpaSettings;
use loadcast_trainer::replay::{Plan, Policy, Replay, replay};
use loadcast_trainer::time::wall_seconds;

/// Two weeks of a workload's cores.
fn cluster(workload: Workload) -> Grid {
    let plan = generate::Plan {
        weeks: 2,
        step_seconds: 300,
        seed: 11,
        end: 1_767_225_600,
        workload,
    };
    let rows = plan.rows().unwrap();
    Grid {
        start: rows[0].instant,
        step_seconds: 300,
        values: rows.iter().map(|row| Some(row.cpu_cores)).collect(),
    }
}

/// About twenty pods at the peak, Kubernetes' defaults.
fn plan(grid: &Grid, days: u32) -> Plan {
    let mut sorted: Vec<f64> = grid.values.iter().flatten().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let target = sorted[sorted.len() * 99 / 100] / 20.0;
    let metadata = [
        ("series", "replay".to_owned()),
        ("target", target.to_string()),
    ];
    let metadata: BTreeMap<String, String> =
        metadata.map(|(key, value)| (key.to_owned(), value)).into();
    Plan {
        hpa: HpaSettings {
            sync_period: 15,
            tolerance: 0.1,
            min: 1,
            max: 200,
            behavior: Behavior::default(),
        },
        target,
        capacity: 1.1 * target,
        pod_start: 90,
        metric_delay: 15,
        trigger: Trigger::read(&metadata).unwrap(),
        days,
        max_train: 28 * 86_400,
    }
}

fn minutes(replay: &Replay, policy: Policy) -> f64 {
    replay
        .run(policy)
        .unwrap()
        .figures
        .under_provisioned_minutes
}

fn pod_hours(replay: &Replay, policy: Policy) -> f64 {
    replay.run(policy).unwrap().figures.pod_hours
}

#[test]
fn on_the_synthetic_cluster_a_forecast_takes_two_thirds_of_the_minutes_for_a_tenth_more_pods() {
    for workload in [Workload::Web, Workload::Batch, Workload::Steady] {
        let grid = cluster(workload);
        let found = replay(grid.clone(), &plan(&grid, 4)).unwrap();
        let (reactive, ours) = (
            minutes(&found, Policy::Reactive),
            minutes(&found, Policy::Loadcast),
        );
        assert!(
            reactive > 10.0 && 3.0 * ours <= reactive,
            "{workload:?}: {reactive} and {ours}"
        );
        let more = pod_hours(&found, Policy::Loadcast) / pod_hours(&found, Policy::Reactive);
        assert!(more <= 1.1, "{workload:?}: {more}");
        assert_eq!((found.models, found.runs.len()), (5, 3));
    }
}

#[test]
fn what_comes_later_changes_nothing_before() {
    let grid = cluster(Workload::Web);
    let mut other = grid.clone();
    let changed = other.values.len() - 288;
    for value in &mut other.values[changed..] {
        *value = value.map(|value| 5.0 * value + 3.0);
    }
    let plan = plan(&grid, 2);
    let (one, two) = (replay(grid, &plan).unwrap(), replay(other, &plan).unwrap());
    for (a, b) in one.runs.iter().zip(&two.runs) {
        let day = a.ready.len() / 2;
        assert_eq!(a.ready[..day], b.ready[..day], "{:?}", a.policy);
        assert_ne!(a.ready[day..], b.ready[day..], "{:?}", a.policy);
    }
}

#[test]
fn a_history_that_leaves_nothing_to_learn_from_is_refused_with_the_flag() {
    let grid = cluster(Workload::Web);
    let error = replay(grid.clone(), &plan(&grid, 13)).unwrap_err();
    assert!(error.to_string().contains("13 days"), "{error}");
    assert!(error.remedy().contains("--days"), "{}", error.remedy());
}

#[test]
fn on_real_series_a_forecast_never_costs_minutes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/nab");
    let Ok(files) = std::fs::read_dir(&folder) else {
        assert!(
            std::env::var_os("LOADCAST_REQUIRE_ALL").is_none(),
            "{} is not there",
            folder.display()
        );
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    for path in files.map(|file| file.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let grid = read(&path);
        let found = replay(grid.clone(), &plan(&grid, 3)).unwrap();
        let (reactive, ours) = (
            minutes(&found, Policy::Reactive),
            minutes(&found, Policy::Loadcast),
        );
        assert!(
            ours <= reactive,
            "{}: {reactive} and {ours}",
            path.display()
        );
    }
}

/// The last sixteen days of a file of `timestamp,value`, on its grid; the last value of a step counts.
fn read(path: &Path) -> Grid {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let (time, value) = line.split_once(',').unwrap();
        let time: jiff::civil::DateTime = time.parse().unwrap();
        (wall_seconds(time), value.parse::<f64>().unwrap())
    };
    let rows: Vec<(i64, f64)> = text.lines().skip(1).map(row).collect();
    let step = if rows[1].0 - rows[0].0 > 1_000 {
        1_800
    } else {
        300
    };
    let index = |time: i64| time.div_euclid(step);
    let last = index(rows[rows.len() - 1].0);
    let first = index(rows[0].0).max(last - 16 * 86_400 / step);
    let mut values = vec![None; usize::try_from(last - first + 1).unwrap()];
    for (time, value) in rows {
        if let Ok(place) = usize::try_from(index(time) - first) {
            values[place] = Some(value);
        }
    }
    Grid {
        start: first * step,
        step_seconds: u32::try_from(step).unwrap(),
        values,
    }
}
