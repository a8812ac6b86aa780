//! `loadcast push`: a model that lies on disk, to a server. What a trainer makes it pushes itself.

mod artifact;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use loadcast_client::{Client, Push, Pushed, SeriesInfo, Verdict};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cli::args::{Output, Shown, duration, instant, label};
use crate::cli::failure::Failure;
use crate::cli::push::artifact::Artifact;

/// What does not promise to be better than what is served.
const CANDIDATE: &str = "candidate";

/// What to push, and what the server is told of it. A folder with loadcast.json says everything itself; flags count before it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An MLflow model folder, its model.pr, or a file as Prophet's model_to_json writes it
    path: PathBuf,

    /// Name of the series [default: of loadcast.json]
    #[arg(long, env = "LOADCAST_SERIES", value_name = "NAME")]
    series: Option<String>,

    /// cores, bytes, 1/s, percent or 1
    #[arg(long, env = "LOADCAST_UNIT")]
    unit: Option<String>,

    /// Spacing of the grid the series was observed on [default: of loadcast.json]
    #[arg(long, env = "LOADCAST_STEP", value_name = "DURATION", value_parser = duration)]
    step: Option<Duration>,

    /// IANA name of the zone on whose wall clock the model was fitted [default: of loadcast.json, else UTC]
    #[arg(long, env = "LOADCAST_TIME_ZONE", value_name = "ZONE")]
    time_zone: Option<String>,

    /// A label, as often as there are
    #[arg(long, env = "LOADCAST_LABEL", value_name = "KEY=VALUE", value_parser = label, value_delimiter = ',')]
    label: Vec<(String, String)>,

    /// The last observation it was trained on [default: of loadcast.json, else the last row in the model]
    #[arg(long, env = "LOADCAST_CUTOFF", value_name = "TIME", value_parser = instant)]
    cutoff: Option<Timestamp>,

    /// When it was trained [default: of loadcast.json or MLmodel, else when the file was written]
    #[arg(long, env = "LOADCAST_TRAINED_AT", value_name = "TIME", value_parser = instant)]
    trained_at: Option<Timestamp>,

    /// The alias to move; none: register it, and serve what was served
    #[arg(
        long,
        env = "LOADCAST_ALIAS",
        default_value = "champion",
        value_name = "NAME|none"
    )]
    alias: String,

    /// Version the alias must point at now; 0: it must not exist yet
    #[arg(long, env = "LOADCAST_EXPECT", value_name = "N")]
    expect: Option<u64>,

    /// Serve it from this instant on
    #[arg(long, env = "LOADCAST_ACTIVATE_AT", value_name = "TIME", value_parser = instant)]
    activate_at: Option<Timestamp>,

    #[command(flatten)]
    shown: Shown,
}

/// Reads, pushes, and says what became of it.
pub(crate) async fn run(args: Args, client: &Client, out: &mut impl Write) -> Result<(), Failure> {
    let output = args.shown.output;
    let artifact = Artifact::read(&args.path)?;
    let push = args.push(artifact)?;
    let (series, alias) = (push.series.name.clone(), push.alias.clone());
    let pushed = client.push(push).await?;
    if output == Output::Json {
        serde_json::to_writer_pretty(&mut *out, &view(&series, alias.as_deref(), &pushed))?;
    } else {
        write!(out, "{}", told(&series, alias.as_deref(), &pushed))?;
    }
    writeln!(out)?;
    Ok(())
}

impl Args {
    fn push(self, artifact: Artifact) -> Result<Push, Failure> {
        let missing = |what: &str, flag: &str| {
            Failure::Input(format!(
                "{}: nothing says {what}\nthere is no loadcast.json beside the model; give {flag}",
                self.path.display()
            ))
        };
        let Artifact {
            model_pr,
            declared,
            cutoff,
            trained_at,
        } = artifact;
        let declared = declared.unwrap_or_default();
        let known = declared.series.unwrap_or_default();
        let mut labels: BTreeMap<String, String> = known.labels;
        labels.extend(self.label);
        let series = SeriesInfo {
            name: self
                .series
                .or(known.name)
                .ok_or_else(|| missing("which series it forecasts", "--series NAME"))?,
            labels,
            unit: self.unit.or(known.unit),
            step: self
                .step
                .or_else(|| known.step_seconds.map(Duration::from_secs))
                .ok_or_else(|| missing("the step of its grid", "--step 5m"))?,
            time_zone: self
                .time_zone
                .or(known.time_zone)
                .unwrap_or_else(|| "UTC".to_owned()),
            zero_means: known.zero_means.map(Into::into),
            predecessor: known.predecessor,
        };
        let cutoff = match self.cutoff.or(declared.cutoff) {
            Some(cutoff) => cutoff,
            None => cutoff
                .in_zone(&series.time_zone)
                .ok_or_else(|| missing("what its last observation is", "--cutoff TIME"))?,
        };
        let alias = Some(self.alias).filter(|alias| alias != "none");
        let verdict = match alias.as_deref() {
            None | Some(CANDIDATE) => Verdict::CandidateOnly,
            Some(_) => Verdict::Promote,
        };
        let idempotency_key = key(&series, alias.as_deref(), &model_pr);
        Ok(Push {
            series,
            model_pr,
            idempotency_key,
            alias,
            expected_version: self.expect,
            verdict,
            scores: declared.scores.map(Into::into),
            cutoff,
            trained_at: self
                .trained_at
                .or(declared.trained_at)
                .unwrap_or(trained_at),
            rows: declared.rows,
            trainer_version: declared
                .trainer_version
                .unwrap_or_else(|| format!("loadcast push {}", env!("CARGO_PKG_VERSION"))),
            data_sha256: declared.data_sha256,
            spec_json: text(declared.spec).unwrap_or_default(),
            clamps: declared.clamps.map(Into::into),
            activate_at: self.activate_at,
            tags: BTreeMap::new(),
            band_calibration_json: text(declared.band_calibration),
            correction_json: text(declared.correction),
            peak_json: text(declared.peak),
            attachments: Vec::new(),
        })
    }
}

fn text(value: Option<serde_json::Value>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// The same model pushed as the same series under the same alias is pushed once, however often that is said.
fn key(series: &SeriesInfo, alias: Option<&str>, model_pr: &[u8]) -> String {
    let mut hasher = Sha256::new();
    let told = json!([
        "loadcast push",
        series.name,
        series.labels,
        series.unit,
        series.step.as_secs(),
        series.time_zone,
        alias,
    ]);
    hasher.update(told.to_string());
    hasher.update(model_pr);
    hex::encode(hasher.finalize())
}

fn told(series: &str, alias: Option<&str>, pushed: &Pushed) -> String {
    let Pushed { version, .. } = pushed;
    let again = if pushed.already_registered {
        "; it had been pushed before, and nothing was done again"
    } else {
        ""
    };
    match (pushed.revision, alias) {
        (Some(revision), Some(alias)) => {
            format!(
                "{series}: version {version} is {alias} and served (revision {revision}){again}"
            )
        }
        (_, Some(alias)) => {
            format!("{series}: version {version} is {alias}{again}")
        }
        (_, None) => format!(
            "{series}: version {version} is registered{again}; serve it with loadcast models promote {series} {version}"
        ),
    }
}

fn view(series: &str, alias: Option<&str>, pushed: &Pushed) -> serde_json::Value {
    json!({
        "series": series,
        "version": pushed.version.to_string(),
        "alias": alias,
        "revision": pushed.revision.map(|revision| revision.to_string()),
        "artifact_sha256": pushed.artifact_sha256,
        "already_registered": pushed.already_registered,
        "token": pushed.token,
    })
}
