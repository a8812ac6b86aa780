//! `loadcast-trainer run`: rows to served models.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use jiff::Timestamp;
use loadcast_client::Client;
use loadcast_model::backtest::Method;
use loadcast_model::zone::Zone;

use super::Failures;
use crate::brake::Brake;
use crate::checks::{Checks, Override};
use crate::console::Console;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::output;
use crate::pipeline::{self, Plan};
use crate::push;
use crate::source::table::Table;
use crate::source::{columns, spec};
use crate::stage::prepare_features::{GapPolicy, OutlierPolicy, Preparation};
use crate::stage::validate_data::Rules;
use crate::stage::validate_data::rule::{Profile, Rule};
use crate::stage::validate_model::gate::Gate;
use crate::time::{floor_seconds, read_length};

/// Train a model of each series in a CSV file and push it: validate the data, prepare it, fit,
/// validate the model by a backtest, push.
///
/// Without --series, a file with the columns cpu_mean_5m (cores) and mem_mean_5m (bytes) gives the
/// series CPU_Prophet_Model and Memory_Prophet_Model.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The rows: a CSV file with a header line, by path or URL (file://)
    #[arg(long, env = "LOADCAST_DATA", value_name = "PATH|URL")]
    data: String,
    /// A series, the column it is in and its unit (cores, bytes, 1/s, percent, 1); repeat for more
    #[arg(
        long,
        env = "LOADCAST_SERIES",
        value_delimiter = ';',
        value_name = "NAME=COLUMN[:UNIT]"
    )]
    series: Vec<Declaration>,
    /// The column of times [default: timestamp, ds, time, datetime or date]
    #[arg(long, env = "LOADCAST_TIME_COLUMN", value_name = "NAME")]
    time_column: Option<String>,
    /// Time zone of times written without one, and of the days and weeks that are learned
    #[arg(
        long,
        env = "LOADCAST_TIME_ZONE",
        default_value = "UTC",
        value_name = "IANA"
    )]
    time_zone: String,
    /// A label of every series, such as namespace=shop; repeat for more
    #[arg(long, env = "LOADCAST_LABEL", value_delimiter = ',', value_parser = read_label, value_name = "KEY=VALUE")]
    label: Vec<(String, String)>,
    /// Spacing of the grid; rows are averaged to it [default: the data's own]
    #[arg(long, env = "LOADCAST_STEP", value_parser = read_length, value_name = "DURATION")]
    step: Option<i64>,
    /// What to fit: Prophet's arguments as TOML [default: --search; with --holidays, Prophet's own defaults]
    #[arg(long, env = "LOADCAST_SPEC", value_name = "FILE.toml")]
    spec: Option<String>,
    /// Search the best forecast instead of fitting a spec: candidates combined, anchored, and distilled into one model
    #[arg(long, env = "LOADCAST_SEARCH", value_parser = FalseyValueParser::new(), conflicts_with = "spec")]
    search: bool,
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
    /// The most recent history that is trained on
    #[arg(long, env = "LOADCAST_MAX_TRAIN", default_value = "28d", value_parser = read_length, value_name = "DURATION")]
    max_train: i64,
    /// Train as if this last part of the rows had not been observed yet
    #[arg(long, env = "LOADCAST_DROP_LAST", value_parser = read_length, value_name = "DURATION")]
    drop_last: Option<i64>,
    /// Shift all times by one constant so that the last row is now: for trying out old data
    #[arg(long, env = "LOADCAST_SHIFT_TO_NOW", value_parser = FalseyValueParser::new())]
    shift_to_now: bool,
    /// Settings that rules of the data begin with
    #[arg(long, env = "LOADCAST_RULES_PROFILE", value_enum, default_value_t)]
    rules_profile: Profile,
    /// What follows when a rule of the data is broken (info, warning, error), and its limit, such as gaps=error or
    /// history=error:7; repeat for more
    #[arg(
        long,
        env = "LOADCAST_RULE",
        value_delimiter = ',',
        value_name = "NAME=SEVERITY[:LIMIT]"
    )]
    rule: Vec<Override<Rule>>,
    /// A column that says `censored` of rows whose value saturation held down; they are left out of the fit
    #[arg(long, env = "LOADCAST_MASK_COLUMN", value_name = "NAME")]
    mask_column: Option<String>,
    /// What becomes of steps without a row
    #[arg(long, env = "LOADCAST_GAPS", value_enum, default_value_t)]
    gaps: GapPolicy,
    /// What becomes of values that the rule `outliers` found
    #[arg(long, env = "LOADCAST_OUTLIERS", value_enum, default_value_t)]
    outliers: OutlierPolicy,
    /// No forecast lies above, in the series' unit; with logistic growth, where it saturates
    #[arg(long, env = "LOADCAST_CAP", value_name = "VALUE")]
    cap: Option<f64>,
    /// No forecast lies below, in the series' unit
    #[arg(
        long,
        env = "LOADCAST_FLOOR",
        value_name = "VALUE",
        allow_negative_numbers = true
    )]
    floor: Option<f64>,
    /// Holidays and events, past and to come: a CSV file with the columns holiday, ds, and where they last longer than
    /// their day lower_window and upper_window
    #[arg(
        long,
        env = "LOADCAST_HOLIDAYS",
        value_name = "PATH|URL",
        conflicts_with = "search"
    )]
    holidays: Option<String>,
    /// What follows when a gate of the model is not passed (warning, candidate, reject), and its limit, such as
    /// skill=candidate:0.1; repeat for more
    #[arg(
        long,
        env = "LOADCAST_GATE",
        value_delimiter = ',',
        value_name = "NAME=CONSEQUENCE[:LIMIT]",
        allow_hyphen_values = true
    )]
    gate: Vec<Override<Gate>>,
    /// Promotions stop when more than this share of the series, 0 to 1, would move by more than --brake-change
    #[arg(long, env = "LOADCAST_BRAKE_SHARE", default_value_t = Brake::default().share, value_name = "SHARE")]
    brake_share: f64,
    /// A move of the next day's mean or peak, relative to what is served: 0.5 is by half
    #[arg(long, env = "LOADCAST_BRAKE_CHANGE", default_value_t = Brake::default().change, value_name = "CHANGE")]
    brake_change: f64,
    /// Promote whatever passes its gates, however many series move
    #[arg(long, env = "LOADCAST_NO_BRAKE", value_parser = FalseyValueParser::new())]
    no_brake: bool,
    /// Do everything but the push; needs no server
    #[arg(long, env = "LOADCAST_DRY_RUN", value_parser = FalseyValueParser::new())]
    dry_run: bool,
    /// Write what was found and done as JSON
    #[arg(long, env = "LOADCAST_REPORT", value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Write a page about all series, with pictures
    #[arg(long, env = "LOADCAST_REPORT_HTML", value_name = "FILE.html")]
    report_html: Option<PathBuf>,
    /// Write each series' MLflow model folder to DIR/NAME
    #[arg(long, env = "LOADCAST_OUTPUT_DIR", value_name = "DIR")]
    output_dir: Option<PathBuf>,
}

fn read_label(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no label: write KEY=VALUE")),
    }
}

impl Args {
    pub(super) async fn run(
        self,
        now: Timestamp,
        out: &mut (dyn Write + Send),
    ) -> std::result::Result<(), Failures> {
        let client = match self.dry_run {
            true => None,
            false => Some(push::connect(&self.server)?),
        };
        let report_path = self.report.clone();
        let plan = self.plan(now).await?;
        run(&plan, client.as_ref(), report_path, out).await
    }

    async fn plan(self, now: Timestamp) -> Result<Plan> {
        let zone = read_zone(&self.time_zone)?;
        // Prophet's defaults lose to "the same as yesterday" more often than not, and would not pass the gates.
        let search = self.search || (self.spec.is_none() && self.holidays.is_none());
        let method = method(search, self.spec.as_deref()).await?;
        let holidays = match &self.holidays {
            Some(place) => columns::holidays(&Table::open(place).await?)?,
            None => Vec::new(),
        };
        Ok(Plan {
            data: self.data,
            series: self.series,
            time_column: self.time_column,
            labels: BTreeMap::from_iter(self.label),
            rules: Rules {
                zone,
                step_seconds: self.step,
                drop_last_seconds: self.drop_last,
                shift_to: self.shift_to_now.then(|| floor_seconds(now)),
                checks: self.rules_profile.rules().with(&self.rule),
                now: Some(floor_seconds(now)),
            },
            preparation: Preparation {
                max_train_seconds: self.max_train,
                gaps: self.gaps,
                outliers: self.outliers,
                cap: self.cap,
                floor: self.floor,
                holidays,
            },
            method,
            gates: Checks::default().with(&self.gate),
            brake: (!self.no_brake).then_some(Brake {
                share: self.brake_share,
                change: self.brake_change,
            }),
            mask_column: self.mask_column,
            report_html: self.report_html,
            alias: Some(self.alias).filter(|alias| !alias.is_empty()),
            output_dir: self.output_dir,
            now,
        })
    }
}

async fn run(
    plan: &Plan,
    client: Option<&Client>,
    report_path: Option<PathBuf>,
    out: &mut (dyn Write + Send),
) -> std::result::Result<(), Failures> {
    let (report, failures) = pipeline::run(plan, client, &mut Console::new(out)).await?;
    if let Some(path) = report_path {
        output::write(&path, report.to_json().as_bytes())?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failures(failures))
    }
}

pub(super) fn read_zone(name: &str) -> Result<Zone> {
    name.parse().map_err(|error| {
        Error::settings(
            format!("--time-zone: `{name}`: {error}"),
            "write an IANA name such as UTC or Europe/Berlin",
        )
    })
}

/// What `--search` and `--spec` ask for; Prophet's defaults where neither does.
pub(super) async fn method(search: bool, spec: Option<&str>) -> Result<Method> {
    match spec {
        _ if search => Ok(Method::Search),
        Some(place) => Ok(Method::Spec(Box::new(spec::read(place).await?))),
        None => Ok(Method::Spec(Box::default())),
    }
}
