//! A trigger's settings from the strings that KEDA sends.

use std::collections::BTreeMap;

use super::{Aggregate, Level, MAX_LEAD_SECONDS, OnUnavailable, Trigger};
use crate::{
    artifact::Clamps,
    error::{Error, Result},
    length::read_length,
};

/// Ours, in the order in which they are documented.
const KEYS: [&str; 15] = [
    "series",
    "target",
    "leadTime",
    "aggregate",
    "quantile",
    "activationTarget",
    "scale",
    "margin",
    "clampMin",
    "clampMax",
    "floorAtObserved",
    "onUnavailable",
    "maxModelAge",
    "maxDataAge",
    "minSkill",
];

/// KEDA's own, which it sends along.
const OF_KEDA: [&str; 6] = [
    "scalerAddress",
    "enableTLS",
    "unsafeSsl",
    "caCert",
    "tlsClientCert",
    "tlsClientKey",
];

/// What KEDA appends to the name of a key whose value comes from the environment of the scaled workload.
const FROM_ENV: &str = "FromEnv";

const DEFAULT_LEAD_SECONDS: u32 = 300;
const DEFAULT_QUANTILE: f64 = 0.9;
/// KEDA writes a target in thousandths: a smaller one would be 0, with which there is no autoscaler.
const MIN_TARGET: f64 = 0.001;
/// KEDA up to 2.19 counts the thousandths in an int64. No target, bound or number that is told may be larger.
pub const MAX_VALUE: f64 = 9e15;
const MAX_AGE_SECONDS: u32 = 366 * 86_400;

/// The keys of `metadata` that are neither a trigger's nor KEDA's: most often a slip of the pen. They are no error,
/// because a newer KEDA may send more of its own.
pub fn unknown_keys(metadata: &BTreeMap<String, String>) -> Vec<&str> {
    let known = |key: &&str| {
        let bare = key.strip_suffix(FROM_ENV).unwrap_or(key);
        KEYS.contains(&bare) || OF_KEDA.contains(&bare)
    };
    let keys = metadata.keys().map(String::as_str);
    keys.filter(|key| !known(key)).collect()
}

impl Trigger {
    /// Reads a trigger from the strings of a ScaledObject's trigger metadata. Every key may end in `FromEnv`; unknown ones
    /// are left alone ([`unknown_keys`]).
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the key as it was written.
    pub fn read(metadata: &BTreeMap<String, String>) -> Result<Self> {
        let settings = Settings(metadata);
        let series = settings.required("series", "the name of the series to ask about")?;
        let target = settings.required("target", "what one pod takes, such as 0.7")?;
        let clamps = Clamps {
            min: settings.number(
                "clampMin",
                |clamp| (0.0..=MAX_VALUE).contains(&clamp),
                "of at least 0, at most 9e15 (what KEDA can carry)",
            )?,
            max: settings.number(
                "clampMax",
                |clamp| 0.0 < clamp && clamp <= MAX_VALUE,
                "above 0, at most 9e15 (what KEDA can carry)",
            )?,
        };
        if let (Some(min), Some(max)) = (clamps.min, clamps.max)
            && min > max
        {
            return Err(settings.wrong("clampMax", format!("{max} is below clampMin, {min}")));
        }
        Ok(Self {
            series: series.value.parse().map_err(|error| match error {
                Error::Invalid { reason, .. } => Error::invalid(series.key, reason),
                other => other,
            })?,
            target: target.number(
                |target| (MIN_TARGET..=MAX_VALUE).contains(&target),
                "above 0, from 0.001 to 9e15 (what KEDA can carry), such as 0.7",
            )?,
            lead_seconds: settings
                .length("leadTime", MAX_LEAD_SECONDS)?
                .unwrap_or(DEFAULT_LEAD_SECONDS),
            aggregate: settings
                .read("aggregate", "max, avg or last", |text| match text {
                    "max" => Some(Aggregate::Max),
                    "avg" => Some(Aggregate::Avg),
                    "last" => Some(Aggregate::Last),
                    _ => None,
                })?
                .unwrap_or_default(),
            level: settings
                .read("quantile", "point, or a number above 0 and below 1", level)?
                .unwrap_or(Level::Quantile(DEFAULT_QUANTILE)),
            activation_target: settings
                .number("activationTarget", |target| target >= 0.0, "at least 0")?
                .unwrap_or(0.0),
            scale: settings
                .number("scale", |scale| scale > 0.0, "above 0")?
                .unwrap_or(1.0),
            margin: settings
                .number("margin", |margin| margin >= 0.0, "at least 0, such as 0.15")?
                .unwrap_or(0.0),
            clamps,
            floor_at_observed: settings
                .read("floorAtObserved", "true or false", |text| text.parse().ok())?
                .unwrap_or(false),
            on_unavailable: settings
                .read(
                    "onUnavailable",
                    "error, lastGood:15m (for so long), or a number of at least 0, at most 9e15 (what KEDA can carry)",
                    on_unavailable,
                )?
                .unwrap_or_default(),
            max_model_age_seconds: settings.length("maxModelAge", MAX_AGE_SECONDS)?,
            max_data_age_seconds: settings.length("maxDataAge", MAX_AGE_SECONDS)?,
            min_skill: settings.number("minSkill", |skill| skill < 1.0, "below 1, such as 0")?,
        })
    }
}

impl Trigger {
    /// Every setting as a ScaledObject would write it, in the documented order; empty for what is left to the series or
    /// not wanted.
    pub fn settings(&self) -> [(&'static str, String); KEYS.len()] {
        let number = |number: Option<f64>| number.map_or_else(String::new, |it| it.to_string());
        let age = |age: Option<u32>| age.map_or_else(String::new, length);
        let values = [
            self.series.to_string(),
            self.target.to_string(),
            length(self.lead_seconds),
            match self.aggregate {
                Aggregate::Max => "max",
                Aggregate::Avg => "avg",
                Aggregate::Last => "last",
            }
            .to_owned(),
            match self.level {
                Level::Point => "point".to_owned(),
                Level::Quantile(level) => level.to_string(),
            },
            self.activation_target.to_string(),
            self.scale.to_string(),
            self.margin.to_string(),
            number(self.clamps.min),
            number(self.clamps.max),
            self.floor_at_observed.to_string(),
            match self.on_unavailable {
                OnUnavailable::Error => "error".to_owned(),
                OnUnavailable::LastGood { seconds } => format!("lastGood:{}", length(seconds)),
                OnUnavailable::Value(value) => value.to_string(),
            },
            age(self.max_model_age_seconds),
            age(self.max_data_age_seconds),
            number(self.min_skill),
        ];
        let mut keys = KEYS.into_iter();
        values.map(|value| (keys.next().unwrap_or_default(), value))
    }
}

/// Whether `metadata` sets `key`, plain or from the environment.
pub fn is_set(metadata: &BTreeMap<String, String>, key: &str) -> bool {
    metadata.contains_key(key) || metadata.contains_key(&format!("{key}{FROM_ENV}"))
}

/// Seconds in the largest unit that holds them whole: `300` is `5m`.
fn length(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let unit = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    unit.map_or_else(String::new, |(unit, name)| {
        format!("{}{name}", seconds / unit)
    })
}

fn level(text: &str) -> Option<Level> {
    if text == "point" {
        return Some(Level::Point);
    }
    let level = text.parse().ok()?;
    (0.0 < level && level < 1.0).then_some(Level::Quantile(level))
}

fn on_unavailable(text: &str) -> Option<OnUnavailable> {
    if text == "error" {
        return Some(OnUnavailable::Error);
    }
    if let Some(length) = text.strip_prefix("lastGood:") {
        let seconds = seconds(length, MAX_AGE_SECONDS)?;
        return Some(OnUnavailable::LastGood { seconds });
    }
    let value: f64 = text.parse().ok()?;
    (0.0..=MAX_VALUE)
        .contains(&value)
        .then_some(OnUnavailable::Value(value))
}

/// A length of time such as `90s`, `5m`, `1h30m` or `7d`, in whole seconds; 1 to `most`.
fn seconds(text: &str, most: u32) -> Option<u32> {
    let seconds = u32::try_from(read_length(text).ok()?).ok()?;
    (seconds <= most).then_some(seconds)
}

struct Settings<'a>(&'a BTreeMap<String, String>);

/// One setting, under the key that it was written with.
struct Setting<'a> {
    key: String,
    value: &'a str,
}

impl<'a> Settings<'a> {
    /// The setting `key`, also where it is written with [`FROM_ENV`].
    fn find(&self, key: &str) -> Result<Option<Setting<'a>>> {
        let from_env = format!("{key}{FROM_ENV}");
        let setting = |key: &str| {
            self.0.get(key).map(|value| Setting {
                key: key.to_owned(),
                value: value.trim(),
            })
        };
        match (setting(key), setting(&from_env)) {
            (Some(_), Some(_)) => Err(Error::invalid(
                from_env,
                format!("{key} is given too; keep one of them"),
            )),
            (plain, of_env) => Ok(plain.or(of_env)),
        }
    }

    fn required(&self, key: &str, what: &str) -> Result<Setting<'a>> {
        let setting = self.find(key)?.filter(|setting| !setting.value.is_empty());
        setting.ok_or_else(|| Error::invalid(key, format!("not set; give {what}")))
    }

    fn read<T>(
        &self,
        key: &str,
        right: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(setting) = self.find(key)? else {
            return Ok(None);
        };
        read(setting.value)
            .map(Some)
            .ok_or_else(|| setting.wrong(right))
    }

    fn number(&self, key: &str, valid: fn(f64) -> bool, right: &str) -> Result<Option<f64>> {
        let setting = self.find(key)?;
        setting
            .map(|setting| setting.number(valid, right))
            .transpose()
    }

    fn length(&self, key: &str, most: u32) -> Result<Option<u32>> {
        let days = most / 86_400;
        let right = format!("a length of time such as 90s, 5m or 1h30m, at most {days}d");
        self.read(key, &right, |text| seconds(text, most))
    }

    fn wrong(&self, key: &str, reason: String) -> Error {
        match self.find(key) {
            Ok(Some(setting)) => Error::invalid(setting.key, reason),
            _ => Error::invalid(key, reason),
        }
    }
}

impl Setting<'_> {
    fn number(&self, valid: fn(f64) -> bool, right: &str) -> Result<f64> {
        let number = self.value.parse().ok();
        number
            .filter(|number: &f64| number.is_finite() && valid(*number))
            .ok_or_else(|| self.wrong(&format!("a number {right}")))
    }

    fn wrong(&self, right: &str) -> Error {
        let shown: String = self.value.chars().take(64).collect();
        Error::invalid(&*self.key, format!("{shown:?}; give {right}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_is_not_said_has_the_documented_default() {
        let read = Trigger::read(&metadata(&[("series", "a"), ("target", "0.7")])).unwrap();
        let expected = Trigger {
            series: "a".parse().unwrap(),
            target: 0.7,
            lead_seconds: 300,
            aggregate: Aggregate::Max,
            level: Level::Quantile(0.9),
            activation_target: 0.0,
            scale: 1.0,
            margin: 0.0,
            clamps: Clamps::default(),
            floor_at_observed: false,
            on_unavailable: OnUnavailable::Error,
            max_model_age_seconds: None,
            max_data_age_seconds: None,
            min_skill: None,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn every_key_is_read_plain_and_from_the_environment() {
        let pairs = [
            ("series", "shop.web.cpu"),
            ("target", "0.5"),
            ("leadTime", "1h30m"),
            ("aggregate", "last"),
            ("quantile", "0.95"),
            ("activationTarget", "3"),
            ("scale", "1.5"),
            ("margin", "0.1"),
            ("clampMin", "1"),
            ("clampMax", "9"),
            ("floorAtObserved", "true"),
            ("onUnavailable", "lastGood:15m"),
            ("maxModelAge", "2d"),
            ("maxDataAge", "900s"),
            ("minSkill", "-0.5"),
        ];
        assert_eq!(pairs.map(|(key, _)| key), KEYS);
        let expected = Trigger {
            series: "shop.web.cpu".parse().unwrap(),
            target: 0.5,
            lead_seconds: 5_400,
            aggregate: Aggregate::Last,
            level: Level::Quantile(0.95),
            activation_target: 3.0,
            scale: 1.5,
            margin: 0.1,
            clamps: Clamps {
                min: Some(1.0),
                max: Some(9.0),
            },
            floor_at_observed: true,
            on_unavailable: OnUnavailable::LastGood { seconds: 900 },
            max_model_age_seconds: Some(172_800),
            max_data_age_seconds: Some(900),
            min_skill: Some(-0.5),
        };
        assert_eq!(Trigger::read(&metadata(&pairs)).unwrap(), expected);
        let settings = expected.settings();
        assert_eq!(settings.each_ref().map(|(key, _)| *key), KEYS);
        let again = settings.map(|(key, value)| (key.to_owned(), value));
        assert_eq!(Trigger::read(&again.into()).unwrap(), expected);
        let from_env = pairs.map(|(key, value)| (format!("{key}FromEnv"), value.to_owned()));
        assert_eq!(Trigger::read(&from_env.into()).unwrap(), expected);
    }

    #[test]
    fn a_malformed_value_is_refused_by_the_key_that_it_was_written_with() {
        for (key, value) in [
            ("series", "a/b"),
            ("series", ""),
            ("target", "0"),
            ("target", "0.0009"),
            ("target", "1e16"),
            ("target", "-1"),
            ("target", "many"),
            ("target", "NaN"),
            ("target", "inf"),
            ("leadTime", "5"),
            ("leadTime", "0s"),
            ("leadTime", "-5m"),
            ("leadTime", "8d"),
            ("leadTime", "1mo"),
            ("aggregate", "sum"),
            ("quantile", "0"),
            ("quantile", "1"),
            ("quantile", "p90"),
            ("activationTarget", "-1"),
            ("activationTarget", "x"),
            ("scale", "0"),
            ("margin", "-0.1"),
            ("clampMin", "-1"),
            ("clampMax", "0"),
            ("clampMin", "9.1e15"),
            ("clampMax", "1e16"),
            ("clampMax", "inf"),
            ("floorAtObserved", "yes"),
            ("onUnavailable", "lastGood"),
            ("onUnavailable", "zero"),
            ("onUnavailable", "-1"),
            ("onUnavailable", "1e19"),
            ("onUnavailable", "NaN"),
            ("maxModelAge", "old"),
            ("maxDataAge", "500d"),
            ("minSkill", "1"),
        ] {
            for written in [key.to_owned(), format!("{key}FromEnv")] {
                let mut pairs = metadata(&[("series", "a"), ("target", "1")]);
                pairs.remove(key);
                pairs.insert(written.clone(), value.to_owned());
                let error = Trigger::read(&pairs).unwrap_err().to_string();
                let named = error.starts_with(&format!("{written}: "))
                    || (value.is_empty() && error.starts_with("series: "));
                assert!(named, "{written}={value}: {error}");
            }
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let base = [("series", "a"), ("target", "1")];
        for (more, key) in [
            ([("clampMin", "5"), ("clampMax", "4")], "clampMax: "),
            (
                [("leadTime", "5m"), ("leadTimeFromEnv", "5m")],
                "leadTimeFromEnv: ",
            ),
        ] {
            let pairs: Vec<(&str, &str)> = base.iter().chain(&more).copied().collect();
            let error = Trigger::read(&metadata(&pairs)).unwrap_err().to_string();
            assert!(error.starts_with(key), "{error}");
        }
        let error = Trigger::read(&metadata(&[("series", "a")])).unwrap_err();
        assert!(error.to_string().starts_with("target: not set"), "{error}");
    }

    #[test]
    fn a_slip_of_the_pen_is_found_and_keda_s_own_keys_are_not() {
        let pairs = metadata(&[
            ("series", "a"),
            ("leedTime", "5m"),
            ("scalerAddress", "x:1"),
            ("caCertFromEnv", "pem"),
            ("targetFromEnv", "1"),
        ]);
        assert_eq!(unknown_keys(&pairs), ["leedTime"]);
        assert!(Trigger::read(&pairs).is_ok());
    }
}
