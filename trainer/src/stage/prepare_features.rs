//! Stage 2: rows onto the regular grid of the series' wall clock, and what the model is told beside them.
//!
//! Each row is floored to its step and the rows of one step are averaged. Where clocks go back, an hour's rows of both
//! passes share a step; where they go forward, an hour of steps stays empty. Steps without rows stay empty too, because
//! Prophet fits what was observed and nothing else; [`GapPolicy`] can fill them. A step with a censored row is empty
//! whatever the policy. Nothing here transforms a value: Prophet's format could not say so, and Python would forecast
//! something else.

mod rows;
mod stored;

use std::collections::BTreeSet;

use loadcast_model::artifact::{Clamps, sha256_hex};
use loadcast_model::grid::Grid;
use loadcast_model::holiday::Holiday;
use loadcast_model::series::Series;
use serde::{Deserialize, Serialize};

use self::rows::{Sums, empty, placed};
use crate::checks::Check as _;
use crate::error::{Error, Result};
use crate::stage::validate_data::ValidData;
use crate::stage::validate_data::rule::Rule;
use crate::time::{DAY, show_length};
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "prepare features";

/// History before the window that is kept to judge the model at the horizon of a month: not trained on by the model.
const KEPT_FOR_JUDGING: i64 = 31 * DAY;

/// What becomes of steps without a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum GapPolicy {
    /// They stay empty and are not fitted
    #[default]
    Keep,
    /// On the line between their neighbours
    Interpolate,
    /// Zero: nothing ran, so nothing was scraped
    Zero,
}

/// What becomes of values that stage 1 calls outliers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OutlierPolicy {
    /// They are fitted: load that comes rarely is load
    #[default]
    Keep,
    /// They are left out of the fit
    Drop,
}

/// How the grid is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// History older than this, counted from the last row, is not trained on.
    pub max_train_seconds: i64,
    /// What becomes of steps without a row.
    pub gaps: GapPolicy,
    /// What becomes of outliers.
    pub outliers: OutlierPolicy,
    /// No forecast lies above; with logistic growth where it saturates. In the series' unit.
    pub cap: Option<f64>,
    /// No forecast lies below; with logistic growth where it begins. In the series' unit.
    pub floor: Option<f64>,
    /// Holidays and events, past and to come.
    pub holidays: Vec<Holiday>,
}

impl Default for Preparation {
    fn default() -> Self {
        Self {
            max_train_seconds: 28 * DAY,
            gaps: GapPolicy::default(),
            outliers: OutlierPolicy::default(),
            cap: None,
            floor: None,
            holidays: Vec::new(),
        }
    }
}

/// A series on its grid, ready to be fitted.
#[derive(Debug, Clone)]
pub struct Features {
    /// What was observed: judges the model.
    pub(super) grid: Grid,
    /// Of the same steps what the model may learn from, before gaps are filled.
    learned: Grid,
    pub(super) about: About,
    verdict: Verdict,
}

/// What there is to say of a grid beside its values: what a file of the grid must carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// What is forecast.
    pub series: Series,
    /// The last row, in seconds since 1970.
    pub cutoff: i64,
    /// How many of the last steps are trained on; those before them only judge the model.
    pub window: usize,
    /// Bounds for every answer.
    pub bounds: Clamps,
    /// Holidays and events, past and to come.
    pub holidays: Vec<Holiday>,
    /// What becomes of steps without a row.
    pub gaps: GapPolicy,
    /// Times of the steps with a censored row, ascending: they stay empty whatever the policy.
    pub censored: Vec<i64>,
    /// What stage 1 found.
    pub found: Verdict,
}

impl Features {
    /// Features as an earlier process prepared them: what was observed and, of the same steps, what may be learned from.
    ///
    /// # Errors
    /// [`Error::Data`] when the grids differ in their steps, are not of the series' step or shorter than the window.
    pub fn new(grid: Grid, learned: Grid, about: About) -> Result<Self> {
        let steps = |grid: &Grid| (grid.start, grid.step_seconds, grid.values.len());
        if steps(&grid) != steps(&learned)
            || grid.step_seconds != about.series.step_seconds
            || grid.values.len() < about.window
        {
            return Err(Error::data(
                format!(
                    "{} steps of {} s are not the prepared grid of {}",
                    grid.values.len(),
                    grid.step_seconds,
                    about.series.name
                ),
                "prepare it again",
            ));
        }
        Ok(Self {
            grid,
            learned,
            about,
            verdict: Verdict::new(STAGE),
        })
    }

    /// What there is to say of the grid.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What was observed: the steps that are trained on, after those that are kept for judging. Nothing is filled, nothing
    /// but what was censored is left out.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Of the same steps, what may be learned from: without outliers where they are to be dropped; gaps are not filled.
    #[must_use]
    pub fn learned(&self) -> &Grid {
        &self.learned
    }

    /// The steps before step `at` as a model is trained on them that knows nothing of what came from then on: outliers
    /// left out, gaps filled, as asked.
    #[must_use]
    pub fn before(&self, at: usize) -> Grid {
        let mut past = self.learned.part(0..at);
        fill(&mut past, &self.grid, &self.about);
        past
    }

    /// All steps as they are trained on.
    pub(super) fn trained_on(&self) -> Grid {
        self.before(self.grid.values.len())
    }

    /// The steps that are trained on.
    #[must_use]
    pub fn window(&self) -> Grid {
        let n = self.grid.values.len();
        let window = n.saturating_sub(self.about.window)..n;
        self.trained_on().part(window)
    }

    /// Lower-case hex, of the steps that are trained on.
    #[must_use]
    pub fn data_sha256(&self) -> String {
        digest(&self.window())
    }

    /// The share of rows that were censored.
    pub(super) fn censored(&self) -> f64 {
        let of_rule = |name: &str| name == Rule::Censored.name();
        let mut checks = self.about.found.findings().iter();
        let found = checks.find_map(|finding| {
            let checked = finding.checked.as_ref()?;
            of_rule(&checked.check).then_some(checked.value?)
        });
        found.unwrap_or(0.0)
    }
}

/// Puts valid rows onto the grid.
///
/// # Errors
/// [`Error::Settings`] for a step that is no step, or so fine that the grid would not fit in memory, and for a floor that
/// is not below the cap.
pub fn prepare_features(valid: ValidData, preparation: &Preparation) -> Result<Features> {
    let mut verdict = Verdict::new(STAGE);
    let bounds = bounds(preparation)?;
    let step = valid.step_seconds();
    let series = series(&valid, step)?;
    let cutoff = valid.instants().last().copied().unwrap_or_default();
    let wall = |instant: i64| series.zone.to_wall(instant).div_euclid(step) * step;

    let oldest = wall(cutoff).saturating_sub(preparation.max_train_seconds);
    let kept = oldest.saturating_sub(KEPT_FOR_JUDGING);
    let censored: BTreeSet<i64> = valid.censored().iter().map(|at| wall(*at)).collect();
    let dropped: BTreeSet<i64> = match preparation.outliers {
        OutlierPolicy::Keep => BTreeSet::new(),
        OutlierPolicy::Drop => valid.outliers().iter().copied().collect(),
    };
    let (mut observed, mut learned) = (Sums::new(), Sums::new());
    let (mut left_out, mut outlying) = (0, 0);
    for (&instant, &value) in valid.instants().iter().zip(valid.values()) {
        let time = wall(instant);
        left_out += usize::from(time <= oldest);
        let outlier = dropped.contains(&instant);
        outlying += usize::from(outlier);
        if time > kept && !censored.contains(&time) {
            let into = [(true, &mut observed), (!outlier, &mut learned)];
            for (_, sums) in into.into_iter().filter(|(counts, _)| *counts) {
                let (sum, count) = sums.entry(time).or_default();
                *sum += value;
                *count += 1;
            }
        }
    }
    if left_out > 0 {
        let most = show_length(preparation.max_train_seconds);
        verdict.ok(format!(
            "{left_out} rows older than --max-train {most} left out"
        ));
    }
    if outlying > 0 {
        verdict.warn(format!("{outlying} outliers left out of the fit"));
    }

    let empty = empty(&observed, series.step_seconds)?;
    let (grid, learned) = (placed(&empty, &observed), placed(&empty, &learned));
    let steps = grid.values.len();
    let mut about = About {
        series,
        cutoff,
        window: 0,
        bounds,
        holidays: preparation.holidays.clone(),
        gaps: preparation.gaps,
        censored: censored
            .into_iter()
            .filter(|at| *at >= grid.start)
            .collect(),
        found: valid.verdict().clone(),
    };
    let mut trained_on = learned.clone();
    let filled = fill(&mut trained_on, &grid, &about);
    tell_filled(filled, preparation.gaps, &mut verdict);
    let mut trained = (0..steps).filter(|i| trained_on.values[*i].is_some());
    let first = trained.find(|i| grid.time(*i) > oldest);
    about.window = steps - first.unwrap_or(steps);
    tell(&grid, about.window, &mut verdict);
    if !preparation.holidays.is_empty() {
        verdict.ok(format!(
            "{} days of holidays and events",
            preparation.holidays.len()
        ));
    }
    Ok(Features {
        grid,
        learned,
        about,
        verdict,
    })
}

fn bounds(preparation: &Preparation) -> Result<Clamps> {
    let (min, max) = (preparation.floor, preparation.cap);
    if let (Some(min), Some(max)) = (min, max)
        && min >= max
    {
        return Err(Error::settings(
            format!("--floor {min} is not below --cap {max}"),
            "swap them, or leave one out",
        ));
    }
    Ok(Clamps { min, max })
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

/// Fills the steps of `grid` that nothing was `observed` in, and nothing censored; says how many.
fn fill(grid: &mut Grid, observed: &Grid, about: &About) -> usize {
    let line = match about.gaps {
        GapPolicy::Keep => return 0,
        GapPolicy::Zero => vec![0.0; grid.values.len()],
        GapPolicy::Interpolate => grid.filled().unwrap_or_default(),
    };
    let mut filled = 0;
    for (i, value) in line.into_iter().enumerate() {
        let censored = about.censored.binary_search(&grid.time(i)).is_ok();
        if observed.values[i].is_none() && !censored {
            grid.values[i] = Some(value);
            filled += 1;
        }
    }
    filled
}

fn tell_filled(filled: usize, policy: GapPolicy, verdict: &mut Verdict) {
    if filled > 0 {
        let with = match policy {
            GapPolicy::Zero => "zero",
            GapPolicy::Keep | GapPolicy::Interpolate => "the line between their neighbours",
        };
        verdict.warn(format!("{filled} steps without a row filled with {with}"));
    }
}

fn tell(grid: &Grid, window: usize, verdict: &mut Verdict) {
    let step = i64::from(grid.step_seconds);
    let trained = &grid.values[grid.values.len() - window..];
    let observed = trained.iter().filter(|value| value.is_some()).count();
    verdict.ok(format!(
        "{observed} of {window} steps of {} observed, {} of history",
        show_length(step),
        show_length(window as i64 * step)
    ));
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::source::table::Table;
    use crate::stage::validate_data::{Column, Rules, validate_data};

    /// Falls now and then, as no counter does.
    fn saw(i: i64) -> f64 {
        (i % 7) as f64
    }

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
        assert_eq!(made.about.cutoff, 1_767_225_612 + (4 * 1440 - 1) * 60);
    }

    #[test]
    fn older_history_than_max_train_is_left_out() {
        let made = features(1_767_225_600, 3600, 40 * 24, saw, &Rules::default());
        assert_eq!(made.window().values.len(), 28 * 24);
        assert_eq!(made.grid.values.len(), 40 * 24);
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
        let made = features(1_774_566_000, 3600, 96, saw, &berlin);
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
