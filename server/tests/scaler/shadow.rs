//! Rule 10: triggers of the catalog are decided and recorded, and nothing acts on them.

use loadcast_client::{ScalerDecision, ScalerSource, Selector};

use crate::{
    house::{Keda, SERIES, after, serve},
    support::{TestServer, push},
};

const CATALOG: &str = r#"
[[series]]
name = "{namespace}.{workload}.cpu"
promql = "a"
labels = { signal = "cpu" }
shadow = [
  { name = "try-2", target = 2, quantile = "point", activationTarget = 3 },
  { name = "try-skill", target = 2, quantile = "point", minSkill = 0 },
]

[[series]]
name = "not.yet"
promql = "b"
shadow = [{ name = "early", target = 1 }]
"#;

/// What was told to the shadow triggers, once there is what `enough` asks for; the clock goes on by a poll each time.
async fn shadows(
    server: &TestServer,
    enough: impl Fn(&[ScalerDecision]) -> bool,
) -> Vec<ScalerDecision> {
    for minute in 1..600 {
        let decisions = server
            .client()
            .scaler_decisions(&Selector::all())
            .await
            .unwrap();
        if enough(&decisions) {
            return decisions;
        }
        server.clock.set(after(minute));
        tokio::task::yield_now().await;
    }
    panic!("not within ten hours of the clock");
}

#[tokio::test]
async fn rule_10_shadow_triggers_of_the_catalog_are_decided_and_recorded_and_nobody_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.toml");
    std::fs::write(&path, CATALOG).unwrap();
    let flag = format!("--catalog={}", path.display());
    let server = TestServer::start_with(folder, &[&flag]).await;
    let mut pushed = push(SERIES, 2.0);
    pushed.series.labels = [("namespace", "shop"), ("workload", "web")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    serve(&server, pushed).await;
    let decisions = shadows(&server, |decisions| decisions.len() == 3).await;
    let by_name = |name: &str| {
        let mut named = decisions.iter();
        named.find(|it| it.name.as_deref() == Some(name)).unwrap()
    };
    let tried = by_name("try-2");
    assert!(
        decisions
            .iter()
            .all(|decision| decision.shadow && decision.namespace.is_none())
    );
    assert_eq!((tried.series.as_str(), tried.version), (SERIES, Some(1)));
    assert_eq!((tried.value, tried.active), (Some(2.0), Some(false)));
    let gated = by_name("try-skill");
    assert_eq!((gated.source, gated.value), (ScalerSource::None, None));
    assert_eq!(gated.reason.as_deref(), Some("SKILL_UNKNOWN"));
    assert_eq!(by_name("early").value, None);
    let url = format!("http://{}/metrics", server.http);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(r#"loadcast_scaler_decisions_total{method="shadow",outcome="champion"}"#)
    );
    assert!(
        !metrics.contains(r#"method="get_metrics""#),
        "nobody was told"
    );
    // What KEDA asks is recorded beside them, as acting.
    let keda = Keda::at(&server, &[]).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    let decisions = server
        .client()
        .scaler_decisions(&Selector::all())
        .await
        .unwrap();
    let acting: Vec<_> = decisions
        .iter()
        .filter(|decision| !decision.shadow)
        .collect();
    assert_eq!(acting.len(), 1);
    assert_eq!(acting[0].namespace.as_deref(), Some("shop"));
}
