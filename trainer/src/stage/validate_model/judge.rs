//! From what was measured to a conclusion. Pure.

use loadcast_model::backtest::{Backtest, Origin};
use loadcast_model::grid::Grid;
use loadcast_model::score::mean;

use super::gate::{Consequence, Gate};
use super::measure::{Ahead, Measured, Rolled, negligible};
use super::{Bar, Conclusion, Reason, STAGE};
use crate::champion::Champion;
use crate::checks::{Check as _, Checks};
use crate::stage::train::Trained;
use crate::time::show_length;
use crate::verdict::{Checked, Level, Verdict};

/// What the gates say together.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// `None`: rejected.
    pub(super) conclusion: Option<Conclusion>,
    /// The gravest first.
    pub(super) reasons: Vec<Reason>,
    /// Of the gravest.
    pub(super) remedy: &'static str,
}

/// Gates being gone through.
struct Judging<'a> {
    gates: &'a Checks<Gate>,
    verdict: Verdict,
    against: Vec<(Consequence, Gate, String)>,
}

/// Holds what was measured against every gate.
pub(super) fn judge(trained: &Trained, ahead: &Ahead, measured: &Measured, bar: &Bar) -> Judged {
    let mut judging = Judging {
        gates: &bar.gates,
        verdict: Verdict::new(STAGE),
        against: Vec::new(),
    };
    // A gap that is filled with zero says that zero is plausible.
    judging.forecasts(ahead, &trained.features.trained_on());
    if ahead.not_finite.is_some() {
        return judging.conclude();
    }
    judging.days(&measured.days, &trained.features.grid);
    judging.month(&measured.month);
    let negligible = negligible(&trained.features.grid);
    judging.champion(measured, &bar.champion, negligible);
    judging.censored(trained.features.censored());
    judging.conclude()
}

impl Judging<'_> {
    /// `value` of `None` is unknown; `passed` decides.
    fn gate(&mut self, gate: Gate, value: Option<f64>, passed: bool, text: String) {
        let setting = self.gates.of(gate);
        let level = match (passed, setting.consequence) {
            (true, _) => Level::Ok,
            (false, Consequence::Warning | Consequence::Candidate) => Level::Warn,
            (false, Consequence::Reject) => Level::Refused,
        };
        if !passed && setting.consequence > Consequence::Warning {
            self.against.push((setting.consequence, gate, text.clone()));
        }
        let checked = Checked {
            check: gate.name().into(),
            passed,
            value,
            limit: setting.limit,
            spans: Vec::new(),
        };
        self.verdict.check(level, text, checked);
    }

    fn limit(&self, gate: Gate) -> f64 {
        self.gates.of(gate).limit
    }

    fn forecasts(&mut self, ahead: &Ahead, grid: &Grid) {
        if let Some(reason) = &ahead.not_finite {
            let text = format!("the model's forecast is not finite: {reason}");
            return self.gate(Gate::Finite, Some(1.0), false, text);
        }
        let values = ahead.next_day.iter().map(|(_, value)| *value);
        let all = values.clone().chain(ahead.month.iter().copied());
        let bad = all.filter(|value| !value.is_finite()).count();
        let text = match bad {
            0 => "every forecast of the next 31 days is a finite number".to_owned(),
            bad => format!("{bad} forecasts of the next 31 days are no finite number"),
        };
        let passed = bad as f64 <= self.limit(Gate::Finite);
        self.gate(Gate::Finite, Some(bad as f64), passed, text);

        let seen = Extent::of(grid.values.iter().copied().flatten());
        let day = Extent::of(values);
        let step = i64::from(grid.step_seconds);
        let length = show_length(ahead.next_day.len() as i64 * step);
        let plausible = self.extent(Gate::Range, &format!("the next {length}"), day, seen, true);
        // Where the next day is not plausible already, that gate says so.
        let month = Extent::of(ahead.month.iter().copied());
        self.extent(Gate::Growth, "the 30 days after", month, seen, plausible);
    }

    fn extent(
        &mut self,
        gate: Gate,
        what: &str,
        forecast: Extent,
        seen: Extent,
        judged: bool,
    ) -> bool {
        let beyond = forecast.beyond(seen);
        let passed = !judged || beyond <= self.limit(gate);
        let text = format!(
            "{what}: forecast between {:.6} and {:.6}, where {:.6} to {:.6} was observed",
            forecast.low, forecast.high, seen.low, seen.high
        );
        self.gate(gate, Some(beyond), passed, text);
        passed
    }

    fn days(&mut self, days: &Rolled, grid: &Grid) {
        let Some(backtest) = &days.backtest else {
            let text = format!("skill unknown, because {}", days.missing);
            self.gate(Gate::Skill, None, false, text.clone());
            self.gate(Gate::SkillFloor, None, true, text);
            let text = format!("coverage unknown, because {}", days.missing);
            return self.gate(Gate::Coverage, None, true, text);
        };
        let origins = match backtest.origins {
            1 => "on the last day".to_owned(),
            n => format!("on each of the last {n} days"),
        };
        let of_use = self.floor(days, backtest, grid);
        match skill(backtest, negligible(grid)) {
            Some((skill, text)) => {
                let text = format!("{text} {origins}");
                // What is of no use at all is the other gate's to say.
                let passed = !of_use || skill >= self.limit(Gate::Skill);
                let told = match skill < 0.0 {
                    true => format!("{text}: repeating yesterday would have been better"),
                    false => text,
                };
                self.gate(Gate::Skill, Some(skill), passed, told);
            }
            None => {
                let text = format!("skill unknown, because nothing was observed {origins}");
                self.gate(Gate::Skill, None, false, text);
            }
        }
        match backtest.model.coverage {
            Some(coverage) => {
                let text = format!(
                    "the 80 % band held {:.0} % of what came {origins}",
                    100.0 * coverage
                );
                let passed = coverage >= self.limit(Gate::Coverage);
                self.gate(Gate::Coverage, Some(coverage), passed, text);
            }
            None => {
                let text = format!("coverage unknown, because nothing was observed {origins}");
                self.gate(Gate::Coverage, None, true, text);
            }
        }
    }

    /// Against the worse of two forecasts that need no model.
    fn floor(&mut self, days: &Rolled, backtest: &Backtest, grid: &Grid) -> bool {
        let average = mean(
            days.origins
                .iter()
                .filter_map(|origin| of_average(origin, grid)),
        );
        let errors = (backtest.model.mae, backtest.seasonal_naive.mae, average);
        let (Some(own), Some(naive), Some(average)) = errors else {
            let text = "skill unknown, because nothing was observed".to_owned();
            self.gate(Gate::SkillFloor, None, true, text);
            return true;
        };
        let skill = better(own, naive.max(average));
        let passed = skill >= self.limit(Gate::SkillFloor);
        let text = format!(
            "mean absolute error {own:.4}, \"same as yesterday\" {naive:.4}, the average before it {average:.4}"
        );
        self.gate(Gate::SkillFloor, Some(skill), passed, text);
        passed
    }

    fn month(&mut self, month: &Rolled) {
        let unknown = |why: &str| format!("30 days ahead: unknown, because {why}");
        let backtest = match &month.backtest {
            None => return self.gate(Gate::MonthSkill, None, true, unknown(&month.missing)),
            Some(backtest) => backtest,
        };
        match (backtest.model.mae, backtest.seasonal_naive.mae) {
            (Some(own), Some(naive)) if naive > 0.0 => {
                let skill = 1.0 - own / naive;
                let passed = skill >= self.limit(Gate::MonthSkill);
                let text = format!(
                    "30 days ahead: mean absolute error {own:.4}, \"same as last week\" {naive:.4}: skill {skill:+.2}"
                );
                self.gate(Gate::MonthSkill, Some(skill), passed, text);
            }
            _ => {
                let why = "nothing was observed, or nothing differed from the week before";
                self.gate(Gate::MonthSkill, None, true, unknown(why));
            }
        }
    }

    /// Errors below `negligible` are none, whoever makes them.
    fn champion(&mut self, measured: &Measured, champion: &Champion, negligible: f64) {
        match (&measured.against_champion, champion.served()) {
            (Ok(it), _) => {
                let (own, served) = (it.mae.max(negligible), it.champion_mae.max(negligible));
                let worse = match own == served {
                    true => 0.0,
                    false => (own / served).min(f64::MAX) - 1.0,
                };
                let passed = worse <= self.limit(Gate::Champion);
                let text = format!(
                    "mean absolute error {:.4}, version {} that is served {:.4}, on {} values that neither had seen",
                    it.mae, it.version, it.champion_mae, it.values
                );
                self.gate(Gate::Champion, Some(worse), passed, text);
            }
            (Err(why), Some(served)) => {
                let text = format!("version {} is served; not compared: {why}", served.version);
                self.gate(Gate::Champion, None, true, text);
            }
            (Err(why), None) => {
                let text = format!("not compared with what is served: {why}");
                // Where something may be served, not to know it is no leave to replace it.
                let passed = !matches!(champion, Champion::NoAnswer(_));
                self.gate(Gate::Champion, None, passed, text);
            }
        }
    }

    fn censored(&mut self, share: f64) {
        let passed = share <= self.limit(Gate::Censored);
        let text = format!("{:.1} % of the rows are marked as censored", 100.0 * share);
        self.gate(Gate::Censored, Some(share), passed, text);
    }

    /// What was measured at `gates`, in words.
    fn told_of(&self, gates: &[Gate]) -> String {
        let findings = self.verdict.findings().iter().filter(|finding| {
            let checked = finding.checked.as_ref();
            checked.is_some_and(|checked| gates.iter().any(|gate| gate.name() == checked.check))
        });
        let texts: Vec<&str> = findings.map(|finding| finding.text.as_str()).collect();
        texts.join("; ")
    }

    fn conclude(mut self) -> Judged {
        self.against
            .sort_by_key(|(consequence, ..)| std::cmp::Reverse(*consequence));
        let conclusion = match self.against.first() {
            Some((Consequence::Reject, ..)) => None,
            Some(_) => Some(Conclusion::CandidateOnly),
            None => Some(Conclusion::Promote),
        };
        let told = conclusion.map_or("REJECT", Conclusion::as_str);
        let because: Vec<&str> = self
            .against
            .iter()
            .map(|(_, gate, _)| gate.name())
            .collect();
        let first = self.against.first();
        let remedy = first.map_or("", |(_, gate, _)| gate.remedy());
        let line = match because.as_slice() {
            [] => format!("{told}: {}", self.told_of(&[Gate::Skill, Gate::Champion])),
            gates => format!("{told}, because of {}: {remedy}", gates.join(", ")),
        };
        match conclusion {
            Some(Conclusion::Promote) => self.verdict.ok(line),
            Some(Conclusion::CandidateOnly) => self.verdict.warn(line),
            None => self.verdict.refuse(line),
        }
        // One reason a code: the floor of a gate says the same as the gate.
        let mut reasons: Vec<Reason> = Vec::new();
        for (_, gate, message) in self.against {
            let code = gate.code();
            if reasons.iter().all(|reason| reason.code != code) {
                let code = code.into();
                reasons.push(Reason { code, message });
            }
        }
        Judged {
            verdict: self.verdict,
            conclusion,
            reasons,
            remedy,
        }
    }
}

/// Skill and its words; an error below `negligible` is none, whoever makes it.
fn skill(backtest: &Backtest, negligible: f64) -> Option<(f64, String)> {
    let (own, naive) = (&backtest.model, &backtest.seasonal_naive);
    let (mae, naive_mae) = (own.mae?, naive.mae?);
    if let (Some(mase), Some(naive), Some(skill)) = (own.mase, naive.mase, backtest.skill)
        && naive_mae > negligible
    {
        let text = format!("MASE {mase:.3}, \"same as yesterday\" {naive:.3}, skill {skill:+.2},");
        return Some((skill, text));
    }
    let text = format!("mean absolute error {mae:.4}, \"same as yesterday\" {naive_mae:.4},");
    Some((better(mae, naive_mae.max(negligible)), text))
}

/// 1 less the error relative to another; 0 where neither is any.
fn better(error: f64, other: f64) -> f64 {
    match other > 0.0 {
        true => 1.0 - error / other,
        false if error > 0.0 => f64::MIN,
        false => 0.0,
    }
}

/// The mean absolute error of the average of what an origin was trained on.
fn of_average(origin: &Origin, grid: &Grid) -> Option<f64> {
    let past = grid
        .values
        .get(origin.at.saturating_sub(origin.rows)..origin.at)?;
    let average = mean(past.iter().copied().flatten())?;
    let came = grid.values.get(origin.at..origin.at + origin.ds.len())?;
    mean(came.iter().flatten().map(|value| (value - average).abs()))
}

/// The smallest and the largest of some values.
#[derive(Debug, Clone, Copy)]
struct Extent {
    low: f64,
    high: f64,
}

impl Extent {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let all = (f64::INFINITY, f64::NEG_INFINITY);
        let (low, high) = values.fold(all, |(low, high), value| (low.min(value), high.max(value)));
        Self { low, high }
    }

    /// How many ranges of `seen` this reaches beyond it, to either side. A range is at least a tenth of the largest
    /// value: of a constant, a little more or less is plausible.
    fn beyond(self, seen: Self) -> f64 {
        let largest = seen.low.abs().max(seen.high.abs());
        let range = (seen.high - seen.low)
            .max(0.1 * largest)
            .max(f64::MIN_POSITIVE);
        let out = (self.high - seen.high).max(seen.low - self.low).max(0.0);
        (out / range).min(f64::MAX)
    }
}
