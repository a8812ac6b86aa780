//! Requests and limits over the wire: what is advised, what is refused, and the line that the proto shows.

use std::time::Duration;

use loadcast_client::{
    Client, Code, Error, Policy, Push, Recommendation, RecommendationQuery, Window,
};
use loadcast_components::tools::tool;

use crate::support::{TestServer, noisy, now, push};

const MIB: f64 = 1_048_576.0;

/// A memory series that always was at `mib`.
fn memory(mib: f64) -> Push {
    let mut push = push("web.memory", mib * MIB);
    push.series.unit = Some("bytes".to_owned());
    push
}

fn query() -> RecommendationQuery {
    RecommendationQuery {
        cpu_series: Some("web.cpu".to_owned()),
        memory_series: Some("web.memory".to_owned()),
        ..RecommendationQuery::new(Window::NextDay)
    }
}

async fn started() -> (TestServer, Client) {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(noisy("web.cpu")).await.unwrap();
    client.push(memory(300.0)).await.unwrap();
    (server, client)
}

fn refused(answer: Result<Recommendation, Error>) -> (Code, String, String) {
    match answer {
        Err(Error::Refused {
            code,
            reason,
            message,
            ..
        }) => (code, reason, message),
        other => panic!("not a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn quantiles_give_a_request_below_a_wider_limit_with_their_reasons() {
    let (_server, client) = started().await;
    let advice = client.recommend(&query()).await.unwrap();
    let cpu = advice.cpu.unwrap();
    // The values swing between 9 and 11 cores; 600 of 5 minutes are 2.08 days, so that the limit is widened by 48 %.
    assert!((9_000..11_000).contains(&cpu.request), "{cpu:?}");
    assert!((15_000..18_000).contains(&cpu.limit), "{cpu:?}");
    assert!(
        cpu.notes
            .iter()
            .any(|note| note.contains("widened by 48 %")),
        "{cpu:?}"
    );
    assert_eq!(cpu.unit, "millicores");
    assert_eq!(cpu.provenance.version, 1);
    let memory = advice.memory.unwrap();
    assert!(memory.limit >= 300 && memory.request >= 299, "{memory:?}");
    assert_eq!(advice.window.0.to_string(), "2026-11-25T00:00:00Z");
    assert_eq!(advice.window.1.to_string(), "2026-11-26T00:00:00Z");
}

#[tokio::test]
async fn multiplier_below_the_observed_peak_of_memory_is_raised_to_it() {
    let (_server, client) = started().await;
    let mut falling = memory(300.0);
    falling.clamps = Some(loadcast_client::Clamps {
        min: None,
        max: Some(100.0 * MIB),
    });
    falling.idempotency_key = "falling".to_owned();
    client.push(falling).await.unwrap();
    let query = RecommendationQuery {
        policy: Policy::Multiplier,
        replicas: 2,
        ..query()
    };
    let memory = client.recommend(&query).await.unwrap().memory.unwrap();
    // Of a mean of 100 MiB over two pods; 150 MiB of each were seen.
    assert_eq!((memory.request, memory.limit), (40, 150), "{memory:?}");
    let notes = memory.notes.join("\n");
    assert!(
        notes.contains("largest observation") && notes.contains("divided by 2"),
        "{notes}"
    );
}

#[tokio::test]
async fn what_is_stale_is_a_refusal_with_its_reason_code_and_no_number() {
    let (server, client) = started().await;
    for (age, code) in [(49, "STALE_MODEL"), (24 * 8, "STALE_DATA")] {
        server.clock.set(now() + Duration::from_secs(age * 3_600));
        let (status, reason, message) = refused(client.recommend(&query()).await);
        assert_eq!((status, reason.as_str()), (Code::FailedPrecondition, code));
        assert!(
            message.contains("web.cpu") && message.contains("train"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn what_was_observed_since_the_training_holds_the_limit_of_memory_up() {
    let (server, client) = started().await;
    let seen = loadcast_client::Observations {
        series: "web.memory".to_owned(),
        start: now() - Duration::from_secs(600),
        step: None,
        // It fell since; what killed it once would kill it again.
        values: vec![900.0 * MIB, 300.0 * MIB],
    };
    let told = client.observe_actuals(vec![seen]).await.unwrap();
    assert_eq!(told.accepted, 2);
    let query = RecommendationQuery {
        policy: Policy::Multiplier,
        ..query()
    };
    let memory = client.recommend(&query).await.unwrap().memory.unwrap();
    assert_eq!((memory.request, memory.limit), (240, 900), "{memory:?}");
    drop(server);
}

#[tokio::test]
async fn what_live_scores_have_gated_is_a_refusal_everywhere_and_no_number_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog.toml");
    let text = "[[series]]\nname = \"CPU_Prophet_Model\"\npromql = \"x\"\ngates = { min_skill = 0.1, min_coverage = 0.0 }\n";
    std::fs::write(&catalog, text).unwrap();
    let flag = format!("--catalog={}", catalog.display());
    let server = TestServer::start_with(folder, &[&flag]).await;
    let client = server.client();
    for name in ["CPU_Prophet_Model", "Memory_Prophet_Model"] {
        client.push(push(name, 10.0)).await.unwrap();
    }
    // Every day is the same, which the day before says and a model that says 10 does not.
    for i in 0.. {
        assert!(i < 600, "the gate never closes");
        let at = now() + Duration::from_secs(i * 300);
        server.clock.set(at + Duration::from_secs(300));
        let seen = loadcast_client::Observations {
            series: "CPU_Prophet_Model".to_owned(),
            start: at,
            step: None,
            values: vec![
                20.0 + (i % 7) as f64 + 0.01 * (i / 288) as f64 * f64::from(u8::from(i % 5 == 0)),
            ],
        };
        client.observe_actuals(vec![seen]).await.unwrap();
        let model = client.model("CPU_Prophet_Model").await.unwrap();
        if model.reason.is_some() {
            break;
        }
    }
    let asked = RecommendationQuery {
        cpu_series: Some("CPU_Prophet_Model".to_owned()),
        ..RecommendationQuery::new(Window::NextDay)
    };
    let (status, reason, message) = refused(client.recommend(&asked).await);
    assert_eq!(
        (status, reason.as_str()),
        (Code::FailedPrecondition, "LIVE_GATE")
    );
    assert!(message.contains("SKILL"), "{message}");
    let get = async |path: &str| {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(format!("http://{}{path}", server.http)).send();
        let answer = answer.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (status, text) = get("/next_day").await;
    assert!(
        status == 503 && text.contains("LIVE_GATE"),
        "{status} {text}"
    );
    let (_, text) = get("/metrics/forecasts?series=CPU_Prophet_Model").await;
    let closed = "reason=\"LIVE_GATE\"} 0";
    assert!(
        text.contains(closed) && !text.contains("loadcast_forecast{"),
        "{text}"
    );
}

#[tokio::test]
async fn a_unit_that_does_not_fit_and_a_series_that_is_not_there_are_refused_by_name() {
    let (_server, client) = started().await;
    let swapped = RecommendationQuery {
        cpu_series: Some("web.memory".to_owned()),
        ..query()
    };
    let (code, _, message) = refused(client.recommend(&swapped).await);
    assert_eq!(code, Code::InvalidArgument);
    assert!(
        message.starts_with("cpu_series: ") && message.contains("\"bytes\""),
        "{message}"
    );
    let unknown = RecommendationQuery {
        memory_series: Some("nobody".to_owned()),
        ..query()
    };
    let (code, reason, _) = refused(client.recommend(&unknown).await);
    assert_eq!((code, reason.as_str()), (Code::NotFound, "UNKNOWN_SERIES"));
}

#[tokio::test]
async fn the_grpcurl_line_of_the_proto_works() {
    let Some(path) = tool("grpcurl", "bin/grpcurl", "Go") else {
        return;
    };
    let server = TestServer::start().await;
    let client = server.client();
    let proto = include_str!("../../../proto/loadcast/v1/forecast.proto");
    let line = proto
        .lines()
        .find(|line| line.contains("grpcurl") && line.contains("GetRecommendation"))
        .unwrap();
    let asked = line.split('\'').nth(1).unwrap();
    let named: serde_json::Value = serde_json::from_str(asked).unwrap();
    let mut cpu = push(named["cpu_series"].as_str().unwrap(), 2.0);
    cpu.series.unit = Some("cores".to_owned());
    client.push(cpu).await.unwrap();
    let mut memory = memory(300.0);
    memory.series.name = named["memory_series"].as_str().unwrap().to_owned();
    client.push(memory).await.unwrap();
    let output = tokio::process::Command::new(path)
        .args(["-plaintext", "-d", asked])
        .arg(server.grpc.to_string())
        .arg(line.split_whitespace().last().unwrap())
        .output();
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["cpu"]["request"], "2000", "{said}");
    assert_eq!(answer["memory"]["unit"], "MiB", "{said}");
    assert_eq!(answer["policy"], "RECOMMENDATION_POLICY_QUANTILE", "{said}");
}
