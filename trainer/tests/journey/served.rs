//! A pushed model is served, told to subscribers, and says what its artifact says.

use std::time::Duration;

use futures::StreamExt as _;
use loadcast_client::{
    ForecastUpdate, ModelEventKind, ModelUpdate, Selector, Update, Watch, WatchQuery,
};
use loadcast_model::backtest::Method;
use loadcast_trainer::checks::Checks;

use loadcast_components::tools::tool;

use crate::support::{NOW, generated, plan, run, server, trainer, try_run};

/// Longer than any message takes; a message that does not come fails the test.
const PATIENCE: Duration = Duration::from_secs(30);

const HOUR: i64 = 3_600;

/// The next message that `pick` takes.
async fn next<T: Unpin, R>(watch: &mut Watch<T>, pick: impl Fn(T) -> Option<R>) -> R {
    let picked = async {
        loop {
            if let Update::Message(message) = watch.next().await.unwrap().unwrap()
                && let Some(picked) = pick(message)
            {
                return picked;
            }
        }
    };
    tokio::time::timeout(PATIENCE, picked)
        .await
        .expect("the message in time")
}

#[tokio::test]
async fn a_second_push_reaches_open_watches_as_an_event_and_a_forecast() {
    let (server, folder) = (server().await, tempfile::tempdir().unwrap());
    let client = server.client();
    let mut plan = plan(&generated(folder.path()));
    plan.rules.drop_last_seconds = Some(6 * HOUR);
    let first = run(&plan, &client).await;
    let first = first.series[0].done().unwrap().receipt.clone().unwrap();
    assert_eq!((first.version, first.revision), (1, Some(1)));

    let mut models = client.watch_models(Selector::names(["web.cpu"]));
    let mut forecasts = client.watch_forecasts(WatchQuery::new(
        Selector::names(["web.cpu"]),
        Duration::from_secs(3_600),
    ));
    let version = |update| match update {
        ForecastUpdate::Forecast { forecast, .. } => Some(forecast.provenance.version),
        _ => None,
    };
    next(&mut models, |update| {
        matches!(update, ModelUpdate::Model(_)).then_some(())
    })
    .await;
    assert_eq!(next(&mut forecasts, version).await, 1);

    plan.rules.drop_last_seconds = None;
    let second = run(&plan, &client).await;
    let second = second.series[0].done().unwrap().receipt.clone().unwrap();
    assert_eq!((second.version, second.revision), (2, Some(2)));
    let event = next(&mut models, |update| match update {
        ModelUpdate::Event(event) => Some(event),
        ModelUpdate::Model(_) => None,
    })
    .await;
    assert_eq!(event.kind, ModelEventKind::Served);
    assert_eq!(
        (event.revision, event.version, event.previous_version),
        (2, Some(2), Some(1))
    );
    assert_eq!(event.artifact_sha256, Some(second.sha256));
    assert_eq!(next(&mut forecasts, version).await, 2);
}

#[tokio::test]
async fn grpcurl_reads_exactly_what_the_registered_artifact_says_offline_before_and_after_a_swap() {
    let Some(grpcurl) = tool("grpcurl", "bin/grpcurl", "Go") else {
        return;
    };
    let (server, folder) = (server().await, tempfile::tempdir().unwrap());
    let mut plan = plan(&generated(folder.path()));
    plan.rules.drop_last_seconds = Some(6 * HOUR);
    // Prophet's defaults are worse than "the same as yesterday" here; this test is about what is served.
    plan.gates = Checks::default().with(&["skill=warning".parse().unwrap()]);
    let mut seen = Vec::new();
    // First Prophet's own band, then one from a search, calibrated by its backtest.
    for (version, method) in [(1, Method::Spec(Box::default())), (2, Method::Search)] {
        plan.method = method;
        run(&plan, &server.client()).await;
        plan.rules.drop_last_seconds = None;

        let output = tokio::process::Command::new(&grpcurl)
            .args([
                "-plaintext",
                "-d",
                r#"{"series":"web.cpu","window":"WINDOW_NEXT_DAY","levels":[0.1,0.99]}"#,
            ])
            .args([
                &server.addr.to_string(),
                "loadcast.v1.ForecastService/GetForecast",
            ])
            .output()
            .await
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let answer = &answer["forecast"];
        assert_eq!(answer["provenance"]["version"], version.to_string());
        assert_eq!(answer["start"], "2026-02-01T00:00:00Z");
        let calibrated = answer["bandCalibrated"].as_bool().unwrap_or(false);
        assert_eq!(calibrated, plan.method == Method::Search);
        let column = |values: &serde_json::Value| -> Vec<f64> {
            serde_json::from_value(values.clone()).unwrap()
        };
        let quantile = |i: usize| column(&answer["quantiles"][i]["values"]);
        let served = [column(&answer["yhat"]), quantile(0), quantile(1)];
        assert!(served.iter().all(|column| column.len() == 288));

        let time = |i: i64| jiff::Timestamp::from_second(1_769_904_000 + i * 300).unwrap();
        let times = folder.path().join("times.csv");
        let rows: String = (0..288).map(|i| format!("{}\n", time(i))).collect();
        std::fs::write(&times, format!("ds\n{rows}")).unwrap();
        assert_eq!(
            offline(&server.artifact("web.cpu", version), &times),
            served
        );
        seen.push(served);
    }
    assert_ne!(seen[0], seen[1]);
}

/// `yhat` and two quantiles as the command line computes them, read back from its CSV.
fn offline(model: &std::path::Path, times: &std::path::Path) -> [Vec<f64>; 3] {
    let args = [
        "forecast",
        "--model",
        model.to_str().unwrap(),
        "--times",
        times.to_str().unwrap(),
        "--levels",
        "0.1,0.99",
        "--output",
        "csv",
    ];
    let output = trainer(&args);
    assert!(output.status.success(), "{output:?}");
    let csv = String::from_utf8(output.stdout).unwrap();
    assert!(csv.starts_with("ds,trend,yhat,q0.1,q0.99\n"), "{csv}");
    [2, 3, 4].map(|place| {
        let rows = csv.lines().skip(1);
        rows.map(|line| line.split(',').nth(place).unwrap().parse().unwrap())
            .collect()
    })
}

#[tokio::test]
async fn pushing_the_same_rows_again_registers_nothing_again() {
    let (server, folder) = (server().await, tempfile::tempdir().unwrap());
    let mut plan = plan(&generated(folder.path()));
    let first = run(&plan, &server.client()).await.series[0]
        .done()
        .unwrap()
        .receipt
        .clone()
        .unwrap();
    let again = run(&plan, &server.client()).await.series[0]
        .done()
        .unwrap()
        .receipt
        .clone()
        .unwrap();
    assert!(!first.already_registered && again.already_registered);
    assert_eq!((again.version, again.revision), (1, first.revision));
    // What the series is called, measured in or labelled is part of what was pushed.
    plan.labels.insert("namespace".into(), "shop".into());
    let labelled = run(&plan, &server.client()).await.series[0]
        .done()
        .unwrap()
        .receipt
        .clone()
        .unwrap();
    assert_eq!((labelled.version, labelled.already_registered), (2, false));
}

#[tokio::test]
async fn without_an_alias_a_version_is_registered_and_not_served() {
    let (server, folder) = (server().await, tempfile::tempdir().unwrap());
    let mut plan = plan(&generated(folder.path()));
    plan.alias = None;
    let receipt = run(&plan, &server.client()).await.series[0]
        .done()
        .unwrap()
        .receipt
        .clone()
        .unwrap();
    assert_eq!((receipt.version, receipt.revision), (1, None));
}

#[tokio::test]
async fn a_model_that_forecasts_no_number_is_refused_and_the_server_is_told_why() {
    let (server, folder) = (server().await, tempfile::tempdir().unwrap());
    let client = server.client();
    run(&plan(&generated(folder.path())), &client).await;
    // Four days that grow to the largest number there is, as a counter does: tomorrow is none.
    let end = NOW.parse::<jiff::Timestamp>().unwrap().as_second();
    let row = |i: i64| format!("{},{:e}\n", end - (384 - i) * 900, 4.6e305 * i as f64);
    let data = folder.path().join("huge.csv");
    std::fs::write(
        &data,
        format!(
            "time,cpu_mean_5m\n{}",
            (1..384).map(row).collect::<String>()
        ),
    )
    .unwrap();

    let mut plan = plan(&data);
    plan.method = Method::Spec(Box::default());
    plan.rules.checks = Checks::default().with(&["counter=warning".parse().unwrap()]);
    let (report, failures) = try_run(&plan, Some(&client)).await;
    assert!(report.series[0].is_rejected());
    assert!(failures[0].remedy().contains("extreme values"));
    assert!(report.series[0].done().is_none());
    let model = client.model("web.cpu").await.unwrap();
    assert_eq!(model.served.as_ref().map(|served| served.version), Some(1));
    let rejection = model.last_rejection.expect("the rejection is shown");
    assert_eq!(rejection.reasons[0].code, "NON_FINITE");
}

#[tokio::test]
async fn the_trace_of_a_run_is_in_the_event_it_causes() {
    loadcast_trainer::telemetry::init();
    let (server, folder) = (server().await, tempfile::tempdir().unwrap());
    let client = server.client();
    let mut plan = plan(&generated(folder.path()));
    run(&plan, &client).await;
    let mut models = client.watch_models(Selector::names(["web.cpu"]));
    next(&mut models, |update| {
        matches!(update, ModelUpdate::Model(_)).then_some(())
    })
    .await;
    plan.rules.drop_last_seconds = Some(6 * HOUR);
    run(&plan, &client).await;
    let event = next(&mut models, |update| match update {
        ModelUpdate::Event(event) => Some(event),
        ModelUpdate::Model(_) => None,
    })
    .await;
    let traceparent = event.traceparent.expect("a trace");
    assert_eq!(
        traceparent.split('-').map(str::len).collect::<Vec<_>>(),
        [2, 32, 16, 2]
    );
}
