//! What can go wrong between us and a real MLflow, done to its answers by a proxy.

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use loadcast_registry::{
    environment::Environment,
    error::Error,
    mlflow::{Limits, MlflowRegistry},
    registry::Registry,
};

use crate::{
    mlflow::{Mlflow, mlflow, open_at},
    sample::{new_version, series},
};
use loadcast_components::proxy::{Fault, Proxy};

/// A model.pr long enough to be cut.
const MODEL_PR: &str = "0123456789012345678901234567890123456789";

/// Where a fault at the file itself is injected.
const FILE: &str = "artifacts/model.pr";

/// A proxy in front of `mlflow`, a registry behind it with short limits, and a registered version of `name`.
async fn setting(mlflow: &Mlflow, name: &str) -> (Proxy, MlflowRegistry) {
    let direct = mlflow.open();
    let version = new_version(name, "k", MODEL_PR);
    direct.register(version).await.unwrap();
    direct
        .set_alias(&series(name), "champion", 1, None)
        .await
        .unwrap();
    let proxy = Proxy::start(&mlflow.url).await;
    let registry = with_limits(&proxy.url);
    (proxy, registry)
}

fn with_limits(url: &str) -> MlflowRegistry {
    let limits = Limits {
        connect: Duration::from_secs(1),
        call: Duration::from_secs(20),
        transfer: Duration::from_secs(20),
        json: 256 * 1024,
        page: 200,
    };
    let url = format!("mlflow+{url}").parse().unwrap();
    MlflowRegistry::new(&url, &Environment::default(), limits).unwrap()
}

fn html() -> Fault {
    let kind = vec![("content-type", "text/html".to_owned())];
    Fault::Answer(200, kind, "<html>Please sign in</html>".into())
}

#[tokio::test]
async fn a_server_that_is_down_is_unreachable_at_start_and_later_and_back_when_it_is_back() {
    let nobody = open_at("http://127.0.0.1:1", &Environment::default());
    let error = nobody.poll("champion").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = setting(mlflow, "faults.down").await;
    registry.poll("champion").await.unwrap();
    proxy.fail("", Fault::Drop);
    let error = registry.poll("champion").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    proxy.heal();
    registry.poll("champion").await.unwrap();
    registry.fetch(&series("faults.down"), 1).await.unwrap();
}

/// Every call on a server whose every answer is `fault` is an error that `is_right` and says `words`; nothing is made.
async fn every_call_says(name: &str, fault: Fault, is_right: fn(&Error) -> bool, words: &str) {
    let Some(mlflow) = mlflow() else { return };
    let name = format!("faults.{name}");
    let (proxy, registry) = setting(mlflow, &name).await;
    let a = series(&name);
    proxy.fail("", fault);
    for error in [
        registry.poll("champion").await.unwrap_err(),
        registry.alias(&a, "champion").await.unwrap_err(),
        registry.versions(&a).await.unwrap_err(),
        registry.fetch(&a, 1).await.unwrap_err(),
        registry
            .register(new_version(&name, "k2", "x"))
            .await
            .unwrap_err(),
        registry
            .set_alias(&a, "champion", 1, Some(0))
            .await
            .unwrap_err(),
        registry.prune(&a, 1, &[]).await.unwrap_err(),
    ] {
        let said = error.to_string();
        assert!(is_right(&error), "{said}");
        assert!(said.contains(words) && said.len() < 2_000, "{said}");
    }
    proxy.heal();
    assert_eq!(registry.versions(&a).await.unwrap(), [1]);
}

fn denied(error: &Error) -> bool {
    matches!(error, Error::Denied { .. })
}

fn unreachable(error: &Error) -> bool {
    matches!(error, Error::Unreachable { .. })
}

fn json(body: impl Into<Bytes>) -> Fault {
    let kind = vec![("content-type", "application/json".to_owned())];
    Fault::Answer(200, kind, body.into())
}

#[tokio::test]
async fn a_401_is_denied_and_names_the_variables() {
    every_call_says("401", Fault::status(401), denied, "MLFLOW_TRACKING_TOKEN").await;
}

#[tokio::test]
async fn a_403_is_denied() {
    every_call_says("403", Fault::status(403), denied, "403").await;
}

#[tokio::test]
async fn a_404_that_is_not_mlflows_is_no_missing_model() {
    every_call_says("404", Fault::status(404), unreachable, "404").await;
}

#[tokio::test]
async fn a_429_without_a_time_is_unreachable() {
    every_call_says("429", Fault::status(429), unreachable, "429").await;
}

#[tokio::test]
async fn errors_of_the_server_and_of_gateways_are_unreachable() {
    for code in [500, 502, 503, 504] {
        let (name, words) = (code.to_string(), code.to_string());
        every_call_says(&name, Fault::status(code), unreachable, &words).await;
    }
}

#[tokio::test]
async fn html_instead_of_json_asks_whether_that_is_mlflow() {
    let words = "root of an MLflow server";
    every_call_says("html", html(), unreachable, words).await;
}

#[tokio::test]
async fn json_that_is_cut_too_long_or_too_deep_is_bounded_and_no_answer() {
    let long = format!(r#"{{"x": "{}"}}"#, "y".repeat(300_000));
    let deep = format!(r#"{{"registered_models": {}"#, "[".repeat(100_000));
    every_call_says("cut", json("{"), unreachable, "not the JSON").await;
    every_call_says("long", json(long), unreachable, "longer than").await;
    every_call_says("deep", json(deep), unreachable, "not the JSON").await;
}

#[tokio::test]
async fn a_body_that_was_compressed_unasked_is_told_and_not_read() {
    let encoding = vec![("content-encoding", "gzip".to_owned())];
    let fault = Fault::Answer(200, encoding, "not even gzip".into());
    every_call_says("gzip", fault, unreachable, "encoding").await;
}

#[tokio::test]
async fn a_redirect_in_circles_ends() {
    let Some(mlflow) = mlflow() else { return };
    // Another proxy's address, for the loop must end at a known place.
    let round = Proxy::start(&mlflow.url).await;
    let location = vec![("location", format!("{}/round", round.url))];
    let turn = Fault::Answer(302, location, Bytes::new());
    round.fail("", turn.clone());
    every_call_says("circle", turn, unreachable, "redirect").await;
    assert!(round.requests() <= 8 * 5, "{}", round.requests());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    every_call_says("broken", Fault::CutAfter(3), unreachable, "no whole answer").await;
}

#[tokio::test]
async fn a_server_that_takes_the_request_and_says_nothing_is_waited_for_no_longer_than_the_bound() {
    let Some(mlflow) = mlflow() else { return };
    let proxy = Proxy::start(&mlflow.url).await;
    let limits = Limits {
        call: Duration::from_millis(300),
        ..Limits::default()
    };
    let url = format!("mlflow+{}", proxy.url).parse().unwrap();
    let registry = MlflowRegistry::new(&url, &Environment::default(), limits).unwrap();
    proxy.fail("", Fault::Silence);
    let error = registry.poll("champion").await.unwrap_err();
    assert!(unreachable(&error), "{error}");
    assert!(error.to_string().contains("in time"), "{error}");
}

#[tokio::test]
async fn how_long_a_server_asks_to_be_left_alone_is_in_the_error_and_holds_up_nobody_else() {
    let Some(mlflow) = mlflow() else { return };
    let later = jiff::Timestamp::now() + Duration::from_secs(60);
    let date = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (code, value) in [(429, "60".to_owned()), (503, date)] {
        let proxy = Proxy::start(&mlflow.url).await;
        let registry = with_limits(&proxy.url);
        let headers = vec![("retry-after", value)];
        proxy.fail_once("", Fault::Answer(code, headers, "busy".into()));
        let error = registry.poll("champion").await.unwrap_err();
        let Error::Unreachable {
            retry_after: Some(pause),
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert!((55..=60).contains(&pause.as_secs()), "{code}: {pause:?}");
        assert_eq!(proxy.requests(), 1, "{code}: not tried again by itself");
        registry.poll("champion").await.unwrap();
    }
}

#[tokio::test]
async fn pages_without_end_are_an_error_and_no_loop() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = setting(mlflow, "faults.pages").await;
    let page = r#"{"registered_models": [], "next_page_token": "again"}"#;
    proxy.fail("search", Fault::Answer(200, vec![], page.into()));
    let error = registry.poll("champion").await.unwrap_err();
    assert!(error.to_string().contains("no end"), "{error}");
    assert!(proxy.requests() <= 3, "{}", proxy.requests());
}

#[tokio::test]
async fn a_broken_download_is_resumed_where_it_broke() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = setting(mlflow, "faults.resume").await;
    proxy.fail_once(FILE, Fault::CutAfter(15));
    let stored = registry.fetch(&series("faults.resume"), 1).await.unwrap();
    assert_eq!(stored.model_pr, MODEL_PR);
    let asked: Vec<String> = proxy
        .log()
        .into_iter()
        .filter(|name| name.contains(FILE))
        .collect();
    assert_eq!(asked.len(), 2);
    assert!(asked[1].ends_with("range: bytes=15-"), "{asked:?}");
    // Without an entity tag nobody knows whether it is still the same file: begun anew.
    let mut count = 0;
    proxy.set(move |name| {
        count += usize::from(name.contains(FILE));
        match count {
            1 if name.contains(FILE) => Some(Fault::WithoutTagCutAfter(15)),
            _ => None,
        }
    });
    let stored = registry.fetch(&series("faults.resume"), 1).await.unwrap();
    assert_eq!(stored.model_pr, MODEL_PR);
    let last = proxy.log().into_iter().rfind(|name| name.contains(FILE));
    assert!(!last.unwrap().contains("range"));
}

#[tokio::test]
async fn a_short_body_that_looks_whole_is_noticed_by_size_and_a_bent_one_by_digest() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = setting(mlflow, "faults.short").await;
    let a = series("faults.short");
    proxy.fail(FILE, Fault::ShortenTo(5));
    let error = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("25 of 40 bytes"), "{error}");
    proxy.fail(FILE, Fault::Bend);
    let error = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("sha256"), "{error}");
    proxy.heal();
    registry.fetch(&a, 1).await.unwrap();
}

#[tokio::test]
async fn a_body_that_trickles_ends_within_its_bound_and_holds_up_nobody_else() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, _) = setting(mlflow, "faults.slow").await;
    let limits = Limits {
        transfer: Duration::from_secs(5),
        ..Limits::default()
    };
    let url = format!("mlflow+{}", proxy.url).parse().unwrap();
    let registry = MlflowRegistry::new(&url, &Environment::default(), limits).unwrap();
    let registry: Arc<dyn Registry> = Arc::new(registry);
    proxy.fail(FILE, Fault::Trickle(Duration::from_secs(1)));
    let slow = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.fetch(&series("faults.slow"), 1).await }
    });
    // Asked while the file trickles: answered, and not after it.
    while !proxy.log().iter().any(|request| request.contains(FILE)) {
        registry.poll("champion").await.unwrap();
    }
    registry.poll("champion").await.unwrap();
    assert!(!slow.is_finished());
    let error = slow.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_version_that_is_not_ready_is_asked_for_again_and_one_that_failed_is_not() {
    let Some(mlflow) = mlflow() else { return };
    let (proxy, registry) = setting(mlflow, "faults.status").await;
    let a = series("faults.status");
    let version = |status: &str| {
        let body = format!(
            r#"{{"model_version": {{"version": "1", "status": "{status}", "status_message": "disk"}}}}"#
        );
        Fault::Answer(200, vec![], body.into())
    };
    proxy.fail("model-versions/get?", version("PENDING_REGISTRATION"));
    let error = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(error, Error::NotReady { .. }), "{error}");
    proxy.fail("model-versions/get?", version("FAILED_REGISTRATION"));
    let error = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn files_that_are_gone_or_replaced_by_hand_are_corrupt() {
    let Some(mlflow) = mlflow() else { return };
    let (_, registry) = setting(mlflow, "faults.files").await;
    let a = series("faults.files");
    let found = find(&mlflow.artifacts(), "faults.files");
    fs::write(found.join("model.pr"), "x".repeat(MODEL_PR.len())).unwrap();
    let error = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    fs::remove_file(found.join("model.pr")).unwrap();
    let error = registry.fetch(&a, 1).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
}

/// The folder below `root` whose loadcast.json is of `name`.
fn find(root: &std::path::Path, name: &str) -> std::path::PathBuf {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.ends_with("loadcast.json")
                && fs::read_to_string(&path)
                    .unwrap()
                    .contains(&format!("\"{name}\""))
            {
                return folder;
            }
        }
    }
    panic!("no version of {name} below {}", root.display())
}
