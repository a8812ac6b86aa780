//! /metrics/forecasts and /metrics: what a scrape is told, and what it is refused.

use std::time::Duration;

use crate::support::{TestServer, noisy, now, push};

/// Status, media type and text of a GET.
async fn scrape(server: &TestServer, path: &str, accept: &str) -> (u16, String, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asked = client.get(format!("http://{}{path}", server.http));
    let answer = asked.header("accept", accept).send().await.unwrap();
    let media_type = answer.headers().get("content-type").unwrap();
    let media_type = media_type.to_str().unwrap().to_owned();
    (
        answer.status().as_u16(),
        media_type,
        answer.text().await.unwrap(),
    )
}

async fn forecasts(server: &TestServer, query: &str) -> String {
    let (status, media_type, text) =
        scrape(server, &format!("/metrics/forecasts{query}"), "").await;
    assert_eq!(status, 200, "{text}");
    assert!(
        media_type.starts_with("text/plain; version=0.0.4"),
        "{media_type}"
    );
    text
}

/// Lines of the metric `name` that hold all of `parts`.
fn lines<'a>(text: &'a str, name: &str, parts: &[&str]) -> Vec<&'a str> {
    let begin = format!("{name}{{");
    text.lines()
        .filter(|line| line.starts_with(&begin) && parts.iter().all(|part| line.contains(part)))
        .collect()
}

fn value(line: &str) -> f64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn each_lead_has_a_point_forecast_and_a_band_around_it_in_grafanas_words() {
    let server = TestServer::start().await;
    server.client().push(noisy("web.cpu")).await.unwrap();
    let text = forecasts(&server, "?lead=5m,1h&level=0.1,0.5,0.9").await;
    for lead in ["lead=\"5m\"", "lead=\"1h\""] {
        let told: Vec<f64> = ["yhat_lower", "yhat_quantile", "yhat_upper"]
            .map(|kind| {
                let kind = format!("ml_forecast=\"{kind}\"");
                let found = lines(&text, "loadcast_forecast", &[lead, &kind, "level=\"0."]);
                assert_eq!(found.len(), 1, "{lead} {kind}: {text}");
                value(found[0])
            })
            .into();
        assert!(told.is_sorted(), "{told:?}");
        let yhat = lines(&text, "loadcast_forecast", &[lead, "ml_forecast=\"yhat\""]);
        assert!(
            told[0] < value(yhat[0]) && value(yhat[0]) < told[2],
            "{text}"
        );
        let labels = "namespace=\"test\",series=\"web.cpu\",unit=\"cores\"";
        assert!(yhat[0].contains(labels), "{}", yhat[0]);
    }
    assert_eq!(lines(&text, "loadcast_forecast", &[]).len(), 8);
}

#[tokio::test]
async fn a_forecast_is_the_one_that_get_forecast_answers() {
    use loadcast_client::{ForecastQuery, Range};
    let server = TestServer::start().await;
    let client = server.client();
    client.push(noisy("web.cpu")).await.unwrap();
    // In the middle of a step: both floor now to it.
    server.clock.set(now() + Duration::from_secs(123));
    let hour = Range::Horizon(Duration::from_secs(3_900));
    let query = ForecastQuery::new("web.cpu", hour);
    let asked = client.forecast(&query).await.unwrap();
    let text = forecasts(&server, "?lead=1h&level=").await;
    let told = lines(&text, "loadcast_forecast", &["ml_forecast=\"yhat\""]);
    assert_eq!(value(told[0]), asked.yhat[12]);
}

#[tokio::test]
async fn what_was_observed_stands_beside_the_forecast() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push("web.cpu", 2.5)).await.unwrap();
    assert!(
        !forecasts(&server, "")
            .await
            .contains("loadcast_forecast_actual{")
    );
    let seen = loadcast_client::Observations {
        series: "web.cpu".to_owned(),
        start: now() - Duration::from_secs(300),
        step: None,
        values: vec![2.25],
    };
    client.observe_actuals(vec![seen]).await.unwrap();
    let text = forecasts(&server, "").await;
    let actual = lines(&text, "loadcast_forecast_actual", &["series=\"web.cpu\""]);
    assert_eq!(value(actual[0]), 2.25);
}

#[tokio::test]
async fn what_is_stale_is_told_as_a_state_and_never_as_a_number() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let text = forecasts(&server, "").await;
    let available = lines(&text, "loadcast_forecast_available", &[]);
    assert_eq!(value(available[0]), 1.0);
    for (hours, code) in [(49, "STALE_MODEL"), (24 * 8, "STALE_DATA")] {
        server.clock.set(now() + Duration::from_secs(hours * 3_600));
        let text = forecasts(&server, "").await;
        assert_eq!(lines(&text, "loadcast_forecast", &[]), [""; 0], "{code}");
        let reason = format!("reason=\"{code}\"");
        let available = lines(&text, "loadcast_forecast_available", &[&reason]);
        assert_eq!(value(available[0]), 0.0);
        let age = lines(&text, "loadcast_forecast_data_age_seconds", &[]);
        assert_eq!(value(age[0]), hours as f64 * 3_600.0);
    }
}

#[tokio::test]
async fn series_are_chosen_by_name_and_label_and_are_named_once_with_their_labels_mended() {
    let server = TestServer::start().await;
    let client = server.client();
    for (name, namespace) in [("a.cpu", "shop"), ("b.cpu", "shop"), ("c.cpu", "bank")] {
        let mut push = push(name, 1.0);
        push.series.labels = [
            ("namespace".to_owned(), namespace.to_owned()),
            ("app.kubernetes.io/partOf".to_owned(), "quo\"te".to_owned()),
        ]
        .into();
        client.push(push).await.unwrap();
    }
    let of = async |query: &str| {
        let text = forecasts(&server, query).await;
        lines(&text, "loadcast_forecast_available", &[]).len()
    };
    assert_eq!(of("").await, 3);
    assert_eq!(of("?selector=namespace%3Dshop").await, 2);
    assert_eq!(of("?series=a.cpu,c.cpu&selector=namespace%3Dshop").await, 1);
    let text = forecasts(&server, "?series=a.cpu").await;
    let labels = r#"app_kubernetes_io_part_of="quo\"te",namespace="shop",series="a.cpu""#;
    assert!(text.contains(labels), "{text}");
}

#[tokio::test]
async fn too_much_and_what_makes_no_sense_is_400_and_names_the_bound() {
    let server = TestServer::start_quick().await;
    let client = server.client();
    let mut names = Vec::new();
    for i in 0..70 {
        let name = format!("s{i}");
        client.push(push(&name, 1.0)).await.unwrap();
        names.push(name);
    }
    let leads: Vec<String> = (0..24).map(|i| format!("{i}m")).collect();
    let levels: Vec<String> = (1..=30).map(|i| format!("0.{i:02}")).collect();
    let query = format!("?lead={}&level={}", leads.join(","), levels.join(","));
    for (query, says) in [
        (query.as_str(), "52430 samples; at most 50000"),
        ("?lead=soon", "lead: \"soon\""),
        ("?level=2", "level: \"2\""),
        ("?leads=5m", "no parameter"),
        ("?selector=nonsense", "selector.label_selector"),
    ] {
        let path = format!("/metrics/forecasts{query}");
        let (status, _, text) = scrape(&server, &path, "").await;
        assert_eq!(status, 400, "{query}");
        assert!(text.contains(says), "{text}");
    }
}

#[tokio::test]
async fn leads_and_levels_have_defaults_and_flags() {
    let flags = ["--forecast-leads=15m", "--forecast-levels=0.95"];
    let server = TestServer::start_with(tempfile::tempdir().unwrap(), &flags).await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let text = forecasts(&server, "").await;
    let told = lines(&text, "loadcast_forecast", &["lead=\"15m\""]);
    assert_eq!(told.len(), 2, "{text}");
    assert!(
        told[1].contains("ml_forecast=\"yhat_upper\",level=\"0.95\""),
        "{text}"
    );
}

#[tokio::test]
async fn metrics_of_the_server_tell_what_is_served_in_either_format() {
    let server = TestServer::start().await;
    let (_, _, before) = scrape(&server, "/metrics", "").await;
    assert!(before.contains("loadcast_series_served 0\n"), "{before}");
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let (status, media_type, text) = scrape(&server, "/metrics", "*/*").await;
    assert_eq!(status, 200);
    assert!(media_type.starts_with("text/plain"), "{media_type}");
    for line in [
        "loadcast_series_served 1",
        "loadcast_revision 1",
        "loadcast_registry_reachable 1",
        "loadcast_state_remembered 1",
        "# TYPE loadcast_revision gauge",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}: {text}");
    }
    assert!(!text.contains("# EOF"), "{text}");
    let open = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let (_, media_type, text) = scrape(&server, "/metrics", open).await;
    assert!(
        media_type.starts_with("application/openmetrics-text"),
        "{media_type}"
    );
    assert!(
        text.ends_with("# EOF\n") && text.contains("loadcast_revision 1\n"),
        "{text}"
    );
}
