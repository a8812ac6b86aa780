//! `loadcast-trainer prepare`: the second stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use super::{Places, each, told};
use crate::command::{Failures, preparing};
use crate::handover::Stage;
use crate::source::location::Location;
use crate::stage::prepare_features::{STAGE, prepare_features};
use crate::stage::validate_data::ValidData;

/// Stage 2 alone: put the rows that `validate-data` handed over onto the grid, as Parquet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    preparing: preparing::Args,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let output = Location::of(&self.places.output)?;
        let of_flags = self.preparing.preparation().await?;
        each(
            &self.places.input,
            Stage::Prepare,
            out,
            async |handover, console| {
                let file = handover.read("valid.parquet").await?;
                let valid = ValidData::decode(&handover.shown("valid.parquet"), &file)?;
                let mut preparation = of_flags.clone();
                preparation.max_train_seconds = handover
                    .settings()
                    .max_train_seconds(preparation.max_train_seconds);
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
