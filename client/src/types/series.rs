//! What is forecast, how good its model is, and how fresh.

use std::collections::BTreeMap;
use std::time::Duration;

use loadcast_proto::v1 as pb;

use crate::error::Error;
use crate::types::text::{finite, level, non_empty, required};
use crate::types::time::{duration_out, optional_duration, step};

/// A series as a trainer declares it when it pushes a model.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesInfo {
    /// `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`: the key everywhere, and the registered model's name.
    pub name: String,
    /// Searchable, never identity.
    pub labels: BTreeMap<String, String>,
    /// `cores`, `bytes`, `1/s`, `percent` or `1`; `None` when nobody said.
    pub unit: Option<String>,
    /// Spacing of the grid the series was observed on: whole seconds, at least one.
    pub step: Duration,
    /// IANA name; empty means UTC.
    pub time_zone: String,
    /// What an observed zero says; `None` leaves it open.
    pub zero_means: Option<ZeroMeans>,
    /// The series whose history this one continues after a rename.
    pub predecessor: Option<String>,
}

/// A series as a server knows it. One known only by the rejection of a candidate has little more than a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The key everywhere.
    pub name: String,
    /// Searchable, never identity.
    pub labels: BTreeMap<String, String>,
    /// `cores`, `bytes`, `1/s`, `percent` or `1`; `None` when nobody said.
    pub unit: Option<String>,
    /// Spacing of the grid the series was observed on; `None` when no model of it was ever pushed.
    pub step: Option<Duration>,
    /// IANA name; `UTC` when nobody said.
    pub time_zone: String,
    /// What an observed zero says.
    pub zero_means: Option<ZeroMeans>,
    /// The series whose history this one continues after a rename.
    pub predecessor: Option<String>,
}

/// What an observed zero says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZeroMeans {
    /// Scaled to zero: a real observation.
    Value,
    /// Nothing was measured.
    Missing,
    /// A meaning this client does not know.
    Other(i32),
}

/// Which series are meant. Both fields empty: all of them; both set: their intersection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Selector {
    /// Names; empty: any.
    pub names: Vec<String>,
    /// Kubernetes' equality syntax, `namespace=shop,signal!=memory`; empty: any.
    pub label_selector: String,
}

/// Two clocks of staleness: the model's age, and the age of the data it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Freshness {
    /// Within both limits.
    Fresh,
    /// Trained longer ago than the series' limit.
    StaleModel,
    /// The last observation is older than the series' limit.
    StaleData,
    /// A state this client does not know; not to be taken for fresh.
    Other(i32),
}

/// What a backtest or live observation found. `None` is "not measured", never zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// Mean absolute error, in the series' unit.
    pub mae: Option<f64>,
    /// Root mean squared error, in the series' unit.
    pub rmse: Option<f64>,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: Option<f64>,
    /// Mean absolute error scaled by the in-sample seasonal naive.
    pub mase: Option<f64>,
    /// The share of observations inside the band, 0 to 1.
    pub coverage: Option<f64>,
    /// Winkler score of the band, in the series' unit.
    pub winkler: Option<f64>,
    /// Pinball loss by level.
    pub pinball: Vec<LevelScore>,
    /// MASE of the seasonal naive on the same origins.
    pub seasonal_naive_mase: Option<f64>,
    /// `1 - mase / seasonal_naive_mase`: above zero beats "same as last season".
    pub skill: Option<f64>,
    /// Backtest origins; 0 when not said.
    pub origins: u32,
    /// How far each origin looked ahead.
    pub horizon: Option<Duration>,
}

/// A score at one quantile level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelScore {
    /// In (0, 1).
    pub level: f64,
    /// In the series' unit.
    pub score: f64,
}

/// Bounds declared by the model's spec or asked for, in the series' unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Clamps {
    /// No value is below this.
    pub min: Option<f64>,
    /// No value is above this.
    pub max: Option<f64>,
}

impl Selector {
    /// Every series.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The series of these names; none given means every series.
    #[must_use]
    pub fn names<I>(names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self {
            names: names.into_iter().map(Into::into).collect(),
            label_selector: String::new(),
        }
    }

    /// The series whose labels match, in Kubernetes' equality syntax.
    #[must_use]
    pub fn labels(selector: impl Into<String>) -> Self {
        Self {
            names: Vec::new(),
            label_selector: selector.into(),
        }
    }
}

impl Freshness {
    /// The name on the wire without its prefix: `FRESH`, `STALE_MODEL`, `STALE_DATA`, `UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "FRESH",
            Self::StaleModel => "STALE_MODEL",
            Self::StaleData => "STALE_DATA",
            Self::Other(_) => "UNKNOWN",
        }
    }

    /// `None` for "unspecified".
    pub(crate) fn from_wire(value: i32) -> Option<Self> {
        match pb::Freshness::try_from(value) {
            Ok(pb::Freshness::Unspecified) => None,
            Ok(pb::Freshness::Fresh) => Some(Self::Fresh),
            Ok(pb::Freshness::StaleModel) => Some(Self::StaleModel),
            Ok(pb::Freshness::StaleData) => Some(Self::StaleData),
            Err(_) => Some(Self::Other(value)),
        }
    }
}

impl ZeroMeans {
    fn from_wire(value: i32) -> Option<Self> {
        match pb::ZeroMeans::try_from(value) {
            Ok(pb::ZeroMeans::Unspecified) => None,
            Ok(pb::ZeroMeans::Value) => Some(Self::Value),
            Ok(pb::ZeroMeans::Missing) => Some(Self::Missing),
            Err(_) => Some(Self::Other(value)),
        }
    }

    fn to_wire(value: Option<Self>) -> i32 {
        match value {
            None => pb::ZeroMeans::Unspecified.into(),
            Some(Self::Value) => pb::ZeroMeans::Value.into(),
            Some(Self::Missing) => pb::ZeroMeans::Missing.into(),
            Some(Self::Other(number)) => number,
        }
    }
}

impl TryFrom<pb::Series> for Series {
    type Error = Error;

    fn try_from(series: pb::Series) -> Result<Self, Error> {
        Ok(Self {
            name: required("name", series.name)?,
            labels: series.labels,
            unit: non_empty(series.unit),
            step: series
                .step
                .map(|value| step("step", Some(value)))
                .transpose()?,
            time_zone: non_empty(series.time_zone).unwrap_or_else(|| "UTC".to_owned()),
            zero_means: ZeroMeans::from_wire(series.zero_means),
            predecessor: non_empty(series.predecessor),
        })
    }
}

impl From<SeriesInfo> for pb::Series {
    fn from(series: SeriesInfo) -> Self {
        Self {
            name: series.name,
            labels: series.labels,
            unit: series.unit.unwrap_or_default(),
            step: Some(duration_out(series.step)),
            time_zone: series.time_zone,
            zero_means: ZeroMeans::to_wire(series.zero_means),
            predecessor: series.predecessor.unwrap_or_default(),
        }
    }
}

impl From<Selector> for pb::SeriesSelector {
    fn from(selector: Selector) -> Self {
        Self {
            names: selector.names,
            label_selector: selector.label_selector,
        }
    }
}

impl From<Clamps> for pb::Clamps {
    fn from(Clamps { min, max }: Clamps) -> Self {
        Self { min, max }
    }
}

impl TryFrom<pb::Clamps> for Clamps {
    type Error = Error;

    fn try_from(clamps: pb::Clamps) -> Result<Self, Error> {
        Ok(Self {
            min: clamps.min.map(|value| finite("min", value)).transpose()?,
            max: clamps.max.map(|value| finite("max", value)).transpose()?,
        })
    }
}

impl TryFrom<pb::Scores> for Scores {
    type Error = Error;

    fn try_from(scores: pb::Scores) -> Result<Self, Error> {
        let score = |field, value: Option<f64>| value.map(|v| finite(field, v)).transpose();
        Ok(Self {
            mae: score("mae", scores.mae)?,
            rmse: score("rmse", scores.rmse)?,
            smape: score("smape", scores.smape)?,
            mase: score("mase", scores.mase)?,
            coverage: score("coverage", scores.coverage)?,
            winkler: score("winkler", scores.winkler)?,
            pinball: scores
                .pinball
                .into_iter()
                .enumerate()
                .map(|(i, pinball)| {
                    Ok(LevelScore {
                        level: level(&format!("pinball[{i}].level"), pinball.level)?,
                        score: finite(&format!("pinball[{i}].score"), pinball.score)?,
                    })
                })
                .collect::<Result<_, Error>>()?,
            seasonal_naive_mase: score("seasonal_naive_mase", scores.seasonal_naive_mase)?,
            skill: score("skill", scores.skill)?,
            origins: scores.origins,
            horizon: optional_duration("horizon", scores.horizon)?,
        })
    }
}

impl From<Scores> for pb::Scores {
    fn from(scores: Scores) -> Self {
        Self {
            mae: scores.mae,
            rmse: scores.rmse,
            smape: scores.smape,
            mase: scores.mase,
            coverage: scores.coverage,
            winkler: scores.winkler,
            pinball: scores
                .pinball
                .into_iter()
                .map(|LevelScore { level, score }| pb::LevelScore { level, score })
                .collect(),
            seasonal_naive_mase: scores.seasonal_naive_mase,
            skill: scores.skill,
            origins: scores.origins,
            horizon: scores.horizon.map(duration_out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_without_a_name_is_refused_and_an_empty_zone_is_utc() {
        let error = Series::try_from(pb::Series::default()).unwrap_err();
        assert!(matches!(error, Error::Protocol { field, .. } if field == "name"));
        let series = Series::try_from(pb::Series {
            name: "web".into(),
            ..pb::Series::default()
        })
        .unwrap();
        assert_eq!(series.time_zone, "UTC");
        assert_eq!((series.step, series.unit), (None, None));
    }

    #[test]
    fn a_step_of_nothing_is_refused() {
        let series = pb::Series {
            name: "web".into(),
            step: Some(prost_types::Duration::default()),
            ..pb::Series::default()
        };
        let error = Series::try_from(series).unwrap_err();
        assert!(matches!(error, Error::Protocol { field, .. } if field == "step"));
    }

    #[test]
    fn scores_survive_the_wire_and_a_bad_one_is_named() {
        let scores = Scores {
            mase: Some(0.7),
            pinball: vec![LevelScore {
                level: 0.9,
                score: 0.1,
            }],
            origins: 6,
            horizon: Some(Duration::from_secs(86_400)),
            ..Scores::default()
        };
        assert_eq!(
            Scores::try_from(pb::Scores::from(scores.clone())),
            Ok(scores.clone())
        );
        let mut wire = pb::Scores::from(scores);
        wire.pinball[0].level = 1.5;
        let error = Scores::try_from(wire).unwrap_err();
        assert!(matches!(error, Error::Protocol { field, .. } if field == "pinball[0].level"));
    }

    #[test]
    fn numbers_of_a_later_release_are_kept() {
        assert_eq!(Freshness::from_wire(0), None);
        assert_eq!(Freshness::from_wire(3), Some(Freshness::StaleData));
        assert_eq!(Freshness::from_wire(99), Some(Freshness::Other(99)));
        assert_eq!(ZeroMeans::to_wire(ZeroMeans::from_wire(77)), 77);
    }
}
