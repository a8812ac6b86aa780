//! The bodies of the original's answers: names, types and order of fields are its consumers' contract.

use jiff::civil::DateTime;
use loadcast_model::series::SeriesName;
use serde::Serialize;

use crate::{error::Error, served::Served};

use super::{
    Predicted, Setting,
    arithmetic::{Quantities, Shares, Usage, rounded},
};

/// `/`
#[derive(Debug, Serialize)]
pub(super) struct Instant {
    datetime: String,
    predictions: InstantPredictions,
    summary: String,
}

#[derive(Debug, Serialize)]
struct InstantPredictions {
    cpu_cores: f64,
    memory_percent: f64,
}

/// `/next_day` and `/next_week`: what names the day differs.
#[derive(Debug, Serialize)]
pub(super) struct Period {
    forecast_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    week_start: Option<String>,
    day_of_week: String,
    predictions: Predictions,
    recommendations: Quantities,
    insights: Insights,
    model_info: ModelInfo,
}

#[derive(Debug, Serialize)]
struct Predictions {
    cpu_cores: f64,
    memory_gb: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_range: Option<CpuRange>,
}

#[derive(Debug, Serialize)]
struct CpuRange {
    min: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Insights {
    cpu_utilization: String,
    memory_utilization: String,
    confidence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recommendation_note: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct ModelInfo {
    model_version: String,
    training_date: String,
    forecast_type: &'static str,
}

/// `/next_weekend`
#[derive(Debug, Serialize)]
pub(super) struct Weekend {
    prediction_date: String,
    period: &'static str,
    cpu_percent: f64,
    memory_value: f64,
    summary: String,
    model_info: ModelInfo,
}

/// `/next_month`
#[derive(Debug, Serialize)]
pub(super) struct Month {
    forecast_type: &'static str,
    month: String,
    sampling_method: &'static str,
    predictions: Predictions,
    recommendations: Quantities,
    insights: Insights,
    model_info: ModelInfo,
}

/// `/health`
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    version: &'static str,
    models_loaded: &'static str,
    model_source: String,
    timestamp: String,
}

/// `/models/info`
#[derive(Debug, Serialize)]
pub(super) struct Models {
    model_source: String,
    models_status: &'static str,
    timestamp: String,
    cpu_model: Model,
    memory_model: Model,
    mlflow_tracking_uri: String,
}

/// One model.
#[derive(Debug, Serialize)]
pub(super) struct Model {
    name: String,
    info: ModelDetails,
}

#[derive(Debug, Serialize)]
struct ModelDetails {
    version: String,
    alias: String,
    training_date: String,
    data_until: String,
    status: String,
}

fn date(at: DateTime) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn source(setting: &Setting) -> String {
    format!("Loadcast, alias {}", setting.alias)
}

impl Predictions {
    fn of(usage: Usage) -> Self {
        Self {
            cpu_cores: rounded(usage.cores, 4),
            memory_gb: rounded(usage.gigabytes, 3),
            cpu_range: None,
        }
    }
}

impl Insights {
    fn of(usage: Usage) -> Self {
        Self {
            cpu_utilization: format!("{:.1}%", usage.cores * 100.0),
            memory_utilization: format!("{:.2} GB", usage.gigabytes),
            confidence: confidence(usage),
            recommendation_note: None,
        }
    }
}

/// From the backtest, where the original always said "High".
fn confidence(usage: Usage) -> String {
    if usage.was_negative {
        return "Low: a model falls below zero, and zero is shown".to_owned();
    }
    match usage.skill {
        None => "Unknown: no backtest came with both models".to_owned(),
        Some(skill) => {
            let word = match skill {
                skill if skill >= 0.2 => "High",
                skill if skill > 0.0 => "Medium",
                _ => "Low",
            };
            format!("{word}: {skill:.2} of the seasonal naive's error is saved")
        }
    }
}

impl ModelInfo {
    fn of(predicted: &Predicted, forecast_type: &'static str) -> Self {
        let both = [&predicted.cpu, &predicted.memory];
        let versions = both.map(|served| {
            let name = &served.loaded.metadata().series.name;
            format!("{name} {}", served.version)
        });
        let trained = both.map(|served| served.loaded.metadata().trained_at);
        Self {
            model_version: versions.join(", "),
            training_date: trained[0].min(trained[1]).strftime("%Y-%m-%d").to_string(),
            forecast_type,
        }
    }
}

impl Instant {
    pub(super) fn new(at: DateTime, usage: Usage) -> Self {
        let (cores, memory) = (rounded(usage.cores, 4), rounded(usage.gigabytes, 2));
        Self {
            datetime: at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            predictions: InstantPredictions {
                cpu_cores: cores,
                memory_percent: memory,
            },
            summary: summary(usage, &format!("CPU {cores} cores, memory {memory}")),
        }
    }
}

fn summary(usage: Usage, says: &str) -> String {
    if usage.was_negative {
        format!("{says}; a model falls below zero, and zero is shown")
    } else {
        says.to_owned()
    }
}

impl Period {
    pub(super) fn day(day: DateTime, predicted: &Predicted) -> Self {
        Self {
            date: Some(date(day)),
            ..Self::of(day, predicted, "daily_average")
        }
    }

    pub(super) fn week(day: DateTime, predicted: &Predicted) -> Self {
        Self {
            week_start: Some(date(day)),
            ..Self::of(day, predicted, "weekly_average")
        }
    }

    fn of(day: DateTime, predicted: &Predicted, forecast_type: &'static str) -> Self {
        Self {
            forecast_type,
            date: None,
            week_start: None,
            day_of_week: day.strftime("%A").to_string(),
            predictions: Predictions::of(predicted.mean()),
            recommendations: predicted.quantities(Shares::DAY),
            insights: Insights::of(predicted.mean()),
            model_info: ModelInfo::of(predicted, forecast_type),
        }
    }
}

impl Weekend {
    pub(super) fn new(day: DateTime, predicted: &Predicted) -> Self {
        let usage = predicted.mean();
        let (cpu, memory) = (rounded(usage.cores * 100.0, 2), rounded(usage.gigabytes, 2));
        Self {
            prediction_date: date(day),
            period: "weekend",
            cpu_percent: cpu,
            memory_value: memory,
            summary: summary(usage, &format!("weekend: CPU {cpu} %, memory {memory}")),
            model_info: ModelInfo::of(predicted, "weekend"),
        }
    }
}

impl Month {
    /// The month is that of `last`, the last of the four days.
    pub(super) fn new(last: DateTime, predicted: &Predicted) -> Self {
        let cores = || predicted.usage.iter().map(|usage| usage.cores);
        let forecast_type = "monthly_average";
        Self {
            forecast_type,
            month: last.strftime("%Y-%m").to_string(),
            sampling_method: "4_week_average",
            predictions: Predictions {
                cpu_range: Some(CpuRange {
                    min: rounded(cores().fold(f64::INFINITY, f64::min), 4),
                    max: rounded(cores().fold(0.0, f64::max), 4),
                }),
                ..Predictions::of(predicted.mean())
            },
            recommendations: predicted.quantities(Shares::MONTH),
            insights: Insights {
                recommendation_note: Some(
                    "70 % and 150 % of the mean of four noons; shares of a mean, no confidence",
                ),
                ..Insights::of(predicted.mean())
            },
            model_info: ModelInfo::of(predicted, forecast_type),
        }
    }
}

impl Health {
    pub(super) fn new(is_fresh: bool, setting: &Setting, at: DateTime) -> Self {
        Self {
            status: if is_fresh { "healthy" } else { "stale" },
            version: env!("CARGO_PKG_VERSION"),
            models_loaded: "loaded",
            model_source: source(setting),
            timestamp: at.to_string(),
        }
    }
}

impl Models {
    pub(super) fn new(
        cpu: Model,
        memory: Model,
        is_loaded: bool,
        setting: &Setting,
        at: DateTime,
    ) -> Self {
        Self {
            model_source: source(setting),
            models_status: if is_loaded { "loaded" } else { "not_loaded" },
            timestamp: at.to_string(),
            cpu_model: cpu,
            memory_model: memory,
            mlflow_tracking_uri: setting.mlflow.clone(),
        }
    }
}

impl Model {
    pub(super) fn served(served: &Served) -> Self {
        let metadata = served.loaded.metadata();
        Self {
            name: metadata.series.name.to_string(),
            info: ModelDetails {
                version: served.version.to_string(),
                alias: served.alias.clone(),
                training_date: metadata.trained_at.to_string(),
                data_until: metadata.cutoff.to_string(),
                status: "loaded".to_owned(),
            },
        }
    }

    pub(super) fn absent(names: &[SeriesName], error: &Error) -> Self {
        Self {
            name: names.first().map_or_else(String::new, ToString::to_string),
            info: ModelDetails {
                version: String::new(),
                alias: String::new(),
                training_date: String::new(),
                data_until: String::new(),
                status: error.to_string(),
            },
        }
    }
}
