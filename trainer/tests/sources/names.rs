//! Entries of one catalog beside each other: their names, and their failures.

use crate::house::refused;
use crate::wire::{Scripted, error, whole};

/// Two templates that both fill to `a.up`.
const CATALOG: &str = r#"
[[series]]
name = "{job}.up"
promql = "up"

[[series]]
name = "a.{job}"
promql = "other"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn two_templates_that_fill_to_one_name_are_refused_naming_both_and_nothing_is_trained() {
    let scripted = Scripted::start(1, |_, question| match question.query() {
        "up" => whole(&[("a", 0.0)], question),
        _ => whole(&[("up", 0.5)], question),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.toml");
    std::fs::write(&catalog, CATALOG).unwrap();
    let told = refused(
        &[
            "run",
            "--dry-run",
            "--catalog",
            catalog.to_str().unwrap(),
            "--prometheus-url",
            &scripted.url,
        ],
        &[],
    )
    .await;
    assert!(
        told.contains("name a.up: of entry {job}.up and of entry a.{job}")
            && told.contains("a name of its own"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_prometheus_refuses_stops_no_other_of_a_run_and_is_named() {
    let scripted = Scripted::start(1, |_, question| match question.query() {
        "up" => whole(&[("a", 0.0)], question),
        _ => error(400, "bad_data", "1:5: parse error"),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.toml");
    let wrong = CATALOG
        .replace("\"up\"", "\"wrong (\"")
        .replace("\"other\"", "\"up\"");
    std::fs::write(&catalog, wrong).unwrap();
    let report = folder.path().join("report.json");
    let told = refused(
        &[
            "run",
            "--dry-run",
            "--history",
            "3d",
            "--catalog",
            catalog.to_str().unwrap(),
            "--prometheus-url",
            &scripted.url,
            "--report",
            report.to_str().unwrap(),
        ],
        &[],
    )
    .await;
    assert!(
        told.contains("job") && told.contains("parse error"),
        "{told}"
    );
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let made: Vec<&str> = report["series"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["sha256"].is_string())
        .filter_map(|one| one["series"].as_str())
        .collect();
    assert_eq!(made, ["a.a"], "{report:#}");
}
