//! `loadcast-trainer replay`: would a forecast have helped?

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use loadcast_model::trigger::{Trigger, unknown_keys};
use serde::Serialize;

use super::backtest::grid;
use crate::error::{Error, Result};
use crate::output;
use crate::replay::hpa::HpaSettings;
use crate::replay::{Plan, Policy, Replay, page, replay};
use crate::source::table::Table;
use crate::time::{DAY, read_length, show_instant, show_length};

/// Days of history that are kept for the first model to learn from when --days is not given.
const DAYS_TO_LEARN: i64 = 7;

/// The most days that are replayed when --days is not given.
const MOST_DAYS: i64 = 28;

/// The settings of a trigger that a replay acts on.
const SETTINGS: [&str; 8] = [
    "leadTime",
    "aggregate",
    "quantile",
    "scale",
    "margin",
    "clampMin",
    "clampMax",
    "floorAtObserved",
];

/// Walk real history with a Horizontal Pod Autoscaler: reactive only, with the same metric of a season ago beside it, and
/// with Loadcast beside it as its KEDA scaler would answer.
///
/// The column is the workload's total load. Load is constant within a step. The autoscaler is Kubernetes' own algorithm:
/// sync period, tolerance, pods that are not ready yet, stabilisation, rate policies; of several metrics the largest
/// counts. Loadcast is trained anew every day on what came before, and corrected by what was observed since. A minute is
/// under-provisioned when the load is more than the ready pods can carry.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rows: a CSV file with a header line or a Parquet file, by path or URL (s3://, gs://, az://, file://)
    #[arg(long, env = "LOADCAST_DATA", value_name = "PATH|URL")]
    data: String,
    /// The column of the workload's total load
    #[arg(long, env = "LOADCAST_COLUMN", value_name = "NAME")]
    column: String,
    /// The column of times [default: timestamp, ds, time, datetime or date]
    #[arg(long, env = "LOADCAST_TIME_COLUMN", value_name = "NAME")]
    time_column: Option<String>,
    /// Load that one pod is to carry, in the column's unit
    #[arg(long, env = "LOADCAST_TARGET_PER_POD", value_parser = read_positive, value_name = "LOAD")]
    target_per_pod: f64,
    /// Load that a ready pod can carry [default: the target and the tolerance on top]
    #[arg(long, env = "LOADCAST_POD_CAPACITY", value_parser = read_positive, value_name = "LOAD")]
    pod_capacity: Option<f64>,
    /// From a pod's creation until it takes load
    #[arg(long, env = "LOADCAST_POD_START", default_value = "90s", value_parser = read_length, value_name = "DURATION")]
    pod_start: i64,
    /// How old the usage is that the autoscaler sees
    #[arg(long, env = "LOADCAST_METRIC_DELAY", default_value = "15s", value_parser = read_length, value_name = "DURATION")]
    metric_delay: i64,
    /// minReplicas
    #[arg(long, env = "LOADCAST_MIN", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    min: u32,
    /// maxReplicas
    #[arg(long, env = "LOADCAST_MAX", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max: u32,
    /// Kubernetes' defaults for the three settings below, said outright: none of them may be given beside it
    #[arg(long, env = "LOADCAST_HPA_DEFAULTS", value_parser = FalseyValueParser::new(), conflicts_with_all = ["sync_period", "tolerance", "scale_down_stabilization"])]
    hpa_defaults: bool,
    /// Between two looks of the autoscaler
    #[arg(long, env = "LOADCAST_SYNC_PERIOD", default_value = "15s", value_parser = read_length, value_name = "DURATION")]
    sync_period: i64,
    /// How far from the target nothing is done, as a fraction
    #[arg(long, env = "LOADCAST_TOLERANCE", default_value_t = 0.1)]
    tolerance: f64,
    /// How long the largest recommendation counts before pods go
    #[arg(long, env = "LOADCAST_SCALE_DOWN_STABILIZATION", default_value = "300s", value_parser = read_length, value_name = "DURATION")]
    scale_down_stabilization: i64,
    /// A setting of the KEDA trigger, such as leadTime=10m or quantile=0.95; repeat for more
    #[arg(long, env = "LOADCAST_TRIGGER", value_delimiter = ',', value_parser = read_setting, value_name = "KEY=VALUE")]
    trigger: Vec<(String, String)>,
    /// Days at the end that are replayed [default: all but the first 7, at most 28]
    #[arg(long, env = "LOADCAST_DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,
    /// The most recent history that each model is trained on
    #[arg(long, env = "LOADCAST_MAX_TRAIN", default_value = "28d", value_parser = read_length, value_name = "DURATION")]
    max_train: i64,
    /// How the result is written
    #[arg(long, env = "LOADCAST_OUTPUT", value_enum, default_value_t = Format::Table)]
    output: Format,
    /// Write a page with plots, complete in one file
    #[arg(long, env = "LOADCAST_HTML", value_name = "FILE.html")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One object
    Json,
    /// A line for each policy
    Table,
}

/// The result with what it was asked under.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    series: &'a str,
    target_per_pod: f64,
    pod_capacity: f64,
    pod_start_seconds: i64,
    lead_seconds: u32,
    #[serde(flatten)]
    replay: &'a Replay,
}

pub(super) fn read_positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err(format!("`{text}` is no number above 0")),
    }
}

fn read_setting(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no setting: write KEY=VALUE")),
    }
}

/// That a replay acts on the setting `key` of a trigger: what it would ignore is refused.
fn acts(key: &str) -> Result<()> {
    if SETTINGS.contains(&key) {
        return Ok(());
    }
    let of_trigger = BTreeMap::from([(key.to_owned(), String::new())]);
    let takes = format!("write {}", SETTINGS.join(", "));
    let (what, remedy) = match key {
        "series" => ("is not asked here", "give --column instead".to_owned()),
        "target" => (
            "is not read here",
            "give --target-per-pod instead".to_owned(),
        ),
        "minSkill" | "onUnavailable" | "maxModelAge" | "maxDataAge" => (
            "has no effect here: each day has a new model, and every question an answer",
            "take it out".to_owned(),
        ),
        "activationTarget" => (
            "has no effect here: no workload is scaled to zero",
            "take it out, and give --min".to_owned(),
        ),
        _ if unknown_keys(&of_trigger).is_empty() => ("has no effect here", takes),
        _ => ("is no setting of a trigger", takes),
    };
    Err(Error::settings(format!("--trigger: {key} {what}"), remedy))
}

impl Args {
    pub(super) async fn run(self, out: &mut (dyn Write + Send)) -> Result<()> {
        let table = Table::open(&self.data).await?;
        let grid = grid(&table, &self.column, self.time_column.as_deref())?;
        let history =
            i64::try_from(grid.values.len()).unwrap_or(i64::MAX) * i64::from(grid.step_seconds);
        let plan = self.plan(history / DAY)?;
        let found = replay(grid, &plan).map_err(|error| error.of_place(&self.column))?;
        if let Some(path) = &self.html {
            output::write(path, page::html(&self.column, &plan, &found).as_bytes())?;
        }
        let text = match self.output {
            Format::Json => self.json(&plan, &found),
            Format::Table => text(&self.column, &plan, &found),
        };
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| Error::output(format!("standard output: {error}"), "keep it open"))
    }

    fn plan(&self, days_of_history: i64) -> Result<Plan> {
        if self.min > self.max {
            return Err(Error::settings(
                format!("--min {} is above --max {}", self.min, self.max),
                "give a --max of at least --min",
            ));
        }
        if !(0.0..1.0).contains(&self.tolerance) {
            return Err(Error::settings(
                format!("--tolerance {} is no fraction", self.tolerance),
                "give a number of at least 0 and below 1",
            ));
        }
        let days = self.days.map_or_else(
            || (days_of_history - DAYS_TO_LEARN).clamp(1, MOST_DAYS),
            i64::from,
        );
        let mut hpa = HpaSettings::kubernetes(self.min, self.max);
        if !self.hpa_defaults {
            hpa.sync_period = self.sync_period;
            hpa.tolerance = self.tolerance;
            hpa.behavior.down.stabilization = self.scale_down_stabilization;
        }
        Ok(Plan {
            target: self.target_per_pod,
            capacity: self
                .pod_capacity
                .unwrap_or(self.target_per_pod * (1.0 + hpa.tolerance)),
            hpa,
            pod_start: self.pod_start,
            metric_delay: self.metric_delay,
            trigger: self.trigger()?,
            days: u32::try_from(days).unwrap_or(u32::MAX),
            max_train: self.max_train,
        })
    }

    /// The trigger as a ScaledObject would have it.
    fn trigger(&self) -> Result<Trigger> {
        let mut metadata = BTreeMap::from([
            ("series".to_owned(), "replay".to_owned()),
            ("target".to_owned(), self.target_per_pod.to_string()),
        ]);
        for (key, value) in &self.trigger {
            acts(key)?;
            metadata.insert(key.clone(), value.clone());
        }
        Trigger::read(&metadata).map_err(|error| Error::of_model(error).of_place("--trigger"))
    }

    fn json(&self, plan: &Plan, replay: &Replay) -> String {
        let outcome = Outcome {
            series: &self.column,
            target_per_pod: plan.target,
            pod_capacity: plan.capacity,
            pod_start_seconds: plan.pod_start,
            lead_seconds: plan.trigger.lead_seconds,
            replay,
        };
        let json = serde_json::to_string_pretty(&outcome);
        json.expect("the outcome has string keys and serialises without error") + "\n"
    }
}

/// A line for each policy.
fn text(column: &str, plan: &Plan, replay: &Replay) -> String {
    let mut text = format!(
        "{column}: {} to {}, {} a pod, pods ready after {}, lead time {}, naive of {}\n",
        show_instant(replay.from),
        show_instant(replay.until),
        plan.target,
        show_length(plan.pod_start),
        show_length(plan.trigger.lead_seconds.into()),
        show_length(replay.naive_season_seconds),
    );
    text.push_str(&format!(
        "{:<26} {:>10} {:>8} {:>10} {:>8} {:>7} {:>11}\n",
        "", "under, min", "change", "pod-hours", "change", "events", "oscillation"
    ));
    let reactive = replay.run(Policy::Reactive).map(|run| &run.figures);
    for run in &replay.runs {
        let figures = &run.figures;
        let change = |of: f64, from: Option<f64>| {
            let from = from.filter(|from| *from > 0.0 && run.policy != Policy::Reactive);
            from.map_or_else(
                || "-".to_owned(),
                |from| format!("{:+.1} %", 100.0 * (of / from - 1.0)),
            )
        };
        text.push_str(&format!(
            "{:<26} {:>10.1} {:>8} {:>10.1} {:>8} {:>7} {:>11}\n",
            run.policy.title(),
            figures.under_provisioned_minutes,
            change(
                figures.under_provisioned_minutes,
                reactive.map(|of| of.under_provisioned_minutes)
            ),
            figures.pod_hours,
            change(figures.pod_hours, reactive.map(|of| of.pod_hours)),
            figures.scale_events,
            figures.oscillations,
        ));
    }
    text.push_str(&format!(
        "{} models, one a day; {} declare a correction by fresh observations",
        replay.models, replay.corrected_models
    ));
    if replay.filled_hours > 0.0 {
        text.push_str(&format!(
            "; {:.1} h of load were not observed and are filled in",
            replay.filled_hours
        ));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// The arguments of a replay with `more`.
    fn args(more: &[&str]) -> std::result::Result<Args, clap::Error> {
        let always = [
            "replay",
            "--data",
            "x.csv",
            "--column",
            "cpu",
            "--target-per-pod",
            "2",
        ];
        Line::try_parse_from(always.iter().chain(more)).map(|line| line.args)
    }

    #[test]
    fn the_defaults_of_kubernetes_are_what_is_replayed_and_stand_beside_no_other() {
        let plain = args(&[]).unwrap().plan(14).unwrap();
        let defaults = args(&["--hpa-defaults"]).unwrap().plan(14).unwrap();
        assert_eq!(plain.hpa, defaults.hpa);
        assert_eq!(defaults.hpa, HpaSettings::kubernetes(1, 100));
        assert_eq!(defaults.days, 7);
        for (flag, value) in [
            ("--sync-period", "30s"),
            ("--tolerance", "0.2"),
            ("--scale-down-stabilization", "60s"),
        ] {
            let own = args(&[flag, value]).unwrap().plan(14).unwrap();
            assert_ne!(own.hpa, defaults.hpa, "{flag}");
            let beside = args(&["--hpa-defaults", flag, value]).unwrap_err();
            assert!(beside.to_string().contains(flag), "{beside}");
        }
    }

    #[test]
    fn a_setting_without_effect_is_refused_by_name_and_with_what_to_do() {
        for (key, remedy) in [
            ("series", "--column"),
            ("target", "--target-per-pod"),
            ("minSkill", "take it out"),
            ("onUnavailable", "take it out"),
            ("maxModelAge", "take it out"),
            ("maxDataAge", "take it out"),
            ("activationTarget", "--min"),
            ("leadTimeFromEnv", "write leadTime"),
            ("scalerAddress", "write leadTime"),
            ("leedTime", "write leadTime"),
        ] {
            let error = acts(key).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&format!("--trigger: {key} ")), "{text}");
            assert!(error.remedy().contains(remedy), "{key}: {}", error.remedy());
        }
        assert!(SETTINGS.iter().all(|key| acts(key).is_ok()));
        let plan = args(&["--trigger", "leadTime=10m,target=3"])
            .unwrap()
            .plan(14);
        assert!(
            plan.unwrap_err()
                .to_string()
                .contains("target is not read here")
        );
    }
}
