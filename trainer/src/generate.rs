//! Synthetic cluster metrics that look like the real ones and say that they are not.
//!
//! One workload's total CPU in cores and memory in bytes: a shape of the day and of the week, slow
//! growth, deploys that move memory's level and reset its leak (the saw-tooth), incidents (short
//! spikes) and noise that remembers its last value. Every row says `synthetic`.
//!
//! The same [`Plan`] gives the same bytes, in every process. Nothing here is fitted to a real
//! system: use it to see the whole path work, not to judge accuracy.

mod profile;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, Normal};

use crate::error::{Error, Result};
use crate::time::{DAY, HOUR, MINUTE, show_instant};

pub use profile::Workload;

/// The most rows in one file: two years of one-minute rows.
const MAX_ROWS: i64 = 1_100_000;

/// The name of every row's last column's value.
pub const SOURCE: &str = "synthetic";

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Whole weeks of rows.
    pub weeks: u32,
    /// Spacing of rows in seconds.
    pub step_seconds: i64,
    /// Of the random numbers.
    pub seed: u64,
    /// The last row is at this instant, floored to the step.
    pub end: i64,
    /// Whose shape and size the rows have.
    pub workload: Workload,
}

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Seconds since 1970 in UTC.
    pub instant: i64,
    /// Cores used by the whole workload, to a thousandth.
    pub cpu_cores: f64,
    /// Bytes used by the whole workload, a multiple of a page.
    pub mem_bytes: u64,
}

impl Plan {
    /// The rows, oldest first.
    ///
    /// # Errors
    /// [`Error::Settings`] when the plan has no row, more than a file may have, or a step that
    /// does not divide a day.
    pub fn rows(&self) -> Result<Vec<Row>> {
        if self.step_seconds < 1 || DAY % self.step_seconds != 0 {
            return Err(Error::settings(
                format!("--step: {} s does not divide a day", self.step_seconds),
                "give a step such as 1m, 5m, 15m or 1h",
            ));
        }
        let count = i64::from(self.weeks) * 7 * DAY / self.step_seconds;
        if count == 0 || count > MAX_ROWS {
            return Err(Error::settings(
                format!("--weeks and --step: {count} rows, where 1 to {MAX_ROWS} can be made"),
                "give 1 or more weeks, or a longer step",
            ));
        }
        let last = self.end.div_euclid(self.step_seconds) * self.step_seconds;
        let first = last - (count - 1) * self.step_seconds;
        let mut cluster = Cluster::new(self);
        Ok((0..count)
            .map(|row| cluster.step(first, first + row * self.step_seconds))
            .collect())
    }
}

/// Rows as a CSV file: `timestamp,cpu_mean_5m,mem_mean_5m,source`.
#[must_use]
pub fn to_csv(rows: &[Row]) -> String {
    let mut csv = String::from("timestamp,cpu_mean_5m,mem_mean_5m,source\n");
    for row in rows {
        let time = show_instant(row.instant);
        csv.push_str(&format!(
            "{time},{:.3},{},{SOURCE}\n",
            row.cpu_cores, row.mem_bytes
        ));
    }
    csv
}

/// The workload as it runs: what one row leaves to the next.
struct Cluster {
    random: ChaCha12Rng,
    workload: Workload,
    step: f64,
    /// Noise of the load that fades within an hour or so.
    drift: f64,
    /// Extra load of an incident, as a share, and the share of it that remains after each step.
    incident: f64,
    incident_keeps: f64,
    /// Steps of start-up work left after a deploy.
    starting: u32,
    /// What deploys have made of the resident memory, as a factor.
    footprint: f64,
    /// Bytes leaked since the last restart, as a share of the base.
    leaked: f64,
    /// This process's leak a day, as a share of the base.
    leak: f64,
}

impl Cluster {
    fn new(plan: &Plan) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(plan.seed);
        // Histories begin in the middle of a process's life.
        let leaked = random.random_range(0.0..0.08);
        Self {
            random,
            workload: plan.workload,
            step: plan.step_seconds as f64,
            drift: 0.0,
            incident: 0.0,
            incident_keeps: 0.0,
            starting: 0,
            footprint: 1.0,
            leaked,
            leak: plan.workload.leak_per_day(),
        }
    }

    /// Whether something that happens `per_day` times a day happens within this step.
    fn happens(&mut self, per_day: f64) -> bool {
        let chance = per_day * self.step / DAY as f64;
        self.random.random_bool(chance.clamp(0.0, 1.0))
    }

    fn gauss(&mut self) -> f64 {
        let normal = Normal::new(0.0, 1.0).expect("a standard deviation of one is finite");
        normal.sample(&mut self.random)
    }

    fn step(&mut self, first: i64, instant: i64) -> Row {
        self.deploy(instant);
        self.restart();
        self.begin_incident();
        let days = (instant - first) as f64 / DAY as f64;
        let growth = 1.0 + self.workload.growth_per_day() * days;
        let keeps = (-self.step / (40 * MINUTE) as f64).exp();
        let fresh = (1.0 - keeps * keeps).sqrt();
        self.drift = keeps * self.drift + fresh * 0.045 * self.gauss();
        let start_up = if self.starting > 0 { 0.25 } else { 0.0 };
        self.starting = self.starting.saturating_sub(1);

        let demand = self.workload.demand(instant) * growth * (1.0 + self.drift);
        let jitter = 1.0 + 0.015 * self.gauss();
        let cores = self.workload.cores() * (demand * (1.0 + self.incident) + start_up) * jitter;
        self.incident *= self.incident_keeps;

        self.leaked += self.leak * self.step / DAY as f64;
        let working_set = 0.12 * demand * (1.0 + 0.5 * self.incident);
        let resident = self.footprint * (1.0 + 0.001 * days) + self.leaked + working_set;
        let bytes = self.workload.bytes() * resident * (1.0 + 0.002 * self.gauss());
        Row {
            instant,
            cpu_cores: (cores.max(0.0) * 1000.0).round() / 1000.0,
            mem_bytes: (bytes.max(0.0) / 4096.0).round() as u64 * 4096,
        }
    }

    /// Deploys come in working hours on working days: memory finds a new level, its leak starts anew.
    fn deploy(&mut self, instant: i64) {
        let hour = instant.rem_euclid(DAY) / HOUR;
        let working = (9..17).contains(&hour) && !profile::is_weekend(instant);
        // Three a week, all within forty hours.
        let per_day = if working { 3.0 * 24.0 / 40.0 } else { 0.0 };
        if self.happens(per_day) {
            self.footprint =
                (self.footprint * self.random.random_range(0.95..1.07)).clamp(0.7, 1.6);
            self.leak = self.workload.leak_per_day() * self.random.random_range(0.5..1.6);
            self.leaked = 0.0;
            self.starting = self.steps(10 * MINUTE);
        }
    }

    /// A process that leaked too much is killed and starts over.
    fn restart(&mut self) {
        if self.leaked > 0.35 {
            self.leaked = 0.0;
            self.starting = self.steps(5 * MINUTE);
        }
    }

    /// An incident a week: retries multiply the load and die down within the hour.
    fn begin_incident(&mut self) {
        if self.happens(1.0 / 6.0) {
            self.incident = self.random.random_range(0.5..1.6);
            let minutes = self.random.random_range(8.0..30.0);
            self.incident_keeps = (-self.step / (minutes * MINUTE as f64)).exp();
        }
    }

    /// How many steps cover `seconds`; at least one.
    fn steps(&self, seconds: i64) -> u32 {
        (seconds as f64 / self.step).ceil().max(1.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan {
            weeks: 4,
            step_seconds: 300,
            seed,
            end: 1_767_225_799,
            workload: Workload::Web,
        }
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
        let csv = |seed| to_csv(&plan(seed).rows().unwrap());
        assert_eq!(csv(42), csv(42));
        assert_ne!(csv(42), csv(43));
    }

    #[test]
    fn rows_end_at_the_floored_end_and_say_that_they_are_synthetic() {
        let rows = plan(1).rows().unwrap();
        assert_eq!(rows.len(), 8064);
        assert_eq!(rows[8063].instant, 1_767_225_600);
        assert_eq!(rows[0].instant, 1_767_225_600 - 8063 * 300);
        let csv = to_csv(&rows[..2]);
        assert!(csv.starts_with("timestamp,cpu_mean_5m,mem_mean_5m,source\n"));
        assert!(csv.lines().skip(1).all(|line| line.ends_with(",synthetic")));
    }

    #[test]
    fn every_workload_is_finite_positive_and_of_a_sensible_size() {
        for workload in [Workload::Web, Workload::Batch, Workload::Steady] {
            for seed in 0..8 {
                let rows = Plan {
                    workload,
                    ..plan(seed)
                }
                .rows()
                .unwrap();
                for row in rows {
                    assert!(
                        row.cpu_cores > 0.0 && row.cpu_cores < 100.0,
                        "{workload:?} {row:?}"
                    );
                    assert!(
                        row.mem_bytes > 1 << 28 && row.mem_bytes < 1 << 38,
                        "{workload:?} {row:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn afternoons_are_busier_than_nights_and_memory_falls_at_restarts() {
        let rows = plan(42).rows().unwrap();
        let mean = |from: i64, to: i64| {
            let hours = |r: &&Row| (from..to).contains(&(r.instant.rem_euclid(DAY) / HOUR));
            let picked: Vec<f64> = rows.iter().filter(hours).map(|r| r.cpu_cores).collect();
            picked.iter().sum::<f64>() / picked.len() as f64
        };
        assert!(mean(13, 17) > 1.8 * mean(1, 4));
        let falls = rows
            .windows(2)
            .filter(|w| (w[1].mem_bytes as f64) < 0.96 * w[0].mem_bytes as f64);
        assert!((3..40).contains(&falls.count()));
    }

    #[test]
    fn impossible_plans_are_refused_with_the_flag() {
        for (weeks, step_seconds, flag) in [
            (0, 300, "--weeks"),
            (4, 7 * MINUTE, "--step"),
            (4000, 1, "--weeks"),
        ] {
            let error = Plan {
                weeks,
                step_seconds,
                ..plan(1)
            }
            .rows()
            .unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
        }
    }
}
