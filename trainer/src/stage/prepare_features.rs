//! Stage 2: rows onto the regular grid of the series' wall clock.
//!
//! Each row is floored to its step and the rows of one step are averaged; steps without rows stay empty, because
//! Prophet fits what was observed and nothing else. Where clocks go back, an hour's rows of both passes share a step;
//! where they go forward, an hour of steps stays empty.

mod stored;

use std::collections::BTreeMap;

use loadcast_model::artifact::sha256_hex;
use loadcast_model::grid::Grid;
use loadcast_model::history::MAX_ROWS;
use loadcast_model::series::Series;

use crate::error::{Error, Result};
use crate::stage::validate_data::ValidData;
use crate::time::{DAY, show_length};
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "prepare features";

/// How the grid is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preparation {
    /// History older than this, counted from the last row, is left out.
    pub max_train_seconds: i64,
}

impl Default for Preparation {
    fn default() -> Self {
        Self {
            max_train_seconds: 28 * DAY,
        }
    }
}

/// A series on its grid, ready to be fitted.
#[derive(Debug, Clone)]
pub struct Features {
    pub(super) series: Series,
    pub(super) grid: Grid,
    pub(super) cutoff: i64,
    pub(super) data_sha256: String,
    verdict: Verdict,
}

impl Features {
    /// The series on its grid.
    #[must_use]
    pub fn into_grid(self) -> Grid {
        self.grid
    }
}

/// Puts valid rows onto the grid.
///
/// # Errors
/// [`Error::Settings`] for a step that is no step, or so fine that the grid would not fit in memory.
pub fn prepare_features(valid: ValidData, preparation: &Preparation) -> Result<Features> {
    let mut verdict = Verdict::new(STAGE);
    let step = valid.step_seconds();
    let series = series(&valid, step)?;
    let cutoff = valid.instants().last().copied().unwrap_or_default();
    let wall = |instant: i64| series.zone.to_wall(instant).div_euclid(step) * step;

    let oldest = wall(cutoff) - preparation.max_train_seconds;
    let mut sums: BTreeMap<i64, (f64, u32)> = BTreeMap::new();
    let mut left_out = 0;
    for (&instant, &value) in valid.instants().iter().zip(valid.values()) {
        let time = wall(instant);
        if time <= oldest {
            left_out += 1;
            continue;
        }
        let (sum, count) = sums.entry(time).or_default();
        *sum += value;
        *count += 1;
    }
    if left_out > 0 {
        let most = show_length(preparation.max_train_seconds);
        verdict.ok(format!(
            "{left_out} rows older than --max-train {most} left out"
        ));
    }

    let grid = grid(&sums, series.step_seconds, &mut verdict)?;
    let data_sha256 = digest(&grid);
    Ok(Features {
        series,
        grid,
        cutoff,
        data_sha256,
        verdict,
    })
}

fn series(valid: &ValidData, step: i64) -> Result<Series> {
    let declaration = valid.declaration();
    let mut series = Series::new(declaration.name.clone());
    series.labels = valid.labels().clone().into();
    series.unit = declaration.unit;
    series.zone = valid.zone().clone();
    series.zero_means = declaration.zero_means;
    series.predecessor.clone_from(&declaration.predecessor);
    series.step_seconds = u32::try_from(step)
        .ok()
        .filter(|step| *step > 0)
        .ok_or_else(|| {
            Error::settings(
                format!(
                    "a step of {} is none that a grid can have",
                    show_length(step)
                ),
                "give --step, such as 5m or 1h",
            )
        })?;
    Ok(series)
}

fn grid(
    sums: &BTreeMap<i64, (f64, u32)>,
    step_seconds: u32,
    verdict: &mut Verdict,
) -> Result<Grid> {
    let step = i64::from(step_seconds);
    let (start, end) = match (sums.first_key_value(), sums.last_key_value()) {
        (Some((first, _)), Some((last, _))) => (*first, *last),
        _ => (0, -step),
    };
    let steps = usize::try_from((end - start) / step + 1).unwrap_or(usize::MAX);
    if steps > MAX_ROWS {
        return Err(Error::settings(
            format!(
                "the history has {steps} steps of {}; at most {MAX_ROWS} are trained on",
                show_length(step)
            ),
            "give a longer --step or a shorter --max-train",
        ));
    }
    let mut values = vec![None; steps];
    for (time, (sum, count)) in sums {
        if let Some(value) = usize::try_from((time - start) / step)
            .ok()
            .and_then(|i| values.get_mut(i))
        {
            *value = Some(sum / f64::from(*count));
        }
    }
    verdict.ok(format!(
        "{} of {steps} steps of {} observed, {} of history",
        sums.len(),
        show_length(step),
        show_length(end - start + step)
    ));
    Ok(Grid {
        start,
        step_seconds,
        values,
    })
}

/// Over start, step and every value's bits, an empty step being a NaN that no observation can be.
fn digest(grid: &Grid) -> String {
    let mut bytes = Vec::with_capacity(16 + 8 * grid.values.len());
    bytes.extend(grid.start.to_le_bytes());
    bytes.extend(i64::from(grid.step_seconds).to_le_bytes());
    for value in &grid.values {
        bytes.extend(value.unwrap_or(f64::NAN).to_bits().to_le_bytes());
    }
    sha256_hex(&bytes)
}

impl Judged for Features {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::table::Table;
    use crate::stage::validate_data::{Column, Rules, validate_data};

    /// Rows of `value(i)` at `start + i * spacing`, through stage 1 with `rules` and this stage.
    fn features(
        start: i64,
        spacing: i64,
        rows: i64,
        value: impl Fn(i64) -> f64,
        rules: &Rules,
    ) -> Features {
        let line = |i: i64| format!("{},{}\n", start + i * spacing, value(i));
        let csv = format!("time,cpu\n{}", (0..rows).map(line).collect::<String>());
        let table = Table::new("m.csv", csv.into_bytes()).unwrap();
        let column = Column::new(&table, "a=cpu".parse().unwrap(), None, BTreeMap::new()).unwrap();
        prepare_features(
            validate_data(column, rules).unwrap(),
            &Preparation::default(),
        )
        .unwrap()
    }

    #[test]
    fn rows_are_floored_to_the_step_and_averaged() {
        // 12 s past each minute, 1 to 5, 6 to 10, ...: five rows to a step.
        let rules = Rules {
            step_seconds: Some(300),
            ..Rules::default()
        };
        let made = features(1_767_225_612, 60, 4 * 1440, |i| (i % 10) as f64, &rules);
        assert_eq!(
            (made.grid.start, made.grid.step_seconds),
            (1_767_225_600, 300)
        );
        assert_eq!(
            made.grid.values[..4],
            [Some(2.0), Some(7.0), Some(2.0), Some(7.0)]
        );
        assert_eq!(made.cutoff, 1_767_225_612 + (4 * 1440 - 1) * 60);
    }

    #[test]
    fn older_history_than_max_train_is_left_out() {
        let made = features(
            1_767_225_600,
            3600,
            40 * 24,
            |i| i as f64,
            &Rules::default(),
        );
        assert_eq!(made.grid.values.len(), 28 * 24);
        assert!(
            made.verdict
                .to_string()
                .contains("288 rows older than --max-train 28 d"),
            "{}",
            made.verdict
        );
    }

    #[test]
    fn a_zone_puts_the_grid_on_its_wall_clock() {
        // 2026-03-27 to 31, around the night when Berlin's clocks go forward.
        let berlin = Rules {
            zone: "Europe/Berlin".parse().unwrap(),
            ..Rules::default()
        };
        let made = features(1_774_566_000, 3600, 96, |i| i as f64, &berlin);
        let missing: Vec<usize> = (0..made.grid.values.len())
            .filter(|i| made.grid.values[*i].is_none())
            .collect();
        assert_eq!(made.grid.start, 1_774_566_000 + 3600);
        assert_eq!(made.grid.values.len(), 97);
        let skipped: Vec<i64> = missing
            .iter()
            .map(|i| made.grid.time(*i).rem_euclid(DAY) / 3600)
            .collect();
        assert_eq!(skipped, [2]);
    }

    #[test]
    fn the_digest_is_of_the_data_and_tells_a_gap_from_a_value() {
        let grid = |values| Grid {
            start: 0,
            step_seconds: 60,
            values,
        };
        let one = digest(&grid(vec![Some(1.0), None]));
        assert_eq!(one, digest(&grid(vec![Some(1.0), None])));
        assert_ne!(one, digest(&grid(vec![Some(1.0), Some(0.0)])));
        assert_ne!(
            one,
            digest(&Grid {
                start: 60,
                ..grid(vec![Some(1.0), None])
            })
        );
    }
}
