//! From the results of one expression to series of the catalog, each under a name of its own.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use loadcast_model::catalog::{DEFAULT_STEP_SECONDS, Entry};
use loadcast_model::series::{Series, SeriesName};

use crate::client::{Found, Sample};
use crate::error::{Error, Result};

/// One series and its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// What it is.
    pub series: Series,
    /// The labels of the result that it is.
    pub result: BTreeMap<String, String>,
    /// In the order of time.
    pub samples: Vec<Sample>,
}

/// The step of an entry's series.
#[must_use]
pub fn step_seconds(entry: &Entry) -> u32 {
    entry.step_seconds.unwrap_or(DEFAULT_STEP_SECONDS)
}

/// The series that `found` are by `entry`; pieces of one result, in the order of time, become one.
///
/// # Errors
/// [`Error::Data`] for a result that lacks a label of the template, and for two results of one name, naming both.
pub fn name(entry: &Entry, found: Vec<Found>) -> Result<Vec<Named>> {
    let mut named: BTreeMap<SeriesName, Named> = BTreeMap::new();
    for Found { labels, samples } in found {
        let whole = entry.name.fill(&labels).map_err(|error| {
            Error::data(
                format!("{}: the result {}: {error}", entry.name, show(&labels)),
                "change the template, or the labels that the expression keeps",
            )
        })?;
        match named.entry(SeriesName::cleaned(&whole)) {
            Slot::Occupied(mut slot) if slot.get().result == labels => {
                slot.get_mut().samples.extend(samples);
            }
            Slot::Occupied(slot) => {
                return Err(two_of_a_name(
                    entry,
                    slot.key(),
                    &slot.get().result,
                    &labels,
                ));
            }
            Slot::Vacant(slot) => {
                let series = series(entry, slot.key().clone(), &labels)?;
                slot.insert(Named {
                    series,
                    result: labels,
                    samples,
                });
            }
        }
    }
    Ok(named.into_values().collect())
}

/// Why two results cannot be one series.
#[must_use]
pub fn two_of_a_name(
    entry: &Entry,
    name: &SeriesName,
    one: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Error {
    Error::data(
        format!(
            "{}: two results have the name {name}: {} and {}",
            entry.name,
            show(one),
            show(other)
        ),
        "write a label that tells them apart into the name, or aggregate it away with sum by (...)",
    )
}

fn series(entry: &Entry, name: SeriesName, result: &BTreeMap<String, String>) -> Result<Series> {
    let labels = entry.series_labels(result).map_err(|error| {
        Error::data(
            format!("{}: the result {}: {error}", entry.name, show(result)),
            "change the labels of the entry, or those that the expression keeps",
        )
    })?;
    let mut series = Series::new(name);
    series.labels = labels.into();
    series.unit = entry.unit;
    series.step_seconds = step_seconds(entry);
    series.zone = entry.zone.clone();
    series.zero_means = entry.zero_means;
    series.predecessor.clone_from(&entry.predecessor);
    Ok(series)
}

/// Labels as Prometheus writes them.
fn show(labels: &BTreeMap<String, String>) -> String {
    let label = |(key, value): (&String, &String)| format!("{key}={value:?}");
    let labels: Vec<String> = labels.iter().map(label).collect();
    format!("{{{}}}", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use loadcast_model::catalog::Catalog;

    fn entry(name: &str) -> Entry {
        let text = format!(
            "[[series]]\nname = {name:?}\npromql = \"x\"\nunit = \"cores\"\nlabels = {{ signal = \"cpu\" }}\n"
        );
        text.parse::<Catalog>().unwrap().entries.remove(0)
    }

    fn found(pairs: &[(&str, &str)], instant: i64) -> Found {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Found {
            labels: pairs.iter().map(owned).collect(),
            samples: vec![Sample {
                instant,
                value: 1.0,
            }],
        }
    }

    #[test]
    fn results_get_the_names_of_the_template_and_pieces_of_one_become_one() {
        let entry = entry("{namespace}.{workload}.cpu");
        let web = [("namespace", "shop"), ("workload", "web")];
        let odd = [("namespace", "shop"), ("workload", "a/b")];
        let named = name(
            &entry,
            vec![found(&web, 0), found(&odd, 0), found(&web, 300)],
        )
        .unwrap();
        let names: Vec<&str> = named.iter().map(|one| one.series.name.as_ref()).collect();
        assert_eq!(names[1], "shop.web.cpu");
        assert!(names[0].starts_with("shop.a-b.cpu-"), "{names:?}");
        assert_eq!(named[1].samples.len(), 2);
        assert_eq!(named[1].series.labels["signal"], "cpu");
        assert_eq!(named[1].series.labels["workload"], "web");
        assert_eq!(named[1].series.step_seconds, 300);
    }

    #[test]
    fn two_results_of_one_name_are_refused_naming_both() {
        let entry = entry("{namespace}.cpu");
        let one = found(&[("namespace", "shop"), ("pod", "a")], 0);
        let two = found(&[("namespace", "shop"), ("pod", "b")], 0);
        let error = name(&entry, vec![one, two]).unwrap_err().to_string();
        assert!(
            error.contains("shop.cpu")
                && error.contains(r#"{namespace="shop", pod="a"}"#)
                && error.contains(r#"pod="b""#),
            "{error}"
        );
        let lacking = name(&entry, vec![found(&[("pod", "a")], 0)]).unwrap_err();
        assert!(lacking.to_string().contains("label namespace"), "{lacking}");
    }
}
