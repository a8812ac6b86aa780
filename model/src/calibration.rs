//! Bands from what was seen: residual quantiles of a backtest by lead, declared in the artifact and applied by whoever
//! serves it. One pure function, so that the trainer measures exactly what a server serves.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    forecaster::Quantile,
    normal::{normal_quantile, student_quantile},
    order::quantile,
};

/// The levels whose residuals are kept.
pub(crate) const STORED_LEVELS: [f64; 15] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99,
];

/// How many independent errors a day of overlapping origins is taken for.
const INDEPENDENT_PER_DAY: f64 = 1.0;

/// The most knots and levels that a calibration may bring.
const MAX_KNOTS: usize = 1_000;
const MAX_LEVELS: usize = 200;

/// Quantiles of the residual (observed minus forecast) by lead.
///
/// A band at `level` and `lead` is the point forecast plus the residual's quantile there:
/// - between two stored leads it is interpolated linearly; before the first it is that of the first;
/// - between two stored levels it is interpolated linearly in the normal deviate of the level; beyond the outermost
///   levels its distance from the median grows with that deviate;
/// - beyond the last lead, where nothing was seen, it is that of the last lead or the model's own quantile, whichever
///   lies further out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct BandCalibration {
    levels: Vec<f64>,
    knots: Vec<Knot>,
    origins: u32,
    days: f64,
}

/// The residual's quantiles at one lead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Knot {
    /// Seconds since the cutoff, the last observation that the model was trained on.
    pub lead_seconds: i64,
    /// In the series' unit, ascending, one for each level.
    pub residuals: Vec<f64>,
}

/// As it is written, before anybody has looked at it.
#[derive(Debug, Clone, Deserialize)]
struct Unchecked {
    levels: Vec<f64>,
    knots: Vec<Knot>,
    origins: u32,
    days: f64,
}

impl TryFrom<Unchecked> for BandCalibration {
    type Error = Error;

    fn try_from(from: Unchecked) -> Result<Self> {
        Self::new(from.levels, from.knots, from.origins, from.days)
    }
}

impl BandCalibration {
    /// A calibration of quantiles at `levels` (ascending, each in (0, 1)) from `origins` origins spread over `days` days.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming `band_calibration` when levels, leads or residuals are not ascending or not finite, or
    /// do not match.
    pub fn new(levels: Vec<f64>, knots: Vec<Knot>, origins: u32, days: f64) -> Result<Self> {
        let ascending = |values: &[f64], strictly: bool| {
            values.iter().all(|value| value.is_finite())
                && values
                    .windows(2)
                    .all(|pair| pair[0] < pair[1] || (!strictly && pair[0] == pair[1]))
        };
        let wrong = |reason: &str| Err(Error::invalid("band_calibration", reason));
        if levels.is_empty() || levels.len() > MAX_LEVELS || !ascending(&levels, true) {
            return wrong("levels must be 1 to 200 ascending numbers");
        }
        if levels.iter().any(|level| !(0.0 < *level && *level < 1.0)) {
            return wrong("levels must be above 0 and below 1");
        }
        if knots.is_empty() || knots.len() > MAX_KNOTS {
            return wrong("there must be 1 to 1000 knots");
        }
        if knots
            .windows(2)
            .any(|pair| pair[0].lead_seconds >= pair[1].lead_seconds)
        {
            return wrong("leads must ascend");
        }
        let matches =
            |knot: &Knot| knot.residuals.len() == levels.len() && ascending(&knot.residuals, false);
        if !knots.iter().all(matches) {
            return wrong("each knot must have an ascending residual for each level");
        }
        if !(days.is_finite() && days >= 0.0) {
            return wrong("days must be a number of at least 0");
        }
        Ok(Self {
            levels,
            knots,
            origins,
            days,
        })
    }

    /// The value at `level` (in (0, 1)) of a forecast `lead_seconds` after the cutoff: `point` is the model's yhat and
    /// `model_quantile` its own quantile at that level, both in the series' unit.
    ///
    /// At a given lead it does not fall as `level` grows, if the model's own quantile does not.
    pub fn quantile(&self, level: f64, lead_seconds: i64, point: f64, model_quantile: f64) -> f64 {
        self.at(
            level,
            &self.at_knots(level),
            lead_seconds,
            point,
            model_quantile,
        )
    }

    /// [`quantile`](Self::quantile) for each point of `quantiles`, in place of the model's own; `leads` are seconds since
    /// the cutoff and `points` the model's yhat, one for each value.
    pub fn apply(&self, leads: &[i64], points: &[f64], quantiles: &mut [Quantile]) {
        for Quantile { level, values } in quantiles {
            // What the level makes of each knot is looked up once, not at every point.
            let at_knots = self.at_knots(*level);
            for (value, (lead, point)) in values.iter_mut().zip(leads.iter().zip(points)) {
                *value = self.at(*level, &at_knots, *lead, *point, *value);
            }
        }
    }

    fn at(
        &self,
        level: f64,
        at_knots: &[f64],
        lead_seconds: i64,
        point: f64,
        model_quantile: f64,
    ) -> f64 {
        let calibrated = point + self.between_knots(at_knots, lead_seconds);
        if lead_seconds <= self.knots[self.knots.len() - 1].lead_seconds {
            return calibrated;
        }
        if level < 0.5 {
            calibrated.min(model_quantile)
        } else if level > 0.5 {
            calibrated.max(model_quantile)
        } else {
            calibrated
        }
    }

    /// The residual's quantile at `level` and a lead, in the series' unit.
    pub fn residual(&self, level: f64, lead_seconds: i64) -> f64 {
        self.between_knots(&self.at_knots(level), lead_seconds)
    }

    /// The residual's quantile at each knot.
    fn at_knots(&self, level: f64) -> Vec<f64> {
        let knots = self.knots.iter();
        knots
            .map(|knot| self.at_level(level, &knot.residuals))
            .collect()
    }

    fn between_knots(&self, at_knots: &[f64], lead_seconds: i64) -> f64 {
        let next = self
            .knots
            .partition_point(|knot| knot.lead_seconds < lead_seconds);
        let (Some(after), Some(before)) = (self.knots.get(next), next.checked_sub(1)) else {
            return at_knots[next.min(at_knots.len() - 1)];
        };
        let from = self.knots[before].lead_seconds;
        let share = (lead_seconds - from) as f64 / (after.lead_seconds - from) as f64;
        at_knots[before] + share * (at_knots[next] - at_knots[before])
    }

    fn at_level(&self, level: f64, residuals: &[f64]) -> f64 {
        let last = self.levels.len() - 1;
        let z = normal_quantile(level);
        let deviate = |i: usize| normal_quantile(self.levels[i]);
        let between = |i: usize, j: usize| {
            let share = (z - deviate(i)) / (deviate(j) - deviate(i));
            residuals[i] + share * (residuals[j] - residuals[i])
        };
        let next = self.levels.partition_point(|stored| *stored < level);
        let outermost = if next == 0 {
            0
        } else if next > last {
            last
        } else if self.levels[next] == level {
            return residuals[next];
        } else {
            return between(next - 1, next);
        };
        let outer = deviate(outermost);
        // An outermost level on the other side of the median would turn the tail around.
        if outer * z <= 0.0 {
            return residuals[outermost];
        }
        let median = if self.levels[0] < 0.5 && self.levels[last] > 0.5 {
            self.at_level(0.5, residuals)
        } else {
            0.0
        };
        median + (residuals[outermost] - median) * z / outer
    }

    /// The stored levels, ascending.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The stored leads, ascending.
    pub fn knots(&self) -> &[Knot] {
        &self.knots
    }

    /// How many origins the residuals are from, and over how many days these were spread.
    pub fn evidence(&self) -> (u32, f64) {
        (self.origins, self.days)
    }
}

/// The quantile at `level` of ascending `residuals` from origins spread over `days` days. Quantiles of few independent
/// errors are too narrow; their distance from the median is widened as Student's t widens the normal distribution.
pub(crate) fn widened_quantile(residuals: &[f64], level: f64, days: f64) -> f64 {
    let freedom = (INDEPENDENT_PER_DAY * days).max(1.0);
    let median = quantile(residuals, 0.5);
    let by = match level {
        0.5 => 1.0,
        _ => student_quantile(level, freedom) / normal_quantile(level),
    };
    median + (quantile(residuals, level) - median) * by
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration() -> BandCalibration {
        let knot = |lead_seconds, scale: f64| Knot {
            lead_seconds,
            residuals: [-2.0, -1.0, 0.5, 1.0, 4.0].map(|r| r * scale).to_vec(),
        };
        BandCalibration::new(
            vec![0.05, 0.1, 0.5, 0.9, 0.95],
            vec![knot(1_800, 1.0), knot(5_400, 3.0)],
            20,
            5.0,
        )
        .unwrap()
    }

    #[test]
    fn stored_levels_and_leads_are_answered_as_stored() {
        let it = calibration();
        assert_eq!(it.quantile(0.1, 1_800, 10.0, f64::NAN), 9.0);
        assert_eq!(it.quantile(0.95, 5_400, 10.0, f64::NAN), 22.0);
        assert_eq!(it.quantile(0.95, 0, 10.0, f64::NAN), 14.0);
    }

    #[test]
    fn between_leads_and_levels_it_interpolates_and_never_crosses() {
        let it = calibration();
        assert_eq!(it.residual(0.9, 3_600), 2.0);
        for lead in [0, 1_800, 3_000, 9_999_999] {
            let levels = (1..1_000).map(|i| f64::from(i) / 1_000.0);
            let values: Vec<f64> = levels.map(|l| it.quantile(l, lead, 0.0, 0.0)).collect();
            assert!(values.is_sorted(), "at lead {lead}");
        }
    }

    #[test]
    fn beyond_the_outermost_level_the_tail_grows_from_the_median() {
        let it = calibration();
        let z = |level| normal_quantile(level);
        let expected = 0.5 + 3.5 * z(0.99) / z(0.95);
        assert!((it.residual(0.99, 0) - expected).abs() < 1e-12);
        assert!(it.residual(0.01, 0) < -2.0);
    }

    #[test]
    fn beyond_the_last_lead_the_wider_of_both_counts() {
        let it = calibration();
        assert_eq!(it.quantile(0.9, 5_401, 10.0, 50.0), 50.0);
        assert_eq!(it.quantile(0.9, 5_401, 10.0, 11.0), 13.0);
        assert_eq!(it.quantile(0.1, 5_401, 10.0, 2.0), 2.0);
        assert_eq!(it.quantile(0.9, 5_400, 10.0, 50.0), 13.0);
    }

    #[test]
    fn it_survives_json_and_nonsense_is_refused_by_name() {
        let it = calibration();
        let json = serde_json::to_string(&it).unwrap();
        assert_eq!(serde_json::from_str::<BandCalibration>(&json).unwrap(), it);
        for bad in [
            json.replace("0.05", "0.5"),
            json.replace("1800", "9000"),
            json.replace("[-2.0,", "[9.0,"),
            json.replace("0.95", "1.0"),
        ] {
            let error = serde_json::from_str::<BandCalibration>(&bad).unwrap_err();
            assert!(error.to_string().contains("band_calibration"), "{error}");
        }
    }
}
