//! Prometheus to served forecasts: weeks of history that promtool backfilled, a live scrape, and 500 series of one
//! expression.

use loadcast_client::Selector;

use crate::exposition::{DAY, Family, load, now, serve, write};
use crate::house::{SKILL_IS_TOLD, done, server};
use loadcast_components::prometheus::{Prometheus, Setting, installed};

const STEP: i64 = 300;

/// The value that nothing but the live scrape has.
const LIVE: &str = "# TYPE workload_cpu_cores gauge\nworkload_cpu_cores{namespace=\"shop\",workload=\"web\",pod=\"live\"} 42\n";

/// Samples of four weeks that end half an hour ago.
fn weeks(workload: i64, days: i64, step: i64) -> impl Iterator<Item = (i64, f64)> {
    let end = (now() - 1800).div_euclid(step) * step;
    (0..days * DAY / step).rev().map(move |back| {
        let instant = end - back * step;
        (instant, load(workload, instant))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_in_prometheus_are_collected_trained_pushed_and_served_and_a_live_scrape_is_seen() {
    if installed().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.om");
    let mut family = Family::gauge("workload_cpu_cores");
    for (at, workload) in ["web", "cart", "search"].iter().enumerate() {
        for pod in ["a", "b"] {
            let labels = format!("namespace=\"shop\",workload=\"{workload}\",pod=\"{pod}\"");
            family.series(
                &labels,
                weeks(at as i64, 28, STEP).map(|(t, v)| (t, v / 2.0)),
            );
        }
    }
    write(&history, &[family]);
    let setting = Setting {
        history: Some(&history),
        scrape: Some(serve(LIVE).await),
        web: None,
    };
    let Some(prometheus) = Prometheus::start(&setting) else {
        return;
    };
    let server = server().await;
    let dataset = folder.path().join("dataset").display().to_string();
    let collect = [
        "collect",
        "--prometheus-url",
        &prometheus.url,
        "--promql",
        "sum by (namespace, workload) (workload_cpu_cores{pod!=\"live\"})",
        "--name",
        "{namespace}.{workload}.cpu",
        "--unit",
        "cores",
        "--output",
        &dataset,
    ];
    let first = done(&collect, &[]).await;
    assert!(first.contains("3 series, "), "{first}");
    let again = done(&collect, &[]).await;
    // The newest steps are asked for again, and are what they were: the history ended half an hour ago.
    assert!(again.contains("3 series, 0 new samples, "), "{again}");

    let url = server.url();
    let mut run = vec!["run", "--data", &dataset, "--server", &url];
    run.extend(SKILL_IS_TOLD);
    let printed = done(&run, &[]).await;
    assert_eq!(printed.matches("version 1, served").count(), 3, "{printed}");
    let model = server.client().model("shop.web.cpu").await.unwrap();
    assert_eq!(model.series.unit.as_deref(), Some("cores"));
    assert_eq!(model.series.labels["workload"], "web");

    // The same history straight from Prometheus makes the same models: nothing is done again.
    let report = folder.path().join("report.json").display().to_string();
    let mut straight = vec![
        "run",
        "--prometheus-url",
        &prometheus.url,
        "--promql",
        "sum by (namespace, workload) (workload_cpu_cores{pod!=\"live\"})",
        "--name",
        "{namespace}.{workload}.cpu",
        "--unit",
        "cores",
        "--server",
        &url,
        "--report",
        &report,
    ];
    straight.extend(SKILL_IS_TOLD);
    done(&straight, &[]).await;
    let report = std::fs::read(&report).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let series = report["series"].as_array().unwrap();
    assert_eq!(series.len(), 3);
    for one in series {
        assert_eq!(one["already_registered"], true, "{one:#}");
    }
    assert_eq!(server.versions(), 3);

    prometheus
        .sees("count_over_time(workload_cpu_cores{pod=\"live\"}[20s]) > 5")
        .await;
    let live = folder.path().join("live").display().to_string();
    let printed = done(
        &[
            "collect",
            "--prometheus-url",
            &prometheus.url,
            "--promql",
            "workload_cpu_cores{pod=\"live\"}",
            "--name",
            "{namespace}.{workload}.live",
            "--step",
            "1s",
            "--history",
            "4s",
            "--output",
            &live,
        ],
        &[],
    )
    .await;
    assert!(printed.contains("1 series, 4 new samples"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_series_of_one_expression_become_five_hundred_served_models() {
    const SERIES: i64 = 500;
    if installed().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.om");
    let mut family = Family::gauge("fleet_requests");
    for at in 0..SERIES {
        let labels = format!("namespace=\"ns{}\",workload=\"app-{at}\"", at % 20);
        family.series(&labels, weeks(at, 14, 1800));
    }
    write(&history, &[family]);
    let setting = Setting {
        history: Some(&history),
        ..Setting::default()
    };
    let Some(prometheus) = Prometheus::start(&setting) else {
        return;
    };
    let server = server().await;
    let dataset = folder.path().join("dataset").display().to_string();
    let collect = [
        "collect",
        "--prometheus-url",
        &prometheus.url,
        "--promql",
        "sum by (namespace, workload) (fleet_requests)",
        "--name",
        "{namespace}.{workload}.requests",
        "--unit",
        "1/s",
        "--step",
        "30m",
        "--history",
        "14d",
        // Small, so that the fleet comes in many chunks.
        "--prometheus-samples",
        "50000",
        "--output",
        &dataset,
    ];
    let printed = done(&collect, &[]).await;
    assert!(printed.contains("500 series, "), "{printed}");
    let report = folder.path().join("report.json").display().to_string();
    let url = server.url();
    let flags = ["--data", &dataset, "--server", &url, "--report", &report];
    let run = [&["run"][..], &flags[..], &SKILL_IS_TOLD[..]].concat();
    done(&run, &[]).await;
    let served = server.client().models(&Selector::all()).await.unwrap();
    assert_eq!(served.len() as i64, SERIES);
}
