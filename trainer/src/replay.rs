//! Would it have helped? Real history walked by a Horizontal Pod Autoscaler, with and without a forecast.
//!
//! Each [`Policy`] has pods of its own under the same load. Load between grid points is constant: the value of a step is
//! its mean, so that every step keeps its total, and a change comes at once, which is the harder case. Nothing is known
//! before its time: the autoscaler sees the load as it was a metric delay ago, Loadcast the steps that are over, and its
//! model is trained anew at the beginning of every day on what came before.

pub mod behavior;
pub mod calculator;
pub mod figures;
pub mod fleet;
pub mod hpa;
pub mod page;
pub mod signal;

use loadcast_model::grid::Grid;
use loadcast_model::trigger::Trigger;
use serde::Serialize;

use self::calculator::external_replicas;
use self::figures::{Counter, Figures};
use self::fleet::Fleet;
use self::hpa::{Hpa, HpaSettings};
use self::signal::{Loadcast, SeasonalNaive};
use crate::error::{Error, Result};
use crate::time::{DAY, show_length};

/// What decides of the number of pods. An autoscaler takes the largest of what its metrics ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// The usage of the pods alone.
    Reactive,
    /// That, and the same metric of a season ago, a lead time later.
    SeasonalNaive,
    /// That, and Loadcast's answer to a KEDA trigger.
    Loadcast,
}

impl Policy {
    /// All, in the order of a report.
    pub const ALL: [Self; 3] = [Self::Reactive, Self::SeasonalNaive, Self::Loadcast];

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Reactive => "reactive only",
            Self::SeasonalNaive => "reactive + seasonal naive",
            Self::Loadcast => "reactive + Loadcast",
        }
    }
}

/// What is replayed, and under what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The autoscaler's.
    pub hpa: HpaSettings,
    /// Load that a pod is to carry, in the series' unit.
    pub target: f64,
    /// Load that a ready pod can carry; above that the workload is under-provisioned.
    pub capacity: f64,
    /// Seconds from a pod's creation to its readiness.
    pub pod_start: i64,
    /// How old the usage is that the autoscaler sees, in seconds.
    pub metric_delay: i64,
    /// The trigger that Loadcast answers; its target is `target`.
    pub trigger: Trigger,
    /// Days at the end of the history that are replayed.
    pub days: u32,
    /// The most recent history that each model is trained on, in seconds.
    pub max_train: i64,
}

/// What a replay found.
#[derive(Debug, Clone, Serialize)]
pub struct Replay {
    /// The first instant, and the one after the last, in seconds since 1970.
    pub from: i64,
    /// See `from`.
    pub until: i64,
    /// Spacing of the load, in seconds.
    pub step_seconds: u32,
    /// Hours whose load was not observed and filled in linearly.
    pub filled_hours: f64,
    /// The season of the naive, in seconds.
    pub naive_season_seconds: i64,
    /// Models that were trained.
    pub models: usize,
    /// How many of them declare a correction by fresh observations.
    pub corrected_models: usize,
    /// One for each policy.
    pub runs: Vec<Run>,
    /// The load in pods at target, for each sync.
    #[serde(skip)]
    pub load: Vec<f64>,
}

/// One policy's walk.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Which.
    pub policy: Policy,
    /// What it cost and missed.
    #[serde(flatten)]
    pub figures: Figures,
    /// Ready pods at each sync.
    #[serde(skip)]
    pub ready: Vec<u32>,
}

impl Replay {
    /// The run of a policy.
    #[must_use]
    pub fn run(&self, policy: Policy) -> Option<&Run> {
        self.runs.iter().find(|run| run.policy == policy)
    }
}

/// The load as it was.
#[derive(Debug)]
pub(crate) struct Load {
    grid: Grid,
    filled: Vec<f64>,
}

impl Load {
    fn new(grid: Grid) -> Result<Self> {
        let filled = grid
            .filled()
            .ok_or_else(|| Error::data("nothing was observed", "give a column with values"))?;
        Ok(Self { grid, filled })
    }

    /// At an instant; `None` before the first step and after the last.
    pub(crate) fn at(&self, instant: i64) -> Option<f64> {
        let index = (instant - self.grid.start).div_euclid(self.step());
        self.filled.get(usize::try_from(index).ok()?).copied()
    }

    pub(crate) fn step(&self) -> i64 {
        i64::from(self.grid.step_seconds)
    }

    pub(crate) fn grid(&self) -> &Grid {
        &self.grid
    }
}

/// Walks the end of `grid` under every policy.
///
/// # Errors
/// [`Error::Data`] when there is too little history before the days that are replayed; [`Error::Model`] and
/// [`Error::Settings`] when no model can be trained.
pub fn replay(grid: Grid, plan: &Plan) -> Result<Replay> {
    let load = Load::new(grid)?;
    let steps = load.grid.values.len();
    let until = load.grid.time(steps);
    let from = until - i64::from(plan.days) * DAY;
    let before = from - load.grid.start;
    if before < 2 * DAY {
        return Err(Error::data(
            format!(
                "{} of history before the {} days that are replayed, where a model takes at least 2 d",
                show_length(before),
                plan.days
            ),
            "replay fewer --days, or give a longer history",
        ));
    }
    let naive = SeasonalNaive::new(&load, from, i64::from(plan.trigger.lead_seconds));
    let mut loadcast = Loadcast::new(&load, plan);
    let mut runs = Vec::new();
    for policy in Policy::ALL {
        runs.push(match policy {
            Policy::Reactive => walk(policy, &load, plan, from..until, |_| Ok(None))?,
            Policy::SeasonalNaive => {
                walk(policy, &load, plan, from..until, |now| Ok(naive.value(now)))?
            }
            Policy::Loadcast => walk(policy, &load, plan, from..until, |now| {
                loadcast.value(now).map(Some)
            })?,
        });
    }
    let sync = usize::try_from(plan.hpa.sync_period).unwrap_or(1);
    let first = steps - usize::try_from((until - from) / load.step()).unwrap_or(0);
    let holes = load.grid.values[first..]
        .iter()
        .filter(|v| v.is_none())
        .count();
    let in_pods = |now| load.at(now).unwrap_or(0.0) / plan.target;
    let (models, corrected_models) = loadcast.models();
    Ok(Replay {
        from,
        until,
        step_seconds: load.grid.step_seconds,
        filled_hours: holes as f64 * load.step() as f64 / 3_600.0,
        naive_season_seconds: naive.season(),
        models,
        corrected_models,
        load: (from..until).step_by(sync).map(in_pods).collect(),
        runs,
    })
}

/// One policy: at every sync the pods that became ready, what the metrics say, what the autoscaler makes of it.
fn walk(
    policy: Policy,
    load: &Load,
    plan: &Plan,
    span: std::ops::Range<i64>,
    mut external: impl FnMut(i64) -> Result<Option<f64>>,
) -> Result<Run> {
    let sync = plan.hpa.sync_period;
    let at_start = load.at(span.start).unwrap_or(0.0);
    let mut hpa = Hpa::new(plan.hpa.clone());
    let first = external_replicas(0, at_start, plan.target, 0.0);
    let mut fleet = Fleet::new(
        first.clamp(plan.hpa.min, plan.hpa.max),
        span.start,
        plan.pod_start,
    );
    let mut counter = Counter::new(sync, plan.capacity);
    let mut ready_then = Vec::new();
    let mut now = span.start;
    while now < span.end {
        let current = fleet.size();
        let seen = load.at(now - plan.metric_delay).unwrap_or(at_start);
        let mut asked = vec![hpa.by_usage(&fleet, now, seen, plan.target)];
        if policy != Policy::Reactive {
            asked.push(external(now)?.map(|total| hpa.by_total(current, total, plan.target)));
        }
        let desired = hpa.sync(now, current, &asked);
        fleet.scale(desired, now);
        let ready = fleet.ready(now);
        counter.count(
            now,
            load.at(now).unwrap_or(0.0),
            ready,
            fleet.size(),
            current,
        );
        ready_then.push(ready);
        now += sync;
    }
    Ok(Run {
        policy,
        figures: counter.figures(),
        ready: ready_then,
    })
}
