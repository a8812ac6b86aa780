//! Prometheus's text format, 0.0.4.

use std::fmt::Write as _;

use super::{FAMILIES, Told};

/// All families, each with its help and type.
pub(crate) fn text(told: &[Told]) -> String {
    let mut out = String::new();
    for family in &FAMILIES {
        let name = family.name;
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", family.help);
        for series in told {
            for (more, value) in family.samples(series) {
                sample(&mut out, name, series, &more, value);
            }
        }
    }
    out
}

fn sample(out: &mut String, name: &str, told: &Told, more: &[(&str, String)], value: f64) {
    out.push_str(name);
    out.push('{');
    let own = told.labels.iter();
    let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
    let more = more.iter().map(|(name, value)| (*name, value.as_str()));
    for (i, (name, value)) in own.chain(more).enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    let _ = writeln!(out, "}} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped_and_what_is_gated_has_no_number() {
        let told = Told {
            labels: vec![("series".to_owned(), "a\"b\\c\nd".to_owned())],
            version: 3,
            data_age: 60.0,
            model_age: 30.5,
            actual: None,
            points: Err("STALE_DATA"),
        };
        let text = text(&[told]);
        assert!(!text.contains("loadcast_forecast{"), "{text}");
        let line = r#"loadcast_forecast_available{series="a\"b\\c\nd",reason="STALE_DATA"} 0"#;
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("loadcast_forecast_model_age_seconds{series=\"a\\\"b\\\\c\\nd\"} 30.5\n"),
            "{text}"
        );
    }
}
