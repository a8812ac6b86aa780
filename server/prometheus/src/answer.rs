//! The JSON of an answer, as samples.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, IgnoredAny, Visitor};

use crate::window::Window;

/// What begins so says nothing of what is missing, such as that a metric might not be a counter. Prometheus before 2.54
/// gives it among the warnings, later ones apart from them, as `infos`.
const REMARK: &str = "PromQL info:";

/// A value at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Seconds since 1970.
    pub instant: i64,
    /// A finite number: no other is a measurement.
    pub value: f64,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its labels, without the name of the metric.
    pub labels: BTreeMap<String, String>,
    /// In the order of time.
    pub samples: Vec<Sample>,
}

/// What is wrong with an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is not what the API answers.
    Foreign(String),
    /// It is not all there is.
    Partial(String),
    /// It is an error.
    Told { kind: String, message: String },
    /// Its kind cannot be a series.
    Unusable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    /// VictoriaMetrics says so.
    #[serde(default)]
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    #[serde(default)]
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, Number)>,
    histograms: Option<IgnoredAny>,
}

/// A number in quotes.
struct Number(f64);

/// The series that `bytes` say, whose question was `window`.
pub(crate) fn read(bytes: &[u8], window: Window) -> Result<Vec<Found>, Flaw> {
    let answer: Answer =
        serde_json::from_slice(bytes).map_err(|error| Flaw::Foreign(error.to_string()))?;
    if answer.status != "success" {
        return Err(Flaw::Told {
            kind: answer.error_type.unwrap_or_default(),
            message: answer.error.unwrap_or_default(),
        });
    }
    let mut warnings = answer.warnings.unwrap_or_default();
    warnings.retain(|warning| !warning.starts_with(REMARK));
    if !warnings.is_empty() {
        return Err(Flaw::Partial(warnings.join("; ")));
    }
    if answer.is_partial == Some(true) {
        return Err(Flaw::Partial("isPartial: true".to_owned()));
    }
    let data = answer
        .data
        .ok_or_else(|| Flaw::Foreign("it has no data".to_owned()))?;
    if data.result_type != "matrix" {
        return Err(Flaw::Foreign(format!(
            "its result is a {}, not a matrix",
            data.result_type
        )));
    }
    data.result
        .into_iter()
        .map(|one| series(one, window))
        .collect()
}

fn series(series: Series, window: Window) -> Result<Found, Flaw> {
    if series.histograms.is_some() {
        return Err(Flaw::Unusable("it gives histograms".to_owned()));
    }
    let mut samples: Vec<Sample> = Vec::with_capacity(series.values.len());
    for (time, Number(value)) in series.values {
        // Both bounds are exact, and so is every instant between them.
        let (from, until, step) = (window.from as f64, window.until as f64, window.step as f64);
        if !(from..until).contains(&time) || (time - from) % step != 0.0 {
            return Err(Flaw::Foreign(format!(
                "it has a sample at {time}, which was not asked for"
            )));
        }
        let instant = time as i64;
        if samples.last().is_some_and(|last| last.instant >= instant) {
            return Err(Flaw::Foreign(format!(
                "its samples are out of order at {time}"
            )));
        }
        if value.is_finite() {
            samples.push(Sample { instant, value });
        }
    }
    let mut labels = series.metric;
    labels.remove("__name__");
    Ok(Found { labels, samples })
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse()
                    .map(Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        from: 60,
        until: 300,
        step: 60,
    };

    fn of(result: &str) -> Result<Vec<Found>, Flaw> {
        let text = format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#
        );
        read(text.as_bytes(), WINDOW)
    }

    #[test]
    fn samples_are_read_and_what_is_no_finite_number_is_a_hole() {
        let found = of(
            r#"{"metric":{"__name__":"up","job":"a"},"values":[[60,"1"],[120,"NaN"],[180.0,"+Inf"],[240.0,"1e-3"]]}"#,
        )
        .unwrap();
        assert_eq!(
            found[0].labels,
            BTreeMap::from([("job".into(), "a".into())])
        );
        let samples: Vec<(i64, f64)> = found[0]
            .samples
            .iter()
            .map(|s| (s.instant, s.value))
            .collect();
        assert_eq!(samples, [(60, 1.0), (240, 0.001)]);
    }

    #[test]
    fn a_remark_among_the_warnings_makes_no_answer_partial() {
        let answer = |warnings: &str| {
            let text = format!(
                r#"{{"status":"success","warnings":[{warnings}],"data":{{"resultType":"matrix","result":[]}}}}"#
            );
            read(text.as_bytes(), WINDOW)
        };
        let remark = r#""PromQL info: metric might not be a counter, name does not end in _total: \"a\" (1:6)""#;
        assert_eq!(answer(remark), Ok(Vec::new()));
        for warning in [
            "PromQL warning: mixed histograms",
            "store b: no PromQL info:",
        ] {
            let both = answer(&format!(r#"{remark},"{warning}""#));
            assert_eq!(both, Err(Flaw::Partial(warning.to_owned())));
        }
    }

    #[test]
    fn what_is_partial_or_foreign_is_no_answer() {
        let whole = r#""data":{"resultType":"matrix","result":[]}"#;
        for text in [
            format!(r#"{{"status":"success","warnings":["store b is down"],{whole}}}"#),
            format!(r#"{{"status":"success","isPartial":true,{whole}}}"#),
        ] {
            assert!(
                matches!(read(text.as_bytes(), WINDOW), Err(Flaw::Partial(_))),
                "{text}"
            );
        }
        for result in [
            r#"{"metric":{},"values":[[30,"1"]]}"#,
            r#"{"metric":{},"values":[[300,"1"]]}"#,
            r#"{"metric":{},"values":[[60,"1"],[179,"1"]]}"#,
            r#"{"metric":{},"values":[[60.5,"1"]]}"#,
            r#"{"metric":{},"values":[[120,"1"],[120,"1"]]}"#,
            r#"{"metric":{},"values":[[120,1]]}"#,
            r#"{"metric":{},"values":[[120,"one"]]}"#,
        ] {
            assert!(matches!(of(result), Err(Flaw::Foreign(_))), "{result}");
        }
        let histograms = of(r#"{"metric":{},"histograms":[[60,{}]]}"#);
        assert!(matches!(histograms, Err(Flaw::Unusable(_))));
        let told = read(
            br#"{"status":"error","errorType":"bad_data","error":"no"}"#,
            WINDOW,
        );
        assert!(matches!(told, Err(Flaw::Told { .. })), "{told:?}");
        assert!(matches!(read(b"<html>", WINDOW), Err(Flaw::Foreign(_))));
    }
}
