//! The stages as commands of their own, each a process: a step of Kubeflow, a Job, a line of a script. What one writes to
//! its --output is the --input of the next.

pub mod prepare;
pub mod push;
pub mod train;
pub mod validate_data;
pub mod validate_model;

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;

use super::{Failures, ended};
use crate::console::Console;
use crate::error::Result;
use crate::handover::{self, Handover, Outcome, Refusal, Stage};
use crate::source::location::Location;
use crate::verdict::{Judged, Verdict};

/// From where to where.
#[derive(Debug, clap::Args)]
struct Places {
    /// The --output of the stage before: a folder, or a place in a bucket (s3://BUCKET/PREFIX)
    #[arg(long, env = "LOADCAST_INPUT", value_name = "PATH|URL")]
    input: String,
    /// Where this stage writes, a folder for each series; may be the input
    #[arg(long, env = "LOADCAST_OUTPUT", value_name = "PATH|URL")]
    output: String,
}

/// What a stage made of one series: the files of the next, and what it found.
struct Made<T> {
    done: Result<T>,
    verdict: Verdict,
}

/// A stage that was run with its verdict on the console.
fn told<T: Judged>(
    console: &mut Console<'_>,
    name: &'static str,
    stage: impl FnOnce() -> Result<T>,
) -> Made<T> {
    let done = console.stage(name, stage);
    Made::of(console, name, done)
}

impl<T> Made<T> {
    /// What came of a stage whose verdict the console was told.
    fn of(console: &mut Console<'_>, name: &'static str, done: Result<T>) -> Self {
        let verdict = console.take_verdicts().pop();
        Self {
            verdict: verdict.unwrap_or_else(|| Verdict::refused(name, "it said nothing")),
            done,
        }
    }

    /// The outcome with the files of what was made; of a refusal, without any, and the refusal.
    fn outcome(
        &self,
        stage: Stage,
        files: impl FnOnce(&T) -> Result<BTreeMap<&'static str, Bytes>>,
    ) -> Result<Outcome<'_>> {
        let (files, refused) = match &self.done {
            Ok(done) => (files(done)?, None),
            Err(error) => (BTreeMap::new(), Some(Refusal::of(error))),
        };
        Ok(Outcome {
            stage,
            verdict: &self.verdict,
            refused,
            files,
        })
    }
}

/// Runs `one` on every series that was handed over; those that an earlier stage refused are left out, and one that fails
/// stops no other.
async fn each(
    input: &str,
    stage: Stage,
    out: &mut (dyn Write + Send),
    one: impl AsyncFn(Handover, &mut Console<'_>) -> Result<()>,
) -> std::result::Result<(), Failures> {
    let input = Location::of(input)?;
    let mut console = Console::new(out);
    let mut failures = Vec::new();
    for name in handover::series(&input).await? {
        console.begin(&name);
        let run = async {
            let handover = Handover::take(&input, &name).await?;
            match handover.refused() {
                Some((by, _)) if by != stage => {
                    console.line(format!(
                        "  {:<18}left out: {} refused it",
                        stage.command(),
                        by.command()
                    ));
                    Ok(())
                }
                _ => {
                    handover.expect(stage)?;
                    one(handover, &mut console).await
                }
            }
        };
        let done: Result<()> = run.await;
        failures.extend(done.map_err(|error| error.of_place(&name)).err());
    }
    ended(failures)
}
