//! How proposals become one forecast: each anchored as far as the anchor lasts, then their pointwise weighted median.

use serde::{Deserialize, Serialize};

use super::candidate::{ANCHOR_HOURS, Candidate, Proposal};

/// What the level at the origin is taken from, and how long it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    /// The median of so many hours, over the whole horizon.
    Constant {
        /// One of those that a candidate has a shift of.
        hours: u32,
    },
    /// That of the last hour; it fades by `exp(-lead / hours)`.
    Fading {
        /// The time constant.
        hours: u32,
    },
    /// Not at all.
    None,
}

impl Anchor {
    /// Which of a candidate's shifts it is.
    fn window(self) -> usize {
        let Self::Constant { hours } = self else {
            return 0;
        };
        ANCHOR_HOURS.iter().position(|of| *of == hours).unwrap_or(0)
    }

    /// What is left of the anchor `lead` steps of `step` seconds after the origin, in the middle of that step.
    fn at(self, lead: usize, step: u32) -> f64 {
        match self {
            Self::Constant { .. } => 1.0,
            Self::Fading { hours } => {
                let seconds = (lead as f64 + 0.5) * f64::from(step);
                (-seconds / 3_600.0 / f64::from(hours)).exp()
            }
            Self::None => 0.0,
        }
    }
}

/// The weight of each candidate in the median.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighted {
    /// Which.
    pub candidate: Candidate,
    /// Above 0; only the ratios of weights matter.
    pub weight: f64,
}

/// The pointwise weighted median of `proposals` under `anchor`; a candidate without a weight is left out.
pub(super) fn combine(
    proposals: &[Proposal],
    anchor: Anchor,
    weights: &[Weighted],
    step: u32,
) -> Vec<f64> {
    let parts: Vec<(&Proposal, f64)> = proposals
        .iter()
        .filter_map(|proposal| {
            let of_it = |weighted: &&Weighted| weighted.candidate == proposal.candidate;
            Some((proposal, weights.iter().find(of_it)?.weight))
        })
        .collect();
    let horizon = parts
        .first()
        .map_or(0, |(proposal, _)| proposal.values.len());
    let window = anchor.window();
    let mut said = Vec::with_capacity(parts.len());
    (0..horizon)
        .map(|lead| {
            let left = anchor.at(lead, step);
            said.clear();
            said.extend(parts.iter().map(|(proposal, weight)| {
                (
                    proposal.values[lead] + left * proposal.shifts[window],
                    *weight,
                )
            }));
            weighted_median(&mut said)
        })
        .collect()
}

/// The value at which half of the weight lies on either side; between two values where it falls exactly between them.
fn weighted_median(said: &mut [(f64, f64)]) -> f64 {
    said.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half: f64 = said.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (i, (value, weight)) in said.iter().enumerate() {
        below += weight;
        if below > half * (1.0 + 1e-12) {
            return *value;
        }
        if below >= half * (1.0 - 1e-12) {
            let next = said.get(i + 1).map_or(*value, |(next, _)| *next);
            return (value + next) / 2.0;
        }
    }
    said.last().map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_equal_weights_it_is_the_median() {
        let median = |values: &[f64]| {
            weighted_median(&mut values.iter().map(|v| (*v, 0.1)).collect::<Vec<_>>())
        };
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }

    #[test]
    fn a_candidate_with_most_of_the_weight_decides() {
        assert_eq!(
            weighted_median(&mut [(1.0, 1.0), (2.0, 1.0), (9.0, 3.0)]),
            9.0
        );
    }

    #[test]
    fn an_anchor_is_of_the_hours_that_it_names() {
        let proposals = [Proposal {
            candidate: Candidate::Prophet,
            values: vec![0.0; 3],
            shifts: [5.0, 4.0, 3.0, 2.0],
        }];
        let weights = [Weighted {
            candidate: Candidate::Prophet,
            weight: 1.0,
        }];
        let said = |anchor| combine(&proposals, anchor, &weights, 3_600);
        assert_eq!(said(Anchor::Constant { hours: 1 }), [5.0; 3]);
        assert_eq!(said(Anchor::Constant { hours: 6 }), [3.0; 3]);
        assert_eq!(said(Anchor::None), [0.0; 3]);
    }

    #[test]
    fn an_anchor_fades_by_its_time_constant() {
        assert_eq!(Anchor::Constant { hours: 1 }.at(287, 300), 1.0);
        assert_eq!(Anchor::None.at(0, 300), 0.0);
        let fading = Anchor::Fading { hours: 4 };
        assert!((fading.at(47, 300) - (-47.5_f64 / 48.0).exp()).abs() < 1e-12);
    }
}
