//! What the REST does not answer with a number, and the page for browsers.

use std::time::Duration;

use crate::{
    models::{CPU, MEMORY, address, get, serving, swinging, unitless},
    support::{TestServer, constant_model, now, push},
};

const FORECASTS: [&str; 5] = [
    "/?datetime_str=2026-12-01T18:30:00",
    "/next_day",
    "/next_week",
    "/next_weekend",
    "/next_month",
];

#[tokio::test]
async fn nothing_loaded_is_503_with_a_detail_and_health_says_so_too() {
    let server = TestServer::start().await;
    for path in FORECASTS.iter().chain(&["/health"]) {
        let (status, body) = get(&address(&server), path).await;
        assert_eq!(status, 503, "{path}: {body}");
        let detail = body["detail"].as_str().unwrap();
        assert!(
            detail.contains(CPU) && detail.contains("UNKNOWN_SERIES"),
            "{path}: {detail}"
        );
    }
    // One of two is not both.
    let cpu = unitless(CPU, constant_model(45.0));
    server.client().push(cpu).await.unwrap();
    let (status, body) = get(&address(&server), "/health").await;
    assert_eq!(status, 503);
    assert!(body["detail"].as_str().unwrap().contains(MEMORY), "{body}");
    let (status, info) = get(&address(&server), "/models/info").await;
    assert_eq!(
        (status, &info["models_status"]),
        (200, &"not_loaded".into())
    );
    assert_eq!(info["cpu_model"]["info"]["version"], "1");
    let why = info["memory_model"]["info"]["status"].as_str().unwrap();
    assert!(why.contains("no model was pushed"), "{info}");
}

#[tokio::test]
async fn a_stale_model_is_503_with_its_reason_code_and_health_says_stale() {
    let server = serving(&constant_model(45.0), &constant_model(2e9)).await;
    for (hours, code) in [(49, "STALE_MODEL"), (24 * 8, "STALE_DATA")] {
        server.clock.set(now() + Duration::from_secs(hours * 3_600));
        for path in FORECASTS {
            let (status, body) = get(&address(&server), path).await;
            assert_eq!(status, 503, "{path}: {body}");
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.starts_with(code), "{path}: {detail}");
        }
        let (status, health) = get(&address(&server), "/health").await;
        assert_eq!(
            (status, &health["status"]),
            (200, &"stale".into()),
            "{health}"
        );
    }
}

#[tokio::test]
async fn a_time_that_no_model_knows_is_400() {
    let server = serving(&constant_model(45.0), &constant_model(2e9)).await;
    for path in [
        "/?datetime_str=2126-01-01T00:00:00",
        "/?datetime_str=1926-01-01T00:00:00",
    ] {
        let (status, body) = get(&address(&server), path).await;
        assert_eq!(status, 400, "{path}: {body}");
        let detail = body["detail"].as_str().unwrap();
        assert!(
            detail.contains("datetime_str") && detail.contains("5 years"),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn series_and_zone_are_configured_and_units_are_not_guessed_where_they_are_known() {
    let flags = [
        "--rest-cpu-series=absent,web.cpu",
        "--rest-memory-series=web.memory",
        "--rest-time-zone=Pacific/Auckland",
    ];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    // 4 cores are not 4 percent, and 500,000 bytes no gigabytes.
    server.client().push(push("web.cpu", 4.0)).await.unwrap();
    let mut memory = push("web.memory", 500_000.0);
    memory.series.unit = Some("bytes".to_owned());
    server.client().push(memory).await.unwrap();
    let (status, body) = get(&address(&server), "/next_day").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["predictions"]["cpu_cores"], 4.0);
    // 2026-11-24 12:00 UTC is the 25th there.
    assert_eq!(
        (&body["date"], &body["day_of_week"]),
        (&"2026-11-26".into(), &"Thursday".into())
    );
    assert_eq!(body["recommendations"]["cpu"]["limit"], "4800m");
    let model = body["model_info"]["model_version"].as_str().unwrap();
    assert_eq!(model, "web.cpu 1, web.memory 1");
    let (_, tiny) = get(&address(&server), "/?datetime_str=2026-11-26T12:00:00Z").await;
    assert_eq!(tiny["datetime"], "2026-11-27T01:00:00");
}

#[tokio::test]
async fn a_unit_that_is_not_the_resources_is_no_number_and_percent_of_memory_only_where_it_is_asked_for()
 {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push(CPU, 4.0)).await.unwrap();
    let mut memory = push(MEMORY, 61.0);
    memory.series.unit = Some("percent".to_owned());
    client.push(memory).await.unwrap();
    let at_instant = "/?datetime_str=2026-11-26T12:00:00Z";
    let (status, body) = get(&address(&server), at_instant).await;
    assert_eq!(
        (status, &body["predictions"]["memory_percent"]),
        (200, &61.0.into())
    );
    let refused = async |path: &str, named: [&str; 3]| {
        let (status, body) = get(&address(&server), path).await;
        let detail = body["detail"].as_str().unwrap();
        let is_told = named.iter().all(|one| detail.contains(one));
        assert!(status == 503 && is_told, "{path}: {status} {detail}");
    };
    refused("/next_day", ["UNIT", MEMORY, "\"percent\""]).await;
    let mut cpu = push(CPU, 5.0);
    cpu.series.unit = Some("1/s".to_owned());
    client.push(cpu).await.unwrap();
    for path in [at_instant, "/next_week", "/next_weekend", "/next_month"] {
        refused(path, [CPU, "\"1/s\"", "train it in"]).await;
    }
}

#[tokio::test]
async fn a_browser_is_shown_the_endpoints_and_a_program_is_told_what_is_missing() {
    let server = serving(&swinging(45.0, 0.0), &swinging(2e9, 0.0)).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = |path: &str| client.get(format!("http://{}{path}", server.http));
    let page = ask("/")
        .header("accept", "text/html,*/*")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.text().await.unwrap().contains("/next_month"));
    let asked = ask("/?datetime_str=2026-12-01T18:30:00").header("accept", "text/html");
    let asked = asked.send().await.unwrap();
    assert_eq!(asked.headers()["content-type"], "application/json");
    assert_eq!(ask("/").send().await.unwrap().status(), 422);
}
