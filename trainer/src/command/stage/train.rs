//! `loadcast-trainer train`: the third stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;

use super::{Places, each, told};
use crate::command::{Failures, method};
use crate::handover::Stage;
use crate::source::location::Location;
use crate::stage::prepare_features::Features;
use crate::stage::train::{STAGE, train};

/// Stage 3 alone: make a model of each grid that `prepare` handed over.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    method: method::Args,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let output = Location::of(&self.places.output)?;
        let asked = self.method.asked().await?;
        each(
            &self.places.input,
            Stage::Train,
            out,
            async |handover, console| {
                let grid = handover.read("grid.parquet").await?;
                let features = Features::decode(&handover.shown("grid.parquet"), &grid)?;
                let of_flags = asked.method(!features.about().holidays.is_empty());
                let method = handover.settings().method(of_flags);
                let made = told(console, STAGE, || train(features, method));
                let outcome = made.outcome(Stage::Train, |trained| {
                    Ok(BTreeMap::from([
                        ("grid.parquet", grid.clone()),
                        ("model.pr", Bytes::copy_from_slice(trained.model_pr())),
                        ("trained.json", trained.encode().into()),
                    ]))
                })?;
                handover.hand_on(&output, outcome).await?;
                made.done.map(drop)
            },
        )
        .await
    }
}
