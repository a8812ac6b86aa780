//! The memory of answers: what is kept, from the second time on that it is asked, and what must never be answered from it.

use std::time::Duration;

use loadcast_client::{Forecast, ForecastQuery, Range};

use crate::support::{TestServer, now, push};

/// An hour of `web.cpu`.
fn hour() -> ForecastQuery {
    ForecastQuery::new("web.cpu", Range::Horizon(Duration::from_secs(3_600)))
}

/// How many questions were answered, and how many answers computed.
async fn counts(server: &TestServer) -> (u64, u64) {
    (
        server.metric("loadcast_forecast_questions_total").await,
        server
            .metric("loadcast_forecast_answers_computed_total")
            .await,
    )
}

async fn ask(server: &TestServer, query: &ForecastQuery) -> Forecast {
    server.client().forecast(query).await.unwrap()
}

#[tokio::test]
async fn a_question_is_computed_twice_at_most_in_its_step_and_anew_in_the_next() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let first = ask(&server, &hour()).await;
    for second in [1, 150, 299] {
        server.clock.set(now() + Duration::from_secs(second));
        assert_eq!(ask(&server, &hour()).await, first);
    }
    assert_eq!(counts(&server).await, (4, 2));
    server.clock.set(now() + Duration::from_secs(300));
    let next = ask(&server, &hour()).await;
    assert_eq!(next.start, first.start + Duration::from_secs(300));
    assert_eq!(counts(&server).await, (5, 3));
}

#[tokio::test]
async fn every_part_of_a_question_counts() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let with = |change: fn(&mut ForecastQuery)| {
        let mut query = hour();
        change(&mut query);
        query
    };
    let queries = [
        hour(),
        with(|query| query.levels = vec![0.9]),
        with(|query| query.levels = vec![0.5, 0.9]),
        with(|query| query.components = true),
        with(|query| query.step = Some(Duration::from_secs(600))),
        with(|query| query.as_of = Some(now() - Duration::from_secs(86_400))),
        with(|query| query.alias = Some("champion".to_owned())),
        with(|query| query.version = Some(1)),
    ];
    let mut answers = Vec::new();
    for round in 0..4 {
        for (i, query) in queries.iter().enumerate() {
            let answer = ask(&server, query).await;
            if round == 0 {
                answers.push(answer);
            } else {
                assert_eq!(answer, answers[i], "{query:?}");
            }
        }
    }
    let count = queries.len() as u64;
    assert_eq!(counts(&server).await, (4 * count, 2 * count));
}

#[tokio::test]
async fn a_past_instant_is_remembered_while_the_clock_moves_on() {
    let server = TestServer::start().await;
    server.client().push(push("web.cpu", 2.5)).await.unwrap();
    let mut query = hour();
    query.as_of = Some(now() - Duration::from_secs(7_200));
    let first = ask(&server, &query).await;
    for day in 1..=3 {
        server.clock.set(now() + Duration::from_secs(day * 86_400));
        assert_eq!(ask(&server, &query).await, first);
    }
    assert_eq!(counts(&server).await, (4, 2));
}

#[tokio::test]
async fn no_version_is_answered_from_the_memory_of_another_nor_of_its_own_earlier_time() {
    let server = TestServer::start().await;
    let client = server.client();
    let ask_often = async || {
        let first = ask(&server, &hour()).await;
        for _ in 0..3 {
            assert_eq!(ask(&server, &hour()).await, first);
        }
        first
    };
    let mut told = Vec::new();
    client.push(push("web.cpu", 1.0)).await.unwrap();
    told.push(ask_often().await);
    client.push(push("web.cpu", 2.0)).await.unwrap();
    told.push(ask_often().await);
    client.rollback("web.cpu", None).await.unwrap();
    told.push(ask_often().await);
    let told: Vec<_> = told
        .iter()
        .map(|answer| {
            let provenance = &answer.provenance;
            (provenance.version, provenance.revision, answer.yhat[0])
        })
        .collect();
    // The first version again, and since another revision.
    assert_eq!(told, [(1, 1, 1.0), (2, 2, 2.0), (1, 3, 1.0)]);
    assert_eq!(counts(&server).await, (12, 6));
}

#[tokio::test]
async fn what_is_refused_is_not_remembered() {
    let server = TestServer::start().await;
    assert!(server.client().forecast(&hour()).await.is_err());
    server.client().push(push("web.cpu", 1.0)).await.unwrap();
    assert_eq!(ask(&server, &hour()).await.yhat, [1.0; 12]);
}
