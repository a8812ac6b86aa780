//! A model in use: its forecasts as they are served, corrected by what was observed since its cutoff.

use crate::{
    artifact::{Clamps, finish},
    backtest::Method,
    calibration::BandCalibration,
    correction::{Correction, MEMORIES, State},
    error::Result,
    fit::fit,
    forecaster::{Forecast, Forecaster, Question},
    grid::Grid,
    peak::PeakCalibration,
    recipe::{SearchOptions, search},
};

/// A model, what its artifact declares, and the residuals since its cutoff. Times are seconds of the wall clock.
#[derive(Debug, Clone)]
pub struct LiveModel {
    forecaster: Forecaster,
    calibration: Option<BandCalibration>,
    correction: Option<Correction>,
    peak: Option<PeakCalibration>,
    clamps: Clamps,
    cutoff: i64,
    state: State,
}

impl LiveModel {
    /// Trains on `past` by `method`, as a trainer does: a spec is fitted to what was observed, holes stay holes.
    ///
    /// # Errors
    /// Those of [`fit`] and [`search`]; [`Error::NotEnoughData`](crate::error::Error::NotEnoughData) where fewer than two
    /// values were observed.
    pub fn train(method: &Method, past: &Grid) -> Result<Self> {
        let mut made = match method {
            Method::Search => {
                let searched = search(past, &SearchOptions::default())?;
                let cutoff = searched.model.ends.last.0;
                Self {
                    cutoff,
                    state: State::new(cutoff.saturating_sub(warm_up_seconds())),
                    forecaster: Forecaster::new(searched.model)?,
                    calibration: searched.calibration,
                    correction: searched.correction,
                    peak: searched.peak,
                    clamps: searched.clamps,
                }
            }
            Method::Spec(spec) => {
                let model = fit(spec, &past.to_history()?)?.model;
                Self {
                    cutoff: model.ends.last.0,
                    state: State::new(model.ends.last.0),
                    forecaster: Forecaster::new(model)?,
                    calibration: None,
                    correction: None,
                    peak: None,
                    clamps: Clamps::default(),
                }
            }
        };
        for (i, value) in past.values.iter().enumerate() {
            if let (ds, Some(value)) = (past.time(i), value)
                && ds > made.cutoff.saturating_sub(warm_up_seconds())
            {
                made.observe(ds, *value)?;
            }
        }
        Ok(made)
    }

    /// Takes in the observation of the step at `ds`; one that is not later than the last changes nothing.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`].
    pub fn observe(&mut self, ds: i64, value: f64) -> Result<()> {
        if let Some(correction) = &self.correction {
            let said = self.forecaster.forecast(&Question::at(&[ds]))?.yhat;
            for said in said {
                self.state.observe(correction, ds, value, said);
            }
        }
        Ok(())
    }

    /// What is served at `now` for the times `ds`: corrected by what was observed where the artifact declares that this
    /// helps.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`].
    pub fn forecast(&self, now: i64, ds: &[i64], levels: &[f64]) -> Result<Forecast> {
        self.answer(ds, levels, Some(now))
    }

    /// What would be served had nothing been observed since the cutoff.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`].
    pub fn uncorrected(&self, ds: &[i64], levels: &[f64]) -> Result<Forecast> {
        self.answer(ds, levels, None)
    }

    fn answer(&self, ds: &[i64], levels: &[f64], now: Option<i64>) -> Result<Forecast> {
        let mut forecast = self
            .forecaster
            .forecast(&Question::at(ds).with_levels(levels))?;
        let correction = self.correction.as_ref().zip(now);
        finish(
            &mut forecast,
            ds,
            self.cutoff,
            self.calibration.as_ref(),
            correction.map(|(correction, now)| (correction, &self.state, now)),
            self.clamps,
        );
        Ok(forecast)
    }

    /// The calibrated quantile at `level` of the maximum of the window of `steps` steps of `step_seconds` from `first` on;
    /// `None` where the artifact has none for so long a window.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`].
    pub fn peak(
        &self,
        now: i64,
        first: i64,
        steps: u32,
        step_seconds: u32,
        level: f64,
    ) -> Result<Option<f64>> {
        let step = i64::from(step_seconds);
        let ds: Vec<i64> = (0..i64::from(steps)).map(|i| first + i * step).collect();
        let correction = self.correction.as_ref();
        let corrected = correction.filter(|it| it.applies(&self.state, now));
        let calibration = match corrected {
            Some(correction) => correction.peak(),
            None => self.peak.as_ref(),
        };
        let Some(calibration) = calibration else {
            return Ok(None);
        };
        let points = self.forecast(now, &ds, &[])?.yhat;
        let peak = calibration.peak(level, &points, i64::from(steps) * step);
        Ok(peak.map(|peak| self.clamps.of(peak)))
    }

    /// What the backtest inside the history has found about the leads that follow an observation.
    pub fn correction(&self) -> Option<&Correction> {
        self.correction.as_ref()
    }
}

/// So much of the history before the cutoff the state of a new model begins with, in seconds: the longest memory.
fn warm_up_seconds() -> i64 {
    MEMORIES.into_iter().max().map_or(0, i64::from)
}
