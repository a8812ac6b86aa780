//! `loadcast-trainer push`: what the stages made, to the server.

use std::io::Write;

use crate::brake::braked;
use crate::command::{Failures, ended, judging, pushing};
use crate::console::Console;
use crate::error::{Error, Result};
use crate::fleet;
use crate::handover::{self, Handover};
use crate::push::validated::Validated;
use crate::push::{push, report_rejection};
use crate::source::location::Location;
use crate::stage::validate_model::Conclusion;

/// Push the models that `validate-model` handed over. What did not go through every stage is refused; of what
/// validate-model refused, the server is told why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The --output of validate-model: a folder, or a place in a bucket (s3://BUCKET/PREFIX)
    #[arg(long, env = "LOADCAST_INPUT", value_name = "PATH|URL")]
    input: String,
    #[command(flatten)]
    pushing: pushing::Args,
    #[command(flatten)]
    brakes: judging::Brakes,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let client = self.pushing.connect()?;
        let alias = self.pushing.alias();
        let input = Location::of(&self.input)?;
        let mut console = Console::new(out);
        let mut failures = Vec::new();
        let (mut names, mut promoted) = (Vec::new(), Vec::new());
        for name in handover::series(&input).await? {
            match open(&input, &client, &name).await {
                Ok(model) => {
                    if model.conclusion() == Conclusion::Promote {
                        promoted.push((name.clone(), model.movement()));
                    }
                    names.push(name);
                }
                Err(error) => {
                    console.begin(&name);
                    failures.push(error.of_place(&name));
                }
            }
        }
        let moves = promoted.iter().map(|(name, by)| (name.as_str(), *by));
        let held = self.brakes.brake().and_then(|brake| {
            let stopped = brake.judge(moves, 0)?;
            Some(stopped.message(&brake))
        });
        if let Some(stopped) = &held {
            console.line(format!("  {:<18}{stopped}", "fleet brake"));
            failures.push(fleet::stop(stopped));
        }
        // Read again: those of a fleet are too many for memory.
        for name in names {
            console.begin(&name);
            let pushed: Result<()> = async {
                let mut model = Validated::open(&Handover::take(&input, &name).await?).await?;
                if let Some(message) = held
                    .clone()
                    .filter(|_| model.conclusion() == Conclusion::Promote)
                {
                    model.hold_back(braked(message));
                }
                console.line(push(model, &client, alias).await?);
                Ok(())
            }
            .await;
            failures.extend(pushed.map_err(|error| error.of_place(&name)).err());
        }
        ended(failures)
    }
}

/// The model of a series. One that was refused is told to the server, and ends here.
async fn open(input: &Location, client: &loadcast_client::Client, name: &str) -> Result<Validated> {
    let handover = Handover::take(input, name).await?;
    let Some((stage, refusal)) = handover.refused() else {
        return Validated::open(&handover).await;
    };
    if !refusal.reasons.is_empty() {
        report_rejection(client, name, refusal).await?;
    }
    Err(Error::model(
        format!("{} refused it: {}", stage.command(), refusal.what),
        refusal.remedy.clone(),
    ))
}
