//! A series' labels by names that Prometheus takes.

use loadcast_model::series::Series;

/// Names that say something else here, or that Prometheus gives targets.
const TAKEN: [&str; 11] = [
    "series",
    "unit",
    "lead",
    "level",
    "ml_forecast",
    "reason",
    "version",
    "job",
    "instance",
    "quantile",
    "le",
];

/// The longest value of a label; Prometheus's own default bound is none, its remote stores' about this.
const MAX_VALUE_CHARS: usize = 1_024;

/// Series, unit and the labels of `series`, in the order of names, each name once.
pub(crate) fn of_series(series: &Series) -> Vec<(String, String)> {
    let mut labels = vec![("series".to_owned(), series.name.to_string())];
    if let Some(unit) = series.unit {
        labels.push(("unit".to_owned(), unit.to_string()));
    }
    for (name, value) in series.labels.iter() {
        let mut name = sanitised(name);
        while labels.iter().any(|(taken, _)| *taken == name) {
            name.push('_');
        }
        let value: String = value.chars().take(MAX_VALUE_CHARS).collect();
        // An empty label is none, in Prometheus.
        if !value.is_empty() {
            labels.push((name, value));
        }
    }
    labels.sort_unstable();
    labels
}

/// `app.kubernetes.io/name` is `app_kubernetes_io_name`, `podTemplate` is `pod_template`; a name that is taken here, begins
/// with a digit or with the underscores of Prometheus itself has `label_` in front.
fn sanitised(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            clean.push('_');
        }
        clean.push(if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        });
        before = c;
    }
    let stands = clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !clean.starts_with("__")
        && !TAKEN.contains(&clean.as_str());
    if stands {
        clean
    } else {
        format!("label_{clean}")
    }
}

#[cfg(test)]
mod tests {
    use loadcast_model::series::Unit;

    use super::*;

    #[test]
    fn names_become_those_that_prometheus_takes() {
        for (name, clean) in [
            ("namespace", "namespace"),
            ("app.kubernetes.io/name", "app_kubernetes_io_name"),
            ("podTemplate", "pod_template"),
            ("HTTPCode", "httpcode"),
            ("4xx", "label_4xx"),
            ("__name__", "label___name__"),
            ("series", "label_series"),
            ("le", "label_le"),
            ("größe", "gr__e"),
            ("", "label_"),
        ] {
            assert_eq!(sanitised(name), clean, "{name}");
        }
    }

    #[test]
    fn every_label_is_there_once_in_order_whatever_they_were_called() {
        let mut series = Series::new("web.cpu".parse().unwrap());
        series.unit = Some(Unit::Cores);
        let labels = [("a-b", "1"), ("a.b", "2"), ("unit", "3"), ("empty", "")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        series.labels = std::collections::BTreeMap::from(labels).into();
        let names: Vec<_> = of_series(&series)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            names,
            [
                "a_b=1",
                "a_b_=2",
                "label_unit=3",
                "series=web.cpu",
                "unit=cores"
            ]
        );
    }
}
