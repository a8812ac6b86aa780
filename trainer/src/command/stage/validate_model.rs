//! `loadcast-trainer validate-model`: the fourth stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;

use super::{Places, each, told};
use crate::champion::Champion;
use crate::command::{Failures, judging};
use crate::declaration::Declaration;
use crate::handover::{Outcome as HandedOn, Refusal, Stage};
use crate::page::{self, Page};
use crate::push;
use crate::push::validated::Validated;
use crate::source::location::Location;
use crate::stage::prepare_features::Features;
use crate::stage::train::Trained;
use crate::stage::validate_model::{Bar, Outcome, STAGE, validate_model};

/// Stage 4 alone: judge each model that `train` handed over. What passes is an MLflow model folder that `push` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    gates: judging::Gates,
    /// Which server is asked what it serves now, for the model to be held against; without, nothing is known of that
    #[arg(long, env = "LOADCAST_SERVER", value_name = "URL")]
    server: Option<String>,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let output = Location::of(&self.places.output)?;
        let client = self.server.as_deref().map(push::connect).transpose()?;
        let gates = self.gates.checks();
        each(
            &self.places.input,
            Stage::ValidateModel,
            out,
            async |handover, console| {
                let grid = handover.read("grid.parquet").await?;
                let features = Features::decode(&handover.shown("grid.parquet"), &grid)?;
                let champion = match &client {
                    Some(client) => Champion::ask(client, &features).await,
                    None => Champion::Unknown("no server was asked (--server)".to_owned()),
                };
                let bar = Bar {
                    gates: handover.settings().gates(gates.clone()),
                    champion,
                };
                let declaration = Declaration::of_series(&features.about().series);
                let found = features.about().found.clone();
                let model_pr = handover.read("model.pr").await?;
                let about = handover.read("trained.json").await?;
                let place = handover.shown("trained.json");
                let trained = Trained::decode(features, &model_pr, &place, &about)?;
                let made = told(console, STAGE, || validate_model(trained, &bar));
                let verdicts = [found, made.verdict.clone()];
                let section = page::section(&Page {
                    declaration: &declaration,
                    verdicts: &verdicts,
                    judged: made.done.as_ref(),
                });
                let (files, refused) = match made.done.map(|judgement| judgement.outcome) {
                    Ok(Outcome::Approved(approved)) => {
                        let validated = Validated::of(*approved, now)?.with_section(section);
                        (validated.files(), None)
                    }
                    Ok(Outcome::Rejected(rejected)) => {
                        (BTreeMap::new(), Some(Refusal::rejected(&rejected)))
                    }
                    Err(error) => (BTreeMap::new(), Some(Refusal::of(&error))),
                };
                let error = refused.as_ref().map(Refusal::error);
                let outcome = HandedOn {
                    stage: Stage::ValidateModel,
                    verdict: &made.verdict,
                    refused,
                    files,
                };
                handover.hand_on(&output, outcome).await?;
                error.map_or(Ok(()), Err)
            },
        )
        .await
    }
}
