//! Observations out of Prometheus, by the catalog: one that says what it is told to, and the real one.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use loadcast_client::Live;
use loadcast_components::prometheus::{Prometheus, Setting};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::scene::{SERIES, STEP, corrected, instant, value};
use crate::support::{TestServer, now};

/// What the scripted one was asked, as (start, end), and how it answers.
#[derive(Default)]
struct Script {
    asked: Vec<(i64, i64)>,
    /// 0: whole. Else what is wrong with the answer.
    wrong: Wrong,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Wrong {
    #[default]
    Nothing,
    Partial,
    Down,
}

type Scripted = Arc<Mutex<Script>>;

/// The value of the series at every instant that is asked for, but for one hole.
async fn answer(State(script): State<Scripted>, body: String) -> (StatusCode, String) {
    let form: HashMap<String, String> = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let second = |key: &str| form[key].parse::<i64>().unwrap();
    let (start, end, step) = (second("start"), second("end"), second("step"));
    let wrong = {
        let mut script = script.lock().unwrap();
        if !form["query"].starts_with("count") {
            script.asked.push((start, end));
        }
        script.wrong
    };
    let warnings = match wrong {
        Wrong::Down => return (StatusCode::SERVICE_UNAVAILABLE, "down".to_owned()),
        Wrong::Partial => r#""warnings":["a store is away"],"#,
        Wrong::Nothing => "",
    };
    let mut values = Vec::new();
    let mut at = start;
    while at <= end {
        let i = (at - now().as_second()) / STEP;
        if i != -7 {
            values.push(format!("[{at},\"{}\"]", value(i)));
        }
        at += step;
    }
    let values = values.join(",");
    let metric = r#"{"namespace":"shop","workload":"web"}"#;
    let body = format!(
        r#"{{"status":"success",{warnings}"data":{{"resultType":"matrix","result":[{{"metric":{metric},"values":[{values}]}}]}}}}"#
    );
    (StatusCode::OK, body)
}

async fn scripted() -> (String, Scripted) {
    let script = Scripted::default();
    let router = Router::new()
        .route("/api/v1/query_range", post(answer))
        .with_state(Arc::clone(&script));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, script)
}

/// A server that pulls the series by a template from `url`, with the model that corrects.
async fn pulling(folder: TempDir, url: &str, promql: &str) -> TestServer {
    let catalog = folder.path().join("catalog.toml");
    let text = format!(
        "[[series]]\nname = \"{{namespace}}.{{workload}}.cpu\"\npromql = '{promql}'\nstep = \"5m\"\n"
    );
    fs::write(&catalog, text).unwrap();
    let flags = [
        "--poll-interval=1h".to_owned(),
        format!("--catalog={}", catalog.display()),
        format!("--prometheus-url={url}"),
        "--observe-every=50ms".to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    TestServer::start_with(folder, &flags).await
}

async fn push_to(server: &TestServer) {
    let mut push = corrected(SERIES);
    let labels = [("namespace", "shop"), ("workload", "web")];
    let owned = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    push.series.labels = owned.into();
    server.client().push(push).await.unwrap();
}

/// What is said of the series once its last observation is at step `i`.
async fn observed_until(server: &TestServer, i: i64) -> Live {
    let observing = async {
        loop {
            let live = server.client().model(SERIES).await.unwrap().live;
            if let Some(live) = live.filter(|live| live.observed_at >= instant(i)) {
                return live;
            }
            tokio::task::yield_now().await;
        }
    };
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, observing).await.unwrap()
}

#[tokio::test]
async fn what_is_missing_is_pulled_from_the_last_observation_on_and_equals_what_would_be_told() {
    let (url, script) = scripted().await;
    let server = pulling(tempfile::tempdir().unwrap(), &url, "x").await;
    // A little after the step, so that it has settled.
    let settled = |i: i64| instant(i) + std::time::Duration::from_secs(20);
    push_to(&server).await;
    server.clock.set(settled(0));
    let live = observed_until(&server, 0).await;
    assert_eq!((live.observed_at, live.last_value), (instant(0), value(0)));
    let first = script.lock().unwrap().asked[0].0;
    assert!(
        first <= instant(-288).as_second(),
        "a day for the day before"
    );
    for i in [1, 2, 30] {
        server.clock.set(settled(i));
        observed_until(&server, i).await;
    }
    let told = TestServer::start().await;
    told.client().push(corrected(SERIES)).await.unwrap();
    let seen = |i: i64| if i == -7 { f64::NAN } else { value(i) };
    told.observe(SERIES, -288, (-288..=30).map(seen).collect())
        .await;
    let (pulled, told) = (server.live(SERIES).await, told.live(SERIES).await);
    assert_eq!(
        (pulled.last_value, pulled.leads),
        (told.last_value, told.leads)
    );
    let asked = script.lock().unwrap().asked.clone();
    // All but the first day, which comes in chunks.
    let newest = instant(0).as_second();
    let mut later = asked.iter().filter(|(_, end)| *end > newest);
    assert!(
        later.all(|(start, end)| end - start <= 32 * STEP),
        "{asked:?}"
    );
}

#[tokio::test]
async fn an_answer_in_part_or_none_changes_nothing_and_is_asked_for_again() {
    for wrong in [Wrong::Partial, Wrong::Down] {
        let (url, script) = scripted().await;
        script.lock().unwrap().wrong = wrong;
        let server = pulling(tempfile::tempdir().unwrap(), &url, "x").await;
        push_to(&server).await;
        while script.lock().unwrap().asked.len() < 2 && metrics(&server).await < 1 {
            tokio::task::yield_now().await;
        }
        let model = server.client().model(SERIES).await.unwrap();
        assert_eq!(model.live, None);
        script.lock().unwrap().wrong = Wrong::Nothing;
        let live = observed_until(&server, -1).await;
        assert_eq!(live.last_value, value(-1));
    }
}

/// How often Prometheus brought nothing.
async fn metrics(server: &TestServer) -> u64 {
    let url = format!("http://{}/metrics", server.http);
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("loadcast_live_pull_failures_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_a_real_prometheus_holds_is_observed() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "# TYPE cpu gauge\n".to_owned();
    for i in -300..=0_i64 {
        let at = instant(i).as_second();
        let labels = r#"namespace="shop",workload="web""#;
        writeln!(text, "cpu{{{labels}}} {} {at}", value(i)).unwrap();
    }
    text.push_str("# EOF\n");
    let history = folder.path().join("history.om");
    fs::write(&history, text).unwrap();
    let setting = Setting {
        history: Some(&history),
        ..Setting::default()
    };
    let Some(prometheus) = Prometheus::start(&setting) else {
        return;
    };
    let server = pulling(folder, &prometheus.url, "cpu").await;
    push_to(&server).await;
    server.clock.set(now() + std::time::Duration::from_secs(20));
    let live = observed_until(&server, 0).await;
    assert_eq!((live.observed_at, live.last_value), (instant(0), value(0)));
    assert!(live.leads[0].rows >= 1, "{live:?}");
}

#[tokio::test]
async fn a_prometheus_without_a_catalog_is_refused_at_the_start() {
    use clap::Parser as _;
    let folder = tempfile::tempdir().unwrap();
    let state = format!("--state-dir={}", folder.path().display());
    let flags = [
        "loadcast-server",
        "--grpc-addr=127.0.0.1:0",
        "--http-addr=127.0.0.1:0",
    ];
    let more = [state.as_str(), "--prometheus-url=http://127.0.0.1:1"];
    let config = loadcast_server::config::Config::parse_from(flags.iter().chain(&more));
    let clock = loadcast_server::clock::Clock::system();
    let error = loadcast_server::app::App::bind(config, clock)
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("--catalog"), "{error:#}");
}
