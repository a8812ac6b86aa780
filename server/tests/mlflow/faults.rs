//! What can go wrong between a server and a real MLflow: each leaves the other series served and refreshed.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use loadcast_client::{Model, ModelState};
use loadcast_model::series::SeriesName;
use loadcast_server::event::Event;
use reqwest::Method;
use serde_json::json;

use crate::scene::{Scene, serve, until};
use loadcast_components::proxy::{Fault, Proxy};

fn says(reason: &'static str) -> impl Fn(&Model) -> bool {
    move |model| model.reason.as_deref() == Some(reason)
}

/// `fault` is what MLflow says of the series' version: it is told and tried again, the other series moves, and when it is
/// over the version is served.
async fn one_series(name: &str, fault: impl Fn() -> Fault + Send + 'static, reason: &'static str) {
    let Some(scene) = Scene::start(name).await else {
        return;
    };
    let part = format!("model-versions/get?name={}&", scene.a);
    scene
        .proxy
        .set(move |call| call.contains(&part).then(&fault));
    let version = scene.make(&scene.a).await;
    scene.until_said(&scene.a, says(reason)).await;
    scene.the_other_series_moves().await;
    assert_eq!(scene.answer(&scene.a).await, 1);
    scene.proxy.heal();
    scene.until(&scene.a, version).await;
    scene
        .until_said(&scene.a, |model| model.reason.is_none())
        .await;
    scene.end().await;
}

/// `fault` is what MLflow says to everything: both series go on being served, it is said, and when it is over both move.
async fn everything(name: &str, fault: Fault) {
    let Some(scene) = Scene::start(name).await else {
        return;
    };
    scene.proxy.fail("", fault);
    let versions = [scene.make(&scene.a).await, scene.make(&scene.b).await];
    for series in [&scene.a, &scene.b] {
        let unreachable = |model: &Model| model.state == ModelState::RegistryUnreachable;
        let model = scene.until_said(series, unreachable).await;
        let message = model.message.unwrap();
        assert!(message.contains("seconds ago"), "{message}");
        assert_eq!(scene.answer(series).await, 1);
    }
    scene.proxy.heal();
    scene.until(&scene.a, versions[0]).await;
    scene.until(&scene.b, versions[1]).await;
    scene.end().await;
}

fn html() -> Fault {
    let kind = vec![("content-type", "text/html".to_owned())];
    Fault::Answer(200, kind, "<html>Please sign in</html>".into())
}

fn huge() -> Fault {
    let head = Bytes::from(vec![b'['; 40 * 1024 * 1024]);
    Fault::Answer(200, vec![], head)
}

fn busy() -> Fault {
    Fault::Answer(429, vec![("retry-after", "1".to_owned())], "busy".into())
}

/// Round and round, on the server itself.
fn round() -> Fault {
    let to = vec![("location", "/round".to_owned())];
    Fault::Answer(302, to, Bytes::new())
}

#[tokio::test]
async fn down_at_start_the_last_good_models_are_served_and_it_is_told() {
    let Some(scene) = Scene::start("start").await else {
        return;
    };
    let Scene {
        mlflow,
        server,
        a,
        b,
        ..
    } = scene;
    let folder = server.stop().await;
    let proxy = Proxy::start(&mlflow.url).await;
    proxy.fail("", Fault::Drop);
    let server = serve(&proxy, folder).await;
    let scene = Scene {
        mlflow,
        proxy,
        server,
        a,
        b,
    };
    for series in [&scene.a, &scene.b] {
        assert_eq!(scene.answer(series).await, 1, "from the first moment on");
        let unreachable = |model: &Model| model.state == ModelState::RegistryUnreachable;
        scene.until_said(series, unreachable).await;
    }
    let ready = reqwest::get(format!("http://{}/readyz", scene.server.http)).await;
    let ready = ready.unwrap();
    assert_eq!(ready.status(), 200);
    let body = ready.text().await.unwrap();
    assert!(
        body.contains("has not answered since this server started"),
        "{body}"
    );
    scene.proxy.heal();
    scene.the_other_series_moves().await;
    scene.end().await;
}

#[tokio::test]
async fn down_at_start_with_nothing_remembered_it_begins_to_serve_when_it_is_back() {
    let Some(mlflow) = tokio::task::spawn_blocking(crate::real::mlflow)
        .await
        .unwrap()
    else {
        return;
    };
    let proxy = Proxy::start(&mlflow.url).await;
    proxy.fail("", Fault::Drop);
    let server = serve(&proxy, tempfile::tempdir().unwrap()).await;
    crate::scene::make(&*mlflow.open(), "empty.a", 1).await;
    let mut answers = server.cache.registry_answers();
    answers.wait_for(|answers| !answers).await.unwrap();
    proxy.heal();
    until(&server, "empty.a", 1).await;
    server.stop().await;
    let body = json!({"name": "empty.a"});
    mlflow
        .call(Method::DELETE, "registered-models/delete", &body)
        .await;
}

#[tokio::test]
async fn down_later_everything_is_served_and_moves_when_it_is_back() {
    everything("down", Fault::Drop).await;
}

#[tokio::test]
async fn unauthorized_to_everything() {
    everything("denied", Fault::status(401)).await;
}

#[tokio::test]
async fn a_429_to_everything_is_left_alone_as_long_as_it_asks() {
    everything("busy", busy()).await;
}

#[tokio::test]
async fn an_error_500_to_everything() {
    everything("broken", Fault::status(500)).await;
}

#[tokio::test]
async fn html_to_everything() {
    everything("html", html()).await;
}

#[tokio::test]
async fn huge_json_to_everything() {
    everything("huge", huge()).await;
}

#[tokio::test]
async fn a_redirect_loop_to_everything() {
    everything("round", round()).await;
}

#[tokio::test]
async fn a_listing_cut_short_changes_nothing() {
    everything("cut", Fault::CutAfter(20)).await;
}

#[tokio::test]
async fn unauthorized_to_one_series() {
    one_series("denied.one", || Fault::status(403), "RETRYING").await;
}

#[tokio::test]
async fn an_error_500_to_one_series() {
    one_series("broken.one", || Fault::status(500), "RETRYING").await;
}

#[tokio::test]
async fn a_429_to_one_series() {
    one_series("busy.one", busy, "RETRYING").await;
}

#[tokio::test]
async fn html_to_one_series() {
    one_series("html.one", html, "RETRYING").await;
}

#[tokio::test]
async fn huge_json_to_one_series() {
    one_series("huge.one", huge, "RETRYING").await;
}

#[tokio::test]
async fn a_redirect_loop_to_one_series() {
    one_series("round.one", round, "RETRYING").await;
}

#[tokio::test]
async fn a_version_that_is_pending_is_served_when_it_is_ready() {
    let pending = || {
        let body = r#"{"model_version": {"version": "2", "status": "PENDING_REGISTRATION"}}"#;
        Fault::Answer(200, vec![], body.into())
    };
    one_series("pending", pending, "NOT_READY").await;
}

#[tokio::test]
async fn a_body_that_trickles_holds_up_its_series_and_no_other() {
    let Some(scene) = Scene::start("slow").await else {
        return;
    };
    let registry = scene.mlflow.open();
    // Registered first and named after, so that its files are slow from the first byte.
    let version = scene.make(&scene.b).await;
    scene.until(&scene.b, version).await;
    scene.proxy.set(|call| {
        let body = call.contains("model.pr");
        body.then_some(Fault::Trickle(Duration::from_secs(1)))
    });
    scene.make(&scene.a).await;
    let loading = |model: &Model| model.state == ModelState::Loading;
    scene.until_said(&scene.a, loading).await;
    let slow = scene.files(&scene.a, 2).await;
    scene.proxy.set(move |call| {
        let body = call.contains("model.pr") && call.contains(&slow);
        body.then_some(Fault::Trickle(Duration::from_secs(1)))
    });
    for _ in 0..3 {
        scene.the_other_series_moves().await;
    }
    assert_eq!(scene.answer(&scene.a).await, 1);
    scene.until_said(&scene.a, loading).await;
    drop(registry);
    scene.end().await;
}

/// `fault` is done to the file of the series' next version until it is said.
async fn bad_file(name: &str, fault: Fault, said: impl Fn(&Model) -> bool) -> Option<Scene> {
    let scene = Scene::start(name).await?;
    let other = scene.files(&scene.b, 1).await;
    let good = [scene.files(&scene.a, 1).await, other];
    scene.proxy.set(move |call| {
        let bad = call.contains("model.pr") && !good.iter().any(|good| call.contains(good));
        bad.then(|| fault.clone())
    });
    scene.make(&scene.a).await;
    scene.until_said(&scene.a, said).await;
    let bad = scene.files(&scene.a, 2).await;
    scene.proxy.set(move |call| {
        let bad = call.contains("model.pr") && call.contains(&bad);
        bad.then_some(Fault::Bend)
    });
    scene.the_other_series_moves().await;
    assert_eq!(scene.answer(&scene.a).await, 1);
    Some(scene)
}

#[tokio::test]
async fn a_truncated_file_is_fetched_again() {
    let Some(scene) = bad_file("short", Fault::ShortenTo(100), says("RETRYING")).await else {
        return;
    };
    scene.end().await;
}

#[tokio::test]
async fn a_wrong_digest_is_refused_by_name_until_the_alias_moves() {
    let refused = |model: &Model| {
        let rejection = model.last_rejection.as_ref();
        rejection.is_some_and(|last| last.version == Some(2) && last.reasons[0].code == "CORRUPT")
    };
    let Some(scene) = bad_file("bent", Fault::Bend, refused).await else {
        return;
    };
    scene.proxy.heal();
    let version = scene.make(&scene.a).await;
    scene.until(&scene.a, version).await;
    scene.end().await;
}

#[tokio::test]
async fn an_alias_that_is_deleted_is_told_and_what_it_named_goes_on_being_served() {
    let Some(scene) = Scene::start("gone").await else {
        return;
    };
    let body = json!({"name": scene.a, "alias": "champion"});
    let path = "registered-models/alias";
    scene.mlflow.call(Method::DELETE, path, &body).await;
    let model = scene.until_said(&scene.a, says("ALIAS_GONE")).await;
    assert_eq!(model.state, ModelState::Serving);
    scene.the_other_series_moves().await;
    assert_eq!(scene.answer(&scene.a).await, 1);
    let body = json!({"name": scene.a, "alias": "champion", "version": "1"});
    scene.mlflow.call(Method::POST, path, &body).await;
    scene
        .until_said(&scene.a, |model| model.reason.is_none())
        .await;
    scene.end().await;
}

#[tokio::test]
async fn a_version_that_is_deleted_while_it_is_served_goes_on_being_served_and_a_restart_keeps_it()
{
    let Some(scene) = Scene::start("deleted").await else {
        return;
    };
    let body = json!({"name": scene.a, "version": "1"});
    let path = "model-versions/delete";
    scene.mlflow.call(Method::DELETE, path, &body).await;
    // MLflow takes the alias away with it.
    scene.until_said(&scene.a, says("ALIAS_GONE")).await;
    scene.the_other_series_moves().await;
    assert_eq!(scene.answer(&scene.a).await, 1);
    let Scene {
        mlflow,
        proxy,
        server,
        a,
        b,
    } = scene;
    let server = serve(&proxy, server.stop().await).await;
    let scene = Scene {
        mlflow,
        proxy,
        server,
        a,
        b,
    };
    assert_eq!(scene.answer(&scene.a).await, 1);
    scene.until_said(&scene.a, says("ALIAS_GONE")).await;
    scene.end().await;
}

/// The listing turns a hundred times a second, whenever it is asked for.
#[tokio::test]
async fn an_alias_that_flaps_100_times_a_second_is_followed_once_a_poll_and_the_other_series_moves()
{
    let Some(scene) = Scene::start("flaps").await else {
        return;
    };
    scene.make(&scene.a).await;
    scene.until(&scene.a, 2).await;
    let revision = scene.server.cache.state().revision;
    let before = polls(&scene.proxy);
    let other = scene.make(&scene.b).await;
    let (a, b) = (scene.a.clone(), scene.b.clone());
    let begun = Instant::now();
    scene.proxy.set(move |call| {
        let flap = begun.elapsed().as_millis() / 10;
        let line = |name: &str, version: u64| {
            let alias = json!({"alias": "champion", "version": version.to_string()});
            json!({"name": name, "aliases": [alias]})
        };
        let lines = [line(&a, 1 + (flap % 2) as u64), line(&b, other)];
        let listing = json!({"registered_models": lines}).to_string();
        let listing = Fault::Answer(200, vec![], listing.into());
        call.contains(SEARCH).then_some(listing)
    });
    scene.until(&scene.b, other).await;
    let mut served = HashSet::new();
    while served.len() < 2 || polls(&scene.proxy) < before + 20 {
        served.insert(scene.answer(&scene.a).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let polls = polls(&scene.proxy) - before;
    // Other tests have series there, which are gone from this listing: their events do not count.
    let name: SeriesName = scene.a.parse().unwrap();
    let is_of_a = |event: &Event| event.kind.series().is_some_and(|(of, _)| *of == name);
    let events = scene.server.cache.events_after(revision, usize::MAX);
    let of_a = events
        .unwrap()
        .iter()
        .filter(|event| is_of_a(event))
        .count();
    assert!(of_a <= polls + 1, "{of_a} events in {polls} polls");
    scene.end().await;
}

/// A part of the address of a listing.
const SEARCH: &str = "registered-models/search";

fn polls(proxy: &Proxy) -> usize {
    let log = proxy.log();
    log.iter().filter(|call| call.contains(SEARCH)).count()
}
