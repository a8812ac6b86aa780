//! One look at many series: a row each, and their order. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use jiff::Timestamp;
use loadcast_client::{BatchItem, Error, Forecast, Freshness, Model, ModelState, Scores};
use serde_json::{Value, json};

use crate::cli::show::Summary;

/// What stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// What cannot be trusted, then what is about to rise most
    Attention,
    /// The alphabet
    Name,
}

impl Sort {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Attention => Self::Name,
            Self::Name => Self::Attention,
        }
    }
}

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) addr: String,
    pub(crate) at: Timestamp,
    pub(crate) horizon: Duration,
    pub(crate) level: f64,
    pub(crate) rows: Vec<Row>,
}

/// One series.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) series: String,
    pub(crate) unit: Option<String>,
    pub(crate) time_zone: String,
    /// `None`: it has no forecast.
    pub(crate) next: Option<Next>,
    pub(crate) version: Option<u64>,
    pub(crate) trust: Trust,
    /// In words, where there is no forecast.
    pub(crate) why: Option<String>,
    pub(crate) skill: Option<Skill>,
}

/// What it will do, in the series' unit.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    /// The point at now.
    pub(crate) now: f64,
    /// The highest point, and when.
    pub(crate) max: f64,
    pub(crate) max_at: Timestamp,
    /// The highest value of the quantile.
    pub(crate) quantile_max: f64,
    pub(crate) points: Vec<f64>,
}

/// Whether the numbers of a row may be acted on; what is worst comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// No forecast; the state or the code of the refusal.
    None(String),
    /// The server says not to act on it; the code.
    Gated(String),
    /// Model or data are too old.
    Stale(String),
    /// Fresh.
    Full,
}

/// Above zero: better than "same as last season".
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Skill {
    /// Of observations since it is served.
    Live(f64),
    /// Of the trainer's backtest.
    Backtest(f64),
}

impl Look {
    pub(crate) fn new(
        addr: &str,
        at: Timestamp,
        horizon: Duration,
        level: f64,
        models: Vec<Model>,
        items: Vec<BatchItem>,
    ) -> Self {
        let mut models: BTreeMap<String, Model> = models
            .into_iter()
            .map(|model| (model.series.name.clone(), model))
            .collect();
        let mut rows: Vec<Row> = items
            .into_iter()
            .map(|item| {
                let model = models.remove(&item.series);
                Row::of_answer(item.series, item.forecast, model.as_ref())
            })
            .collect();
        // What is known and not served was not asked for a forecast by a selection of all.
        rows.extend(models.into_values().map(|model| Row::of_model(&model)));
        Self {
            addr: addr.to_owned(),
            at,
            horizon,
            level,
            rows,
        }
        .sorted(Sort::Name)
    }

    pub(crate) fn sorted(mut self, sort: Sort) -> Self {
        match sort {
            Sort::Name => self.rows.sort_by(|a, b| a.series.cmp(&b.series)),
            Sort::Attention => self.rows.sort_by(|a, b| {
                a.trust
                    .cmp(&b.trust)
                    .then_with(|| b.rise().total_cmp(&a.rise()))
                    .then_with(|| a.series.cmp(&b.series))
            }),
        }
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "at": self.at.to_string(),
            "addr": self.addr,
            "horizon_seconds": self.horizon.as_secs(),
            "level": self.level,
            "series": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
        })
    }
}

impl Row {
    fn of_answer(series: String, answer: Result<Forecast, Error>, model: Option<&Model>) -> Self {
        let forecast = match answer {
            Ok(forecast) => forecast,
            Err(error) => return Self::failed(series, &error, model),
        };
        let provenance = &forecast.provenance;
        let trust = match (&provenance.reason, provenance.freshness) {
            (Some(reason), _) => Trust::Gated(reason.clone()),
            (None, Freshness::Fresh) => Trust::Full,
            (None, stale) => Trust::Stale(stale.name().to_owned()),
        };
        let summary = Summary::of(&forecast);
        let next = summary
            .zip(forecast.yhat.first().copied())
            .map(|(summary, now)| Next {
                now,
                max: summary.max,
                max_at: summary.max_at,
                quantile_max: forecast
                    .quantiles
                    .first()
                    .and_then(|quantile| quantile.values.iter().copied().reduce(f64::max))
                    .unwrap_or(summary.max),
                points: forecast.yhat.clone(),
            });
        Self {
            series,
            next,
            version: Some(provenance.version),
            trust,
            why: None,
            skill: model.and_then(skill),
            unit: forecast.unit,
            time_zone: forecast.time_zone,
        }
    }

    fn failed(series: String, error: &Error, model: Option<&Model>) -> Self {
        let code = error.reason_code().unwrap_or("NO_ANSWER").to_owned();
        let why = error.to_string();
        Self {
            series,
            unit: None,
            time_zone: "UTC".to_owned(),
            next: None,
            version: model.and_then(|model| Some(model.served.as_ref()?.version)),
            trust: Trust::None(code),
            why: why.lines().next().map(str::to_owned),
            skill: None,
        }
    }

    fn of_model(model: &Model) -> Self {
        let code = match (&model.reason, model.state) {
            (Some(reason), _) => reason.clone(),
            // It was pushed a moment ago: its forecast comes with the next look.
            (None, ModelState::Serving) => "NO_ANSWER".to_owned(),
            (None, state) => state.name().to_owned(),
        };
        Self {
            series: model.series.name.clone(),
            unit: model.series.unit.clone(),
            time_zone: model.series.time_zone.clone(),
            next: None,
            version: model.served.as_ref().map(|served| served.version),
            trust: Trust::None(code),
            why: model.message.clone(),
            skill: skill(model),
        }
    }

    /// How many times as high as now it gets.
    fn rise(&self) -> f64 {
        let rise = self.next.as_ref().map(|next| next.max / next.now.abs());
        rise.filter(|rise| rise.is_finite()).unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        let next = self.next.as_ref();
        json!({
            "series": self.series,
            "unit": self.unit,
            "version": self.version.map(|version| version.to_string()),
            "now": next.map(|next| next.now),
            "max": next.map(|next| next.max),
            "max_at": next.map(|next| next.max_at.to_string()),
            "max_of_quantile": next.map(|next| next.quantile_max),
            "state": self.trust.name(),
            "code": self.trust.code(),
            "message": self.why,
            "live_skill": match self.skill { Some(Skill::Live(skill)) => Some(skill), _ => None },
            "backtest_skill": match self.skill { Some(Skill::Backtest(skill)) => Some(skill), _ => None },
        })
    }
}

/// Live goes before the backtest's.
fn skill(model: &Model) -> Option<Skill> {
    let of = |scores: Option<&Scores>| scores.and_then(|scores| scores.skill);
    let live = of(model.live_scores.as_ref()).map(Skill::Live);
    let served = model.served.as_ref();
    live.or_else(|| of(served.and_then(|served| served.scores.as_ref())).map(Skill::Backtest))
}

impl Trust {
    /// `FRESH`, `STALE`, `GATED` or `NONE`, for programs.
    fn name(&self) -> &'static str {
        match self {
            Self::None(_) => "NONE",
            Self::Gated(_) => "GATED",
            Self::Stale(_) => "STALE",
            Self::Full => "FRESH",
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::None(code) | Self::Gated(code) | Self::Stale(code) => Some(code),
            Self::Full => None,
        }
    }

    /// `fresh`, `stale data`, `gated: live skill`, `retired`, for people.
    pub(crate) fn in_words(&self) -> String {
        let words = |code: &str| code.to_lowercase().replace('_', " ");
        match self {
            Self::Full => "fresh".to_owned(),
            Self::Gated(code) => format!("gated: {}", words(code)),
            Self::None(code) | Self::Stale(code) => words(code),
        }
    }
}
