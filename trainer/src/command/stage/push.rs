//! `loadcast-trainer push`: what the stages made, to the server.

use std::io::Write;

use jiff::Timestamp;

use super::ended;
use crate::command::Failures;
use crate::console::Console;
use crate::error::{Error, Result};
use crate::handover::{self, Handover};
use crate::push::handed::{Validated, push};
use crate::push::{Destination, connect, report_rejection};
use crate::source::location::Location;

/// Push the models that `validate-model` handed over. What did not go through every stage is refused; of what
/// validate-model refused, the server is told why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The --output of validate-model: a folder, or a place in a bucket (s3://BUCKET/PREFIX)
    #[arg(long, env = "LOADCAST_INPUT", value_name = "PATH|URL")]
    input: String,
    /// Where to push
    #[arg(
        long,
        env = "LOADCAST_SERVER",
        default_value = "http://127.0.0.1:50051",
        value_name = "URL"
    )]
    server: String,
    /// The alias that is to point at the new version; empty moves none
    #[arg(
        long,
        env = "LOADCAST_ALIAS",
        default_value = "champion",
        value_name = "NAME"
    )]
    alias: String,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let client = connect(&self.server)?;
        let destination = Destination {
            alias: Some(self.alias).filter(|alias| !alias.is_empty()),
            trained_at: now,
        };
        let input = Location::of(&self.input)?;
        let mut console = Console::new(out);
        let mut failures = Vec::new();
        for name in handover::series(&input).await? {
            console.begin(&name);
            let pushed: Result<()> = async {
                let handover = Handover::take(&input, &name).await?;
                tell_rejection(&handover, &client, &name).await?;
                let validated = Validated::open(&handover).await?;
                console.line(push(validated, &client, &destination).await?);
                Ok(())
            }
            .await;
            failures.extend(pushed.map_err(|error| error.of_place(&name)).err());
        }
        ended(failures)
    }
}

/// A model that was refused is told to the server, and ends here.
async fn tell_rejection(
    handover: &Handover,
    client: &loadcast_client::Client,
    name: &str,
) -> Result<()> {
    let Some((stage, refusal)) = handover.refused() else {
        return Ok(());
    };
    if let Some(code) = &refusal.code {
        report_rejection(client, name, code, &refusal.what).await?;
    }
    Err(Error::model(
        format!("{} refused it: {}", stage.command(), refusal.what),
        refusal.remedy.clone(),
    ))
}
