//! A model in use: its forecasts as they are served, corrected by what was observed since its cutoff.

use crate::{
    artifact::{Clamps, Metadata, finish},
    backtest::Method,
    calibration::BandCalibration,
    correction::{Correction, State},
    error::Result,
    fit::fit,
    forecaster::{Forecast, Forecaster, Question},
    grid::Grid,
    inputs::Inputs,
    peak::PeakCalibration,
    prophet::ProphetModel,
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
    /// Constants that the model was fitted with.
    inputs: Inputs,
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
                    inputs: Inputs::default(),
                    cutoff,
                    state: State::of_model(cutoff),
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
                    inputs: Inputs::default(),
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
            if let (ds, Some(value)) = (past.time(i), value) {
                made.observe(ds, *value)?;
            }
        }
        Ok(made)
    }

    /// The `model` of an artifact, of which `metadata` is the loadcast.json, before anything was observed.
    ///
    /// # Errors
    /// Those of [`Forecaster::new`].
    pub fn of_artifact(metadata: &Metadata, model: ProphetModel) -> Result<Self> {
        let cutoff = model.ends.last.0;
        let none = Inputs::default();
        Ok(Self {
            forecaster: Forecaster::new(model)?,
            calibration: metadata.band_calibration.clone(),
            correction: metadata.correction.clone(),
            peak: metadata.peak.clone(),
            clamps: metadata.clamps.unwrap_or_default(),
            inputs: match &metadata.spec {
                Some(spec) => spec.complete(&none),
                None => none,
            },
            cutoff,
            state: State::of_model(cutoff),
        })
    }

    /// Takes in the observation of the step at `ds`; one that is not later than the last changes nothing.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`].
    pub fn observe(&mut self, ds: i64, value: f64) -> Result<()> {
        if let Some(correction) = self.correction.as_ref().filter(|_| self.state.awaits(ds)) {
            let at = [ds];
            let question = Question::at(&at).with_inputs(&self.inputs);
            let said = self.forecaster.forecast(&question)?.yhat;
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
        Ok(self.answer(ds, levels, Some(now))?.0)
    }

    /// What would be served had nothing been observed since the cutoff.
    ///
    /// # Errors
    /// As [`Forecaster::forecast`].
    pub fn uncorrected(&self, ds: &[i64], levels: &[f64]) -> Result<Forecast> {
        Ok(self.answer(ds, levels, None)?.0)
    }

    /// The forecast, and whether what was observed has changed it.
    fn answer(&self, ds: &[i64], levels: &[f64], now: Option<i64>) -> Result<(Forecast, bool)> {
        let question = Question::at(ds)
            .with_inputs(&self.inputs)
            .with_levels(levels);
        let mut forecast = self.forecaster.forecast(&question)?;
        let correction = self.correction.as_ref().zip(now);
        let corrected = finish(
            &mut forecast,
            ds,
            self.cutoff,
            self.calibration.as_ref(),
            correction.map(|(correction, now)| (correction, &self.state, now)),
            self.clamps,
        );
        Ok((forecast, corrected))
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
        let (forecast, corrected) = self.answer(&ds, &[], Some(now))?;
        let of_corrected = self.correction.as_ref().filter(|_| corrected);
        let calibration = match of_corrected {
            Some(correction) => correction.peak(),
            None => self.peak.as_ref(),
        };
        let seconds = i64::from(steps) * step;
        let peak = calibration.and_then(|it| it.peak(level, &forecast.yhat, seconds));
        Ok(peak.map(|peak| self.clamps.of(peak)))
    }

    /// What the backtest inside the history has found about the leads that follow an observation.
    pub fn correction(&self) -> Option<&Correction> {
        self.correction.as_ref()
    }
}
