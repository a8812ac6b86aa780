//! `loadcast-trainer prepare`: the second stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Places, each, told};
use crate::command::Failures;
use crate::handover::Stage;
use crate::source::location::Location;
use crate::stage::prepare_features::{Preparation, STAGE, prepare_features};
use crate::stage::validate_data::ValidData;
use crate::time::read_length;

/// Stage 2 alone: put the rows that `validate-data` handed over onto the grid, as Parquet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
    /// The most recent history that is trained on [default: as the catalog says, else 28d]
    #[arg(long, env = "LOADCAST_MAX_TRAIN", value_parser = read_length, value_name = "DURATION")]
    max_train: Option<i64>,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let output = Location::of(&self.places.output)?;
        each(
            &self.places.input,
            Stage::Prepare,
            out,
            async |handover, console| {
                let file = handover.read("valid.parquet").await?;
                let valid = ValidData::decode(&handover.shown("valid.parquet"), &file)?;
                let mut preparation = Preparation::default();
                let given = self.max_train.or(handover.settings().max_train_seconds);
                preparation.max_train_seconds = given.unwrap_or(preparation.max_train_seconds);
                let made = told(console, STAGE, || prepare_features(valid, &preparation));
                let outcome = made.outcome(Stage::Prepare, |features| {
                    Ok(BTreeMap::from([("grid.parquet", features.encode()?)]))
                })?;
                handover.hand_on(&output, outcome).await?;
                made.done.map(drop)
            },
        )
        .await
    }
}
