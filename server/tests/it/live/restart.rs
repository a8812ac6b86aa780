//! What is remembered across a restart, and what damage does.

use std::{fs, path::PathBuf};

use loadcast_client::{Forecast, ForecastQuery, Live, Range};
use std::time::Duration;
use tempfile::TempDir;

use super::scene::{SERIES, corrected, instant, value};
use crate::support::{Process, TestServer};

async fn observed() -> (TestServer, Live, Forecast) {
    let server = TestServer::start().await;
    server.client().push(corrected(SERIES)).await.unwrap();
    server
        .observe(SERIES, 0, (0..350).map(value).collect())
        .await;
    let live = server.live(SERIES).await;
    let answer = answer(&server).await;
    assert!(answer.correction.is_some() && live.leads[3].rows > 0);
    (server, live, answer)
}

async fn answer(server: &TestServer) -> Forecast {
    let hour = Range::Horizon(Duration::from_secs(3_600));
    let query = ForecastQuery::new(SERIES, hour);
    server.client().forecast(&query).await.unwrap()
}

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("state/live.bin")
}

#[tokio::test]
async fn scores_and_correction_survive_a_restart_to_the_bit() {
    let (server, live, before) = observed().await;
    let server = TestServer::start_in(server.stop().await).await;
    server.clock.set(instant(350));
    assert_eq!(server.live(SERIES).await, live);
    assert_eq!(answer(&server).await, before);
    // And go on as if nothing had been.
    server
        .observe(SERIES, 350, (350..400).map(value).collect())
        .await;
    let (unbroken, ..) = observed().await;
    unbroken
        .observe(SERIES, 350, (350..400).map(value).collect())
        .await;
    assert_eq!(
        server.live(SERIES).await.leads,
        unbroken.live(SERIES).await.leads
    );
}

#[tokio::test]
async fn a_damaged_file_is_dropped_and_the_server_starts_and_observes_again() {
    let (server, ..) = observed().await;
    let mut folder = server.stop().await;
    let whole = fs::read(file(&folder)).unwrap();
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes[60] ^= 0x40,
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[10] = b'x',
        |bytes| *bytes = b"nonsense".to_vec(),
    ];
    for damage in damages {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(file(&folder), bytes).unwrap();
        let server = TestServer::start_in(folder).await;
        server.clock.set(instant(350));
        let model = server.client().model(SERIES).await.unwrap();
        assert_eq!(model.live, None);
        assert_eq!(answer(&server).await.correction, None);
        let told = server
            .tell(SERIES, 340, (340..350).map(value).collect())
            .await;
        assert_eq!(told.accepted, 10);
        assert!(answer(&server).await.correction.is_some());
        folder = server.stop().await;
    }
}

#[tokio::test]
async fn after_kill_9_whoever_observes_tells_again_and_nothing_is_lost_of_the_correction() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_durable(folder.path());
    process.client().push(corrected(SERIES)).await.unwrap();
    // Of the process' own clock.
    let end = jiff::Timestamp::now().as_second();
    let runs = || {
        vec![loadcast_client::Observations {
            series: SERIES.to_owned(),
            start: jiff::Timestamp::from_second(end - 200 * 300).unwrap(),
            step: None,
            values: (-200..0).map(value).collect(),
        }]
    };
    let told = process.client().observe_actuals(runs()).await.unwrap();
    let before = process.client().model(SERIES).await.unwrap().live.unwrap();
    process.kill();
    let process = Process::start_durable(folder.path());
    // Nothing was written yet.
    assert_eq!(process.client().model(SERIES).await.unwrap().live, None);
    let again = process.client().observe_actuals(runs()).await.unwrap();
    assert_eq!(again, told);
    let after = process.client().model(SERIES).await.unwrap().live.unwrap();
    assert_eq!(after, before);
}
