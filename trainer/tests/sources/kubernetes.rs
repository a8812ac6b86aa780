//! The expressions for Kubernetes that come with it, asked of a real Prometheus that holds what cAdvisor and
//! kube-state-metrics expose, seen by two highly available replicas.

use std::path::Path;

use loadcast_model::catalog::Catalog;
use loadcast_trainer::source::dataset::Dataset;
use loadcast_trainer::source::location::Location;

use crate::exposition::{Family, now, write};
use crate::house::done;
use loadcast_components::prometheus::{Prometheus, Setting, installed};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/catalog/kubernetes.toml"
);

const MINUTE: i64 = 60;

/// One sample a minute of the last three hours.
fn minutes() -> impl Iterator<Item = i64> {
    let end = now().div_euclid(MINUTE) * MINUTE;
    (0..180).rev().map(move |back| end - back * MINUTE)
}

/// A counter that gains `rate` a second, and starts again from nothing in the middle.
fn counter(rate: f64) -> impl Iterator<Item = (i64, f64)> {
    let samples = minutes().enumerate();
    samples.map(move |(at, instant)| {
        let since = if at < 90 { at + 1 } else { at - 89 };
        (instant, rate * MINUTE as f64 * since as f64)
    })
}

fn constant(value: f64) -> impl Iterator<Item = (i64, f64)> {
    minutes().map(move |instant| (instant, value))
}

/// A Deployment `web` of two pods and a StatefulSet `db` of one, and of each kind one that is scaled to zero.
fn cluster() -> Vec<Family> {
    let mut cpu = Family::counter("container_cpu_usage_seconds");
    let mut memory = Family::gauge("container_memory_working_set_bytes");
    let mut owner = Family::gauge("kube_pod_owner");
    let mut set = Family::gauge("kube_replicaset_owner");
    let mut asked = Family::gauge("kube_pod_container_resource_requests");
    // A counter all the same, under the name that ingress-nginx gives it; OpenMetrics would end it in _total.
    let mut served = Family::gauge("nginx_ingress_controller_requests");
    let mut deployment = Family::gauge("kube_deployment_spec_replicas");
    let mut stateful = Family::gauge("kube_statefulset_replicas");
    for replica in ["a", "b"] {
        let seen = format!("prometheus_replica=\"{replica}\"");
        for (name, replicas) in [("web", 2.0), ("asleep", 0.0)] {
            let labels = format!("namespace=\"shop\",deployment=\"{name}\",{seen}");
            deployment.series(&labels, constant(replicas));
        }
        for (name, replicas) in [("db", 1.0), ("cold", 0.0)] {
            let labels = format!("namespace=\"shop\",statefulset=\"{name}\",{seen}");
            stateful.series(&labels, constant(replicas));
        }
        for pod in ["web-7d4f-x1", "web-7d4f-x2", "db-0"] {
            let of = format!("namespace=\"shop\",pod=\"{pod}\",{seen}");
            for (container, rate) in [("app", 0.25), ("sidecar", 0.05), ("POD", 9.0), ("", 9.3)] {
                let labels = format!("{of},container=\"{container}\"");
                cpu.series(&labels, counter(rate));
                memory.series(&labels, constant(rate * 1e9));
            }
            asked.series(
                &format!("{of},container=\"app\",resource=\"cpu\""),
                constant(0.5),
            );
            let owned = match pod {
                "db-0" => "owner_kind=\"StatefulSet\",owner_name=\"db\"",
                _ => "owner_kind=\"ReplicaSet\",owner_name=\"web-7d4f\"",
            };
            owner.series(&format!("{of},{owned}"), constant(1.0));
        }
        let labels = format!(
            "namespace=\"shop\",replicaset=\"web-7d4f\",owner_kind=\"Deployment\",owner_name=\"web\",{seen}"
        );
        set.series(&labels, constant(1.0));
        for status in ["200", "500"] {
            let labels = format!(
                "exported_namespace=\"shop\",exported_service=\"web\",controller_pod=\"n1\",status=\"{status}\",{seen}"
            );
            served.series(&labels, counter(40.0));
        }
    }
    vec![cpu, memory, owner, set, asked, served, deployment, stateful]
}

#[test]
fn the_file_is_a_catalog_with_the_signals_that_autoscalers_ask_for() {
    let catalog: Catalog = std::fs::read_to_string(FILE).unwrap().parse().unwrap();
    let names: Vec<&str> = catalog
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "{namespace}.{workload}.cpu",
            "{namespace}.{workload}.memory",
            "{namespace}.{workload}.cpu_requested",
            "{namespace}.{workload}.requests"
        ]
    );
    assert!(
        catalog
            .entries
            .iter()
            .all(|entry| entry.unit.is_some() && entry.schedule.is_some())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_rated_not_counted_twice_and_zero_of_what_is_scaled_to_zero() {
    if installed().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("cluster.om");
    write(&history, &cluster());
    let setting = Setting {
        history: Some(&history),
        ..Setting::default()
    };
    let Some(prometheus) = Prometheus::start(&setting) else {
        return;
    };
    let dataset = folder.path().join("dataset");
    done(
        &[
            "collect",
            "--catalog",
            FILE,
            "--prometheus-url",
            &prometheus.url,
            "--history",
            "2h",
            "--output",
            &dataset.display().to_string(),
        ],
        &[],
    )
    .await;
    let expected = [
        ("shop.asleep.cpu", 0.0),
        ("shop.asleep.memory", 0.0),
        ("shop.cold.cpu", 0.0),
        ("shop.cold.memory", 0.0),
        ("shop.db.cpu", 0.3),
        ("shop.db.cpu_requested", 0.5),
        ("shop.db.memory", 0.3e9),
        ("shop.web.cpu", 0.6),
        ("shop.web.cpu_requested", 1.0),
        ("shop.web.memory", 0.6e9),
        ("shop.web.requests", 80.0),
    ];
    let read = totals(&dataset).await;
    let names: Vec<&str> = read.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected.map(|(name, _)| name));
    for ((name, values), (_, total)) in read.iter().zip(expected) {
        assert!(values.len() >= 20, "{name}: {values:?}");
        let usual = values
            .iter()
            .filter(|value| (**value - total).abs() <= total * 1e-6)
            .count();
        // Where the counter started again a rate is lower for the steps that see it, never higher.
        assert!(usual + 3 >= values.len(), "{name} is {total}: {values:?}");
        assert!(
            values.iter().all(|value| *value <= total * (1.0 + 1e-6)),
            "{name}: {values:?}"
        );
    }
}

async fn totals(dataset: &Path) -> Vec<(String, Vec<f64>)> {
    let place = Location::of(dataset.to_str().unwrap()).unwrap();
    let dataset = Dataset::find(&place).await.unwrap().unwrap();
    let mut totals = Vec::new();
    for collected in dataset.series() {
        let table = dataset.table(&collected, i64::MAX).await.unwrap();
        let rows = table.rows(&["value"], "").unwrap();
        let values = rows.column(0).map(|text| text.parse().unwrap()).collect();
        totals.push((collected.series.name.to_string(), values));
    }
    totals.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    totals
}
