//! When live scores close a gate, and when they open it again. Pure.

use loadcast_model::catalog::Gates;

use super::tally::LeadScores;
use crate::event::Reason;

/// So many scored forecasts are evidence: 3 hours of five-minute steps.
pub const EVIDENCE_ROWS: u64 = 36;

/// A gate opens again when the score is this much better than what closes it, so that it does not flap.
pub const OPENS_ABOVE: f64 = 0.02;

/// The lead that is judged is the longest up to this one, in seconds: what an autoscaler looks ahead.
const JUDGED_LEAD: i64 = 3_600;

/// The scores that are judged.
pub(crate) fn judged(scores: &[LeadScores]) -> Option<&LeadScores> {
    let near = scores.iter().rfind(|one| one.lead_seconds <= JUDGED_LEAD);
    near.or_else(|| scores.first())
}

/// Why the gate is closed by `scores`; `None`: it is open. Where there is too little evidence it stays as it `is`.
pub(crate) fn decide(gates: Gates, scores: &[LeadScores], is: Option<&Reason>) -> Option<Reason> {
    gates.min_skill.or(gates.min_coverage)?;
    let Some(scores) = judged(scores) else {
        return is.cloned();
    };
    let lead = scores.lead_seconds;
    let skill = Bar {
        code: "SKILL",
        least: gates.min_skill,
        is: scores.skill,
        rows: scores.skill_rows,
        what: "skill against the day before",
    };
    let coverage = Bar {
        code: "COVERAGE",
        least: gates.min_coverage,
        is: scores.coverage,
        rows: scores.rows,
        what: "coverage of the band from 0.1 to 0.9",
    };
    skill.closes(lead, is).or_else(|| coverage.closes(lead, is))
}

/// One score and what it must be.
struct Bar {
    code: &'static str,
    least: Option<f64>,
    is: Option<f64>,
    rows: u64,
    what: &'static str,
}

impl Bar {
    fn closes(&self, lead: i64, closed: Option<&Reason>) -> Option<Reason> {
        let least = self.least?;
        let closed = closed.filter(|reason| reason.code == self.code);
        let Some(is) = self
            .is
            .filter(|is| is.is_finite() && self.rows >= EVIDENCE_ROWS)
        else {
            return closed.cloned();
        };
        // Nothing is better than a perfect score.
        let opens_at = (least + OPENS_ABOVE).min(1.0);
        if is < least || (closed.is_some() && is < opens_at) {
            let (what, rows) = (self.what, self.rows);
            let message = format!(
                "{what} was {is:.3} over {rows} forecasts {lead} s ahead, at least {least} is asked for; it opens at {opens_at:.3}"
            );
            return Some(Reason::new(self.code, message));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(lead_seconds: i64, skill: f64, coverage: f64, rows: u64) -> LeadScores {
        LeadScores {
            lead_seconds,
            rows,
            mae: Some(1.0),
            coverage: Some(coverage),
            skill: Some(skill),
            seasonal_naive_mae: Some(1.0),
            skill_last_value: None,
            last_value_mae: None,
            skill_rows: rows,
        }
    }

    const GATES: Gates = Gates {
        min_skill: Some(0.1),
        min_coverage: Some(0.6),
        max_censored_share: None,
    };

    fn code(scores: &[LeadScores], is: Option<&Reason>) -> Option<String> {
        decide(GATES, scores, is).map(|reason| reason.code)
    }

    #[test]
    fn a_gate_closes_below_its_bar_and_opens_only_clearly_above_it() {
        let closed = Reason::new("SKILL", "");
        for (skill, from_open, from_closed) in [
            (0.099, Some("SKILL"), Some("SKILL")),
            (0.1, None, Some("SKILL")),
            (0.119, None, Some("SKILL")),
            (0.121, None, None),
        ] {
            let scores = [scores(3_600, skill, 0.8, EVIDENCE_ROWS)];
            assert_eq!(code(&scores, None).as_deref(), from_open, "{skill}");
            assert_eq!(
                code(&scores, Some(&closed)).as_deref(),
                from_closed,
                "{skill}"
            );
        }
    }

    #[test]
    fn too_little_evidence_changes_nothing() {
        let closed = Reason::new("COVERAGE", "");
        let bad = [scores(3_600, -9.0, 0.0, EVIDENCE_ROWS - 1)];
        let good = [scores(3_600, 0.9, 0.9, EVIDENCE_ROWS - 1)];
        assert_eq!(code(&bad, None), None);
        assert_eq!(code(&good, Some(&closed)).as_deref(), Some("COVERAGE"));
        assert_eq!(code(&[], Some(&closed)).as_deref(), Some("COVERAGE"));
        let closed = Reason::new("SKILL", "");
        for no_number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let scores = [scores(3_600, no_number, 0.9, EVIDENCE_ROWS)];
            assert_eq!(code(&scores, Some(&closed)).as_deref(), Some("SKILL"));
            assert_eq!(code(&scores, None), None);
        }
    }

    #[test]
    fn the_hour_is_judged_and_the_day_is_not() {
        let all = [
            scores(300, 0.9, 0.9, 99),
            scores(3_600, 0.9, 0.1, 99),
            scores(86_400, -1.0, 0.0, 99),
        ];
        assert_eq!(code(&all, None).as_deref(), Some("COVERAGE"));
        assert_eq!(code(&all[2..], None).as_deref(), Some("SKILL"));
        assert_eq!(decide(Gates::default(), &all, None), None);
    }

    #[test]
    fn a_bar_that_is_gone_or_a_perfect_one_keeps_nothing_closed() {
        let closed = Reason::new("COVERAGE", "");
        let all = [scores(3_600, 0.9, 1.0, 99)];
        let perfect = Gates {
            min_coverage: Some(1.0),
            ..Gates::default()
        };
        assert_eq!(decide(perfect, &all, Some(&closed)), None);
        assert_eq!(decide(Gates::default(), &[], Some(&closed)), None);
        assert_eq!(decide(Gates::default(), &all, Some(&closed)), None);
    }
}
