//! What a scrape asks for: `?lead=5m,1h&level=0.1,0.9&selector=namespace=shop`.

use std::fmt;

use super::{Ask, MAX_LEADS};
use crate::{
    error::{Error, Result},
    question::{MAX_LEAD_SECONDS, MAX_LEVELS},
    selector::Selector,
};

const UNITS: [(&str, i64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// How far ahead, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lead(i64);

impl Lead {
    /// Seconds, not negative.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Lead {
    /// In the largest unit that says it: `90s`, `5m`, `1h`, `7d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, seconds): &&(&str, i64)| self.0 > 0 && self.0 % seconds == 0;
        let (unit, seconds) = UNITS.iter().find(whole).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl std::str::FromStr for Lead {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = || {
            let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            let digits = &text[..text.len() - 1];
            let is_plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            let number: i64 = is_plain.then(|| digits.parse().ok())??;
            number.checked_mul(unit.1)
        };
        match number() {
            Some(seconds) if seconds <= MAX_LEAD_SECONDS => Ok(Self(seconds)),
            Some(_) => Err(format!(
                "{text:?} is more than 5 years, where no model here knows anything"
            )),
            None => Err(format!(
                "{text:?} is not a lead; write it like 0s, 5m, 1h or 7d"
            )),
        }
    }
}

/// Leads with commas between.
///
/// # Errors
/// [`Error::Invalid`] naming `lead`.
pub(crate) fn leads(text: &str) -> Result<Vec<Lead>> {
    let mut leads = Vec::new();
    for lead in words(text) {
        let lead = lead
            .parse()
            .map_err(|error: String| Error::invalid("lead", error))?;
        if leads.contains(&lead) {
            return Err(Error::invalid("lead", format!("{lead} is given twice")));
        }
        leads.push(lead);
    }
    match leads.len() {
        0 => Err(Error::invalid(
            "lead",
            "none is given; give for example 5m,1h",
        )),
        count if count > MAX_LEADS => Err(Error::invalid(
            "lead",
            format!("{count} leads; at most {MAX_LEADS}"),
        )),
        _ => Ok(leads),
    }
}

/// Levels with commas between; none is right, too.
///
/// # Errors
/// [`Error::Invalid`] naming `level`.
pub(crate) fn levels(text: &str) -> Result<Vec<f64>> {
    let mut levels = Vec::new();
    for word in words(text) {
        let level = word
            .parse()
            .ok()
            .filter(|level| *level > 0.0 && *level < 1.0);
        let level: f64 = level.ok_or_else(|| {
            Error::invalid(
                "level",
                format!("{word:?} is not between 0 and 1; give for example 0.1,0.9"),
            )
        })?;
        if levels.contains(&level) {
            return Err(Error::invalid("level", format!("{level} is given twice")));
        }
        levels.push(level);
    }
    if levels.len() > MAX_LEVELS {
        return Err(Error::invalid(
            "level",
            format!("{} levels; at most {MAX_LEVELS}", levels.len()),
        ));
    }
    Ok(levels)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// What the query of a URL asks for, where it says nothing as `default` does.
///
/// # Errors
/// [`Error::Invalid`] naming the parameter.
pub(crate) fn asked(query: &str, default: &Ask) -> Result<Ask> {
    let mut ask = default.clone();
    let (mut names, mut selector) = (Vec::new(), String::new());
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*key {
            "lead" => ask.leads = leads(&value)?,
            "level" => ask.levels = levels(&value)?,
            "series" => names.extend(words(&value).map(str::to_owned)),
            "selector" => selector = value.into_owned(),
            other => {
                let shown: String = other.chars().take(64).collect();
                return Err(Error::invalid(
                    shown,
                    "no parameter; there are lead=5m,1h, level=0.1,0.9, series=NAME and selector=namespace=shop",
                ));
            }
        }
    }
    if !names.is_empty() || !selector.is_empty() {
        ask.selector = Selector::parse(&names, &selector)?;
    }
    Ok(ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default() -> Ask {
        Ask {
            leads: leads("5m,1h").unwrap(),
            levels: vec![0.1, 0.9],
            selector: Selector::parse(&[], "").unwrap(),
        }
    }

    #[test]
    fn leads_are_written_as_prometheus_writes_durations() {
        for (text, seconds, shown) in [
            ("0s", 0, "0s"),
            ("90s", 90, "90s"),
            ("300s", 300, "5m"),
            ("60m", 3_600, "1h"),
            ("7d", 604_800, "7d"),
        ] {
            let lead: Lead = text.parse().unwrap();
            assert_eq!(
                (lead.seconds(), lead.to_string().as_str()),
                (seconds, shown)
            );
        }
        for bad in [
            "",
            "5",
            "m",
            "-5m",
            "5x",
            "1.5h",
            "+5m",
            "é",
            "99999999999999999999s",
            "9999d",
        ] {
            assert!(bad.parse::<Lead>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_says_what_the_default_does_not() {
        let ask = asked("lead=15m&level=", &default()).unwrap();
        assert_eq!(ask.leads, leads("15m").unwrap());
        assert_eq!(ask.levels, [] as [f64; 0]);
        let ask = asked("", &default()).unwrap();
        assert_eq!((ask.leads.len(), ask.levels.len()), (2, 2));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        let many: Vec<String> = (0..25).map(|i| format!("{i}s")).collect();
        for (query, field, says) in [
            ("lead=soon", "lead", "5m"),
            ("lead=", "lead", "none"),
            ("lead=5m,300s", "lead", "twice"),
            ("level=1.5", "level", "0.9"),
            ("level=0.5,0.5", "level", "twice"),
            ("leads=5m", "leads", "no parameter"),
            ("series=a/b", "selector.names", "series name"),
            (&format!("lead={}", many.join(",")), "lead", "at most 24"),
        ] {
            let error = asked(query, &default()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{field}: ")) && error.contains(says),
                "{query}: {error}"
            );
        }
    }
}
