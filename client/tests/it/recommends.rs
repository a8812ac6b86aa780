//! `loadcast recommend` as a process: the question, the table, the patch, and what is refused.

use loadcast_proto::v1 as pb;

use crate::answers::{SERIES, forecast, model, time};
use crate::binary::{err, loadcast, out};
use crate::server::Mock;

fn mock() -> Mock {
    let mock = Mock::default();
    let provenance = forecast(3, 12, 1.0).provenance;
    let advice = |request, limit, unit: &str, note: &str| pb::ResourceRecommendation {
        request,
        limit,
        unit: unit.to_owned(),
        provenance: provenance.clone(),
        notes: vec![note.to_owned()],
    };
    mock.state().recommendation = Some(pb::GetRecommendationResponse {
        cpu: Some(advice(250, 500, "millicores", "QUANTILE: of the window")),
        memory: Some(advice(512, 1_024, "MiB", "limit raised")),
        policy: pb::RecommendationPolicy::Quantile.into(),
        window: Some(pb::TimeRange {
            start: time(0),
            end: time(86_400),
        }),
        replicas: 3,
    });
    let mut model = model(SERIES);
    let labels = [
        ("workload", "web"),
        ("container", "app"),
        ("namespace", "shop"),
    ];
    model.series.as_mut().unwrap().labels = labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    mock.state().model = Some(model);
    mock
}

const ASK: [&str; 5] = [
    "recommend",
    "--cpu-series=demo.web.cpu",
    "--memory-series=demo.web.memory",
    "--window=next-week",
    "--replicas=3",
];

async fn recommend(mock: &Mock, more: &[&str]) -> std::process::Output {
    let addr = mock.serve().await;
    let args: Vec<&str> = ASK.iter().chain(more).copied().collect();
    loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_numbers_and_what_they_rest_on() {
    let mock = mock();
    let output = recommend(&mock, &[]).await;
    let text = out(&output);
    assert_eq!(
        text,
        "for one of 3 pods, from 2026-10-08T00:00:00Z to 2026-10-09T00:00:00Z\n\n        \
         REQUEST  LIMIT   SERIES        VERSION\n\
         cpu     250m     500m    demo.web.cpu  3\n\
         memory  512Mi    1024Mi  demo.web.cpu  3\n\n\
         cpu: QUANTILE: of the window\n\n\
         memory: limit raised\n"
    );
    let asked = &mock.state().recommendation_requests[0];
    assert_eq!(asked.window(), pb::Window::NextWeek);
    assert_eq!(asked.replicas, 3);
    assert_eq!(asked.memory_series, "demo.web.memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_patch_changes_one_container_of_the_workload_that_the_labels_name() {
    let output = recommend(&mock(), &["--output=yaml"]).await;
    let text = out(&output);
    let patch: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        patch.join("\n"),
        r#"apiVersion: apps/v1
kind: "Deployment"
metadata:
  name: "web"
  namespace: "shop"
spec:
  template:
    spec:
      containers:
      - name: "app"
        resources:
          requests:
            cpu: 250m
            memory: 512Mi
          limits:
            cpu: 500m
            memory: 1024Mi"#
    );
    assert!(
        text.contains("# kubectl patch deployment web --namespace shop --patch-file THIS"),
        "{text}"
    );
    assert!(text.contains("# memory: limit raised"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_of_a_total_is_refused_with_the_remedy() {
    let output = recommend(&mock(), &["--output=yaml", "--replicas=0"]).await;
    assert_eq!(output.status.code(), Some(2), "given twice: {output:?}");
    let addr = mock().serve().await;
    let args = ["recommend", "--cpu-series=demo.web.cpu", "--output=yaml"];
    let output = loadcast(&args, &[("LOADCAST_ADDR", &addr)]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "");
    assert!(err(&output).contains("--replicas"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_should_act_on_is_status_1_and_prints_no_number() {
    let mock = mock();
    mock.state().recommendation = None;
    let output = recommend(&mock, &["--output=json"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "");
    assert!(
        err(&output).contains("nobody should act"),
        "{}",
        err(&output)
    );
}
