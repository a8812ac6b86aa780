//! Forecasts with and without bands, beside Python Prophet's predict() of the very same model.

use std::{fs, time::Instant};

use anyhow::Result;
use loadcast_model::{
    artifact::encode_model_pr,
    band,
    fit::fit,
    forecaster::{Forecaster, Question},
    history::History,
    prophet::ProphetModel,
    spec::Spec,
};
use serde_json::json;

use crate::{
    python::Python,
    report::Section,
    timing::{median, seconds},
};

/// Steps of the history: four weeks of five minutes.
const ROWS: u32 = 8_064;
const STEP: i64 = 300;
const START: i64 = 1_767_225_600;
/// How many pairs of ours and Python's, one after the other.
const ROUNDS: usize = 15;
const BAND: [f64; 2] = [0.1, 0.9];
/// A level that nobody asked for before.
const UNSEEN: [f64; 2] = [0.123_456_7, 0.876_543_3];

pub(super) fn measure(section: &mut Section) -> Result<()> {
    let begun = Instant::now();
    band::prepare();
    section.put(
        "band_table_once_per_process_ms",
        1e3 * begun.elapsed().as_secs_f64(),
    );

    let folder = tempfile::tempdir()?;
    let (model, file) = (model()?, folder.path().join("model.pr"));
    fs::write(&file, encode_model_pr(&model)?)?;
    let start = model.ends.last.0 + STEP;
    let begun = Instant::now();
    let forecaster = Forecaster::new(model)?;
    section.put("model_restored_us", 1e6 * begun.elapsed().as_secs_f64());
    section.put("model_memory_bytes", forecaster.size_bytes() as f64);

    let mut python = Python::start("forecast.py")?;
    for points in [1_u16, 288, 720] {
        let ds: Vec<i64> = (0..i64::from(points)).map(|i| start + i * STEP).collect();
        let ours = |levels: &[f64]| {
            let question = Question::at(&ds).with_levels(levels);
            seconds(|| forecaster.forecast(&question))
        };
        let mut theirs = |samples: u32| -> Result<f64> {
            let ask = json!({
                "model": file, "start": start, "step": STEP, "points": points, "samples": samples,
            });
            let answer = python.ask(&ask)?;
            answer["seconds"]
                .as_f64()
                .ok_or_else(|| anyhow::anyhow!("Python answered {answer}"))
        };
        // Warm on both sides; a level is asked for the first time before that.
        let question = Question::at(&ds).with_levels(&UNSEEN);
        let begun = Instant::now();
        forecaster.forecast(&question)?;
        let first = begun.elapsed().as_secs_f64();
        ours(&BAND);
        theirs(1_000)?;
        theirs(0)?;
        let mut rounds: [Vec<f64>; 5] = Default::default();
        for _ in 0..ROUNDS {
            rounds[0].push(ours(&BAND));
            rounds[1].push(theirs(1_000)?);
            rounds[2].push(ours(&[]));
            rounds[3].push(theirs(0)?);
            rounds[4].push(ours(&UNSEEN));
        }
        let [band, python_band, point, python_point, unseen] =
            rounds.map(|seconds| 1e6 * median(seconds));
        let name = |what: &str| format!("forecast_{points}_points_{what}");
        section.put_ratio(
            &name("band80"),
            "us",
            ("python_1000_samples", python_band),
            band,
        );
        section.put_ratio(&name("no_band"), "us", ("python", python_point), point);
        section.put(name("other_levels_us"), unseen);
        section.put(name("other_levels_first_time_us"), 1e6 * first);
    }
    Ok(())
}

/// A day, a week and a drift under noise, fitted with the three seasonalities of the original's pipeline forced on:
/// 34 columns, the dearest that it serves.
fn model() -> Result<ProphetModel> {
    let ds: Vec<i64> = (0..i64::from(ROWS)).map(|i| START + i * STEP).collect();
    let y = (0..ROWS).map(|i| {
        let day = f64::from(i) / 288.0;
        let turns = std::f64::consts::TAU * day;
        let bend = (day - 12.0).max(0.0) * 0.3;
        // No pattern that a seasonality could follow.
        let noise = (f64::from(i).powi(2) * 0.618_034).sin();
        40.0 + 0.2 * day - bend + 8.0 * turns.sin() + 3.0 * (turns / 7.0).cos() + noise
    });
    let spec: Spec = serde_json::from_value(json!({
        "yearly_seasonality": true, "weekly_seasonality": true, "daily_seasonality": true,
    }))?;
    Ok(fit(&spec, &History::new(ds, y.collect())?)?.model)
}
