//! Every series has a name of its own, wherever it was declared.

use jiff::Timestamp;

use super::*;

fn csv() -> (tempfile::TempDir, Plan) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    std::fs::write(&file, "timestamp,a,b\n2026-01-01T00:00:00Z,1,2\n").unwrap();
    let plan = Plan::new(file.to_str().unwrap(), Timestamp::UNIX_EPOCH);
    (folder, plan)
}

async fn refused(plan: &Plan) -> String {
    let error = Supply::open(plan).await.unwrap_err();
    format!("{error}; {}", error.remedy())
}

#[tokio::test]
async fn two_columns_under_one_name_are_refused_naming_both() {
    let (_folder, mut plan) = csv();
    for other in ["s.c=a:bytes", "s.c=b:cores"] {
        let given = ["s.c=a:cores", other];
        plan.series = given.map(|text| text.parse().unwrap()).to_vec();
        let told = refused(&plan).await;
        let second = if other.contains("=b") { "b" } else { "a" };
        assert!(
            told.contains(&format!("name s.c: of column a and of column {second};"))
                && told.contains("a name of its own"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn two_entries_of_a_dataset_with_one_series_are_refused_naming_both() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "dataset.json",
        r#"{"format":"loadcast dataset","schema":1}"#.to_owned(),
    );
    std::fs::create_dir(folder.path().join("entries")).unwrap();
    let series = Series::new("a.up".parse().unwrap());
    let series = serde_json::to_value(&series).unwrap();
    for (file, name) in [
        ("entries/x.json", "{job}.up"),
        ("entries/y.json", "{job}.{kind}"),
    ] {
        let manifest = serde_json::json!({
            "schema": 1, "name": name, "promql": name, "step_seconds": 300, "complete": [],
            "series": { "a.up": { "series": series, "result": {}, "months": [] } },
        });
        write(file, manifest.to_string());
    }
    let told = refused(&Plan::new(data, Timestamp::UNIX_EPOCH)).await;
    assert!(
        told.contains("name a.up: of entry {job}.up and of entry {job}.{kind}"),
        "{told}"
    );
}
