//! The shapes that `model.pr` is made of: what its rows and properties hold, bounded as they are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{
    artifact::bounded::{EndsOf, List},
    features::{MAX_COLUMNS, Mode, Standardize},
};

/// The most seasonalities, and the most regressors, of one model.
pub(super) const MAX_NAMED: usize = 256;

/// One row of a parameter; several are MCMC samples.
pub(super) struct Parameter {
    pub(super) row: Vec<f64>,
    pub(super) rows: usize,
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let rows = EndsOf::<List<f64, MAX_COLUMNS>>::deserialize(deserializer)?;
        Ok(Self {
            rows: rows.count,
            row: rows.first.unwrap_or_default().0,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct SeasonalityProps {
    pub(super) period: f64,
    pub(super) fourier_order: f64,
    pub(super) prior_scale: f64,
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) condition_name: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RegressorProps {
    pub(super) prior_scale: f64,
    #[serde(default)]
    pub(super) standardize: Standardize,
    pub(super) mu: f64,
    pub(super) std: f64,
    pub(super) mode: Mode,
}

#[derive(Deserialize)]
pub(super) struct HolidayRow {
    pub(super) holiday: String,
    pub(super) ds: String,
    #[serde(default)]
    pub(super) lower_window: Option<f64>,
    #[serde(default)]
    pub(super) upper_window: Option<f64>,
    #[serde(default)]
    pub(super) prior_scale: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct HistoryRow {
    pub(super) ds: String,
    pub(super) y: f64,
    #[serde(default)]
    pub(super) cap: Option<f64>,
    #[serde(default)]
    pub(super) floor: Option<f64>,
}

/// The columns of train_component_cols that say how a feature joins the trend.
#[derive(Deserialize)]
pub(super) struct ComponentRow {
    pub(super) additive_terms: f64,
    pub(super) multiplicative_terms: f64,
}

/// Properties by name, at most [`MAX_NAMED`].
pub(super) struct Properties<T>(pub(super) BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Properties<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Named<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Named<T> {
            type Value = Properties<T>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("properties by name")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut all = BTreeMap::new();
                while let Some(name) = map.next_key()? {
                    if all.len() > MAX_NAMED {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        all.insert(name, map.next_value()?);
                    }
                }
                Ok(Properties(all))
            }
        }
        deserializer.deserialize_map(Named(std::marker::PhantomData))
    }
}
