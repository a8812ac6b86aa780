//! The server with 100,000 models: memory, a swap, a lookup, and from the start of the process to the first answer.
//!
//! `cargo bench -p loadcast-benches --bench server [-- MODELS]` prints a table and writes it into the section `server` of
//! `target/bench/report.json`. The state lies on the disk of the temporary folder; the server runs as a process of its
//! own, which this program starts from itself.

// A bench is no library: what goes wrong ends it.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    hint::black_box,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use clap::Parser as _;
use jiff::Timestamp;
use loadcast_benches::report::{self, Section};
use loadcast_client::{Client, ForecastQuery, Range};
use loadcast_model::{
    artifact::{METADATA_SCHEMA, Metadata, encode_model_pr, sha256_hex},
    fit::fit,
    history::History,
    series::{Series, SeriesName},
    spec::Spec,
};
use loadcast_server::{
    app::App,
    cache::{Cache, KEEP_VERSIONS},
    clock::Clock,
    config::Config,
    load::Loaded,
    served::{Change, apply},
};

const MODELS: usize = 100_000;

/// Changes that are measured, each of another series.
const SWAPS: usize = 10_000;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", folder, port] => serve(Path::new(folder), port),
        ["count", folder] => count_in_memory(Path::new(folder)),
        words => {
            let models = words.iter().find_map(|word| word.parse().ok());
            measure(models.unwrap_or(MODELS));
        }
    }
}

fn name(i: usize) -> SeriesName {
    format!("namespace-{}.workload-{i}.cpu", i % 100)
        .parse()
        .unwrap()
}

/// Models like a day's training of as many workloads would push: four weeks of five-minute rows, weekly and daily
/// seasonality, 25 changepoints, six labels. All have the parameters of one fit, but for the level.
struct Fleet {
    model: loadcast_model::prophet::ProphetModel,
}

impl Fleet {
    fn new() -> Self {
        let day = |second: i64| second as f64 / 86_400.0 * std::f64::consts::TAU;
        let ds: Vec<i64> = (0..8_064).map(|i| 1_790_000_100 + i * 300).collect();
        let y = ds
            .iter()
            .map(|second| {
                let noise = (*second as f64 * 12.9898).sin();
                2.0 + day(*second).sin() + 0.3 * (day(*second) / 7.0).cos() + 0.05 * noise
            })
            .collect();
        let history = History::new(ds, y).unwrap();
        Self {
            model: fit(&Spec::default(), &history).unwrap().model,
        }
    }

    fn serve(&self, i: usize, version: u64) -> Change {
        let mut model = self.model.clone();
        model.m += i as f64 * 1e-6;
        let model_pr = encode_model_pr(&model).unwrap();
        let mut series = Series::new(name(i));
        series.labels = BTreeMap::from(
            [
                ("cluster", "production-eu-1".to_owned()),
                ("namespace", format!("namespace-{}", i % 100)),
                ("kind", "Deployment".to_owned()),
                ("workload", format!("workload-{i}")),
                ("signal", "cpu".to_owned()),
                ("aggregation", "sum".to_owned()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        )
        .into();
        let metadata = Metadata {
            schema: METADATA_SCHEMA,
            sha256: sha256_hex(&model_pr),
            size_bytes: model_pr.len() as u64,
            series,
            cutoff: Timestamp::from_second(1_792_419_000).unwrap(),
            trained_at: Timestamp::from_second(1_792_420_000).unwrap(),
            rows: 8_064,
            scores: Some(Default::default()),
            trainer_version: "loadcast-trainer 0.1.0".to_owned(),
            data_sha256: sha256_hex(b"data"),
            spec: Some(Spec::default()),
            verdict: Some("promote".to_owned()),
            clamps: None,
            band_calibration: None,
            correction: None,
            peak: None,
        };
        Change::Serve {
            loaded: Arc::new(Loaded::verify(metadata, &model_pr).unwrap()),
            version,
            alias: "champion".to_owned(),
        }
    }
}

fn measure(models: usize) {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut rows = Section::default();
    rows.put("models", models as f64);

    let fleet = Fleet::new();
    let begin = Instant::now();
    let cache = Cache::open(&state, Clock::system()).unwrap();
    cache
        .commit_all((0..models).map(|i| fleet.serve(i, 1)))
        .unwrap();
    rows.put("fill_seconds", begin.elapsed().as_secs_f64());
    let segment = fs::metadata(state.join("parameters.bin")).unwrap().len();
    rows.put("segment_bytes_per_model", segment as f64 / models as f64);
    let (swap, one) = (swap_micros(&cache, &fleet, models), {
        let alone = tempfile::tempdir().unwrap();
        let cache = Cache::open(alone.path(), Clock::system()).unwrap();
        cache.commit_all([fleet.serve(0, 1)]).unwrap();
        swap_micros(&cache, &fleet, 1)
    });
    for (name, of) in [("swap", &swap), ("swap_of_one_model", &one)] {
        rows.put(format!("{name}_p50_us"), quantile(of, 0.5));
        rows.put(format!("{name}_p99_us"), quantile(of, 0.99));
    }
    let lookups = lookup_micros(&cache, models);
    rows.put("lookup_p50_us", quantile(&lookups, 0.5));
    rows.put("lookup_p99_us", quantile(&lookups, 0.99));
    drop(cache);

    let mut restarts = Vec::new();
    for turn in 0..3 {
        let (seconds, notes) = restart(&state, models);
        restarts.push(seconds);
        if turn == 0 {
            notes
                .into_iter()
                .for_each(|(name, value)| rows.put(name, value));
        }
    }
    restarts.sort_by(f64::total_cmp);
    rows.put("restart_to_first_answer_seconds", restarts[1]);
    rows.put("restart_to_first_answer_seconds_worst", restarts[2]);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench/report.json");
    report::publish(&path, &[("server", rows)]).unwrap();
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * q) as usize]
}

/// The part of a swap that is in memory: from a verified model to a state that every lookup sees. Microseconds, ascending.
fn swap_micros(cache: &Cache, fleet: &Fleet, models: usize) -> Vec<f64> {
    let served = ArcSwap::new(cache.state());
    let mut replaced = Vec::with_capacity(SWAPS);
    let mut micros: Vec<f64> = (0..SWAPS)
        .map(|i| {
            let change = fleet.serve(i * 7_919 % models, 2 + i as u64);
            let begin = Instant::now();
            let before = served.load_full();
            let (after, event) = apply(
                &before,
                change,
                KEEP_VERSIONS,
                Timestamp::UNIX_EPOCH,
                String::new(),
            )
            .unwrap();
            let old = served.swap(Arc::new(after));
            let micros = begin.elapsed().as_secs_f64() * 1e6;
            // Freed by the reclaimer's sweep in the server, so not in this figure.
            replaced.push((old, event));
            if replaced.len() == 1_000 {
                replaced.clear();
            }
            micros
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    micros
}

/// Lookups of random series, ten to a measurement. Microseconds for one, ascending.
fn lookup_micros(cache: &Cache, models: usize) -> Vec<f64> {
    let names: Vec<SeriesName> = (0..100_000).map(|i| name(i * 7_919 % models)).collect();
    let mut micros: Vec<f64> = names
        .chunks(10)
        .map(|names| {
            let begin = Instant::now();
            for name in names {
                black_box(cache.get(name).unwrap());
            }
            begin.elapsed().as_secs_f64() * 1e5
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    micros
}

/// A child that dies with us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the start of the process to the first answer; notes its memory then.
fn restart(state: &Path, models: usize) -> (f64, [(&'static str, f64); 4]) {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let begin = Instant::now();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["serve", state.to_str().unwrap(), &port.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server(child);
    let query = ForecastQuery::new(
        name(models - 1).to_string(),
        Range::Horizon(Duration::from_secs(3_600)),
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let seconds = runtime.block_on(async {
        let client = Client::new(&format!("http://127.0.0.1:{port}")).unwrap();
        loop {
            match client.forecast(&query).await {
                Ok(_) => return begin.elapsed().as_secs_f64(),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    });
    let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let kib = |key: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let notes = [
        ("restart_cpu_seconds", cpu_seconds(server.0.id())),
        ("rss_mib", kib("VmRSS:") / 1_024.0),
        ("rss_peak_mib", kib("VmHWM:") / 1_024.0),
        (
            "rss_bytes_per_model",
            kib("VmRSS:") * 1_024.0 / models as f64,
        ),
    ];
    (seconds, notes)
}

/// What a process has used of all cores so far: what a restart takes where other work shares the machine.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = |i: usize| -> f64 { fields.split_whitespace().nth(i).unwrap().parse().unwrap() };
    // utime and stime, in hundredths of a second.
    (ticks(11) + ticks(12)) / 100.0
}

/// The server itself, on a state that another process left.
fn serve(state: &Path, port: &str) {
    let config = Config::parse_from([
        "loadcast-server",
        &format!("--grpc-addr=127.0.0.1:{port}"),
        "--http-addr=127.0.0.1:0",
        "--registry=memory:",
        &format!("--state-dir={}", state.display()),
    ]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let app = App::bind(config, Clock::system()).await.unwrap();
        app.serve(std::future::pending()).await.unwrap();
    });
}

/// For a person who looks for where the memory goes.
fn count_in_memory(state: &Path) {
    let begin = Instant::now();
    let cache = Cache::open(state, Clock::system()).unwrap();
    println!("opened in {:.3} s", begin.elapsed().as_secs_f64());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for line in status.lines().filter(|line| line.starts_with("Vm")) {
        println!("{line}");
    }
    println!("{} entries", cache.state().entries.size());
}
