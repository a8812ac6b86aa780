//! Names of series across entries of one catalog.

use crate::house::refused;
use crate::wire::{Scripted, whole};

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
