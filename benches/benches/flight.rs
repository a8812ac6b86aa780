//! `make bench`, of bulk forecasts: 1,000 series of 720 points with a band, as `pyarrow.flight` reads them by Arrow Flight,
//! beside the same question answered by BatchGetForecasts to the Rust client. Medians of alternating rounds, in the
//! section `server` of target/bench/report.json.

// A bench is no library: what goes wrong ends it.
#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc, time::Duration, time::Instant};

use clap::Parser as _;
use futures::StreamExt as _;
use jiff::Timestamp;
use loadcast_benches::{
    python::Python,
    report::{self, Section},
    timing::median,
};
use loadcast_client::{BatchQuery, Client, Range, Selector};
use loadcast_model::{
    artifact::{METADATA_SCHEMA, Metadata, encode_model_pr, sha256_hex},
    fit::fit,
    history::History,
    series::Series,
    spec::Spec,
};
use loadcast_server::{app::App, clock::Clock, config::Config, load::Loaded, served::Change};
use serde_json::json;

const SERIES: usize = 1_000;
const POINTS: usize = 720;
const STEP: u64 = 300;
const ROUNDS: usize = 15;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // `cargo test --benches` builds and runs this too, and would have it measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let config = Config::parse_from([
        "loadcast-server",
        "--grpc-addr=127.0.0.1:0",
        "--http-addr=127.0.0.1:0",
        "--registry=memory:",
        &format!("--state-dir={}", folder.path().display()),
    ]);
    let app = App::bind(config, Clock::system()).await?;
    let grpc = app.grpc_addr();
    app.cache().commit_all(fleet()).unwrap();
    let serving = tokio::spawn(app.serve(std::future::pending()));

    let horizon = STEP * POINTS as u64;
    let question = json!({
        "location": format!("grpc://{grpc}"),
        "command": { "horizon": format!("{horizon}s"), "levels": [0.1, 0.9] },
    });
    let client = Client::new(&format!("http://{grpc}"))?;
    let mut python = Python::start("flight.py")?;
    let (mut by_flight, mut by_batch, mut bytes) = (Vec::new(), Vec::new(), 0.0);
    for _ in 0..ROUNDS {
        let answer = tokio::task::block_in_place(|| python.ask(&question))?;
        assert_eq!(answer["rows"], SERIES * POINTS);
        by_flight.push(answer["seconds"].as_f64().unwrap());
        bytes = answer["bytes"].as_f64().unwrap();
        by_batch.push(batch(&client, horizon).await?);
    }
    serving.abort();

    let (flight, batch) = (median(by_flight), median(by_batch));
    let mut rows = Section::default();
    rows.put_ratio(
        "flight_1000x720",
        "ms",
        ("batch", batch * 1e3),
        flight * 1e3,
    );
    rows.put("flight_mb_per_second", bytes / 1e6 / flight);
    rows.put(
        "flight_points_per_second",
        (SERIES * POINTS) as f64 / flight,
    );
    rows.say("flight: pyarrow reads 1,000 series x 720 points and two quantiles; batch: BatchGetForecasts to the Rust client");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/report.json");
    report::publish(&path, &[("server", rows)])
}

/// Seconds that the Rust client takes for the same.
async fn batch(client: &Client, horizon: u64) -> anyhow::Result<f64> {
    let query = BatchQuery {
        levels: vec![0.1, 0.9],
        ..BatchQuery::new(
            Selector::all(),
            Range::Horizon(Duration::from_secs(horizon)),
        )
    };
    let begin = Instant::now();
    let mut items = std::pin::pin!(client.batch_get_forecasts(query).await?);
    let mut points = 0;
    while let Some(item) = items.next().await {
        points += item?.forecast?.len();
    }
    assert_eq!(points, SERIES * POINTS);
    Ok(begin.elapsed().as_secs_f64())
}

/// Models of four weeks with daily and weekly ups and downs; each of another level.
fn fleet() -> Vec<Change> {
    let end = Timestamp::now().as_second() / STEP as i64 * STEP as i64;
    let ds: Vec<i64> = (1..=8_064)
        .map(|i| end - (8_064 - i) * STEP as i64)
        .collect();
    let turn = |second: &i64| *second as f64 / 86_400.0 * std::f64::consts::TAU;
    let noise = |second: &i64| (*second as f64 * 12.9898).sin();
    let y = ds
        .iter()
        .map(|s| 2.0 + turn(s).sin() + 0.3 * (turn(s) / 7.0).cos() + 0.05 * noise(s));
    let history = History::new(ds.clone(), y.collect()).unwrap();
    let fitted = fit(&Spec::default(), &history).unwrap().model;
    let now = Timestamp::from_second(end).unwrap();
    let serve = |i: usize| {
        let mut model = fitted.clone();
        model.m += i as f64 * 1e-6;
        let model_pr = encode_model_pr(&model).unwrap();
        let name = format!("namespace-{}.workload-{i}.cpu", i % 100);
        let metadata = Metadata {
            schema: METADATA_SCHEMA,
            sha256: sha256_hex(&model_pr),
            size_bytes: model_pr.len() as u64,
            series: Series::new(name.parse().unwrap()),
            cutoff: now,
            trained_at: now,
            rows: 8_064,
            scores: None,
            trainer_version: "bench".to_owned(),
            data_sha256: String::new(),
            spec: None,
            verdict: None,
            clamps: None,
            band_calibration: None,
            correction: None,
            peak: None,
        };
        Change::Serve {
            loaded: Arc::new(Loaded::verify(metadata, &model_pr).unwrap()),
            version: 1,
            alias: "champion".to_owned(),
        }
    };
    (0..SERIES).map(serve).collect()
}
