//! What a Prometheus may answer, and what follows: bounds, retries, refusals.

use std::time::Duration;

use loadcast_prometheus::access::{Access, Credentials};
use loadcast_prometheus::client::{Found, Limits, Prometheus};
use loadcast_prometheus::error::{Error, Result};
use loadcast_prometheus::window::Window;

use crate::wire::{Answer, Asked, Scripted, error, ok, whole};

const WINDOW: Window = Window {
    from: 1_767_225_600,
    until: 1_767_225_600 + 1_000 * 60,
    step: 60,
};

fn limits() -> Limits {
    Limits {
        backoff: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        ..Limits::default()
    }
}

async fn range(url: &str, limits: Limits) -> Result<Vec<Found>> {
    let prometheus = Prometheus::new(url, Access::default(), limits)?;
    prometheus.range("up", WINDOW).await
}

fn two(question: &Asked) -> Answer {
    whole(&[("a", 0.0), ("b", 0.5)], question)
}

fn told(error: &Error) -> String {
    format!("{error}\n{}", error.remedy())
}

#[tokio::test]
async fn chunks_are_bounded_in_points_and_samples_and_nothing_is_lost_between_them() {
    for (points, samples, most) in [(100, 1_000_000, 100), (10_000, 300, 150)] {
        let scripted = Scripted::start(2, |_, question| two(question)).await;
        let limits = Limits {
            points,
            samples,
            ..limits()
        };
        let found = range(&scripted.url, limits).await.unwrap();
        assert_eq!(found.len(), 2);
        for one in &found {
            let instants: Vec<i64> = one.samples.iter().map(|sample| sample.instant).collect();
            let expected: Vec<i64> = (0..1_000).map(|i| WINDOW.from + i * 60).collect();
            assert_eq!(instants, expected);
        }
        let asked = scripted.asked();
        assert!(asked.len() >= 1_000 / most as usize);
        assert!(
            asked.iter().all(|question| question.points() <= most),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn what_is_transient_is_asked_again_and_given_up_after_so_many_attempts() {
    let scripted = Scripted::start(2, |number, question| match number {
        0 => error(503, "", "starting"),
        1 => Some((
            429,
            vec![("retry-after", "0".to_owned())],
            "slow down".to_owned(),
        )),
        2 => Some((502, Vec::new(), "<html>bad gateway".to_owned())),
        _ => two(question),
    })
    .await;
    assert_eq!(range(&scripted.url, limits()).await.unwrap().len(), 2);
    assert_eq!(scripted.asked().len(), 4);

    let scripted = Scripted::start(2, |_, _| Some((503, Vec::new(), "away".to_owned()))).await;
    let error = range(&scripted.url, limits()).await.unwrap_err();
    assert!(
        told(&error).contains("in 6 attempts: 503 Service Unavailable: away"),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_in_part_fails_and_is_not_taken_for_all() {
    let scripted = Scripted::start(2, |_, _| {
        ok("\"warnings\":[\"store-2: no such host\"],\"data\":{\"resultType\":\"matrix\",\"result\":[]}")
    })
    .await;
    let error = range(&scripted.url, limits()).await.unwrap_err();
    assert!(
        told(&error).contains("in part: store-2: no such host"),
        "{error}"
    );
    assert_eq!(
        scripted.asked().len(),
        1,
        "asking again would not make it whole"
    );
}

#[tokio::test]
async fn what_is_too_much_at_once_is_halved_until_it_is_answered() {
    let scripted = Scripted::start(1, |_, question| match question.points() {
        n if n > 300 => error(
            422,
            "execution",
            "query processing would load too many samples into memory",
        ),
        n if n > 200 => error(503, "timeout", "query timed out in expression evaluation"),
        n if n > 100 => Some((200, Vec::new(), " ".repeat(200_000))),
        _ => two(question),
    })
    .await;
    let limits = Limits {
        body: 100_000,
        ..limits()
    };
    let found = range(&scripted.url, limits).await.unwrap();
    assert_eq!(found[0].samples.len(), 1_000);
}

#[tokio::test]
async fn credentials_tenant_and_the_path_of_a_proxy_arrive_and_a_proxy_without_post_is_asked_by_get()
 {
    let scripted = Scripted::start(2, |_, question| match question.method.as_str() {
        "POST" => Some((405, Vec::new(), String::new())),
        _ => two(question),
    })
    .await;
    let bearer = Credentials::Bearer("s3cret".to_owned());
    let access = Access::default().with_credentials(bearer).unwrap();
    let access = access.with_tenant("team-a").unwrap();
    let url = format!("{}/proxy/7/", scripted.url);
    let prometheus = Prometheus::new(&url, access, limits()).unwrap();
    assert_eq!(prometheus.range("up", WINDOW).await.unwrap().len(), 2);
    let asked = scripted.asked().pop().unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("GET", "/proxy/7/api/v1/query_range")
    );
    assert_eq!(asked.headers["authorization"], "Bearer s3cret");
    assert_eq!(asked.headers["x-scope-orgid"], "team-a");
    assert!(!format!("{prometheus:?}").contains("s3cret"));
}

#[tokio::test]
async fn each_refusal_says_what_was_wrong_and_what_to_do() {
    for (answer, says) in [
        (
            error(400, "bad_data", "1:5: parse error: unclosed left brace"),
            "unclosed left brace",
        ),
        (
            Some((401, Vec::new(), "no".to_owned())),
            "LOADCAST_PROMETHEUS_TOKEN",
        ),
        (
            Some((404, Vec::new(), "no".to_owned())),
            "up to what stands before /api/v1",
        ),
        (
            Some((200, Vec::new(), "<html>".to_owned())),
            "did not answer as Prometheus does",
        ),
        (
            error(
                422,
                "execution",
                "found duplicate series for the match group",
            ),
            "duplicate series",
        ),
    ] {
        let scripted = Scripted::start(1, move |_, _| answer.clone()).await;
        let error = range(&scripted.url, limits()).await.unwrap_err();
        assert!(told(&error).contains(says), "{}", told(&error));
        assert_eq!(
            scripted.asked().len(),
            1,
            "{says}: it would be refused again"
        );
    }
}

#[tokio::test]
async fn an_expression_that_does_not_fit_in_memory_is_refused_with_what_to_do_instead() {
    let scripted = Scripted::start(2, |_, question| two(question)).await;
    let limits = Limits {
        held: 1_500,
        ..limits()
    };
    let error = range(&scripted.url, limits).await.unwrap_err();
    assert!(
        told(&error).contains("loadcast-trainer collect"),
        "{}",
        told(&error)
    );
}
