//! The seven endpoints beside the original's, for the same two models at the same time.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    models::{CPU, MEMORY, address, get, serving, swinging, unitless},
    original::Original,
    support::TestServer,
};

/// A point forecast differs from Python's by less than 1e-9 of it, so that a rounded decimal may be the next one.
const LAST_DECIMAL: f64 = 1.000_001;

/// Where ours says what is true, and the original something fixed or in other words.
const OTHER_WORDS: [&str; 12] = [
    "summary",
    "insights.confidence",
    "insights.recommendation_note",
    "model_info.model_version",
    "model_info.training_date",
    "version",
    "model_source",
    "timestamp",
    "mlflow_tracking_uri",
    "cpu_model.info.",
    "memory_model.info.",
    "status",
];

fn assert_same(path: &str, ours: &Value, theirs: &Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let names =
                |of: &serde_json::Map<String, Value>| of.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(ours), names(theirs), "fields of {path}");
            for (name, value) in ours {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                assert_same(&below, value, &theirs[name]);
            }
        }
        (Value::Number(ours), Value::Number(theirs)) => {
            let decimals = match path.rsplit('.').next() {
                Some("cpu_cores" | "min" | "max") => 4,
                Some("memory_gb") => 3,
                _ => 2,
            };
            let apart = (ours.as_f64().unwrap() - theirs.as_f64().unwrap()).abs();
            let allowed = LAST_DECIMAL * 10_f64.powi(-decimals);
            assert!(apart <= allowed, "{path}: {ours} is not {theirs}");
        }
        (Value::String(ours), Value::String(theirs)) => {
            if OTHER_WORDS.iter().any(|other| path.starts_with(other)) {
                assert!(!ours.is_empty() || path == "mlflow_tracking_uri", "{path}");
            } else if path.starts_with("recommendations.") {
                let (ours, theirs) = (quantity(ours), quantity(theirs));
                assert_eq!(ours.1, theirs.1, "{path}");
                assert!(
                    (ours.0 - theirs.0).abs() <= 1,
                    "{path}: {ours:?} is not {theirs:?}"
                );
            } else {
                assert_eq!(ours, theirs, "{path}");
            }
        }
        _ => panic!("{path}: {ours} is of another type than {theirs}"),
    }
}

/// Number and suffix: truncation may turn a difference of 1e-9 into one.
fn quantity(text: &str) -> (i64, &str) {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap();
    (text[..at].parse().unwrap(), &text[at..])
}

const ENDPOINTS: [&str; 9] = [
    "/?datetime_str=2026-12-01T18:30:00",
    "/?datetime_str=2026-11-20T03:00:00",
    "/?other=1&datetime_str=2027-06-01T00:00:00",
    "/next_day",
    "/next_week",
    "/next_weekend",
    "/next_month",
    "/health",
    "/models/info",
];

/// A server at `now`, whose models were trained then.
async fn serving_at(cpu: &[u8], memory: &[u8], now: Timestamp) -> TestServer {
    let server = TestServer::start().await;
    server.clock.set(now);
    for (name, model_pr) in [(CPU, cpu), (MEMORY, memory)] {
        let mut push = unitless(name, model_pr.to_vec());
        push.trained_at = now;
        server.client().push(push).await.unwrap();
    }
    server
}

#[tokio::test]
async fn the_seven_endpoints_have_the_originals_fields_types_and_numbers() {
    let (cpu, memory) = (swinging(45.0, 0.01), swinging(2e9, 1e5));
    // A Tuesday, a Saturday and a Sunday.
    for now in [
        "2026-11-24T12:00:00",
        "2026-11-28T09:00:00",
        "2026-11-29T23:30:00",
    ] {
        let Some(original) = Original::start(&cpu, &memory, now).await else {
            return;
        };
        let server = serving_at(&cpu, &memory, format!("{now}Z").parse().unwrap()).await;
        for endpoint in ENDPOINTS {
            let (status, theirs) = get(&original.url, endpoint).await;
            assert_eq!(status, 200, "{endpoint}: {theirs}");
            let (status, ours) = get(&address(&server), endpoint).await;
            assert_eq!(status, 200, "{now} {endpoint}: {ours}");
            assert_same("", &ours, &theirs);
        }
    }
}

#[tokio::test]
async fn bad_queries_are_refused_as_the_original_refuses_them() {
    let (cpu, memory) = (swinging(45.0, 0.0), swinging(2e9, 0.0));
    let Some(original) = Original::start(&cpu, &memory, "2026-11-24T12:00:00").await else {
        return;
    };
    let server = serving(&cpu, &memory).await;
    for (path, status) in [
        ("/", 422),
        ("/?other=1", 422),
        ("/?datetime_str=", 400),
        ("/?datetime_str=tomorrow", 400),
        ("/?datetime_str=2026-02-30T00:00:00", 400),
    ] {
        let (theirs_status, theirs) = get(&original.url, path).await;
        let (ours_status, ours) = get(&address(&server), path).await;
        assert_eq!((theirs_status, ours_status), (status, status), "{path}");
        // Both carry a detail of the same type; that of a missing query is the same to the letter.
        if status == 422 {
            assert_eq!(ours, theirs, "{path}");
        } else {
            assert!(
                ours["detail"].is_string() && theirs["detail"].is_string(),
                "{path}: {ours}"
            );
        }
    }
    // The original's fault: a Z is refused.
    let zulu = "/?datetime_str=2026-12-01T18:30:00Z";
    assert_eq!(get(&original.url, zulu).await.0, 400);
    assert_eq!(get(&address(&server), zulu).await.0, 200);
}

#[tokio::test]
async fn where_the_original_recommends_negative_requests_ours_says_zero_and_why() {
    // Falls by 0.1 percent and 5 MB an hour: below zero within a month.
    let (cpu, memory) = (swinging(45.0, -0.1), swinging(2e9, -5e6));
    let server = serving(&cpu, &memory).await;
    let original = Original::start(&cpu, &memory, "2026-11-24T12:00:00").await;
    if let Some(original) = original {
        let (_, theirs) = get(&original.url, "/next_month").await;
        let request = theirs["recommendations"]["cpu"]["request"]
            .as_str()
            .unwrap();
        assert!(request.starts_with('-'), "{theirs}");
        assert_eq!(theirs["insights"]["confidence"], "High");
    }
    for path in ["/next_day", "/next_week", "/next_weekend", "/next_month"] {
        let (status, ours) = get(&address(&server), path).await;
        assert_eq!(status, 200, "{path}");
        assert!(
            !ours.to_string().contains("\"-") && !ours.to_string().contains(":-"),
            "{path}: {ours}"
        );
    }
    let (_, month) = get(&address(&server), "/next_month").await;
    assert_eq!(month["recommendations"]["cpu"]["request"], "0m", "{month}");
    let confidence = month["insights"]["confidence"].as_str().unwrap();
    assert!(
        confidence.starts_with("Low") && confidence.contains("below zero"),
        "{month}"
    );
}
