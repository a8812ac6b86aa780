//! Searches over a fleet: series per second on every core, and how often Prophet is fitted for one.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result};
use loadcast_model::{
    grid::Grid,
    recipe::{SearchOptions, search},
};

use super::fit::{START, STEP, series};
use crate::{report::Section, timing::median};

/// Different series in the fleet, each of two weeks.
const FLEET: u64 = 200;
const ROWS: usize = 4_032;

/// How often the fleet is searched.
const ROUNDS: usize = 3;

pub(super) fn measure(section: &mut Section) -> Result<()> {
    let fleet: Vec<Grid> = (0..FLEET).map(grid).collect::<Result<_>>()?;
    let options = SearchOptions::default();
    let cores = thread::available_parallelism()?.get();
    let mut rates = Vec::new();
    let mut fits = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let next = AtomicUsize::new(0);
        let searched = thread::scope(|scope| {
            let worker = || {
                let mut fits = 0;
                while let Some(grid) = fleet.get(next.fetch_add(1, Ordering::Relaxed)) {
                    fits += u64::from(search(grid, &options)?.report.fits);
                }
                Ok::<_, loadcast_model::error::Error>(fits)
            };
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
            let joined = workers.into_iter().map(thread::ScopedJoinHandle::join);
            joined.collect::<Vec<_>>()
        });
        rates.push(FLEET as f64 / begun.elapsed().as_secs_f64());
        fits = 0;
        for of_one in searched {
            fits += of_one.ok().context("a search died")??;
        }
    }
    let name = format!("search_{ROWS}_rows");
    section.put(format!("{name}_series_per_second"), median(rates));
    section.put(format!("{name}_cores"), cores as f64);
    section.put(
        format!("{name}_fits_per_series"),
        fits as f64 / FLEET as f64,
    );
    Ok(())
}

fn grid(seed: u64) -> Result<Grid> {
    let (_, values) = series(ROWS, seed);
    Ok(Grid {
        start: START,
        step_seconds: u32::try_from(STEP)?,
        values: values.into_iter().map(Some).collect(),
    })
}
