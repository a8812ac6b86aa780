//! kill -9 of the server in the middle of a push to a real MLflow: 20 times in `make test`, 200 in `make soak`. Afterwards
//! the version is there and served or nothing is to be seen, and the retry makes exactly one.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use loadcast_client::{Attachment, ForecastQuery, Push, Range};
use loadcast_model::series::SeriesName;
use loadcast_registry::registry::Registry;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    real::Mlflow,
    scene::PATIENCE,
    support::{Process, push},
};
use loadcast_components::{
    proxy::{Fault, Proxy},
    soak,
};

const SERIES: &str = "kill.cpu";

/// When the server is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// When it has sent this call of the push, and before MLflow gets it.
    Before(usize),
    /// When MLflow has done what this call asked, and before the answer arrives.
    After(usize),
    /// So long after the push began.
    Later(Duration),
}

/// Every moment that differs: around each call that writes. `calls` are those of one push, as the proxy names them. Those
/// that decide come first; then around each other one before or after in turn, then what is left.
fn moments(calls: &[String]) -> Vec<Moment> {
    let writes = |call: &str| !call.starts_with("GET ") && !call.contains("/search");
    let decides = |call: &str| {
        let deciding = ["model-versions/create", "/alias", "set-tag"];
        deciding.iter().any(|part| call.contains(part))
    };
    let calls = calls.iter().enumerate().filter(|(_, call)| writes(call));
    let (first, others): (Vec<_>, Vec<_>) = calls.partition(|(_, call)| decides(call));
    let around = |n| [Moment::Before(n), Moment::After(n)];
    let mut moments: Vec<Moment> = first.iter().flat_map(|(n, _)| around(*n)).collect();
    for turn in 0..2 {
        let others = others.iter().enumerate();
        moments.extend(others.map(|(i, (n, _))| around(*n)[(i + turn) % 2]));
    }
    moments
}

/// A number below `below`.
fn random(below: u128) -> u64 {
    let state = std::hash::RandomState::new();
    let noise = std::hash::BuildHasher::hash_one(&state, below);
    u64::try_from(u128::from(noise) % below).unwrap()
}

/// A push with everything that a push writes.
fn whole(level: u32, expected: u64) -> Push {
    let report = Attachment {
        name: "report.html".to_owned(),
        media_type: "text/html".to_owned(),
        bytes: Bytes::from_static(b"<p>"),
    };
    Push {
        expected_version: Some(expected),
        attachments: vec![report],
        ..push(SERIES, f64::from(level))
    }
}

/// The server, started and no longer asking MLflow anything by itself.
async fn start(folder: &Path, proxy: &Proxy) -> Process {
    let registry = format!("--registry=mlflow+{}", proxy.url);
    let flags = [
        "--poll-interval=1h",
        "--keep-registry-versions=0",
        &registry,
    ];
    let server = Process::start_with(folder, &flags, &[]);
    server.client().refresh_models().await.unwrap();
    server
}

/// The version that is served, and the number that it answers.
async fn answer(server: &Process) -> (u64, f64) {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let query = ForecastQuery::new(SERIES, hour);
    let forecast = server.client().forecast(&query).await.unwrap();
    (forecast.provenance.version, forecast.yhat[0])
}

/// What MLflow knows, asked past the proxy.
struct Looker<'a> {
    mlflow: &'a Mlflow,
    registry: Arc<dyn Registry>,
    series: SeriesName,
}

impl Looker<'_> {
    async fn versions(&self) -> Vec<u64> {
        self.registry.versions(&self.series).await.unwrap()
    }

    async fn named(&self) -> Option<u64> {
        let alias = self.registry.alias(&self.series, "champion");
        alias.await.unwrap()
    }

    async fn search(&self, what: &str, list: &str, filter: &str) -> Vec<Value> {
        let experiment = "experiments/get-by-name?experiment_name=loadcast";
        let found = self.mlflow.call(Method::GET, experiment, &json!({})).await;
        let experiment = found["experiment"]["experiment_id"].as_str().unwrap();
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let body = json!({
                "experiment_ids": [experiment],
                "filter": filter,
                "max_results": 50,
                "page_token": token,
            });
            let page = self.mlflow.call(Method::POST, what, &body).await;
            found.extend(page[list].as_array().cloned().unwrap_or_default());
            match page["next_page_token"].as_str() {
                Some(next) if !next.is_empty() => token = next.to_owned(),
                _ => return found,
            }
        }
    }

    /// Runs that look as if a push were under way.
    async fn unfinished(&self) -> usize {
        let filter = "attributes.status != 'FINISHED'";
        self.search("runs/search", "runs", filter).await.len()
    }

    /// Everything that pushes leave behind is there once a version: its run, its logged model, its key and its file.
    async fn assert_once_each(&self, versions: usize) {
        assert_eq!(self.versions().await.len(), versions);
        assert_eq!(self.unfinished().await, 0);
        assert_eq!(self.search("runs/search", "runs", "").await.len(), versions);
        let logged = self.search("logged-models/search", "models", "").await;
        assert_eq!(logged.len(), versions, "logged models");
        for version in self.versions().await {
            let path = format!("model-versions/get?name={SERIES}&version={version}");
            let found = self.mlflow.call(Method::GET, &path, &json!({})).await;
            assert_eq!(found["model_version"]["status"], "READY");
            let tags = found["model_version"]["tags"].as_array().unwrap();
            let completed = |tag: &Value| tag["key"] == "loadcast.completed";
            assert!(tags.iter().any(completed), "version {version}");
        }
        assert_eq!(files(&self.mlflow.artifacts(), "model.pr"), versions);
    }
}

/// How many files of this name lie below `folder`.
fn files(folder: &Path, name: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, name)
            } else {
                usize::from(path.ends_with(name))
            }
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_kill_9_at_any_moment_of_a_push_leaves_all_or_nothing_and_its_retry_makes_one_version()
{
    let Some(mlflow) = tokio::task::spawn_blocking(Mlflow::start).await.unwrap() else {
        return;
    };
    let looker = Looker {
        mlflow: &mlflow,
        registry: mlflow.open(),
        series: SERIES.parse().unwrap(),
    };
    let proxy = Proxy::start(&mlflow.url).await;
    let folder = tempfile::tempdir().unwrap();
    let mut server = start(folder.path(), &proxy).await;
    server.client().push(whole(1, 0)).await.unwrap();
    let (before, begun) = (proxy.requests(), Instant::now());
    server.client().push(whole(2, 1)).await.unwrap();
    let took = begun.elapsed();
    let moments = moments(&proxy.log()[before..]);
    println!(
        "a push makes {} requests in {took:?}; {} moments around those that write",
        proxy.requests() - before,
        moments.len()
    );

    let turns: u32 = if soak::wanted() { 200 } else { 20 };
    let mut in_turn = moments.iter().copied().cycle();
    let (mut acknowledged, mut finished, mut nothing, mut unnamed) = (0, 0, 0, 0);
    for level in 3..turns + 3 {
        let moment = if level % 5 == 0 {
            Moment::Later(Duration::from_micros(random(took.as_micros() * 5 / 4)))
        } else {
            in_turn.next().unwrap()
        };
        let told = format!("push {level}, {moment:?}");
        let (known, last) = (looker.versions().await, answer(&server).await);
        assert_eq!(last.1, f64::from(level - 1));

        let reached = Arc::new(Notify::new());
        let mut call = 0;
        let held = Arc::clone(&reached);
        proxy.set(move |_| {
            call += 1;
            match moment {
                Moment::Before(n) if n + 1 == call => Some(Fault::HoldBefore(Arc::clone(&held))),
                Moment::After(n) if n + 1 == call => Some(Fault::HoldAfter(Arc::clone(&held))),
                _ => None,
            }
        });
        let this = whole(level, last.0);
        let client = server.client();
        let pushing = tokio::spawn({
            let this = this.clone();
            async move { client.push(this).await }
        });
        match moment {
            Moment::Later(patience) => tokio::time::sleep(patience).await,
            _ => reached.notified().await,
        }
        server.kill();
        let pushed = pushing.await.unwrap().ok();
        proxy.heal();

        server = start(folder.path(), &proxy).await;
        // The poll that a start begins with may still be loading what the alias names by now.
        let named = looker.named().await;
        let serving = async {
            while named != Some(answer(&server).await.0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, serving).await.is_ok();
        assert!(in_time, "{told}: {named:?} is not served");
        let now = answer(&server).await;
        let versions = looker.versions().await;
        let new = versions.strip_prefix(known.as_slice()).unwrap();
        match new {
            [] => {
                assert_eq!(now, last, "{told}");
                nothing += 1;
            }
            [new] if now.0 == *new => {
                assert_eq!(now.1, f64::from(level), "{told}");
                finished += 1;
            }
            // No alias names it, nobody is served it, and it is whole: its push only has to be repeated.
            [new] => {
                assert_eq!(now, last, "{told}");
                let stored = looker.registry.fetch(&looker.series, *new).await;
                assert_eq!(stored.unwrap().model_pr, this.model_pr, "{told}");
                unnamed += 1;
            }
            more => panic!("{told}: {more:?}"),
        }
        if let Some(pushed) = &pushed {
            assert_eq!(pushed.version, now.0, "{told}: it was promised");
            acknowledged += 1;
        }

        let again = server.client().push(this).await.unwrap();
        let served = answer(&server).await;
        assert_eq!(served, (again.version, f64::from(level)), "{told}");
        let versions = looker.versions().await;
        assert_eq!(versions.len(), known.len() + 1, "{told}: {versions:?}");
        assert_eq!(versions.last(), Some(&again.version), "{told}");
        assert_eq!(looker.named().await, Some(again.version), "{told}");
        assert_eq!(looker.unfinished().await, 0, "{told}");
    }
    server.kill();
    let pushes = turns as usize + 2;
    looker.assert_once_each(pushes).await;
    println!(
        "killed {turns} times: {finished} times the version was there and served, {nothing} times nothing was to be seen, {unnamed} times it was whole and no alias named it; {acknowledged} pushes had been acknowledged, none was lost; {pushes} pushes made {pushes} versions"
    );
}
