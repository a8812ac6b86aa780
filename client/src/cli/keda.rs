//! `loadcast keda`.

mod json;
mod page;
mod scaled_object;
mod text;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use loadcast_client::{Client, Explanation};

use crate::cli::args::{Output, Shown};
use crate::cli::failure::Failure;
use crate::cli::terminal::Terminal;

/// What to do for KEDA.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explain line by line what a trigger would be told now; nothing acts on it
    Check(CheckArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 a value would be told, 1 an error would be, or the metadata cannot be read.\n\
                  Example: loadcast keda check -m series=shop.web.cpu -m target=0.7 -m leadTime=10m"
)]
pub(crate) struct CheckArgs {
    /// Metadata of the trigger; with --file it goes before what the file says
    #[arg(long = "metadata", short, env = "LOADCAST_METADATA", value_name = "KEY=VALUE", value_parser = pair, required_unless_present = "file")]
    metadata: Vec<(String, String)>,

    /// Check every external trigger with a series of the ScaledObjects and ScaledJobs in this YAML
    #[arg(long, short, env = "LOADCAST_FILE", value_name = "FILE.yaml")]
    file: Option<PathBuf>,

    #[command(flatten)]
    shown: Shown,
}

/// A trigger that was checked.
struct Checked {
    /// Whose it is, for people; `None`: the command line's.
    whose: Option<String>,
    /// What its ScaledObject lacks, or the file cannot say.
    advice: Vec<String>,
    explanation: Explanation,
}

impl Checked {
    /// Why KEDA would be told an error, in one line; `None` where it would be told a value.
    fn failure(&self) -> Option<String> {
        let why = match &self.explanation.meaning {
            Err(problems) => {
                let keys: Vec<_> = problems.iter().map(|problem| &*problem.key).collect();
                format!("metadata that cannot be read: {}", keys.join(", "))
            }
            Ok(meaning) if meaning.decision.value.is_none() => {
                let reason = meaning.decision.reason.as_deref();
                reason.unwrap_or("an error would be told").to_owned()
            }
            Ok(_) => return None,
        };
        let whose = self.whose.as_ref().map(|whose| format!("{whose}: "));
        Some(whose.unwrap_or_default() + &why)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
        .ok_or_else(|| format!("{text:?} is not key=value; write for example leadTime=10m"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Asks and prints.
pub(crate) async fn run(
    command: Command,
    client: &Client,
    terminal: &Terminal,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let Command::Check(args) = command;
    let given: BTreeMap<String, String> = args.metadata.into_iter().collect();
    let triggers = match &args.file {
        Some(path) => scaled_object::read(path, &given)?,
        None => vec![scaled_object::Trigger {
            whose: None,
            metadata: given,
            advice: Vec::new(),
        }],
    };
    let mut checked = Vec::new();
    for trigger in triggers {
        checked.push(Checked {
            whose: trigger.whose,
            advice: trigger.advice,
            explanation: client.explain_trigger(trigger.metadata).await?,
        });
    }
    match args.shown.output {
        Output::Json => {
            let views: Vec<_> = checked.iter().map(json::checked).collect();
            serde_json::to_writer_pretty(&mut *out, &views)?;
            writeln!(out)?;
        }
        Output::Text => {
            for (i, checked) in checked.iter().enumerate() {
                if i > 0 {
                    writeln!(out)?;
                }
                text::print(checked, terminal, out)?;
            }
        }
    }
    let failures: Vec<String> = checked.iter().filter_map(Checked::failure).collect();
    if failures.is_empty() {
        return Ok(());
    }
    out.flush()?;
    Err(Failure::Check(failures.join("\n")))
}
