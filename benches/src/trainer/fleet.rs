//! A fleet's rows: two weeks of different workloads at five minutes, the same in every run.

use std::{fs, path::Path, sync::Arc};

use anyhow::Result;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampSecondArray};
use parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};

/// Two weeks.
pub(super) const ROWS: u16 = 4_032;

/// 2026-01-01, and five minutes.
const START: i64 = 1_767_225_600;
const STEP: i64 = 300;

/// The times of every series' rows.
pub(super) fn times() -> impl Iterator<Item = i64> {
    (0..i64::from(ROWS)).map(|row| START + row * STEP)
}

/// The values of workload `seed`: a day with its peak and a lesser one, a quieter weekend, a slow trend, and noise that
/// remembers its last value; each of another size.
pub(super) fn load(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = 20_260_101 + seed;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    // Neighbouring seeds begin alike.
    for _ in 0..8 {
        uniform();
    }
    let level = 2.0 + 30.0 * uniform();
    let (day, second, weekend) = (
        0.2 + 0.3 * uniform(),
        0.2 * uniform(),
        0.05 + 0.25 * uniform(),
    );
    let (peak, trend) = (uniform(), 0.02 * (uniform() - 0.3));
    let (spread, memory) = (0.01 + 0.03 * uniform(), 0.3 + 0.6 * uniform());
    let mut noise = 0.0;
    (0..ROWS).map(move |row| {
        let days = f64::from(row) * STEP as f64 / 86_400.0;
        let turn = std::f64::consts::TAU * (days - peak);
        // 2026-01-01 is a Thursday.
        let rest = if (2.0..4.0).contains(&(days % 7.0)) {
            weekend
        } else {
            0.0
        };
        let shape = 1.0 + day * turn.cos() + second * (2.0 * turn).cos() - rest + trend * days;
        let shock = uniform() + uniform() + uniform() + uniform() - 2.0;
        noise = memory * noise + spread * shock;
        let value = level * (shape + noise);
        (value.max(0.01) * 1e3).round() / 1e3
    })
}

/// Writes the rows of `series` workloads: a column of times, and one of each.
pub(super) fn write_rows(path: &Path, series: usize) -> Result<()> {
    let times: ArrayRef =
        Arc::new(TimestampSecondArray::from_iter_values(times()).with_timezone_utc());
    let workloads = (0..series).map(|seed| {
        let values = Float64Array::from_iter_values(load(seed as u64));
        (column(seed), Arc::new(values) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(
        std::iter::once(("timestamp".to_owned(), times)).chain(workloads),
    )?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let file = fs::File::create(path)?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build()))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// Writes what declares them.
pub(super) fn write_catalog(path: &Path, series: usize) -> Result<()> {
    let entries = (0..series).map(|seed| {
        let column = column(seed);
        format!("[[series]]\nname = \"bench.{column}\"\ncolumn = \"{column}\"\nunit = \"cores\"\n")
    });
    Ok(fs::write(path, entries.collect::<String>())?)
}

fn column(seed: usize) -> String {
    format!("w{seed:04}")
}
