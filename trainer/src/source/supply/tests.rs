//! Every series has a name of its own, wherever it was declared.

use jiff::Timestamp;
use loadcast_model::backtest::Method;

use super::*;
use crate::stage::validate_model::gate::{Consequence, Gate};

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

#[tokio::test]
async fn what_a_catalog_says_comes_before_flags_of_all_and_the_rest_is_theirs() {
    let (_folder, mut of_all) = csv();
    let catalog = r#"
        [[series]]
        name = "own"
        column = "a"
        step = "1m"
        time_zone = "Europe/Berlin"
        max_train = "7d"
        spec = { growth = "flat" }
        labels = { team = "own" }
        gates = { min_skill = 0.25 }
        [[series]]
        name = "plain"
        column = "b"
    "#;
    of_all.catalog = Some(Arc::new(catalog.parse().unwrap()));
    of_all.labels = BTreeMap::from([("team".to_owned(), "all".to_owned())]);
    of_all.rules.step_seconds = Some(600);
    of_all.preparation.max_train_seconds = 86_400;
    let flags = ["skill=reject:0.5", "coverage=warning:0.9"];
    let flags = flags.map(|text| text.parse().unwrap());
    of_all.gates = of_all.gates.with(&flags);
    let (_, declared) = Supply::open(&of_all).await.unwrap();
    let [own, plain] = declared.as_slice() else {
        panic!("{declared:?}")
    };
    let stage_four = own.settings().gates(of_all.gates.clone());
    let (own, plain) = (own.plan(&of_all), plain.plan(&of_all));
    assert_eq!(own.gates.of(Gate::Skill).limit, 0.25);
    assert_eq!(own.gates.of(Gate::Skill).consequence, Consequence::Reject);
    assert_eq!(own.gates.of(Gate::Coverage).limit, 0.9);
    assert_eq!(stage_four, own.gates, "as `validate-model` alone has it");
    assert_eq!(own.preparation.max_train_seconds, 7 * 86_400);
    assert!(matches!(own.method, Method::Spec(_)));
    assert_eq!(own.rules.step_seconds, Some(60));
    assert_eq!(own.rules.zone.to_string(), "Europe/Berlin");
    assert_eq!(own.labels["team"], "own");
    assert_eq!(plain.gates, of_all.gates);
    assert_eq!(plain.preparation.max_train_seconds, 86_400);
    assert_eq!(plain.method, of_all.method);
    assert_eq!(plain.rules.step_seconds, Some(600));
    assert_eq!(plain.labels["team"], "all");
}

#[tokio::test]
async fn history_is_by_default_what_is_trained_on_and_the_month_that_its_gate_needs() {
    const DAY: i64 = 86_400;
    let catalog = r#"
        [[series]]
        name = "plain"
        promql = "x"
        [[series]]
        name = "own"
        promql = "y"
        max_train = "14d"
    "#;
    let catalog: Catalog = catalog.parse().unwrap();
    let [plain, own] = catalog.entries.as_slice() else {
        panic!("{catalog:?}")
    };
    let mut plan = Plan::new("x", Timestamp::UNIX_EPOCH);
    assert_eq!(history(&plan, Some(plain)), (28 + 31) * DAY);
    assert_eq!(history(&plan, Some(own)), (14 + 31) * DAY);
    let window = window(own, history(&plan, Some(own)), plan.now);
    assert_eq!((window.from, window.until), (-45 * DAY, 0));
    plan.preparation.max_train_seconds = 60 * DAY;
    plan.rules.drop_last_seconds = Some(DAY);
    assert_eq!(history(&plan, None), (60 + 31 + 1) * DAY);
    plan.history_seconds = Some(3 * DAY);
    assert_eq!(history(&plan, Some(own)), 3 * DAY, "what is asked for");
}
