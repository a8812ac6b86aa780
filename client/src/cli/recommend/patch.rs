//! The advice as a strategic merge patch of a workload: containers are matched by name, and nothing else changes.

use std::collections::BTreeMap;
use std::io::{self, Write};

use loadcast_client::Recommendation;

use crate::cli::failure::Failure;
use crate::cli::recommend::{quantity, resources};

/// Kinds whose pods are made by the same template at the same place.
const KINDS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];

/// What is patched, where the series' labels do not say it or say something else.
#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// Kind of the workload, for --output yaml [default: the series' label kind, or Deployment]
    #[arg(long, env = "LOADCAST_KIND", value_name = "KIND")]
    kind: Option<String>,

    /// Namespace of the workload, for --output yaml [default: the series' label namespace]
    #[arg(long, env = "LOADCAST_NAMESPACE", value_name = "NAME")]
    namespace: Option<String>,

    /// Name of the workload, for --output yaml [default: the series' label workload]
    #[arg(long, env = "LOADCAST_WORKLOAD", value_name = "NAME")]
    workload: Option<String>,

    /// Name of its container, for --output yaml [default: the series' label container]
    #[arg(long, env = "LOADCAST_CONTAINER", value_name = "NAME")]
    container: Option<String>,
}

/// Where a patch goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    kind: String,
    namespace: Option<String>,
    workload: String,
    container: String,
}

impl Target {
    /// The place that flags and the labels of each series name together.
    pub(crate) fn place(&self, labels: &[BTreeMap<String, String>]) -> Result<Place, Failure> {
        let known = |flag: &Option<String>, label: &str| {
            let told = labels.iter().find_map(|labels| labels.get(label).cloned());
            let known = flag.clone().or(told);
            known.filter(|name| !name.is_empty())
        };
        for (flag, label) in [
            (&self.kind, "kind"),
            (&self.namespace, "namespace"),
            (&self.workload, "workload"),
            (&self.container, "container"),
        ] {
            let mut told = labels.iter().filter_map(|labels| labels.get(label));
            if let (None, Some(first)) = (flag, told.next())
                && let Some(other) = told.find(|other| *other != first)
            {
                return Err(Failure::NoPatch {
                    reason: format!("one series is of the {label} {first}, the other of {other}"),
                    remedy: format!("name two of the same, or the {label} with --{label}"),
                });
            }
        }
        let is_name = |name: &str| {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
            name.len() <= 253 && name.chars().all(fits)
        };
        let needed = |flag: &Option<String>, label: &str| {
            known(flag, label).ok_or_else(|| Failure::NoPatch {
                reason: format!("the series has no label {label}"),
                remedy: format!("name it with --{label}"),
            })
        };
        let place = Place {
            kind: known(&self.kind, "kind").unwrap_or_else(|| "Deployment".to_owned()),
            namespace: known(&self.namespace, "namespace"),
            workload: needed(&self.workload, "workload")?,
            container: needed(&self.container, "container")?,
        };
        let names = [&place.kind, &place.workload, &place.container];
        let wrong = names
            .into_iter()
            .chain(&place.namespace)
            .find(|name| !is_name(name));
        if let Some(name) = wrong {
            return Err(Failure::NoPatch {
                reason: format!("{name:?} names nothing in Kubernetes"),
                remedy: "name it with --kind, --namespace, --workload or --container".to_owned(),
            });
        }
        if !KINDS.contains(&place.kind.as_str()) {
            return Err(Failure::NoPatch {
                reason: format!("a {} is patched in another way", place.kind),
                remedy: format!("name one of {} with --kind", KINDS.join(", ")),
            });
        }
        Ok(place)
    }
}

/// So that a name such as `no` or `1` stays a string.
fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

pub(crate) fn print(
    place: &Place,
    advice: &Recommendation,
    out: &mut impl Write,
) -> io::Result<()> {
    let (start, end) = advice.window;
    writeln!(
        out,
        "# For one of {} pods, from {start} to {end}.",
        advice.replicas
    )?;
    for (name, of) in resources(advice) {
        let provenance = &of.provenance;
        writeln!(
            out,
            "# {name}: {} version {}, trained {}",
            provenance.series, provenance.version, provenance.trained_at
        )?;
        for note in &of.notes {
            writeln!(out, "# {name}: {}", note.replace(['\n', '\r'], " "))?;
        }
    }
    let namespace = place.namespace.as_ref();
    writeln!(
        out,
        "# kubectl patch {} {}{} --patch-file THIS",
        place.kind.to_lowercase(),
        place.workload,
        namespace.map_or_else(String::new, |name| format!(" --namespace {name}"))
    )?;
    writeln!(out, "apiVersion: apps/v1")?;
    writeln!(out, "kind: {}", quoted(&place.kind))?;
    writeln!(out, "metadata:")?;
    writeln!(out, "  name: {}", quoted(&place.workload))?;
    if let Some(namespace) = namespace {
        writeln!(out, "  namespace: {}", quoted(namespace))?;
    }
    writeln!(out, "spec:\n  template:\n    spec:\n      containers:")?;
    writeln!(out, "      - name: {}", quoted(&place.container))?;
    writeln!(out, "        resources:\n          requests:")?;
    for (name, of) in resources(advice) {
        writeln!(
            out,
            "            {name}: {}",
            quantity(of.request, &of.unit)
        )?;
    }
    writeln!(out, "          limits:")?;
    for (name, of) in resources(advice) {
        writeln!(out, "            {name}: {}", quantity(of.limit, &of.unit))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            kind: None,
            namespace: None,
            workload: None,
            container: None,
        }
    }

    #[test]
    fn flags_go_before_labels_and_what_nobody_names_is_asked_for() {
        let labels = [("workload", "web"), ("container", "app")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut target = target();
        let refused = target.place(&[]).unwrap_err().to_string();
        assert!(refused.contains("--workload"), "{refused}");
        target.container = Some("proxy".to_owned());
        let place = target.place(&[labels.clone().into()]).unwrap();
        assert_eq!(place.kind, "Deployment");
        target.kind = Some("CronJob".to_owned());
        let refused = target.place(&[labels.clone().into()]).unwrap_err();
        assert!(refused.to_string().contains("StatefulSet"), "{refused}");
        assert_eq!(
            (place.workload.as_str(), place.container.as_str()),
            ("web", "proxy")
        );
    }

    #[test]
    fn series_of_two_workloads_make_no_patch_unless_it_is_named() {
        let labels = |workload: &str| {
            let labels = [("workload", workload), ("container", "app")];
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
            BTreeMap::from(labels)
        };
        let both = [labels("web"), labels("worker")];
        let refused = target().place(&both).unwrap_err().to_string();
        assert!(refused.contains("web, the other of worker"), "{refused}");
        let named = Target {
            workload: Some("web".to_owned()),
            ..target()
        };
        assert_eq!(named.place(&both).unwrap().workload, "web");
    }

    #[test]
    fn a_label_that_is_no_name_does_not_get_into_the_patch() {
        let labels = [("workload", "web\nkind: Secret"), ("container", "app")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let refused = target().place(&[labels.into()]).unwrap_err().to_string();
        assert!(refused.contains("names nothing"), "{refused}");
    }
}
