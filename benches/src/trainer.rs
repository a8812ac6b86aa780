//! The trainer: a fleet through all four stages with search by the release binary, beside what others take for one fit.

mod fleet;
mod process;

use std::{fs, path::Path, thread};

use anyhow::{Context as _, Result, ensure};
use loadcast_model::spec::format_wall_time;
use serde_json::{Value, json};

use self::{
    fleet::{ROWS, load, times, write_catalog, write_rows},
    process::{Usage, run},
};
use crate::{python::Python, report::Section, timing::median};

/// Series of the runs: memory must not grow with them as their number does.
const FLEETS: [usize; 2] = [250, 1_000];

/// Fits by Python Prophet before the runs, and as many after.
const FITS: usize = 5;

/// Series of prophet-batch's list.
const BATCH: usize = 100;

/// Everything about the trainer.
///
/// # Errors
/// When Python or the trainer's release binary is not there, or a run does not end as it should.
pub fn measure() -> Result<Section> {
    let mut section = Section::default();
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let mut python = Python::start("fit.py")?;
    let (mut prophet, mut batch) = (Vec::new(), Vec::new());
    measure_python(&mut python, folder, &mut prophet, &mut batch)?;
    section.put("rows_per_series", ROWS as f64);
    section.put("cores", thread::available_parallelism()?.get() as f64);
    let (mut seconds, mut peaks) = (f64::NAN, Vec::new());
    for series in FLEETS {
        let usage = measure_fleet(series, folder, &mut section)?;
        seconds = usage.seconds / series as f64;
        peaks.push(usage.peak_bytes);
    }
    if let [few, many] = peaks[..] {
        section.put("run_peak_rss_growth_ratio", many as f64 / few as f64);
    }
    measure_python(&mut python, folder, &mut prophet, &mut batch)?;
    let (prophet, batch) = (median(prophet), median(batch));
    section.put_ratio(
        "run_per_series",
        "seconds",
        ("python_prophet_one_fit", prophet),
        seconds,
    );
    section.put_ratio(
        "run_per_series_batch",
        "seconds",
        ("prophet_batch_fit_many", batch),
        seconds,
    );
    section.say(
        "run_*: loadcast-trainer run --dry-run, on every core: the rules of the data, the grid, a search of many fits, the \
         same search again at each origin of the backtest, the gates, the model and a page with pictures on disk.",
    );
    section.say(
        "python_prophet_one_fit: Prophet().fit once. prophet_batch_fit_many: one fit of each of 100 series. Each in one \
         process, and neither searches, backtests or judges.",
    );
    Ok(section)
}

/// Seconds per series of Python's fits and of a batch of prophet-batch's, at Prophet's defaults.
fn measure_python(
    python: &mut Python,
    folder: &Path,
    prophet: &mut Vec<f64>,
    batch: &mut Vec<f64>,
) -> Result<()> {
    for seed in 0..FITS {
        let csv = folder.join(format!("fit-{seed}.csv"));
        let rows = times().zip(load(seed as u64));
        let lines = rows.map(|(ds, y)| format!("{},{y}\n", format_wall_time(ds)));
        let text: String = std::iter::once("ds,y\n".to_owned()).chain(lines).collect();
        fs::write(&csv, text)?;
        prophet.push(ask(python, "prophet", &csv)?);
    }
    batch.push(ask(python, "prophet_batch", &folder.join("fit-0.csv"))?);
    Ok(())
}

fn ask(python: &mut Python, by: &str, csv: &Path) -> Result<f64> {
    let answer = python.ask(&json!({"by": by, "csv": csv, "series": BATCH, "kwargs": {}}))?;
    let milliseconds = answer["milliseconds"].as_f64();
    Ok(milliseconds.with_context(|| format!("{by} answered {answer}"))? / 1e3)
}

/// A run of `series` series.
fn measure_fleet(series: usize, folder: &Path, section: &mut Section) -> Result<Usage> {
    let [rows, catalog, report] =
        ["parquet", "toml", "json"].map(|kind| folder.join(format!("fleet-{series}.{kind}")));
    write_rows(&rows, series)?;
    write_catalog(&catalog, series)?;
    let usage = run(&rows, &catalog, &report)?;
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    let judged = report["series"].as_array().context("no series")?;
    ensure!(
        judged.len() == series,
        "{} of {series} were judged",
        judged.len()
    );
    let count = |is: &dyn Fn(&Value) -> bool| judged.iter().filter(|one| is(one)).count() as f64;
    let name = format!("run_{series}_series");
    section.put(format!("{name}_per_second"), series as f64 / usage.seconds);
    section.put(format!("{name}_seconds"), usage.seconds);
    section.put(format!("{name}_cpu_seconds"), usage.cpu_seconds);
    section.put(format!("{name}_peak_rss_mb"), usage.peak_bytes as f64 / 1e6);
    for conclusion in ["PROMOTE", "CANDIDATE_ONLY"] {
        let is = |one: &Value| one["conclusion"] == conclusion;
        section.put(format!("{name}_{}", conclusion.to_lowercase()), count(&is));
    }
    section.put(
        format!("{name}_reject"),
        count(&|one| one["rejected"] == true),
    );
    section.put(
        format!("{name}_failed"),
        count(&|one| one["rejected"] == false),
    );
    for (figure, pointer) in [
        ("fits_of_a_search", "/backtest/recipe/fits"),
        ("backtest_origins", "/backtest/origins"),
        ("backtest_fits", "/backtest/fits"),
    ] {
        let figures = judged
            .iter()
            .filter_map(|one| one.pointer(pointer)?.as_f64());
        section.put(format!("{name}_{figure}"), median(figures.collect()));
    }
    Ok(usage)
}
