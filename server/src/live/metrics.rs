//! What Prometheus scrapes of live observations: counters for the server, gauges for each series that is observed, the
//! first [`MAX_SERIES`] in the order of names. Computed when it is asked for.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

use super::{LeadScores, View};
use crate::cache::Cache;

/// The most series that have lines of their own: 4 leads make some 25 lines of each.
pub const MAX_SERIES: usize = 1_000;

/// Enters the metrics of the observations of `cache`.
pub fn enter(registry: &mut Registry, cache: Arc<Cache>) {
    registry.register_collector(Box::new(Observations(cache)));
}

#[derive(Debug)]
struct Observations(Arc<Cache>);

/// A gauge of one lead: its name, what it says, and where it is found.
type OfLead = (&'static str, &'static str, fn(&LeadScores) -> Option<f64>);

const OF_LEADS: [OfLead; 5] = [
    (
        "live_mae",
        "Mean absolute error of the served forecasts, in the unit of the series.",
        |scores| scores.mae,
    ),
    (
        "live_coverage",
        "Share of observations inside the band from level 0.1 to 0.9.",
        |scores| scores.coverage,
    ),
    (
        "live_skill",
        "1 - MAE / MAE of the same as a day before: above zero beats it.",
        |scores| scores.skill,
    ),
    (
        "live_skill_last_value",
        "1 - MAE / MAE of it stays as it is: above zero beats it.",
        |scores| scores.skill_last_value,
    ),
    (
        "live_forecasts_scored",
        "Forecasts of the served version that were set against an observation.",
        |scores| Some(scores.rows as f64),
    ),
];

impl Collector for Observations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let live = self.0.live();
        let counts = live.counts();
        for (name, help, count) in [
            (
                "live_observations_accepted",
                "Observations that were taken.",
                &counts.accepted,
            ),
            (
                "live_observations_ignored",
                "Observations that were not used.",
                &counts.ignored,
            ),
            (
                "live_pull_failures",
                "Questions to Prometheus that brought nothing; they are asked again.",
                &counts.pull_failures,
            ),
            (
                "live_observations_missing",
                "Observations marked as missing.",
                &counts.missing,
            ),
        ] {
            let counter = ConstCounter::new(count.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(
                name,
                help,
                None,
                counter.metric_type(),
            )?)?;
        }
        let mut views = live.views();
        views.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let all = views.len();
        views.truncate(MAX_SERIES);
        for (name, help, count) in [
            ("live_series_observed", "Series that are observed.", all),
            (
                "live_series_left_out",
                "Series that are observed and have no lines of their own here, for there are too many.",
                all - views.len(),
            ),
        ] {
            let gauge = ConstGauge::new(u64::try_from(count).unwrap_or(u64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let now = self.0.clock().now();
        let age = |view: &View| {
            let last = view.last?;
            Some(now.duration_since(last.at).as_secs_f64())
        };
        of_series(
            &mut encoder,
            &views,
            "live_observation_age_seconds",
            "Since the beginning of the last observed step.",
            age,
        )?;
        let gated = |view: &View| Some(f64::from(u8::from(view.gate.is_some())));
        of_series(
            &mut encoder,
            &views,
            "live_gate_closed",
            "1 while live scores are below what the catalog asks of them.",
            gated,
        )?;
        for (name, help, value) in OF_LEADS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (series, view) in &views {
                for scores in view.scores.iter().flat_map(|scores| &scores.leads) {
                    let Some(value) = value(scores) else { continue };
                    let lead = scores.lead_seconds.to_string();
                    let labels = [("series", series.as_ref()), ("lead_seconds", lead.as_str())];
                    let gauge = ConstGauge::new(value);
                    gauge.encode(family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn of_series(
    encoder: &mut DescriptorEncoder<'_>,
    views: &[(loadcast_model::series::SeriesName, Arc<View>)],
    name: &str,
    help: &str,
    value: impl Fn(&View) -> Option<f64>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (series, view) in views {
        let Some(value) = value(view) else { continue };
        let gauge = ConstGauge::new(value);
        gauge.encode(family.encode_family(&[("series", series.as_ref())])?)?;
    }
    Ok(())
}
