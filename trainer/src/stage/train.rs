//! Stage 3: the fit or the search, and the bytes of model.pr.

mod stored;

use loadcast_model::artifact::{Clamps, encode_model_pr, sha256_hex};
use loadcast_model::backtest::Method;
use loadcast_model::calibration::BandCalibration;
use loadcast_model::correction::Correction;
use loadcast_model::fit::fit;
use loadcast_model::grid::Grid;
use loadcast_model::history::History;
use loadcast_model::peak::PeakCalibration;
use loadcast_model::prophet::ProphetModel;
use loadcast_model::recipe::{self, Anchor, Report, SearchOptions, search};
use loadcast_model::spec::{Growth, Spec};

use crate::error::{Error, Result};
use crate::stage::prepare_features::{About, Features};
use crate::time::show_length;
use crate::verdict::{Judged, Verdict};

/// The name of this stage.
pub const STAGE: &str = "train";

/// A fitted model that nobody has judged yet.
#[derive(Debug, Clone)]
pub struct Trained {
    pub(super) features: Features,
    pub(super) method: Method,
    pub(super) spec: Spec,
    pub(super) calibration: Option<BandCalibration>,
    pub(super) correction: Option<Correction>,
    pub(super) peak: Option<PeakCalibration>,
    pub(super) clamps: Option<Clamps>,
    pub(super) rows: usize,
    pub(super) model_pr: Vec<u8>,
    pub(super) sha256: String,
    verdict: Verdict,
}

/// What a method makes of a history.
struct Made {
    model: ProphetModel,
    calibration: Option<BandCalibration>,
    correction: Option<Correction>,
    peak: Option<PeakCalibration>,
    clamps: Option<Clamps>,
}

/// Makes a model by `method`. The same features and method give the same bytes.
///
/// # Errors
/// [`Error::Settings`] for a spec that cannot be fitted; [`Error::Model`] when the fit does not end in finite parameters.
pub fn train(features: Features, method: Method) -> Result<Trained> {
    let mut verdict = Verdict::new(STAGE);
    let grid = features.window();
    let history = grid.to_history().map_err(Error::of_model)?;
    let method = completed(method, &features.about)?;
    let made = match &method {
        Method::Spec(spec) => by_spec(spec, &history, &mut verdict)?,
        Method::Search => by_search(&grid, &mut verdict)?,
    };
    let clamps = made.clamps.unwrap_or_default().and(features.about.bounds);
    let model_pr = encode_model_pr(&made.model).map_err(Error::of_model)?;
    let sha256 = sha256_hex(&model_pr);
    Ok(Trained {
        features,
        method,
        spec: made.model.spec,
        calibration: made.calibration,
        correction: made.correction,
        peak: made.peak,
        clamps: (clamps != Clamps::default()).then_some(clamps),
        rows: history.len(),
        model_pr,
        sha256,
        verdict,
    })
}

/// The method with what stage 2 gave: holidays, and where growth saturates.
fn completed(method: Method, about: &About) -> Result<Method> {
    let mut spec = match method {
        Method::Search if about.holidays.is_empty() => return Ok(Method::Search),
        Method::Search => {
            return Err(Error::settings(
                "--holidays: the search knows no holidays",
                "leave out --search, or the holidays",
            ));
        }
        Method::Spec(spec) => spec,
    };
    spec.holidays.extend(about.holidays.iter().cloned());
    if spec.growth == Growth::Logistic {
        spec.cap = about.bounds.max.or(spec.cap);
        spec.floor = about.bounds.min.or(spec.floor);
    }
    Ok(Method::Spec(spec))
}

fn by_spec(spec: &Spec, history: &History, verdict: &mut Verdict) -> Result<Made> {
    let fitted = fit(spec, history).map_err(Error::of_model)?;
    for warning in &fitted.report.warnings {
        verdict.warn(warning);
    }
    let (model, rows) = (fitted.model, fitted.report.rows);
    let seasonalities = model.features.seasonalities.iter();
    let seasonalities: Vec<&str> = seasonalities.map(|s| s.name.as_str()).collect();
    verdict.ok(format!(
        "fitted {rows} rows in {} rounds: {} changepoints, {}",
        fitted.report.iterations,
        model.changepoints.len(),
        if seasonalities.is_empty() {
            "no seasonality".to_owned()
        } else {
            seasonalities.join(", ")
        }
    ));
    Ok(Made {
        model,
        calibration: None,
        correction: None,
        peak: None,
        clamps: None,
    })
}

fn by_search(grid: &Grid, verdict: &mut Verdict) -> Result<Made> {
    let searched = search(grid, &SearchOptions::default()).map_err(Error::of_model)?;
    for warning in &searched.report.warnings {
        verdict.warn(warning);
    }
    verdict.ok(tell(&searched.report));
    if let Some(calibration) = &searched.calibration {
        let (origins, days) = calibration.evidence();
        verdict.ok(format!(
            "bands calibrated by {origins} origins of {days:.1} days"
        ));
    }
    match &searched.correction {
        Some(correction) => verdict.ok(tell_correction(correction)),
        None => verdict.ok("fresh observations would not have helped: no correction is declared"),
    }
    let clamps = searched.clamps;
    Ok(Made {
        model: searched.model,
        calibration: searched.calibration,
        correction: searched.correction,
        peak: searched.peak,
        clamps: Some(clamps),
    })
}

/// What the correction gained, in a line.
fn tell_correction(correction: &Correction) -> String {
    let helped = correction.leads().iter().filter(|lead| lead.weight > 0.0);
    let gains = helped.map(|lead| {
        let gain = 100.0 * (1.0 - lead.mae_with / lead.mae_without);
        format!("{gain:.0} % at {}", show_length(lead.lead_seconds.into()))
    });
    match (
        gains.collect::<Vec<_>>().as_slice(),
        correction.jump_beyond(),
    ) {
        ([], Some(beyond)) => format!(
            "fresh observations correct jumps of the level beyond {beyond:.4}, and nothing else: the error of no lead falls"
        ),
        ([], None) => "fresh observations lower the error of no lead".to_owned(),
        (gains, _) => format!("fresh observations lower the error by {}", gains.join(", ")),
    }
}

/// What the search chose, in a line.
fn tell(report: &Report) -> String {
    let share = |weighted: &recipe::Weighted| {
        let total: f64 = report.candidates.iter().map(|other| other.weight).sum();
        format!(
            "{:?} {:.0} %",
            weighted.candidate,
            100.0 * weighted.weight / total
        )
    };
    let candidates: Vec<String> = report.candidates.iter().map(share).collect();
    let anchor = match report.anchor {
        Anchor::Constant { hours } => format!("anchored to the last {hours} h"),
        Anchor::Fading { hours } => format!("anchored to the last hour, fading in {hours} h"),
        Anchor::None => "not anchored".to_owned(),
    };
    let errs = match (report.expected_mae, report.naive_mae) {
        (Some(own), Some(naive)) => format!(
            "mean absolute error {own:.4} where \"same as yesterday\" had {naive:.4}, at {} origins inside the history",
            report.origins
        ),
        _ => "its error is not known".to_owned(),
    };
    format!(
        "searched: median of {}, {anchor}; {errs}; distilling changed it by {:.2e} on average",
        candidates.join(", "),
        report.distillation_loss
    )
}

impl Judged for Trained {
    fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_of_jumps_alone_is_told_as_that_and_not_as_a_gain_of_nothing() {
        let told = |leads: &str| {
            let bands = r#"{"levels":[0.5],"knots":[{"lead_seconds":300,"residuals":[0.0]}],"origins":3,"days":2.0}"#;
            let correction = format!(
                r#"{{"step_seconds":300,"leads":[{leads}],"jump_beyond":2.5,"bands":{bands},"peak":null}}"#
            );
            tell_correction(&serde_json::from_str(&correction).unwrap())
        };
        let jumps = told("");
        assert!(
            jumps.contains("jumps of the level beyond 2.5000"),
            "{jumps}"
        );
        let lead = r#"{"lead_seconds":300,"memory_seconds":0,"weight":0.5,"flatness":0.0,"mae_without":2.0,"mae_with":1.0}"#;
        assert_eq!(
            told(lead),
            "fresh observations lower the error by 50 % at 5 min"
        );
    }
}
