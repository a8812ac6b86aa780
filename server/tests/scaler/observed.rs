//! What was observed since the training counts: the floor, the age of the data, the skill.

use std::time::Duration;

use jiff::SignedDuration;
use loadcast_client::Observations;

use crate::{
    house::{Keda, SERIES, next, serve},
    support::{TestServer, now, push},
};

/// Tells of `values`, step after step from now on, and sets the clock to the end of the last.
async fn observe(server: &TestServer, first: i64, values: &[f64]) {
    let steps = first + i64::try_from(values.len()).unwrap();
    server
        .clock
        .set(now() + SignedDuration::from_secs(300 * steps));
    let run = Observations {
        series: SERIES.to_owned(),
        start: now() + SignedDuration::from_secs(300 * first),
        step: Some(Duration::from_secs(300)),
        values: values.to_vec(),
    };
    let observed = server.client().observe_actuals(vec![run]).await.unwrap();
    assert!(observed.reasons.is_empty(), "{observed:?}");
}

#[tokio::test]
async fn the_floor_is_the_last_observation_and_an_open_stream_hears_of_it() {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let keda = Keda::at(
        &server,
        &[("floorAtObserved", "true"), ("activationTarget", "5")],
    )
    .await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    let mut stream = keda.stream().await;
    assert_eq!(next(&mut stream).await, Some(false));
    observe(&server, 0, &[9.0]).await;
    assert_eq!(next(&mut stream).await, Some(true));
    assert_eq!(keda.value().await.unwrap(), 9.0);
    observe(&server, 1, &[1.0]).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    // What was observed an hour ago is no floor of what is needed now.
    observe(&server, 2, &[9.0]).await;
    let patient = [("floorAtObserved", "true"), ("maxDataAge", "1d")];
    let patient = Keda::at(&server, &patient).await;
    assert_eq!(patient.value().await.unwrap(), 9.0);
    server.clock.set(now() + SignedDuration::from_hours(1));
    assert_eq!(patient.value().await.unwrap(), 2.0);
}

#[tokio::test]
async fn once_observations_flow_their_silence_is_noticed_within_minutes_unless_the_workload_is_at_zero()
 {
    let server = TestServer::start().await;
    serve(&server, push(SERIES, 2.0)).await;
    let keda = Keda::at(&server, &[]).await;
    observe(&server, 0, &[2.0, 2.0]).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    let after_the_last = |minutes: i64| now() + SignedDuration::from_mins(10 + minutes);
    server.clock.set(after_the_last(15));
    assert_eq!(keda.value().await.unwrap(), 2.0);
    server.clock.set(after_the_last(20));
    assert_eq!(keda.refusal().await.1, "STALE_DATA");
    // Zero is a value of this series: it sleeps, and is woken however long it slept.
    observe(&server, 4, &[0.0]).await;
    server.clock.set(after_the_last(12 * 60));
    assert_eq!(keda.value().await.unwrap(), 2.0);
}

#[tokio::test]
async fn the_least_skill_is_that_of_observations_when_there_are_enough_and_else_that_of_the_backtest()
 {
    let server = TestServer::start().await;
    let with_backtest = loadcast_client::Push {
        scores: Some(loadcast_client::Scores {
            skill: Some(0.3),
            ..loadcast_client::Scores::default()
        }),
        ..push(SERIES, 2.0)
    };
    serve(&server, with_backtest).await;
    let keda = Keda::at(&server, &[("minSkill", "0.1"), ("maxDataAge", "1h")]).await;
    assert_eq!(keda.value().await.unwrap(), 2.0);
    // Three days of a workload that is almost the same every day and never what the model says.
    for day in 0..3 {
        let value = |i: i32| 20.0 + 10.0 * f64::from(i % 7) + f64::from(day);
        let values: Vec<f64> = (0..288).map(value).collect();
        observe(&server, i64::from(day) * 288, &values).await;
    }
    let patient = [("minSkill", "0.1"), ("maxModelAge", "30d")];
    let keda = Keda::at(&server, &patient).await;
    let (client, metadata) = (server.client(), keda.reference.scaler_metadata.clone());
    let meaning = client
        .explain_trigger(metadata)
        .await
        .unwrap()
        .meaning
        .unwrap();
    let gates = &meaning.rungs[0].gates;
    let skill = gates.iter().find(|gate| gate.name == "SKILL").unwrap();
    assert!(
        skill.message.contains("as observed over"),
        "{}",
        skill.message
    );
    assert_eq!(keda.refusal().await.1, "LOW_SKILL");
}
