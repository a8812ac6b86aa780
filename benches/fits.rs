//! Fits against Python Prophet and prophet-batch, in one run, turn by turn: milliseconds per fit, and the log posterior
//! that each reached. A time whose log posterior is below Stan's is void.
//!
//! Python is `LOADCAST_PYTHON`, or `.tools/python/bin/python`, with prophet and prophet-batch; without it our own times
//! are printed alone. `LOADCAST_BENCH_ROUNDS` rounds, 5 by default. Writes `target/bench/fits.json`.

use std::{
    collections::BTreeMap,
    env, fs,
    hint::black_box,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result};
use loadcast_model::{
    features::Mode,
    fit::fit_exactly,
    history::History,
    inputs::Inputs,
    spec::{Growth, SeasonalityChoice, Spec, format_wall_time},
};
use serde_json::{Value, json};

/// Our fits in a round: a fit is too short to be timed alone.
const FITS: usize = 21;

/// Series of a batch of prophet-batch.
const BATCH: usize = 16;

/// 2026-01-01, and five minutes.
const START: i64 = 1_767_225_600;
const STEP: i64 = 300;

struct Case {
    name: &'static str,
    rows: usize,
    growth: Growth,
    mode: Mode,
    batch: bool,
}

const CASES: [Case; 6] = [
    Case {
        name: "linear",
        rows: 8_064,
        growth: Growth::Linear,
        mode: Mode::Additive,
        batch: true,
    },
    Case {
        name: "linear",
        rows: 4_032,
        growth: Growth::Linear,
        mode: Mode::Additive,
        batch: true,
    },
    Case {
        name: "multiplicative",
        rows: 8_064,
        growth: Growth::Linear,
        mode: Mode::Multiplicative,
        batch: true,
    },
    Case {
        name: "multiplicative",
        rows: 4_032,
        growth: Growth::Linear,
        mode: Mode::Multiplicative,
        batch: true,
    },
    Case {
        name: "logistic",
        rows: 8_064,
        growth: Growth::Logistic,
        mode: Mode::Additive,
        batch: false,
    },
    Case {
        name: "logistic",
        rows: 4_032,
        growth: Growth::Logistic,
        mode: Mode::Additive,
        batch: false,
    },
];

/// Times of one contestant, and the log posterior of its last fit.
#[derive(Default)]
struct Times {
    milliseconds: Vec<f64>,
    log_posterior: f64,
}

impl Times {
    fn median(&self) -> f64 {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

fn main() -> Result<()> {
    let rounds: usize = match env::var("LOADCAST_BENCH_ROUNDS") {
        Ok(rounds) => rounds.parse().context("LOADCAST_BENCH_ROUNDS")?,
        Err(_) => 5,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&folder)?;
    let mut python = Python::start()?;
    let mut numbers = BTreeMap::new();
    println!(
        "{:<16}{:>6}  {:>12} {:>14} {:>12} {:>14} {:>8} {:>12} {:>14} {:>8}",
        "fit", "rows", "ours ms", "lp", "Prophet ms", "lp", "ratio", "batch ms", "lp", "ratio"
    );
    for case in &CASES {
        let [ours, prophet, batch] = case.run(rounds, &folder, python.as_mut())?;
        case.print(&ours, &prophet, &batch);
        case.note(&mut numbers, &ours, &prophet, &batch);
    }
    let path = folder.join("fits.json");
    fs::write(&path, serde_json::to_vec_pretty(&numbers)?)?;
    println!("{}", path.display());
    Ok(())
}

impl Case {
    /// The rounds of each contestant, turn by turn.
    fn run(
        &self,
        rounds: usize,
        folder: &Path,
        mut python: Option<&mut Python>,
    ) -> Result<[Times; 3]> {
        let (ds, y) = series(self.rows);
        let cap = 1.1 * y.iter().copied().fold(0.0, f64::max);
        let csv = folder.join(format!("fits-{}.csv", self.rows));
        fs::write(&csv, to_csv(&ds, &y, cap))?;
        let mut inputs = Inputs::default();
        if self.growth == Growth::Logistic {
            inputs.cap = vec![cap];
        }
        let history = History::new(ds, y)?.with_inputs(inputs)?;
        let spec = Spec {
            growth: self.growth,
            seasonality_mode: self.mode,
            yearly_seasonality: SeasonalityChoice::Enabled(false),
            weekly_seasonality: SeasonalityChoice::Enabled(true),
            daily_seasonality: SeasonalityChoice::Enabled(true),
            ..Spec::default()
        };
        let [mut ours, mut prophet, mut batch] = [(); 3].map(|()| Times::default());
        for _ in 0..rounds {
            for _ in 0..FITS {
                let begin = Instant::now();
                let fitted = black_box(fit_exactly(black_box(&spec), black_box(&history))?);
                ours.milliseconds.push(begin.elapsed().as_secs_f64() * 1e3);
                ours.log_posterior = fitted.report.log_posterior.unwrap_or(f64::NAN);
            }
            if let Some(python) = python.as_deref_mut() {
                python.fit("prophet", &csv, &spec, &mut prophet)?;
                if self.batch {
                    python.fit("prophet_batch", &csv, &spec, &mut batch)?;
                }
            }
        }
        Ok([ours, prophet, batch])
    }

    fn print(&self, ours: &Times, prophet: &Times, batch: &Times) {
        let stan = prophet.log_posterior;
        let void = |times: &Times| {
            let below = times.log_posterior < stan - 1e-6 * stan.abs();
            if below { " void" } else { "" }
        };
        let against = |times: &Times| {
            if times.milliseconds.is_empty() {
                return format!("{:>12} {:>14} {:>8}", "-", "-", "-");
            }
            format!(
                "{:>12.2} {:>14.4} {:>7.1}x{}",
                times.median(),
                times.log_posterior,
                times.median() / ours.median(),
                void(times)
            )
        };
        println!(
            "{:<16}{:>6}  {:>12.3} {:>14.4}{} {} {}",
            self.name,
            self.rows,
            ours.median(),
            ours.log_posterior,
            void(ours),
            against(prophet),
            against(batch),
        );
    }

    fn note(
        &self,
        numbers: &mut BTreeMap<String, f64>,
        ours: &Times,
        prophet: &Times,
        batch: &Times,
    ) {
        let mut put = |what: &str, value: f64| {
            if value.is_finite() {
                numbers.insert(format!("fit_{}_{}_{what}", self.name, self.rows), value);
            }
        };
        put("ms", ours.median());
        put("log_posterior", ours.log_posterior);
        if prophet.milliseconds.is_empty() {
            return;
        }
        put("prophet_ms", prophet.median());
        put("prophet_log_posterior", prophet.log_posterior);
        put("prophet_ratio", prophet.median() / ours.median());
        if batch.milliseconds.is_empty() {
            return;
        }
        put("prophet_batch_ms_per_series", batch.median());
        put("prophet_batch_log_posterior", batch.log_posterior);
        put("prophet_batch_ratio", batch.median() / ours.median());
    }
}

/// A load with days, weeks, two bends and noise, ending with the same hour whatever its length.
fn series(rows: usize) -> (Vec<i64>, Vec<f64>) {
    let mut state = 20_260_101_u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let rows = (0_i32..).take(rows);
    rows.map(|i| {
        let day = f64::from(i) * STEP as f64 / 86_400.0;
        let turn = day * std::f64::consts::TAU;
        let bends = 0.4 * (day - 5.0).max(0.0) - 0.7 * (day - 9.0).max(0.0);
        let hum = noise() + noise() + noise() + noise();
        let load = 40.0
            + bends
            + 9.0 * turn.sin()
            + 4.0 * (2.0 * turn).cos()
            + 5.0 * (turn / 7.0).sin()
            + 3.0 * hum;
        (START + i64::from(i) * STEP, load)
    })
    .unzip()
}

fn to_csv(ds: &[i64], y: &[f64], cap: f64) -> String {
    let rows = ds.iter().zip(y);
    let lines = rows.map(|(ds, y)| format!("{},{y},{cap}\n", format_wall_time(*ds)));
    std::iter::once("ds,y,cap\n".to_owned())
        .chain(lines)
        .collect()
}

/// A Python that fits what it is asked to, its imports done.
struct Python {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    fn start() -> Result<Option<Self>> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = env::var_os("LOADCAST_PYTHON").map(PathBuf::from);
        let python = python.unwrap_or_else(|| here.join("../.tools/python/bin/python"));
        if !python.is_file() {
            println!("no Python at {}: our own times alone", python.display());
            return Ok(None);
        }
        let mut child = Command::new(&python)
            .arg(here.join("python/fit.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| python.display().to_string())?;
        let requests = child.stdin.take().context("Python's standard input")?;
        let answers = BufReader::new(child.stdout.take().context("Python's standard output")?);
        Ok(Some(Self {
            child,
            requests,
            answers,
        }))
    }

    fn fit(&mut self, by: &str, csv: &Path, spec: &Spec, times: &mut Times) -> Result<()> {
        let request = json!({
            "by": by,
            "csv": csv,
            "series": BATCH,
            "kwargs": {
                "growth": spec.growth,
                "seasonality_mode": spec.seasonality_mode,
                "yearly_seasonality": false,
                "weekly_seasonality": true,
                "daily_seasonality": true,
            },
        });
        writeln!(self.requests, "{request}")?;
        self.requests.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value =
            serde_json::from_str(&line).with_context(|| format!("{by} did not answer"))?;
        let number = |key: &str| {
            answer[key]
                .as_f64()
                .with_context(|| format!("{by}: {answer}"))
        };
        times.milliseconds.push(number("milliseconds")?);
        times.log_posterior = number("log_posterior")?;
        Ok(())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It ends by itself when its input does; this makes sure.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
