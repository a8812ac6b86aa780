//! What was told to whom, and why: ListScalerDecisions and ExplainTrigger.

use std::collections::BTreeMap;

use loadcast_client::{ScalerSource, Selector};
use loadcast_proto::v1::{ListScalerDecisionsRequest, scaler_service_client::ScalerServiceClient};

use crate::{
    house::{Keda, SERIES, after, metadata, ramp, serve},
    support::{TestServer, push},
};

#[tokio::test]
async fn the_newest_decision_of_each_trigger_is_listed_with_its_reason() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let keda = Keda::at(&server, &[]).await;
    for minute in 0..3 {
        server.clock.set(after(minute));
        keda.value().await.unwrap();
    }
    let all = Selector::all();
    let told = server.client().scaler_decisions(&all).await.unwrap();
    let [decision] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!((decision.value, decision.active), (Some(2.0), Some(true)));
    assert_eq!(
        (decision.source, decision.version),
        (ScalerSource::Champion, Some(1))
    );
    assert_eq!((decision.since, decision.told_at), (after(0), after(2)));
    assert_eq!((decision.times, decision.reason.as_deref()), (3, None));
    server.clock.set(after(49 * 60));
    keda.refusal().await;
    let told = server.client().scaler_decisions(&all).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].value, told[0].active, told[0].version),
        (None, None, None)
    );
    assert_eq!(told[0].reason.as_deref(), Some("STALE_MODEL"));
    let words = told[0].message.as_deref().unwrap();
    assert!(
        words.contains("2d 1h") && words.contains("maxModelAge"),
        "{words}"
    );
}

#[tokio::test]
async fn decisions_are_paged_and_picked_by_namespace_and_series() {
    let server = TestServer::start().await;
    for series in [SERIES, "other.cpu"] {
        serve(&server, push(series, 2.0)).await;
    }
    for i in 0..7 {
        let mut keda = Keda::at(&server, &[]).await;
        keda.reference.namespace = format!("team-{}", i % 2);
        keda.reference.name = format!("web-{i}");
        if i == 6 {
            keda.reference.scaler_metadata = metadata(&[("series", "other.cpu")]);
        }
        keda.is_active().await.unwrap();
    }
    let mut client = ScalerServiceClient::new(server.channel().await);
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListScalerDecisionsRequest {
            page_size: 3,
            page_token: page_token.clone(),
            ..ListScalerDecisionsRequest::default()
        };
        let page = client
            .list_scaler_decisions(request)
            .await
            .unwrap()
            .into_inner();
        assert!(page.decisions.len() <= 3);
        names.extend(page.decisions.into_iter().map(|decision| decision.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected = [
        "web-0", "web-2", "web-4", "web-6", "web-1", "web-3", "web-5",
    ];
    assert_eq!(names, expected);
    let of_team = ListScalerDecisionsRequest {
        namespace: "team-1".to_owned(),
        ..ListScalerDecisionsRequest::default()
    };
    let page = client
        .list_scaler_decisions(of_team)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.decisions.len(), 3);
    let of_series = Selector {
        names: vec!["other.cpu".to_owned()],
        ..Selector::all()
    };
    let told = server.client().scaler_decisions(&of_series).await.unwrap();
    assert_eq!(told.len(), 1);
    let wrong = ListScalerDecisionsRequest {
        page_token: "x".to_owned(),
        ..ListScalerDecisionsRequest::default()
    };
    let status = client.list_scaler_decisions(wrong).await.unwrap_err();
    assert!(status.message().starts_with("page_token"), "{status}");
}

#[tokio::test]
async fn an_explanation_says_what_is_told_and_changes_nothing() {
    let server = TestServer::start().await;
    serve(&server, ramp(SERIES, after(-50))).await;
    let more = [
        ("leadTime", "15m"),
        ("scale", "2"),
        ("margin", "0.5"),
        ("clampMax", "30"),
        ("leedTime", "1h"),
    ];
    let explanation = server
        .client()
        .explain_trigger(metadata(&more))
        .await
        .unwrap();
    assert_eq!(explanation.unknown_keys, ["leedTime"]);
    let meaning = explanation.meaning.unwrap();
    let [rung] = &meaning.rungs[..] else {
        panic!("{:?}", meaning.rungs)
    };
    assert_eq!(rung.steps.len(), 4);
    assert!(rung.gates.iter().all(|gate| gate.passed));
    let terms: Vec<_> = rung
        .terms
        .iter()
        .map(|term| (&*term.name, term.value.round()))
        .collect();
    let expected = [
        ("aggregate", 13.0),
        ("scale", 26.0),
        ("margin", 39.0),
        ("clampMax", 30.0),
        ("activationTarget", 30.0),
    ];
    assert_eq!(terms, expected);
    assert_eq!(meaning.changes_at, Some(after(5)));
    assert_eq!(meaning.when_unavailable.value, None);
    let set: BTreeMap<_, _> = meaning
        .settings
        .iter()
        .map(|it| (&*it.key, (&*it.value, it.is_default)))
        .collect();
    assert_eq!(set["leadTime"], ("15m", false));
    assert_eq!(set["aggregate"], ("max", true));
    let told = server
        .client()
        .scaler_decisions(&Selector::all())
        .await
        .unwrap();
    assert!(told.is_empty(), "asking was recorded");
    // It is what KEDA is told.
    let keda = Keda::at(&server, &more).await;
    assert_eq!(keda.value().await.unwrap(), meaning.decision.value.unwrap());
    assert_eq!(
        Some(keda.is_active().await.unwrap()),
        meaning.decision.active
    );
}

#[tokio::test]
async fn an_explanation_names_every_malformed_key_and_every_closed_gate() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let wrong = metadata(&[("leadTime", "soon"), ("quantile", "p90")]);
    let explanation = server.client().explain_trigger(wrong).await.unwrap();
    let problems = explanation.meaning.unwrap_err();
    let keys: Vec<_> = problems.iter().map(|problem| &*problem.key).collect();
    assert_eq!(keys, ["leadTime", "quantile"]);
    server.clock.set(after(10 * 24 * 60));
    let gated = metadata(&[("minSkill", "0.1"), ("onUnavailable", "4")]);
    let explanation = server.client().explain_trigger(gated).await.unwrap();
    let meaning = explanation.meaning.unwrap();
    let closed: Vec<_> = meaning.rungs[0]
        .gates
        .iter()
        .filter(|gate| !gate.passed)
        .collect();
    let names: Vec<_> = closed.iter().map(|gate| &*gate.name).collect();
    assert_eq!(names, ["MODEL_AGE", "DATA_AGE", "SKILL"]);
    assert!(meaning.rungs[0].steps.is_empty());
    assert_eq!(meaning.decision.source, ScalerSource::OnUnavailable);
    assert_eq!(meaning.decision.value, Some(4.0));
    assert_eq!(meaning.decision.reason.as_deref(), Some("STALE_MODEL"));
}
