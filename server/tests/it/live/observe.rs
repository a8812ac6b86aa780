//! What is told, and what becomes of it.

use std::time::Duration;

use loadcast_client::{Code, Error, Observations};

use super::scene::{SERIES, corrected, instant, value};
use crate::support::{TestServer, push};

fn run(series: &str, first: i64, step: Option<u64>, values: Vec<f64>) -> Observations {
    Observations {
        series: series.to_owned(),
        start: instant(first),
        step: step.map(Duration::from_secs),
        values,
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_counted_with_the_reason_and_stops_nothing() {
    let server = TestServer::start().await;
    server.client().push(corrected(SERIES)).await.unwrap();
    let runs = vec![
        run("nobody.knows", -2, Some(300), vec![1.0; 3]),
        run(SERIES, -2, Some(60), vec![1.0; 2]),
        run(SERIES, -2, None, vec![value(-2), f64::NAN, value(0)]),
        run(SERIES, -2, Some(300), vec![9.0]),
        run(SERIES, -1, Some(300), vec![9.0, 9.0]),
        run(SERIES, 5, Some(300), vec![9.0]),
    ];
    let told = server.client().observe_actuals(runs).await.unwrap();
    assert_eq!(
        (told.accepted, told.missing, told.ignored),
        (2, 1, 3 + 2 + 1 + 2 + 1)
    );
    let reasons: Vec<(&str, &str, u64)> = told
        .reasons
        .iter()
        .map(|reason| (reason.series.as_str(), reason.code.as_str(), reason.count))
        .collect();
    assert_eq!(
        reasons,
        [
            ("nobody.knows", "NOT_SERVED", 3),
            (SERIES, "FUTURE", 1),
            (SERIES, "LATE", 3),
            (SERIES, "STEP", 2),
        ]
    );
    assert!(told.reasons[3].message.contains("300 s"), "{told:?}");
    let live = server.live(SERIES).await;
    assert_eq!((live.observed_at, live.last_value), (instant(0), value(0)));
}

#[tokio::test]
async fn a_message_that_makes_no_sense_ends_the_call_by_name_and_what_was_before_it_is_kept() {
    let server = TestServer::start().await;
    server.client().push(corrected(SERIES)).await.unwrap();
    let runs = vec![
        run(SERIES, -2, None, vec![value(-2)]),
        run(SERIES, -1, None, vec![f64::INFINITY]),
        run(SERIES, 0, None, vec![value(0)]),
    ];
    match server.client().observe_actuals(runs).await.unwrap_err() {
        Error::Refused {
            code, violations, ..
        } => {
            assert_eq!(code, Code::InvalidArgument);
            assert_eq!(violations[0].field, "messages[1].values[0]");
            let said = &violations[0].description;
            assert!(
                said.contains("NaN") && said.contains("1 values accepted"),
                "{said}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.live(SERIES).await.observed_at, instant(-2));
}

#[tokio::test]
async fn a_zero_is_missing_where_the_series_says_so() {
    let server = TestServer::start().await;
    for (series, zero_means) in [
        ("a", Some(loadcast_client::ZeroMeans::Missing)),
        ("b", Some(loadcast_client::ZeroMeans::Value)),
    ] {
        let mut push = push(series, 5.0);
        push.series.zero_means = zero_means;
        server.client().push(push).await.unwrap();
        let told = server.tell(series, -2, vec![5.0, 0.0]).await;
        let is_missing = series == "a";
        assert_eq!(told.missing, u64::from(is_missing));
        assert_eq!(told.accepted, 1 + u64::from(!is_missing));
    }
}

#[tokio::test]
async fn an_observation_counts_for_the_step_that_it_lies_in() {
    let server = TestServer::start().await;
    server.client().push(push("a", 5.0)).await.unwrap();
    let late = Observations {
        start: instant(-1) + Duration::from_secs(299),
        ..run("a", 0, None, vec![5.0])
    };
    let told = server.client().observe_actuals(vec![late]).await.unwrap();
    assert_eq!(told.accepted, 1);
    assert_eq!(server.live("a").await.observed_at, instant(-1));
}

#[tokio::test]
async fn what_is_no_longer_served_is_forgotten() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push("a", 5.0)).await.unwrap();
    server.tell("a", -1, vec![5.0]).await;
    let name = "a".parse().unwrap();
    assert!(server.cache.live().view(&name).is_some());
    client.retire("a", "gone").await.unwrap();
    while server.cache.live().view(&name).is_some() {
        tokio::task::yield_now().await;
    }
    let told = server.tell("a", 0, vec![5.0]).await;
    assert_eq!(told.reasons[0].code, "NOT_SERVED");
}
