//! The flags that say which rows become which series: of `run`, and of the first stage alone.

use std::collections::BTreeMap;

use clap::ValueEnum;
use clap::builder::FalseyValueParser;
use jiff::Timestamp;

use super::run::read_zone;
use loadcast_prometheus::flags;

use super::declared;
use crate::checks::Override;
use crate::declaration::Declaration;
use crate::error::{Error, Result};
use crate::pipeline::Plan;
use crate::stage::validate_data::rule::{self, Rule};
use crate::time::{floor_seconds, read_length};

/// Where the data of the pipeline that came before are.
const ORIGINAL_DATA: &str = "s3://mlpipeline/metrics_dataset.csv";

/// Rows, and what they are.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The rows: a CSV file with a header line, a Parquet file, or a dataset that was collected; by path or URL (s3://, gs://, az://, file://)
    #[arg(long, env = "LOADCAST_DATA", value_name = "PATH|URL", required_unless_present_any = ["prometheus_url", "profile"], conflicts_with = "prometheus_url")]
    data: Option<String>,
    /// What is taken as given: `original` is the bucket, file and columns of the pipeline that came before
    #[arg(long, env = "LOADCAST_PROFILE", value_name = "NAME", conflicts_with_all = ["catalog", "promql", "prometheus_url", "series"])]
    profile: Option<Profile>,
    /// A series, the column it is in and its unit (cores, bytes, 1/s, percent, 1); repeat for more
    #[arg(
        long,
        env = "LOADCAST_SERIES",
        value_delimiter = ';',
        value_name = "NAME=COLUMN[:UNIT]",
        conflicts_with_all = ["catalog", "promql"]
    )]
    series: Vec<Declaration>,
    #[command(flatten)]
    declared: declared::Args,
    /// The column of times [default: timestamp, ds, time, datetime or date]
    #[arg(long, env = "LOADCAST_TIME_COLUMN", value_name = "NAME")]
    time_column: Option<String>,
    /// Time zone of times written without one, and of the days and weeks that are learned; a catalog says its own
    #[arg(
        long,
        env = "LOADCAST_TIME_ZONE",
        default_value = "UTC",
        value_name = "IANA"
    )]
    time_zone: String,
    /// A label of every series, such as namespace=shop; repeat for more; a catalog says its own
    #[arg(long, env = "LOADCAST_LABEL", value_delimiter = ',', value_parser = read_label, value_name = "KEY=VALUE")]
    label: Vec<(String, String)>,
    /// Spacing of the grid; rows are averaged to it [default: the data's own; of --promql: 5m]; a catalog says its own
    #[arg(long, env = "LOADCAST_STEP", value_parser = read_length, value_name = "DURATION")]
    step: Option<i64>,
    /// Train as if this last part of the rows had not been observed yet
    #[arg(long, env = "LOADCAST_DROP_LAST", value_parser = read_length, value_name = "DURATION")]
    drop_last: Option<i64>,
    /// Shift all times by one constant so that the last row is now: for trying out old data
    #[arg(long, env = "LOADCAST_SHIFT_TO_NOW", value_parser = FalseyValueParser::new())]
    shift_to_now: bool,
    /// Settings that rules of the data begin with
    #[arg(long, env = "LOADCAST_RULES_PROFILE", value_enum, default_value_t)]
    rules_profile: rule::Profile,
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
    #[command(flatten)]
    prometheus: flags::Args,
}

/// A set of flags under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Profile {
    /// s3://mlpipeline/metrics_dataset.csv with timestamp, cpu_mean_5m and mem_mean_5m.
    Original,
}

fn read_label(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no label: write KEY=VALUE")),
    }
}

impl Args {
    /// A plan of these rows at `now`; everything else is at its default.
    ///
    /// # Errors
    /// For a flag that cannot be used, and a catalog that cannot be read.
    pub(super) async fn plan(self, now: Timestamp) -> Result<Plan> {
        let prometheus = self.prometheus.connect()?;
        let data = match (&prometheus, self.data, self.profile) {
            (Some(prometheus), ..) => prometheus.shown().to_owned(),
            (None, Some(data), _) => data,
            (None, None, Some(Profile::Original)) => ORIGINAL_DATA.to_owned(),
            (None, None, None) => {
                return Err(Error::settings(
                    "no rows: neither --data nor --prometheus-url is given",
                    "give one of them",
                ));
            }
        };
        let mut plan = Plan::new(data, now);
        plan.catalog = self.declared.catalog(self.step).await?;
        plan.prometheus = prometheus;
        plan.history_seconds = self.declared.history;
        plan.series = match self.profile {
            Some(Profile::Original) => Declaration::known(),
            None => self.series,
        };
        plan.time_column = self.time_column;
        plan.labels = BTreeMap::from_iter(self.label);
        // The pipeline that came before had rules of its own, unless others are asked for.
        let rules = match self.profile {
            Some(Profile::Original) => rule::Profile::Original,
            None => self.rules_profile,
        };
        plan.rules.checks = rules.rules().with(&self.rule);
        plan.mask_column = self.mask_column;
        plan.rules.zone = read_zone(&self.time_zone)?;
        plan.rules.step_seconds = self.step;
        plan.rules.drop_last_seconds = self.drop_last;
        plan.rules.shift_to = self.shift_to_now.then(|| floor_seconds(now));
        Ok(plan)
    }
}
