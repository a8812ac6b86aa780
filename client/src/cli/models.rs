//! `loadcast models`.

mod diff;

use std::io::{self, Write};

use clap::{Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use loadcast_client::{Client, LeadScores, Model, Refreshed, RolledBack, Scores, Selector};

use crate::cli::args::{Output, Shown};
use crate::cli::failure::Failure;
use crate::cli::show::short;
use crate::cli::table::Table;
use crate::cli::{json, local, units};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every series and what is served for it
    List(ListArgs),
    /// One series in full
    Show(ShowArgs),
    /// What two versions say of the same time, and how far apart they are
    Diff(diff::Args),
    /// Serve a version from now on; revives a retired series
    Promote(PromoteArgs),
    /// Serve again what was served before
    Rollback(RollbackArgs),
    /// Stop serving a series; it keeps its versions, and pushes for it are refused until a version is promoted
    Retire(RetireArgs),
    /// Make the server look at its registry now, and wait until what it finds is served
    Refresh,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PromoteArgs {
    /// Name of the series
    series: String,

    /// Version to point the alias at
    // Of another id than --version.
    #[arg(id = "target", value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    version: u64,

    /// Alias to move
    #[arg(
        long,
        env = "LOADCAST_ALIAS",
        default_value = "champion",
        value_name = "NAME"
    )]
    alias: String,

    /// Version the alias must point at now; 0: it must not exist yet
    #[arg(long, env = "LOADCAST_EXPECT", value_name = "N")]
    expect: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RollbackArgs {
    /// Name of the series
    series: String,

    /// Version to go back to; without it: the one served before
    #[arg(long, env = "LOADCAST_TO", value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RetireArgs {
    /// Name of the series
    series: String,

    /// Why; whoever asks for the series is told
    #[arg(long, env = "LOADCAST_REASON", value_name = "WHY")]
    reason: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only series whose labels match: namespace=shop,signal!=memory
    #[arg(long, short = 'l', env = "LOADCAST_LABEL_SELECTOR", default_value = "")]
    label_selector: String,

    /// How to show them
    #[arg(
        long,
        short,
        env = "LOADCAST_OUTPUT",
        value_enum,
        default_value = "table"
    )]
    output: ListOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListOutput {
    /// One row a series
    Table,
    /// One array
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// Name of the series
    series: String,

    #[command(flatten)]
    shown: Shown,
}

/// Asks and prints.
pub(crate) async fn run(
    command: Command,
    client: &Client,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match command {
        Command::List(args) => {
            let models = client
                .models(&Selector::labels(args.label_selector))
                .await?;
            match args.output {
                ListOutput::Table => list(&models, out)?,
                ListOutput::Json => {
                    let views: Vec<_> = models.iter().map(json::model).collect();
                    serde_json::to_writer_pretty(&mut *out, &views)?;
                    writeln!(out)?;
                }
            }
        }
        Command::Show(args) => {
            let model = client.model(&args.series).await?;
            match args.shown.output {
                Output::Text => show(&model, out)?,
                Output::Json => {
                    serde_json::to_writer_pretty(&mut *out, &json::model(&model))?;
                    writeln!(out)?;
                }
            }
        }
        Command::Diff(args) => diff::run(args, client, out).await?,
        Command::Promote(args) => {
            let PromoteArgs {
                series,
                version,
                alias,
                expect,
            } = args;
            let revision = client.set_alias(&series, &alias, version, expect).await?;
            match revision {
                Some(revision) => writeln!(
                    out,
                    "{series}: version {version} is {alias} and served (revision {revision})"
                )?,
                None => writeln!(
                    out,
                    "{series}: version {version} is {alias}, which this server does not serve"
                )?,
            }
        }
        Command::Rollback(args) => {
            let RolledBack { version, revision } = client.rollback(&args.series, args.to).await?;
            writeln!(
                out,
                "{}: version {version} is served (revision {revision})",
                args.series
            )?;
        }
        Command::Refresh => {
            let Refreshed {
                revision,
                aspired,
                loaded,
                failed,
                backing_off,
            } = client.refresh_models().await?;
            writeln!(
                out,
                "{aspired} series in the registry: {loaded} loaded, {failed} failed, {backing_off} backing off (revision {revision})"
            )?;
        }
        Command::Retire(args) => {
            let revision = client.retire(&args.series, &args.reason).await?;
            writeln!(out, "{}: retired (revision {revision})", args.series)?;
        }
    }
    Ok(())
}

fn list(models: &[Model], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new([
        "SERIES",
        "STATE",
        "VERSION",
        "FRESHNESS",
        "SHA256",
        "CUTOFF",
    ]);
    for model in models {
        let served = model.served.as_ref();
        let cell = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.push([
            model.series.name.clone(),
            model.state.name().to_owned(),
            cell(served.map(|served| served.version.to_string())),
            cell(model.freshness.map(|freshness| freshness.name().to_owned())),
            cell(served.map(|served| short(&served.artifact_sha256).to_owned())),
            cell(served.map(|served| instant(served.cutoff))),
        ]);
    }
    table.print(out)
}

/// A fact to a line; what is not known is left out.
fn show(model: &Model, out: &mut impl Write) -> io::Result<()> {
    let mut fact = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "{name:<14}{value}"),
        None => Ok(()),
    };
    let series = &model.series;
    fact("series", Some(series.name.clone()))?;
    let why = [&model.reason, &model.message];
    let why: Vec<&str> = why.into_iter().flatten().map(String::as_str).collect();
    let state = model.state.name().to_owned();
    fact(
        "state",
        Some(if why.is_empty() {
            state
        } else {
            format!("{state} ({})", why.join(": "))
        }),
    )?;
    fact("freshness", model.freshness.map(|f| f.name().to_owned()))?;
    fact("unit", series.unit.clone())?;
    fact(
        "step",
        series.step.map(|step| format!("{} s", step.as_secs_f64())),
    )?;
    fact("time zone", Some(series.time_zone.clone()))?;
    fact("labels", pairs(series.labels.iter()))?;
    fact("continues", series.predecessor.clone())?;
    if let Some(served) = &model.served {
        let alias = served.alias.as_deref().map(|alias| format!(" ({alias})"));
        let version = format!("version {}{}", served.version, alias.unwrap_or_default());
        fact("served", Some(version))?;
        fact("  sha256", Some(served.artifact_sha256.clone()))?;
        fact("  size", Some(units::bytes(served.size_bytes)))?;
        fact("  cutoff", Some(instant(served.cutoff)))?;
        fact("  trained", Some(instant(served.trained_at)))?;
        fact("  since", Some(instant(served.served_since)))?;
        fact("  revision", Some(served.revision.to_string()))?;
        fact("  rows", (served.rows > 0).then(|| served.rows.to_string()))?;
        fact("  trainer", served.trainer_version.clone())?;
        fact("  scores", served.scores.as_ref().and_then(scores_in_words))?;
    }
    if let Some(aspired) = &model.aspired {
        let when = aspired.activate_at.map(|at| format!(" at {}", instant(at)));
        let version = format!("version {}{}", aspired.version, when.unwrap_or_default());
        fact("aspired", Some(version))?;
    }
    if let Some(rejection) = &model.last_rejection {
        fact("rejected", Some(instant(rejection.at)))?;
        for reason in &rejection.reasons {
            fact(
                "  because",
                Some(format!("{}: {}", reason.code, reason.message)),
            )?;
        }
    }
    if let Some(live) = &model.live {
        fact("observed", Some(instant(live.observed_at)))?;
        for lead in &live.leads {
            fact(
                &format!("  in {} s", lead.lead.as_secs()),
                lead_scores(lead),
            )?;
        }
    }
    fact("aliases", pairs(model.aliases.iter()))?;
    let kept: Vec<String> = model.kept_versions.iter().map(u64::to_string).collect();
    fact("kept", (!kept.is_empty()).then(|| kept.join(", ")))
}

/// `a=1, b=2`; `None` when there are none.
fn pairs<'a, V: std::fmt::Display + 'a>(
    pairs: impl ExactSizeIterator<Item = (&'a String, V)>,
) -> Option<String> {
    let written = pairs.len() > 0;
    let text: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    written.then(|| text.join(", "))
}

/// What was measured of one lead; `None` before anything was.
fn lead_scores(lead: &LeadScores) -> Option<String> {
    let measured: Vec<String> = [
        ("mae", lead.mae),
        ("skill", lead.skill),
        ("skill against the last value", lead.skill_last_value),
        ("coverage", lead.coverage),
    ]
    .into_iter()
    .filter_map(|(name, value)| value.map(|value| format!("{name} {value:.3}")))
    .collect();
    (!measured.is_empty()).then(|| format!("{} over {} forecasts", measured.join(", "), lead.rows))
}

/// What was measured.
fn scores_in_words(scores: &Scores) -> Option<String> {
    let measured: Vec<String> = [
        ("mase", scores.mase),
        ("seasonal naive mase", scores.seasonal_naive_mase),
        ("skill", scores.skill),
        ("smape", scores.smape),
        ("coverage", scores.coverage),
    ]
    .into_iter()
    .filter_map(|(name, score)| score.map(|score| format!("{name} {score:.3}")))
    .collect();
    (!measured.is_empty()).then(|| measured.join(", "))
}

fn instant(time: Timestamp) -> String {
    local::date_and_clock(time, &TimeZone::UTC)
}

#[cfg(test)]
mod tests {
    use loadcast_client::{Freshness, ModelState, Reason, Rejection, Series, Served};

    use super::*;

    fn model() -> Model {
        let at: Timestamp = "2026-10-08T00:00:00Z".parse().unwrap();
        Model {
            series: Series {
                name: "demo.web.cpu".into(),
                labels: [("namespace".to_owned(), "demo".to_owned())].into(),
                unit: Some("cores".into()),
                step: Some(std::time::Duration::from_secs(300)),
                time_zone: "UTC".into(),
                zero_means: None,
                predecessor: None,
            },
            state: ModelState::Serving,
            reason: None,
            message: None,
            served: Some(Served {
                version: 3,
                artifact_sha256: "1a2b3c4d".repeat(8),
                size_bytes: 81_920,
                alias: Some("champion".into()),
                cutoff: at,
                trained_at: at,
                served_since: at,
                revision: 12,
                rows: 8_064,
                scores: Some(Scores {
                    mase: Some(0.71),
                    ..Scores::default()
                }),
                trainer_version: None,
                clamps: None,
            }),
            aspired: None,
            last_rejection: Some(Rejection {
                at,
                version: None,
                artifact_sha256: None,
                reasons: vec![Reason {
                    code: "SKILL".into(),
                    message: "worse than yesterday".into(),
                }],
                scores: None,
            }),
            freshness: Some(Freshness::Fresh),
            live_scores: None,
            live: None,
            kept_versions: vec![2, 1],
            aliases: [("champion".to_owned(), 3)].into(),
        }
    }

    #[test]
    fn a_list_has_a_row_for_each_series() {
        let mut unserved = model();
        unserved.served = None;
        unserved.freshness = None;
        unserved.state = ModelState::Rejected;
        let mut out = Vec::new();
        list(&[model(), unserved], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 3);
        assert!(
            rows[1].contains("SERVING   3        FRESH      1a2b3c4d  2026-10-08 00:00 UTC"),
            "{text}"
        );
        assert!(
            rows[2].contains("REJECTED  -        -          -         -"),
            "{text}"
        );
    }

    #[test]
    fn one_series_in_full_leaves_out_what_is_not_known() {
        let mut out = Vec::new();
        show(&model(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for expected in [
            "served        version 3 (champion)\n",
            "  size        80.0 KiB\n",
            "  scores      mase 0.710\n",
            "  because     SKILL: worse than yesterday\n",
            "aliases       champion=3\n",
            "kept          2, 1\n",
            "labels        namespace=demo\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
        assert!(
            !text.contains("trainer") && !text.contains("continues"),
            "{text}"
        );
    }
}
