//! `loadcast-trainer train`: the third stage alone.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use clap::builder::FalseyValueParser;

use super::{Places, each, told};
use loadcast_model::backtest::Method;

use crate::command::Failures;
use crate::command::run::method;
use crate::handover::Stage;
use crate::source::location::Location;
use crate::stage::prepare_features::Features;
use crate::stage::train::{STAGE, train};

/// Stage 3 alone: make a model of each grid that `prepare` handed over.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    places: Places,
    /// What to fit: Prophet's arguments as TOML [default: --search; with holidays, Prophet's own defaults]; a catalog says its own
    #[arg(long, env = "LOADCAST_SPEC", value_name = "FILE.toml")]
    spec: Option<String>,
    /// Search the best forecast instead of fitting a spec
    #[arg(long, env = "LOADCAST_SEARCH", value_parser = FalseyValueParser::new(), conflicts_with = "spec")]
    search: bool,
}

impl Args {
    pub(in crate::command) async fn run(
        self,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let output = Location::of(&self.places.output)?;
        let given = self.search || self.spec.is_some();
        let spec = method(false, self.spec.as_deref()).await?;
        each(
            &self.places.input,
            Stage::Train,
            out,
            async |handover, console| {
                let grid = handover.read("grid.parquet").await?;
                let features = Features::decode(&handover.shown("grid.parquet"), &grid)?;
                let search = self.search || (!given && features.about().holidays.is_empty());
                let of_flags = if search { Method::Search } else { spec.clone() };
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
