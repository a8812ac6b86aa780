//! Timed values and the plain questions asked of them: order, repeats, cadence, gaps.

use crate::time::DAY;

/// Steps that exporters use. A measured cadence within a twentieth of one is taken to be it.
const USUAL_STEPS: [i64; 24] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800,
    14_400, 21_600, 28_800, 43_200, DAY,
];

/// One row: where it stands in the file, when it was observed, and what; a value of `None` is missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    pub(crate) line: u32,
    pub(crate) instant: i64,
    pub(crate) value: Option<f64>,
    /// Saturation held it down: what would have been used is not known.
    pub(crate) censored: bool,
}

/// Two rows of one time with different values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) first: Observation,
    pub(crate) second: Observation,
}

/// A stretch of time without observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The last observation before it.
    pub(crate) after: i64,
    /// What is missing: from one step after that to the next observation.
    pub(crate) seconds: i64,
}

/// Puts rows in the order of their times; returns how many were later than one that follows them.
pub(crate) fn sort(rows: &mut [Observation]) -> usize {
    let late = rows
        .windows(2)
        .filter(|pair| pair[0].instant > pair[1].instant)
        .count();
    rows.sort_by_key(|row| row.instant);
    late
}

/// Leaves out rows that only repeat another, given rows in order, and returns how many there were. A value wins over a
/// missing one, censored over not. Where times have two different values, these are returned and no row is left out: as
/// nobody here can settle them, each counts.
pub(crate) fn deduplicate(rows: &mut Vec<Observation>) -> (usize, Vec<Conflict>) {
    let before = rows.len();
    let mut kept: Vec<Observation> = Vec::with_capacity(before);
    let mut conflicts = Vec::new();
    for &row in rows.iter() {
        match kept.last_mut() {
            Some(last) if last.instant == row.instant => match (last.value, row.value) {
                (Some(a), Some(b)) if a != b => {
                    conflicts.push(Conflict {
                        first: *last,
                        second: row,
                    });
                }
                (value, other) => {
                    last.value = value.or(other);
                    last.censored |= row.censored;
                }
            },
            _ => kept.push(row),
        }
    }
    if !conflicts.is_empty() {
        return (0, conflicts);
    }
    *rows = kept;
    (before - rows.len(), conflicts)
}

/// The share of the spacings of ordered, distinct times that are neither about `step` nor about a whole number of steps.
pub(crate) fn irregular(instants: &[i64], step: i64) -> f64 {
    let spacings = instants.windows(2).map(|pair| pair[1] - pair[0]);
    let odd = spacings.filter(|spacing| {
        let steps = ((spacing + step / 2) / step).max(1);
        4 * (spacing - steps * step).abs() > step
    });
    odd.count() as f64 / instants.len().saturating_sub(1).max(1) as f64
}

/// The median spacing of ordered, distinct times, or the usual step it is all but equal to.
/// `None` when there are fewer than two.
pub(crate) fn cadence(instants: &[i64]) -> Option<i64> {
    let mut spacings: Vec<i64> = instants.windows(2).map(|pair| pair[1] - pair[0]).collect();
    spacings.sort_unstable();
    let median = *spacings.get(spacings.len() / 2)?;
    let near = |step: &&i64| (median - **step).abs() * 20 <= **step;
    let usual = USUAL_STEPS
        .iter()
        .min_by_key(|step| (median - **step).abs());
    Some(usual.filter(near).copied().unwrap_or(median))
}

/// The stretches of ordered times in which at least one whole step has no observation.
pub(crate) fn gaps(instants: &[i64], step: i64) -> Vec<Gap> {
    let gap = |pair: &[i64]| Gap {
        after: pair[0],
        seconds: pair[1] - pair[0] - step,
    };
    // Half a step of tolerance: scrapes jitter.
    let pairs = instants
        .windows(2)
        .filter(|pair| 2 * (pair[1] - pair[0]) > 3 * step);
    pairs.map(gap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: u32, instant: i64, value: Option<f64>) -> Observation {
        Observation {
            line,
            instant,
            value,
            censored: false,
        }
    }

    #[test]
    fn repeats_go_and_conflicts_stay_to_be_told() {
        let mut rows = vec![
            row(2, 0, Some(1.0)),
            row(3, 0, Some(1.0)),
            row(4, 5, None),
            row(5, 5, Some(2.0)),
        ];
        assert_eq!(deduplicate(&mut rows), (2, vec![]));
        assert_eq!(rows, [row(2, 0, Some(1.0)), row(4, 5, Some(2.0))]);
        let mut rows = vec![row(2, 0, Some(1.0)), row(3, 0, Some(2.0))];
        let (repeats, conflicts) = deduplicate(&mut rows);
        assert_eq!((repeats, rows.len()), (0, 2));
        assert_eq!((conflicts[0].first.line, conflicts[0].second.line), (2, 3));
    }

    #[test]
    fn cadence_is_the_median_and_forgives_jitter() {
        assert_eq!(cadence(&[0, 299, 601, 900, 4000]), Some(300));
        assert_eq!(cadence(&[0, 420, 840]), Some(420));
        assert_eq!(cadence(&[7]), None);
    }

    #[test]
    fn a_gap_is_regular_and_two_cadences_are_not() {
        assert_eq!(irregular(&[0, 60, 119, 240, 301], 60), 0.0);
        assert_eq!(irregular(&[0, 300, 320, 600, 900], 300), 0.25);
        assert_eq!(irregular(&[0], 300), 0.0);
    }

    #[test]
    fn a_gap_is_a_whole_missing_step() {
        assert_eq!(
            gaps(&[0, 60, 130, 180, 300], 60),
            [Gap {
                after: 180,
                seconds: 60
            }]
        );
    }
}
