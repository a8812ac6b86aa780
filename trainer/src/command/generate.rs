//! `loadcast-trainer generate`: a file of synthetic metrics.

use std::io::Write;
use std::path::PathBuf;

use jiff::Timestamp;

use super::print;
use crate::error::Result;
use crate::generate::{Plan, Workload, to_csv};
use crate::output;
use crate::time::{floor_seconds, read_instant, read_length, show_instant, show_length};

/// Write synthetic cluster metrics: timestamp, cpu_mean_5m (cores), mem_mean_5m (bytes), source.
///
/// Daily and weekly shape, growth, deploys, incidents and noise; every row is labelled `synthetic`.
/// The same seed and end give the same bytes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The CSV file to write; an existing one is replaced
    #[arg(long, env = "LOADCAST_OUTPUT", value_name = "FILE.csv")]
    output: PathBuf,
    /// Weeks of rows
    #[arg(long, env = "LOADCAST_WEEKS", default_value_t = 4)]
    weeks: u32,
    /// Spacing of rows
    #[arg(long, env = "LOADCAST_STEP", default_value = "5m", value_parser = read_length, value_name = "DURATION")]
    step: i64,
    /// Seed of the random numbers
    #[arg(long, env = "LOADCAST_SEED", default_value_t = 42)]
    seed: u64,
    /// Time of the last row, floored to the step [default: now]
    #[arg(long, env = "LOADCAST_END", value_parser = read_instant, value_name = "TIME")]
    end: Option<Timestamp>,
    /// Kind of workload
    #[arg(long, env = "LOADCAST_WORKLOAD", value_enum, default_value_t = Workload::Web)]
    workload: Workload,
}

impl Args {
    pub(super) fn run(self, now: Timestamp, out: &mut (dyn Write + Send)) -> Result<()> {
        let Self {
            output: path,
            weeks,
            step,
            seed,
            end,
            workload,
        } = self;
        let end = floor_seconds(end.unwrap_or(now));
        let rows = Plan {
            weeks,
            step_seconds: step,
            seed,
            end,
            workload,
        }
        .rows()?;
        output::write(&path, to_csv(&rows).as_bytes())?;
        let [first, .., last] = rows.as_slice() else {
            return Ok(());
        };
        let told = format!(
            "wrote {} synthetic rows to {}: every {}, from {} to {}\n",
            rows.len(),
            path.display(),
            show_length(step),
            show_instant(first.instant),
            show_instant(last.instant)
        );
        print(&told, out)
    }
}
