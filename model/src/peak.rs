//! Peaks: calibrated quantiles of a window's maximum, from what the maxima of the past did.
//!
//! The maximum of pointwise quantiles is not the quantile of the maximum: under independent noise the latter lies much
//! higher. Here the residual is that of the maximum itself, the largest observation of a window minus the largest point
//! forecast of it, and its quantiles are kept by the window's length.

use serde::{Deserialize, Serialize};

use crate::{
    calibration::{BandCalibration, Knot, STORED_LEVELS, widened_quantile},
    error::{Error, Result},
};

/// The windows whose maxima are kept, in minutes, as far as the step allows; the first is one step.
const MINUTES: [u32; 7] = [5, 15, 60, 180, 360, 720, 1_440];

/// The fewest maxima of a window that are evidence.
const LEAST_MAXIMA: usize = 30;

/// Quantiles of the residual of a window's maximum (observed minus forecast) by the window's length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct PeakCalibration(BandCalibration);

/// As it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wire {
    levels: Vec<f64>,
    windows: Vec<Window>,
    origins: u32,
    days: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Window {
    window_seconds: i64,
    residuals: Vec<f64>,
}

impl TryFrom<Wire> for PeakCalibration {
    type Error = Error;

    fn try_from(wire: Wire) -> Result<Self> {
        let knots = wire.windows.into_iter().map(|window| Knot {
            lead_seconds: window.window_seconds,
            residuals: window.residuals,
        });
        BandCalibration::new(wire.levels, knots.collect(), wire.origins, wire.days)
            .map(Self)
            .map_err(|error| Error::invalid("peak", error.to_string()))
    }
}

impl From<PeakCalibration> for Wire {
    fn from(PeakCalibration(of): PeakCalibration) -> Self {
        let windows = of.knots().iter().map(|knot| Window {
            window_seconds: knot.lead_seconds,
            residuals: knot.residuals.clone(),
        });
        let (origins, days) = of.evidence();
        Self {
            levels: of.levels().to_vec(),
            windows: windows.collect(),
            origins,
            days,
        }
    }
}

impl PeakCalibration {
    /// The value that the maximum of a window of `window_seconds` stays below with probability `level` (in (0, 1)), where
    /// `points` are the point forecasts of its steps. `None` for a window without points or longer than any that was
    /// seen.
    pub fn peak(&self, level: f64, points: &[f64], window_seconds: i64) -> Option<f64> {
        let longest = self.0.knots().last().map_or(0, |knot| knot.lead_seconds);
        let largest = points.iter().copied().reduce(f64::max)?;
        (window_seconds <= longest).then(|| largest + self.0.residual(level, window_seconds))
    }

    /// The windows that were seen, in seconds, ascending.
    pub fn windows(&self) -> impl Iterator<Item = i64> {
        self.0.knots().iter().map(|knot| knot.lead_seconds)
    }
}

/// Collects the residuals of maxima.
#[derive(Debug, Clone)]
pub(crate) struct Peaks {
    /// Steps and seconds of each window, and its residuals.
    windows: Vec<(usize, i64, Vec<f64>)>,
}

impl Peaks {
    pub(crate) fn new(step_seconds: u32) -> Self {
        let step = step_seconds.max(1);
        let longer = MINUTES.iter().map(|minutes| minutes * 60 / step);
        let mut steps: Vec<u32> = longer.filter(|steps| *steps > 0).collect();
        steps.insert(0, 1);
        steps.dedup();
        let window = |steps: u32| {
            (
                steps as usize,
                i64::from(steps) * i64::from(step),
                Vec::new(),
            )
        };
        Self {
            windows: steps.into_iter().map(window).collect(),
        }
    }

    /// Takes in the windows that begin together: point forecasts and observations from their first step on, as far as
    /// nothing is missing.
    pub(crate) fn see(&mut self, ahead: impl Iterator<Item = (f64, Option<f64>)>) {
        let (mut forecast, mut observed) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let mut windows = self.windows.iter_mut().peekable();
        for (length, (said, came)) in (1..).zip(ahead) {
            let Some(came) = came else { return };
            forecast = forecast.max(said);
            observed = observed.max(came);
            if let Some((_, _, residuals)) = windows.next_if(|(steps, _, _)| *steps == length) {
                residuals.push(observed - forecast);
            }
            if windows.peek().is_none() {
                return;
            }
        }
    }

    /// The quantiles of what was seen from `origins` origins over `days` days; `None` where that is too little.
    pub(crate) fn calibration(self, origins: u32, days: f64) -> Result<Option<PeakCalibration>> {
        let knot = |(_, seconds, mut residuals): (usize, i64, Vec<f64>)| {
            residuals.sort_unstable_by(f64::total_cmp);
            let at = |level| widened_quantile(&residuals, level, days);
            Knot {
                lead_seconds: seconds,
                residuals: STORED_LEVELS.into_iter().map(at).collect(),
            }
        };
        let enough = self
            .windows
            .into_iter()
            .filter(|window| window.2.len() >= LEAST_MAXIMA);
        let knots: Vec<Knot> = enough.map(knot).collect();
        if knots.is_empty() {
            return Ok(None);
        }
        let of = BandCalibration::new(STORED_LEVELS.to_vec(), knots, origins, days)?;
        Ok(Some(PeakCalibration(of)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_residual_is_that_of_the_maxima_and_not_the_largest_residual() {
        let mut peaks = Peaks::new(3_600);
        for _ in 0..LEAST_MAXIMA {
            // At the second step the observation is 5 above, but the maxima are 10 and 9.
            peaks.see([(9.0, Some(10.0)), (3.0, Some(8.0)), (0.0, Some(0.0))].into_iter());
        }
        let windows: Vec<(usize, Vec<f64>)> = peaks
            .windows
            .iter()
            .map(|(steps, _, residuals)| (*steps, residuals.clone()))
            .collect();
        assert_eq!(windows[0], (1, vec![1.0; LEAST_MAXIMA]));
        assert_eq!(windows[1], (3, vec![1.0; LEAST_MAXIMA]));
        assert!(
            windows[2..]
                .iter()
                .all(|(_, residuals)| residuals.is_empty())
        );
        let calibration = peaks.calibration(1, 30.0).unwrap().unwrap();
        assert_eq!(calibration.peak(0.9, &[2.0, 7.0], 7_200), Some(8.0));
        assert_eq!(calibration.windows().collect::<Vec<_>>(), [3_600, 10_800]);
    }

    #[test]
    fn a_window_longer_than_any_that_was_seen_has_no_peak() {
        let mut peaks = Peaks::new(300);
        for _ in 0..LEAST_MAXIMA {
            peaks.see([(1.0, Some(2.0)), (1.0, None)].into_iter());
        }
        let calibration = peaks.calibration(1, 3.0).unwrap().unwrap();
        assert!(calibration.peak(0.9, &[1.0], 300).is_some());
        assert_eq!(calibration.peak(0.9, &[1.0, 1.0], 600), None);
        assert_eq!(calibration.peak(0.9, &[], 300), None);
        assert!(Peaks::new(300).calibration(1, 3.0).unwrap().is_none());
    }

    #[test]
    fn it_survives_json_under_its_own_names() {
        let mut peaks = Peaks::new(300);
        for i in 0..100 {
            peaks.see((0..300).map(|_| (1.0, Some(f64::from(i)))));
        }
        let calibration = peaks.calibration(7, 3.5).unwrap().unwrap();
        let json = serde_json::to_string(&calibration).unwrap();
        assert!(
            json.contains("window_seconds") && !json.contains("lead"),
            "{json}"
        );
        assert_eq!(
            serde_json::from_str::<PeakCalibration>(&json).unwrap(),
            calibration
        );
        let bad = json.replace("300", "-1");
        let bad = bad.replace("\"days\":3.5", "\"days\":-3.5");
        let error = serde_json::from_str::<PeakCalibration>(&bad).unwrap_err();
        assert!(error.to_string().contains("peak"), "{error}");
    }
}
