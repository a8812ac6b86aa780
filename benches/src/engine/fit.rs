//! Fits beside Python Prophet's and prophet-batch's of the same rows, turn by turn: milliseconds per fit, and the log
//! posterior that each reached. A time whose log posterior is below Stan's is void and is not reported as a ratio.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use loadcast_model::{
    features::Mode,
    fit::fit_exactly,
    history::History,
    inputs::Inputs,
    spec::{Growth, SeasonalityChoice, Spec, format_wall_time},
};
use serde_json::json;

use crate::{
    python::Python,
    report::Section,
    timing::{median, seconds},
};

/// How many turns each contestant has.
const ROUNDS: usize = 5;

/// Series of a batch of prophet-batch, whose time is per series.
const BATCH: usize = 16;

/// How far below Stan's a log posterior may be, relatively.
const SLACK: f64 = 1e-6;

/// 2026-01-01, and five minutes.
pub(super) const START: i64 = 1_767_225_600;
pub(super) const STEP: i64 = 300;

struct Case {
    name: &'static str,
    growth: Growth,
    mode: Mode,
    /// prophet-batch has no logistic growth.
    batch: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "linear",
        growth: Growth::Linear,
        mode: Mode::Additive,
        batch: true,
    },
    Case {
        name: "multiplicative",
        growth: Growth::Linear,
        mode: Mode::Multiplicative,
        batch: true,
    },
    Case {
        name: "logistic",
        growth: Growth::Logistic,
        mode: Mode::Additive,
        batch: false,
    },
];

/// Times of one contestant in milliseconds, and the log posterior of its last fit.
#[derive(Debug, Default)]
struct Times {
    milliseconds: Vec<f64>,
    log_posterior: f64,
}

pub(super) fn measure(section: &mut Section) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut python = Python::start("fit.py")?;
    for case in &CASES {
        for rows in [8_064, 4_032] {
            case.measure(rows, folder.path(), &mut python, section)?;
        }
    }
    Ok(())
}

impl Case {
    fn measure(
        &self,
        rows: usize,
        folder: &Path,
        python: &mut Python,
        section: &mut Section,
    ) -> Result<()> {
        let (ds, y) = series(rows, 0);
        let cap = 1.1 * y.iter().copied().fold(0.0, f64::max);
        let csv = folder.join(format!("fit-{rows}.csv"));
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
        let reached = fit_exactly(&spec, &history)?.report.log_posterior;
        ours.log_posterior = reached.context("a fit without a log posterior")?;
        for _ in 0..ROUNDS {
            ours.milliseconds
                .push(1e3 * seconds(|| fit_exactly(&spec, &history)));
            ask(python, "prophet", &csv, &spec, &mut prophet)?;
            if self.batch {
                ask(python, "prophet_batch", &csv, &spec, &mut batch)?;
            }
        }
        let name = format!("fit_{}_{rows}_rows", self.name);
        let stan = prophet.log_posterior;
        section.put(format!("{name}_log_posterior"), ours.log_posterior);
        section.put(format!("{name}_python_log_posterior"), stan);
        let valid = |times: &Times| times.log_posterior >= stan - SLACK * stan.abs();
        if !valid(&ours) {
            println!("{name}: ours is void, its log posterior is below Stan's");
            return Ok(());
        }
        let ours = median(ours.milliseconds);
        let python_ms = median(prophet.milliseconds);
        section.put_ratio(&name, "ms", ("python", python_ms), ours);
        if self.batch {
            let name = format!("{name}_batch");
            section.put(format!("{name}_log_posterior"), batch.log_posterior);
            if !valid(&batch) {
                println!("{name}: prophet-batch's log posterior is below Stan's");
            }
            let batch = median(batch.milliseconds);
            section.put_ratio(&name, "ms", ("prophet_batch", batch), ours);
        }
        Ok(())
    }
}

/// One fit by Python's `by` (one batch of fits, by prophet-batch).
fn ask(python: &mut Python, by: &str, csv: &Path, spec: &Spec, times: &mut Times) -> Result<()> {
    let answer = python.ask(&json!({
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
    }))?;
    let number = |key: &str| {
        answer[key]
            .as_f64()
            .with_context(|| format!("{by} answered {answer}"))
    };
    times.milliseconds.push(number("milliseconds")?);
    times.log_posterior = number("log_posterior")?;
    Ok(())
}

/// A load with days, weeks, two bends and noise, by `seed`.
pub(super) fn series(rows: usize, seed: u64) -> (Vec<i64>, Vec<f64>) {
    let mut state = 20_260_101 + seed;
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
        let waves = 9.0 * turn.sin() + 4.0 * (2.0 * turn).cos() + 5.0 * (turn / 7.0).sin();
        (
            START + i64::from(i) * STEP,
            40.0 + bends + waves + 3.0 * hum,
        )
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
