//! From OpenMetrics to the text format before it. Counters are named with their suffix there, and tools that check names
//! would miss the help of one that is not.

/// `open` in the format 0.0.4.
pub(super) fn of(open: &str) -> String {
    let mut classic = String::with_capacity(open.len());
    // A family's help comes before its type, which decides the name.
    let mut help: Option<&str> = None;
    for line in open.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap_or((family, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some(line) = help.take() {
                let text = line.splitn(4, ' ').nth(3).unwrap_or_default();
                classic.push_str(&format!("# HELP {name}{suffix} {text}\n"));
            }
            classic.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            // An exemplar stands after the value, and is unknown there.
            let line = line.split_once(" # ").map_or(line, |(sample, _)| sample);
            classic.push_str(line);
            classic.push('\n');
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use prometheus_client::{
        encoding::text::encode,
        metrics::{counter::Counter, gauge::Gauge},
        registry::Registry,
    };

    use super::*;

    #[test]
    fn counters_are_named_as_their_samples_and_the_end_is_not_told() {
        let mut registry = Registry::with_prefix("loadcast");
        let counter: Counter = Counter::default();
        counter.inc();
        registry.register("calls", "Calls answered", counter);
        registry.register("streams", "Streams open", Gauge::<i64>::default());
        let mut open = String::new();
        encode(&mut open, &registry).unwrap();
        assert_eq!(
            of(&open),
            "# HELP loadcast_calls_total Calls answered.\n# TYPE loadcast_calls_total counter\n\
             loadcast_calls_total 1\n\
             # HELP loadcast_streams Streams open.\n# TYPE loadcast_streams gauge\nloadcast_streams 0\n"
        );
    }
}
