//! Forecasts by Arrow Flight and as Arrow IPC, read by what others read them with.

use std::{fs::File, path::Path, sync::Arc, time::Duration};

use arrow::{
    array::{Array as _, AsArray as _, RecordBatch},
    compute::{cast, concat_batches},
    datatypes::{DataType, Float64Type, TimestampMicrosecondType, UInt64Type},
    ipc::reader::{FileReader, StreamReader},
};
use loadcast_client::{ForecastQuery, Range};
use loadcast_components::{soak, tools::python};
use loadcast_model::{
    artifact::encode_model_pr,
    fit::fit,
    history::History,
    prophet::ProphetModel,
    spec::{SeasonalityChoice, Spec},
};
use loadcast_proto::v1::{self as pb, forecast_service_client::ForecastServiceClient};
use loadcast_server::{load::Loaded, served::Change};
use serde_json::{Value, json};

use crate::support::{TestServer, metadata, now};

/// Ten days at the step of five minutes, less than a month at an hour's.
const POINTS: usize = 720;

/// Daily ups and downs with noise, so that no two points and no two levels are equal.
fn wave() -> ProphetModel {
    let end = now().as_second();
    let ds: Vec<i64> = (0..1_152).map(|i| end - (1_152 - i) * 300).collect();
    let turn = |second: &i64| *second as f64 / 86_400.0 * std::f64::consts::TAU;
    let noise = |second: &i64| (*second as f64 * 12.9898).sin();
    let y = ds.iter().map(|s| 2.0 + turn(s).sin() + 0.1 * noise(s));
    let history = History::new(ds.clone(), y.collect()).unwrap();
    let spec = Spec {
        daily_seasonality: SeasonalityChoice::Order(4),
        ..Spec::default()
    };
    fit(&spec, &history).unwrap().model
}

fn name(i: usize) -> String {
    format!("namespace-{}.workload-{i:05}.cpu", i % 10)
}

/// A server of so many series, each of another level.
async fn server_of(series: usize) -> TestServer {
    let server = TestServer::start_quick().await;
    let wave = wave();
    let changes = (0..series).map(|i| {
        let mut model = wave.clone();
        model.m += i as f64 * 1e-4;
        let model_pr = encode_model_pr(&model).unwrap();
        let metadata = metadata(&name(i).parse().unwrap(), &model_pr);
        Change::Serve {
            loaded: Arc::new(Loaded::verify(metadata, &model_pr).unwrap()),
            version: 7,
            alias: "champion".to_owned(),
        }
    });
    let changes: Vec<Change> = changes.collect();
    let cache = Arc::clone(&server.cache);
    tokio::task::spawn_blocking(move || cache.commit_all(changes).unwrap())
        .await
        .unwrap();
    server
}

/// What the script says of what it read, and what it read; `None` where there is no Python.
async fn read_with_pyarrow(
    server: &TestServer,
    command: &Value,
    turns: u32,
) -> Option<(Value, RecordBatch)> {
    let python = python("Arrow Flight (pyarrow.flight)")?;
    let file = server.folder.path().join("table.arrow");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/flight.py");
    let run = tokio::process::Command::new(python)
        .arg(script)
        .arg(format!("grpc://{}", server.grpc))
        .arg(command.to_string())
        .arg(&file)
        .arg(turns.to_string())
        .output();
    let output = tokio::time::timeout(Duration::from_secs(300), run).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let said = serde_json::from_slice(&output.stdout).unwrap();
    let reader = FileReader::try_new(File::open(file).unwrap(), None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.unwrap()).collect();
    Some((said, concat_batches(&schema, &batches).unwrap()))
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Every series' rows have the bits that GetForecast has.
async fn equals_get_forecast(server: &TestServer, table: &RecordBatch, series: usize) {
    let client = server.client();
    let names = cast(table.column_by_name("series").unwrap(), &DataType::Utf8).unwrap();
    let names = names.as_string::<i32>();
    let times = table.column_by_name("time").unwrap();
    let times = times.as_primitive::<TimestampMicrosecondType>().values();
    let column = |name: &str| {
        table
            .column_by_name(name)
            .unwrap()
            .as_primitive::<Float64Type>()
    };
    let (yhat, low, high) = (column("yhat"), column("q0.1"), column("q0.9"));
    let versions = table.column_by_name("version").unwrap();
    let versions = versions.as_primitive::<UInt64Type>().values();
    assert_eq!(yhat.len(), series * POINTS);
    for i in 0..series {
        let query = ForecastQuery {
            levels: vec![0.1, 0.9],
            ..ForecastQuery::new(name(i), Range::Horizon(Duration::from_secs(720 * 300)))
        };
        let wanted = client.forecast(&query).await.unwrap();
        // Series come in the order of names, and no other.
        let from = i % 10 * series / 10 + i / 10;
        let rows = from * POINTS..(from + 1) * POINTS;
        assert!(rows.clone().all(|row| names.value(row) == name(i)), "{i}");
        assert_eq!(bits(&yhat.values()[rows.clone()]), bits(&wanted.yhat));
        for (have, want) in [(low, 0), (high, 1)] {
            let want = &wanted.quantiles[want].values;
            assert_eq!(bits(&have.values()[rows.clone()]), bits(want));
        }
        let micros: Vec<i64> = wanted.times().map(|time| time.as_microsecond()).collect();
        assert_eq!(&times[rows.clone()], micros);
        assert!(versions[rows].iter().all(|version| *version == 7));
    }
}

fn bulk() -> Value {
    json!({ "horizon": format!("{}s", POINTS * 300), "levels": [0.1, 0.9] })
}

#[tokio::test(flavor = "multi_thread")]
async fn pyarrow_reads_by_flight_what_get_forecast_answers_bit_for_bit() {
    let server = server_of(100).await;
    let Some((said, table)) = read_with_pyarrow(&server, &bulk(), 1).await else {
        return;
    };
    assert_eq!(said["equal_schemas"], true);
    assert_eq!(said["records"], 100 * POINTS);
    assert_eq!(said["frame_rows"], 100 * POINTS);
    assert_eq!(said["frame_series"], 100);
    assert_eq!(said["errors"], json!([]));
    let batches = said["batches"].as_u64().unwrap();
    assert!(
        (2..20).contains(&batches),
        "rows of series share batches: {batches}"
    );
    equals_get_forecast(&server, &table, 100).await;
    // Provenance comes with the batches.
    let told = said["told"].as_array().unwrap();
    assert_eq!(told.len(), 100);
    for (key, value) in [
        ("series", json!(name(0))),
        ("rows", json!(POINTS)),
        ("version", json!("7")),
        ("freshness", json!("FRESH")),
        ("step_seconds", json!("300")),
        ("cutoff", json!(now().to_string())),
    ] {
        assert_eq!(told[0][key], value, "{key}");
    }
    assert_eq!(told[0]["artifact_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(said["listed"].as_array().unwrap().len(), 100);
    let unreadable = said["unreadable"].as_str().unwrap();
    assert!(
        unreadable.contains("ArrowInvalid") && unreadable.contains("range"),
        "{unreadable}"
    );
    let not_offered = said["not_offered"].as_str().unwrap();
    assert!(not_offered.contains("no actions"), "{not_offered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_series_that_fails_is_a_row_that_says_why_and_the_others_are_read() {
    let server = server_of(2).await;
    let command = json!({
        "selector": { "names": [name(0), "nobody.knows", name(1)] },
        "horizon": "900s",
    });
    let Some((said, table)) = read_with_pyarrow(&server, &command, 1).await else {
        return;
    };
    assert_eq!(said["records"], 7);
    assert_eq!(table.num_rows(), 7);
    let errors = said["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0][0], "nobody.knows");
    let why = errors[0][1].as_str().unwrap();
    assert!(why.contains(": series nobody.knows is not served"), "{why}");
    let yhat = table.column_by_name("yhat").unwrap();
    assert_eq!((yhat.null_count(), yhat.is_null(6)), (1, true));
    assert_eq!(said["told"].as_array().unwrap().len(), 2);
}

/// The big form: `make soak` prints what a client takes.
#[tokio::test(flavor = "multi_thread")]
async fn soak_pyarrow_reads_1000_series_of_720_points_bit_for_bit() {
    if !soak::wanted_or_skipped() {
        return;
    }
    let server = server_of(1_000).await;
    let Some((said, table)) = read_with_pyarrow(&server, &bulk(), 9).await else {
        return;
    };
    equals_get_forecast(&server, &table, 1_000).await;
    let (bytes, seconds) = (
        said["bytes"].as_f64().unwrap(),
        said["seconds"].as_f64().unwrap(),
    );
    println!(
        "pyarrow.flight: 1,000 series x {POINTS} points, {} batches, {:.1} MB in {:.1} ms: {:.0} MB/s (median of 9)",
        said["batches"],
        bytes / 1e6,
        seconds * 1e3,
        bytes / 1e6 / seconds
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_as_arrow_ipc_has_the_columns_of_the_message() {
    let server = server_of(1).await;
    let mut service = ForecastServiceClient::new(server.channel().await);
    let ask = |format: pb::AnswerFormat| pb::GetForecastRequest {
        series: name(0),
        range: Some(pb::get_forecast_request::Range::Horizon(
            prost_types::Duration {
                seconds: 50_000 * 300,
                nanos: 0,
            },
        )),
        levels: vec![0.1, 0.9],
        components: true,
        format: format.into(),
        ..pb::GetForecastRequest::default()
    };
    let mut get = async |format| {
        let answer = service
            .get_forecast(ask(format))
            .await
            .unwrap()
            .into_inner();
        answer.forecast.unwrap().into_message().unwrap()
    };
    let wanted = get(pb::AnswerFormat::Columns).await;
    let answer = get(pb::AnswerFormat::ArrowIpc).await;
    assert!(answer.yhat.is_empty() && answer.components.is_empty());
    assert_eq!(answer.provenance, wanted.provenance);
    let mut batches = StreamReader::try_new(answer.arrow_ipc.as_ref(), None).unwrap();
    let batch = batches.next().unwrap().unwrap();
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .unwrap()
            .as_primitive::<Float64Type>()
    };
    assert_eq!(bits(column("yhat").values()), bits(&wanted.yhat));
    assert_eq!(bits(column("trend").values()), bits(&wanted.trend));
    for quantile in &wanted.quantiles {
        let have = column(&format!("q{}", quantile.level));
        assert_eq!(bits(have.values()), bits(&quantile.values));
    }
    assert!(wanted.components.iter().any(|part| part.name == "daily"));
    for part in &wanted.components {
        assert_eq!(bits(column(&part.name).values()), bits(&part.values));
    }
    assert_eq!(batch.schema().metadata()["loadcast.version"], "7");
}
