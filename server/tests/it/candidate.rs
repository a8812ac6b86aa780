//! Candidate and champion: the candidate is loaded beside what is served, asked for by its alias, and promoted from memory.

use std::{fs, time::Duration};

use loadcast_client::{Code, Error, Forecast, ForecastQuery, Push, Range};

use crate::support::{TestServer, push};

const SERIES: &str = "web.cpu";

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn candidate(level: f64) -> Push {
    Push {
        alias: Some("candidate".to_owned()),
        ..push(SERIES, level)
    }
}

async fn ask(server: &TestServer, alias: Option<&str>) -> Result<Forecast, Error> {
    let query = ForecastQuery {
        alias: alias.map(str::to_owned),
        ..ForecastQuery::new(SERIES, Range::Horizon(Duration::from_secs(3_600)))
    };
    server.client().forecast(&query).await
}

/// The number that answers under the alias `candidate`; else the reason code.
async fn tried(server: &TestServer) -> Result<f64, String> {
    match ask(server, Some("candidate")).await {
        Ok(forecast) => {
            assert_eq!(forecast.provenance.alias.as_deref(), Some("candidate"));
            Ok(forecast.yhat[0])
        }
        Err(Error::Refused { code, reason, .. }) => {
            assert_eq!(code, Code::NotFound, "{reason}");
            Err(reason)
        }
        Err(other) => panic!("{other}"),
    }
}

async fn served(server: &TestServer) -> f64 {
    ask(server, None).await.unwrap().yhat[0]
}

/// Waits until the candidate is `expected`.
async fn until(server: &TestServer, expected: Result<f64, &str>) {
    let expected = expected.map_err(ToOwned::to_owned);
    let asking = async {
        while tried(server).await != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, asking).await.is_ok();
    assert!(in_time, "{:?} instead of {expected:?}", tried(server).await);
}

/// Moves an alias past the server, as another one would.
fn point(server: &TestServer, alias: &str, version: u64) {
    let folder = server
        .folder
        .path()
        .join("state/registry/aliases")
        .join(alias);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(SERIES), format!(r#"{{"version":{version}}}"#)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_answers_under_its_alias_and_the_champion_goes_on() {
    let server = TestServer::start().await;
    let client = server.client();
    assert_eq!(tried(&server).await, Err("NO_CANDIDATE".to_owned()));
    client.push(candidate(1.0)).await.unwrap();
    assert_eq!(tried(&server).await, Ok(1.0), "a series without a champion");
    let error = ask(&server, None).await.unwrap_err();
    assert!(error.to_string().contains("is not served"), "{error}");
    client.push(push(SERIES, 2.0)).await.unwrap();
    let revision = server.cache.state().revision;
    client.push(candidate(3.0)).await.unwrap();
    let forecast = ask(&server, Some("candidate")).await.unwrap();
    assert_eq!(forecast.yhat[0], 3.0);
    assert_eq!(forecast.provenance.version, 3);
    assert_eq!(served(&server).await, 2.0);
    assert_eq!(server.cache.state().revision, revision, "it makes no event");
    let error = ask(&server, Some("challenger")).await.unwrap_err();
    assert!(error.to_string().contains("not followed"), "{error}");
    // A restart knows it from the registry.
    let server = TestServer::start_in(server.stop().await).await;
    until(&server, Ok(3.0)).await;
    assert_eq!(served(&server).await, 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_named_elsewhere_is_followed_and_let_go_when_it_is_no_more() {
    let server = TestServer::start().await;
    let client = server.client();
    for level in [1.0, 2.0, 3.0] {
        let unnamed = Push {
            alias: None,
            ..push(SERIES, level)
        };
        client.push(unnamed).await.unwrap();
    }
    client.set_alias(SERIES, "champion", 1, None).await.unwrap();
    for version in [2, 3, 1] {
        point(&server, "candidate", version);
        until(&server, Ok(version as f64)).await;
        assert_eq!(served(&server).await, 1.0);
    }
    let alias = server
        .folder
        .path()
        .join("state/registry/aliases/candidate");
    fs::remove_file(alias.join(SERIES)).unwrap();
    until(&server, Err("NO_CANDIDATE")).await;
    client
        .set_alias(SERIES, "candidate", 2, None)
        .await
        .unwrap();
    assert_eq!(tried(&server).await, Ok(2.0), "at once");
    client.retire(SERIES, "old").await.unwrap();
    assert_eq!(tried(&server).await, Err("NO_CANDIDATE".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_candidate_is_served_without_a_download_and_no_poll_undoes_it() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push(SERIES, 1.0)).await.unwrap();
    client.push(candidate(2.0)).await.unwrap();
    // Nothing to download any more.
    let versions = server
        .folder
        .path()
        .join("state/registry/models/web.cpu/versions");
    fs::remove_file(versions.join("2/model.pr")).unwrap();
    client
        .set_alias(SERIES, "champion", 2, Some(1))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(served(&server).await, 2.0);
        assert_eq!(tried(&server).await, Ok(2.0));
        client.refresh_models().await.unwrap();
    }
    assert_eq!(client.rollback(SERIES, None).await.unwrap().version, 1);
    assert_eq!(served(&server).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_bad_is_told_of_once_and_changes_neither_champion_nor_candidate() {
    let server = TestServer::start().await;
    let client = server.client();
    client.push(push(SERIES, 1.0)).await.unwrap();
    for level in [2.0, 3.0] {
        let unnamed = Push {
            alias: None,
            ..push(SERIES, level)
        };
        client.push(unnamed).await.unwrap();
    }
    let versions = server
        .folder
        .path()
        .join("state/registry/models/web.cpu/versions");
    fs::write(versions.join("2/model.pr"), "bent").unwrap();
    let error = client.set_alias(SERIES, "candidate", 2, None).await;
    let error = error.unwrap_err();
    assert!(error.to_string().contains("REGISTRY_CORRUPT"), "{error}");
    assert_eq!(tried(&server).await, Err("NO_CANDIDATE".to_owned()));
    let revision = server.cache.state().revision;
    point(&server, "candidate", 2);
    until(&server, Err("CANDIDATE_REJECTED")).await;
    for _ in 0..2 {
        client.refresh_models().await.unwrap();
    }
    assert_eq!(server.cache.state().revision, revision + 1);
    let model = client.model(SERIES).await.unwrap();
    assert_eq!(model.last_rejection.unwrap().reasons[0].code, "CORRUPT");
    assert_eq!(served(&server).await, 1.0);
    // Named champion all the same, it is tried as that, and refused as that, once.
    point(&server, "champion", 2);
    for _ in 0..3 {
        client.refresh_models().await.unwrap();
    }
    assert_eq!(server.cache.state().revision, revision + 2);
    assert_eq!(served(&server).await, 1.0);
    point(&server, "candidate", 3);
    until(&server, Ok(3.0)).await;
}
