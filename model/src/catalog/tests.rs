//! What a catalog may say, and what each mistake is told.

use super::*;
use crate::trigger::{Aggregate, Level};

const WHOLE: &str = r#"
[defaults]
step = "1m"
time_zone = "Europe/Berlin"
labels = { cluster = "east" }
schedule = { every = "6h", jitter = "10m" }
gates = { min_skill = -0.5, max_censored_share = 0.1 }

[[series]]
name = "{namespace}.{workload}.cpu"
promql = "sum by (namespace, workload) (x)"
unit = "cores"
search = true
labels = { signal = "cpu", kind = "{kind}" }
gates = { min_skill = 0.0, min_coverage = 0.6 }

[[series.shadow]]
name = "web"
target = 0.7
leadTime = "10m"
quantile = "point"

[[series]]
name = "CPU_Prophet_Model"
column = "cpu_mean_5m"
unit = "percent"
step = "5m"
time_zone = "UTC"
zero_means = "missing"
predecessor = "old.cpu"
spec = { weekly_seasonality = true }
max_train = "14d"
"#;

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn every_key_is_read_and_defaults_fill_what_an_entry_leaves_out() {
    let catalog: Catalog = WHOLE.parse().unwrap();
    let [many, one] = catalog.entries.as_slice() else {
        panic!("{catalog:?}")
    };
    assert_eq!(many.step_seconds, Some(60));
    assert_eq!(many.zone.to_string(), "Europe/Berlin");
    assert_eq!(many.method, Some(Method::Search));
    assert_eq!(many.schedule.unwrap().every_seconds, 21_600);
    let series = "shop.web.cpu".parse().unwrap();
    let trigger = many.shadow[0].of(&series).unwrap();
    assert_eq!((trigger.series, trigger.target), (series, 0.7));
    assert_eq!((trigger.lead_seconds, trigger.level), (600, Level::Point));
    assert_eq!((trigger.aggregate, trigger.scale), (Aggregate::Max, 1.0));
    let result = labels(&[
        ("namespace", "shop"),
        ("workload", "web"),
        ("kind", "Deployment"),
    ]);
    assert_eq!(many.name.fill(&result).unwrap(), "shop.web.cpu");
    let made = many.series_labels(&result).unwrap();
    assert_eq!(made["cluster"], "east");
    assert_eq!(
        (made["kind"].as_str(), made["workload"].as_str()),
        ("Deployment", "web")
    );

    assert_eq!(one.source, Source::Column("cpu_mean_5m".to_owned()));
    assert_eq!(
        (one.step_seconds, one.zero_means),
        (Some(300), ZeroMeans::Missing)
    );
    assert_eq!(one.predecessor.as_ref().unwrap().as_ref(), "old.cpu");
    assert_eq!(one.max_train_seconds, Some(14 * 86_400));
    assert!(matches!(one.method, Some(Method::Spec(_))));
}

#[test]
fn every_mistake_names_the_entry_the_key_and_what_to_write() {
    for (text, says) in [
        ("", "declares no series"),
        (
            "[[series]]\npromql = \"x\"\n",
            "catalog entry 1, key name: missing; write",
        ),
        (
            "[[series]]\nname = \"a\"\n",
            "catalog entry 1 (a), key promql: missing or empty; write",
        ),
        (
            "[[series]]\nname = \"a\"\npromql = \"x\"\ncolumn = \"y\"\n",
            "keep one of them",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nunti = \"cores\"\n",
            "catalog, line 4: unknown field `unti`",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nunit = \"gigs\"\n",
            "key unit: \"gigs\" is not a unit; use cores",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nstep = \"soon\"\n",
            "key step: `soon` is no length of time: write 30s",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nstep = \"2d\"\n",
            "key step: longer than a day",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\ntime_zone = \"Mars\"\n",
            "key time_zone: \"Mars\" is not a time zone; use an IANA name",
        ),
        (
            "[[series]]\nname = \"{a\"\npromql = \"x\"\n",
            "not closed; write labels in braces",
        ),
        (
            "[[series]]\nname = \"{a}\"\ncolumn = \"x\"\n",
            "which a column has not",
        ),
        (
            "[[series]]\nname = \"a/b\"\ncolumn = \"x\"\n",
            "key name: \"a/b\" is not a series name",
        ),
        (
            "[[series]]\nname = \"{a}\"\npromql = \"x\"\npredecessor = \"b\"\n",
            "an entry of its own",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nsearch = true\nspec = {}\n",
            "key spec: stands beside search",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nspec = { grwoth = \"flat\" }\n",
            "grwoth",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\ngates = { min_coverage = 80 }\n",
            "key gates.min_coverage: 80 is not from 0 to 1",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nschedule = { every = \"0s\" }\n",
            "key schedule.every",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nshadow = [{ name = \"s\", target = 0 }]\n",
            "key shadow.s.target: \"0\"; give a number above 0",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\nshadow = [{ name = \"s\", target = 1, quantile = 2 }]\n",
            "key shadow.s.quantile: \"2\"; give point, or a number above 0 and below 1",
        ),
        (
            "[[series]]\nname = \"a\"\ncolumn = \"x\"\n[[series]]\nname = \"a\"\ncolumn = \"y\"\n",
            "two entries have the name a",
        ),
    ] {
        let read: Result<Catalog> = text.parse();
        let error = read.unwrap_err().to_string();
        assert!(error.contains(says), "{text}\n{error}");
    }
}

#[test]
fn gates_of_an_entry_add_to_those_of_all_and_come_before_them() {
    let catalog: Catalog = WHOLE.parse().unwrap();
    let gates = |of: usize| catalog.entries[of].gates;
    assert_eq!(
        (gates(0).min_skill, gates(1).min_skill),
        (Some(0.0), Some(-0.5))
    );
    assert_eq!(
        (gates(0).min_coverage, gates(1).min_coverage),
        (Some(0.6), None)
    );
    assert_eq!(gates(0).max_censored_share, Some(0.1));
}

#[test]
fn a_shadow_trigger_takes_what_a_scaled_object_takes_and_refuses_what_it_refuses() {
    let read = |settings: &str| -> Result<Catalog> {
        let shadow = format!("shadow = [{{ name = \"s\", target = 1, {settings} }}]");
        format!("[[series]]\nname = \"a\"\ncolumn = \"x\"\n{shadow}\n").parse()
    };
    let taken = "floorAtObserved = true, onUnavailable = \"lastGood:15m\", minSkill = 0, maxDataAge = \"15m\"";
    let catalog = read(taken).unwrap();
    let shadow = &catalog.entries[0].shadow[0];
    let trigger = shadow.of(&"a".parse().unwrap()).unwrap();
    assert_eq!(
        (trigger.floor_at_observed, trigger.max_data_age_seconds),
        (true, Some(900))
    );
    for (settings, says) in [
        (
            "scale = 0",
            "key shadow.s.scale: \"0\"; give a number above 0",
        ),
        (
            "clampMin = 5, clampMax = 4",
            "key shadow.s.clampMax: 4 is below clampMin",
        ),
        ("leadTime = \"8d\"", "key shadow.s.leadTime: "),
        ("leedTime = \"5m\"", "key shadow.s.leedTime: no setting"),
        ("series = \"b\"", "key shadow.s.series: take it out"),
        ("margin = [1]", "key shadow.s.margin: write text, a number"),
    ] {
        let error = read(settings).unwrap_err().to_string();
        assert!(error.contains(says), "{settings}: {error}");
    }
}

#[test]
fn a_gate_that_nothing_judges_is_refused_and_not_kept_in_silence() {
    for (key, value, instead) in [
        ("max_coverage", "0.9", "only min_coverage is judged"),
        ("min_value", "100", "--floor"),
        ("max_value", "1.0", "--cap"),
        ("max_model_age", "\"2d\"", "maxModelAge"),
        ("max_data_age", "\"15m\"", "maxDataAge"),
    ] {
        for text in [
            format!("[[series]]\nname = \"a\"\ncolumn = \"x\"\ngates = {{ {key} = {value} }}\n"),
            format!(
                "[defaults.gates]\n{key} = {value}\n[[series]]\nname = \"a\"\ncolumn = \"x\"\n"
            ),
        ] {
            let read: Result<Catalog> = text.parse();
            let error = read.unwrap_err().to_string();
            let says = format!("(a), key gates.{key}: this version has no such gate; take it out");
            assert!(
                error.contains(&says) && error.contains(instead),
                "{text}\n{error}"
            );
        }
    }
}

#[test]
fn a_label_that_a_result_lacks_is_named_with_those_it_has() {
    let template: Template = "{namespace}.{workload}".parse().unwrap();
    let error = template.fill(&labels(&[("namespace", "shop"), ("workload", "")]));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("label workload") && error.contains("by (workload)"),
        "{error}"
    );
}
