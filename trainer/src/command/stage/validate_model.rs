//! `loadcast-trainer validate-model`: the fourth stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use jiff::Timestamp;

use super::{Places, each, told};
use crate::command::Failures;
use crate::handover::Stage;
use crate::model_folder;
use crate::push::handed::{APPROVAL, approval};
use crate::source::location::Location;
use crate::stage::prepare_features::Features;
use crate::stage::train::Trained;
use crate::stage::validate_model::{STAGE, validate_model};

/// Stage 4 alone: judge each model that `train` handed over. What passes is an MLflow model folder that `push` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let output = Location::of(&self.places.output)?;
        each(
            &self.places.input,
            Stage::ValidateModel,
            out,
            async |handover, console| {
                let grid = handover.read("grid.parquet").await?;
                let features = Features::decode(&handover.shown("grid.parquet"), &grid)?;
                let model_pr = handover.read("model.pr").await?;
                let about = handover.read("trained.json").await?;
                let place = handover.shown("trained.json");
                let trained = Trained::decode(features, &model_pr, &place, &about)?;
                let made = told(console, STAGE, || validate_model(trained));
                let outcome = made.outcome(Stage::ValidateModel, |approved| {
                    let metadata = model_folder::metadata(approved, now)?;
                    let files = model_folder::files(approved.model_pr(), &metadata).into_iter();
                    let mut files: BTreeMap<&'static str, Bytes> = files.collect();
                    files.insert(APPROVAL, approval(approved));
                    Ok(files)
                })?;
                handover.hand_on(&output, outcome).await?;
                made.done.map(drop)
            },
        )
        .await
    }
}
