//! `loadcast-trainer validate-data`: the first stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;

use super::Made;
use crate::command::{Failures, data, ended};
use crate::console::Console;
use crate::error::Result;
use crate::handover::{self, Stage};
use crate::pipeline::{self, Plan};
use crate::source::location::Location;
use crate::source::supply::{Declared, Supply};
use crate::stage::validate_data::{STAGE, inspect};

/// Stage 1 alone: judge the rows of each series, and hand those that can be trained on to `prepare`.
///
/// Where `prepare --max-train` is to be more than its default, give --history so much more: it is read here.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    data: data::Args,
    /// Where this stage writes, a folder for each series: a folder, or a place in a bucket (s3://BUCKET/PREFIX)
    #[arg(long, env = "LOADCAST_OUTPUT", value_name = "PATH|URL")]
    output: String,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let plan = self.data.plan(now).await?;
        let output = Location::of(&self.output)?;
        let (supply, series) = Supply::open(&plan).await?;
        let mut console = Console::new(out);
        let mut failures = Vec::new();
        for declared in &series {
            let name = declared.declaration.name.as_ref();
            console.begin(name);
            let done = one(&supply, declared, &plan, &output, &mut console).await;
            failures.extend(done.map_err(|error| error.of_place(name)).err());
        }
        ended(failures)
    }
}

async fn one(
    supply: &Supply,
    declared: &Declared,
    of_all: &Plan,
    output: &Location,
    console: &mut Console<'_>,
) -> Result<()> {
    let plan = declared.plan(of_all);
    let column = pipeline::column(supply, declared, &plan).await?;
    let inspected = inspect(column, &plan.rules);
    console.found(inspected.verdict);
    let made = Made::of(console, STAGE, inspected.data);
    let outcome = made.outcome(Stage::ValidateData, |valid| {
        Ok(BTreeMap::from([("valid.parquet", valid.encode()?)]))
    })?;
    let name = &declared.declaration.name;
    handover::begin(output, name, declared.settings().clone(), outcome).await?;
    made.done.map(drop)
}
